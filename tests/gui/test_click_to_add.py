"""A lesion by a click: grown on the score, seen before it is taken, undone like any correction, and nothing is left of what was discarded."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from gui.test_threshold import settle
from napari_liver_anomaly.gui import click_to_grow
from napari_liver_anomaly.gui.click_to_grow import GROWING, OUTSIDE
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.lesion_section import ALREADY, CLICK, NOTHING
from napari_liver_anomaly.gui.region_growing import grow, next_part
from napari_liver_anomaly.gui.side_view import on_click
from napari_liver_anomaly.job import Job


@pytest.fixture
def done(panel, run, qtbot):
    """A threshold above which the second lesion is dropped: it is to be added by hand."""
    run(panel)
    panel.model.rows.fields["min_lesion_mm3"].value = 500 * sum(row.lesion.volume_ml for row in panel.table.lesions)
    settle(qtbot, panel)
    assert len(panel.table.lesions) == 1
    return panel


def point_of(panel, voxel):
    return panel.controller.shown.tumours.data_to_world(voxel)


@pytest.fixture
def small(done):
    """The highest voxel of the lesion that is missing."""
    shown = done.controller.shown
    free = np.where(shown.tumours.data == 0, shown.result.score, 0)
    return tuple(int(n) for n in np.unravel_index(free.argmax(), free.shape))


def wait(done, qtbot):
    qtbot.waitUntil(lambda: not done.lesions.adding.busy, timeout=30_000)


def previews(viewer):
    return [layer for layer in viewer.layers if layer.metadata.get("napari-liver-anomaly").role is Role.PREVIEW]


def test_a_region_that_comes_after_its_end_is_not_shown(done, viewer, small, qtbot):
    adding = done.lesions.adding
    done.lesions.add()
    ground = adding._ground
    adding.end()
    adding._growing.returned.emit(click_to_grow._grown(ground, small, 0.5, Job()))
    assert not previews(viewer) and adding.region is None


def test_a_click_grows_a_lesion_that_is_seen_before_it_is_taken(done, viewer, small, qtbot):
    section, before = done.lesions, done.table.lesions
    score = done.controller.shown.result.score
    section.add()
    adding = section.adding
    assert adding.text.text() == CLICK and not adding.buttons["Accept"].isVisibleTo(adding)
    assert section.below.currentWidget() is adding and viewer.mouse_drag_callbacks
    adding.grow_at(point_of(done, small))
    wait(done, qtbot)
    (preview,) = previews(viewer)
    seen = preview.data > 0
    assert seen[small] and score[seen].min() >= score[small] // 2 and done.table.lesions == before, "only seen"
    adding.buttons["Larger"].click()
    wait(done, qtbot)
    larger = previews(viewer)[0].data > 0
    assert larger[seen].all() and larger.sum() > seen.sum() and f"{larger.sum() * 0.0016:.1f} ml" in adding.text.text()
    adding.buttons["Smaller"].click()
    wait(done, qtbot)
    adding.buttons["Accept"].click()
    settle(qtbot, done)
    assert not previews(viewer) and section.below.currentWidget() is section.links and not adding.on
    (added,) = (row for row in done.table.lesions if row not in before)
    assert np.array_equal(done.controller.shown.state.labels.dense() == added.lesion.number, seen)
    assert added.origin == "corrected" and added.fixed, "from the program's score, and chosen by somebody"
    section.undo()
    settle(qtbot, done)
    assert done.table.lesions == before and not done.controller.shown.state.corrected
    section.redo()
    settle(qtbot, done)
    assert [row.origin for row in done.table.lesions] == ["automatic", "corrected"]


def test_what_is_discarded_leaves_nothing(done, viewer, small, qtbot):
    callbacks, layers = list(viewer.mouse_drag_callbacks), list(viewer.layers)
    for end in (
        done.lesions.adding.buttons["Discard"].click,
        lambda: done.controller.follow(None),
        done._leave,
    ):
        done._follow(done._now())
        done.lesions.add()
        done.lesions.adding.grow_at(point_of(done, small))
        wait(done, qtbot)
        assert previews(viewer)
        end()
        assert list(viewer.mouse_drag_callbacks) == callbacks and list(viewer.layers) == layers and not done.lesions.adding.on


def test_a_place_at_which_nothing_can_be_grown_is_told(done, viewer, qtbot):
    shown = done.controller.shown
    done.lesions.add()
    inside = tuple(int(axis[0]) for axis in np.nonzero(shown.tumours.data))
    for voxel, words in ((inside, ALREADY), ((0, 0, 0), NOTHING), ((0, -9, 0), OUTSIDE)):
        done.lesions.adding.grow_at(point_of(done, voxel))
        wait(done, qtbot)
        assert done.messages.text == words and not previews(viewer) and done.lesions.adding.on


def test_a_region_is_connected_and_keeps_out_of_other_lesions():
    score = np.zeros((9, 20, 20), np.uint8)
    score[4, 5:9, 5:9], score[4, 5:9, 12:15], score[4, 6, 9:12] = 200, 250, 90
    taken = np.zeros(score.shape, bool)
    taken[4, 8] = True
    region = grow(score, lambda box: ~taken[box], (4, 6, 6), (3.0, 1.0, 1.0), 60.0)
    assert region.where.tolist() == np.flatnonzero((score == 200) & ~taken).tolist()
    assert next_part(region.part, 1) == 0.4
    again = grow(score, lambda box: ~taken[box], region.seed, (3.0, 1.0, 1.0), 60.0, 0.4)
    assert again.where.size > region.where.size + 3 and not taken.flat[again.where].any()
    assert grow(score, lambda box: ~taken[box], (0, 0, 0), (3.0, 1.0, 1.0), 60.0) is None


def test_it_grows_beside_the_window_and_takes_what_was_asked_for_last(done, viewer, small, qtbot, monkeypatch):
    threads, goes = [], threading.Event()

    def slow(*given):
        threads.append(threading.current_thread())
        goes.wait(30)
        return grow(*given)

    monkeypatch.setattr(click_to_grow, "grow", slow)
    before = done.table.lesions
    done.lesions.add()
    adding = done.lesions.adding
    adding.grow_at(point_of(done, small))
    adding.resize_by(1)
    adding.resize_by(1)
    assert adding.busy and adding.text.text() == GROWING and not previews(viewer)
    adding.accept()
    assert adding.on, "there is nothing to accept yet"
    goes.set()
    wait(done, qtbot)
    assert adding.region.part == pytest.approx(0.3) and len(threads) == 2, "the second of three wishes was overtaken"
    assert all(thread is not threading.main_thread() for thread in threads)
    goes.clear()
    adding.resize_by(1)
    adding.end()
    goes.set()
    wait(done, qtbot)
    settle(qtbot, done)
    assert not previews(viewer) and done.table.lesions == before, "what comes too late is not shown"


def test_it_ends_with_the_layer_it_would_grow_on(done, viewer, qtbot):
    done.lesions.add()
    assert done.lesions.adding.on
    viewer.layers.remove(done.controller.shown.tumours)
    settle(qtbot, done)
    assert not done.lesions.adding.on


def test_a_click_that_grows_turns_no_plane(viewer):
    acted = []
    turn, grow = on_click(lambda _: acted.append("turn")), on_click(lambda _: acted.append("grow"), alone=True)
    event = SimpleNamespace(button=1, modifiers=(), pos=(5, 5), position=(1, 2, 3), type="mouse_release")
    for listening, acts in (([turn, grow], ["grow"]), ([grow, turn], ["grow"]), ([turn], ["turn"])):
        viewer.mouse_drag_callbacks[:] = listening
        acted.clear()
        for callback in listening:
            list(callback(viewer, event))
        assert acted == acts
