"""Corrections of lesions: one history, what was decided outlives thresholds and runs, and everyone says who made a lesion."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.components import ViewerModel

from gui.test_threshold import settle
from napari_liver_anomaly.gui.lesion_parts import halves
from napari_liver_anomaly.gui.lesion_section import NOT_NARROW, SELECT_MORE, SELECT_ONE
from napari_liver_anomaly.gui.threshold_controller import CORRECTED, ERASED
from napari_liver_anomaly.io import write


@pytest.fixture
def done(panel, run):
    run(panel)
    return panel


@pytest.fixture
def at(done, qtbot):
    """Move the threshold and wait."""

    def move(value):
        done.threshold.slider.setValue(value)
        settle(qtbot, done)
        state = done.controller.shown.state
        assert state.settings.threshold == value and not done.messages.details
        return state

    return move


def ml(panel):
    return sorted(round(row.lesion.volume_ml, 6) for row in panel.table.lesions if row.kept)


def choose(panel, *rows):
    panel.table.clearSelection()
    flags = panel.table.selectionModel().SelectionFlag
    for row in rows:
        panel.table.selectionModel().select(panel.table.model().index(row, 0), flags.Select | flags.Rows)


def erase_half(tumours, number):
    """Erase a lesion from its middle slice on; give what is left and what is gone."""
    z, y, x = np.nonzero(tumours.data == number)
    cut = z > (z.min() + z.max()) // 2
    tumours.data_setitem((z[cut], y[cut], x[cut]), 0)
    return (z[~cut], y[~cut], x[~cut]), (z[cut], y[cut], x[cut])


def test_of_a_lesion_in_which_was_only_erased_the_rest_follows_the_threshold(done, viewer, qtbot, at):
    tumours = viewer.layers["case tumours"]
    plain = {value: at(value).labels.dense() > 0 for value in (0.3, 0.7, 0.5)}
    left, gone = erase_half(tumours, 1)
    settle(qtbot, done)
    assert done.threshold.remark.text() == ERASED and done.controller.shown.state.origins == {1: "corrected"}
    assert not done.table.lesions[0].fixed
    lower = at(0.3).labels.dense() > 0
    assert not lower[gone].any(), "what was erased stays away"
    assert lower[left].all() and lower.sum() > plain[0.5].sum() - len(gone[0]), "and the rest grows"
    grown = lower & ~plain[0.5]
    assert grown.any() and not (lower & ~plain[0.3]).any(), "only where the score says so"
    whole = np.argwhere(plain[0.3] & ~plain[0.5])
    assert len(whole) > np.count_nonzero(grown), "no shell around what was erased"
    higher = at(0.7).labels.dense() > 0
    assert not higher[gone].any() and 0 < higher[left].sum() < len(left[0]), "and the rest shrinks"
    assert np.array_equal(at(0.5).labels.dense() > 0, plain[0.5] & ~mask(gone, plain[0.5].shape))
    # The hottest part erased: what is left is no peak any more, and is kept all the same.
    assert done.controller.shown.state.origins


def mask(where, shape):
    there = np.zeros(shape, bool)
    there[where] = True
    return there


def test_what_is_left_stays_when_its_highest_score_was_erased(done, viewer, qtbot, at):
    tumours, score = viewer.layers["case tumours"], done.controller.shown.result.score
    hot = np.nonzero((tumours.data == 1) & (score >= 200))
    tumours.data_setitem(hot, 0)
    settle(qtbot, done)
    left = np.nonzero(tumours.data == 1)
    assert len(left[0]) and score[left].max() < 204, "below the score that a lesion has to reach"
    assert at(0.45).labels.dense()[left].all() and not at(0.45).labels.dense()[hot].any()


def test_a_lesion_that_was_drawn_in_stays_as_it_is(done, viewer, qtbot, at):
    tumours = viewer.layers["case tumours"]
    z, y, _ = (int(axis.mean()) for axis in np.nonzero(tumours.data == 1))
    rim = tuple(np.array([n]) for n in (z, y, int(np.nonzero(tumours.data[z, y] == 1)[0].max()) + 1))
    tumours.data_setitem(rim, 1)
    settle(qtbot, done)
    before = done.controller.shown.state.labels.dense() == 1
    assert done.threshold.remark.text() == CORRECTED and done.table.lesions[0].fixed
    for value in (0.2, 0.8):
        assert np.array_equal(at(value).labels.dense() == 1, before), "and keeps its number"


def test_origins_are_told_in_table_and_files(done, viewer, qtbot, tmp_path, at):
    tumours = viewer.layers["case tumours"]
    tumours.data_setitem(tuple(np.array([n]) for n in (2, 20, 30)), 9)
    erase_half(tumours, 1)
    settle(qtbot, done)
    done.lesions.comment(done.table.lesions[0].lesion, "=1+1")
    done.lesions.aim(done.table.lesions[0].lesion, True)
    done.lesions.keep(done.table.lesions[1].lesion, False)
    settle(qtbot, done)
    for value in (0.5, 0.3):
        at(value)
        assert [row.origin for row in done.table.lesions if row.kept] == ["corrected", "manual"]
    result = done.controller.shown.now()
    write(result, tmp_path)
    told = json.loads((tmp_path / "report.json").read_text())
    assert [one["origin"] for one in told["lesions"]] == ["corrected", "manual"] and told["number_of_lesions"] == 2
    assert [one["comment"] for one in told["lesions"]] == ["=1+1", ""] and told["target_lesions"] == [result.lesions[0].number]
    assert told["target_sum_mm"] == round(result.lesions[0].long_mm, 3)
    (rejected,) = told["rejected"]
    assert rejected["volume_ml"] == round(result.rejected[0].volume_ml, 3)
    head, first, second = (line.split(",") for line in (tmp_path / "lesions.csv").read_text().splitlines())
    assert (
        dict(zip(head, first, strict=False))["origin"] == "corrected"
        and dict(zip(head, second, strict=False))["origin"] == "manual"
    )
    assert dict(zip(head, first, strict=False))["comment"] == "'=1+1", "no formula"


@pytest.mark.parametrize("moved", [False, True])
def test_rejecting_is_undone_and_redone(done, viewer, qtbot, at, moved):
    tumours, before = viewer.layers["case tumours"], ml(done)
    done.lesions.keep(done.table.lesions[0].lesion, False)
    settle(qtbot, done)
    assert len(ml(done)) == 1 and [row.kept for row in done.table.lesions] == [True, False]
    assert done.threshold.remark.text() == "1 rejected.", "nothing was erased"
    if moved:
        at(0.3)
        at(0.5)
    done.lesions.undo()
    settle(qtbot, done)
    assert ml(done) == before and all(row.kept for row in done.table.lesions)
    assert not done.controller.shown.state.corrected, "as if nothing had been"
    done.lesions.redo()
    settle(qtbot, done)
    assert len(ml(done)) == 1 and [row.kept for row in done.table.lesions] == [True, False], "rejected, not forgotten"
    tumours.undo()
    settle(qtbot, done)
    at(0.9)
    assert all(row.kept for row in done.table.lesions), "a lesion that the threshold drops is not rejected"


def test_a_lesion_taken_in_again_follows_the_threshold_of_now(done, qtbot, at):
    at(0.3)
    wanted = ml(done)
    at(0.5)
    first = done.table.lesions[0].lesion
    done.lesions.keep(first, False)
    settle(qtbot, done)
    at(0.3)
    done.lesions.keep(first, True)
    settle(qtbot, done)
    assert ml(done) == wanted and not done.controller.shown.state.corrected


@pytest.mark.parametrize("moved", [False, True])
def test_merging_lesions_that_do_not_touch(done, viewer, qtbot, run, at, moved):
    before = ml(done)
    choose(done, 0)
    done.lesions.merge()
    assert done.messages.text == SELECT_MORE and ml(done) == before
    choose(done, 0, 1)
    done.lesions.merge()
    settle(qtbot, done)
    assert ml(done) == [pytest.approx(sum(before))]
    if moved:
        at(0.2)
        assert ml(done) == [pytest.approx(sum(before))], "as it was merged"
        run(done)
        assert ml(done) == [pytest.approx(sum(before))], "after another run, too"
        # A stroke at its edge leaves it one.
        tumours = viewer.layers["case tumours"]
        z, y, x = (axis[0] for axis in np.nonzero(tumours.data))
        tumours.data_setitem((np.array([z]), np.array([y]), np.array([x - 1])), int(tumours.data[z, y, x]))
        settle(qtbot, done)
        assert len(ml(done)) == 1
        done.lesions.undo()
        settle(qtbot, done)
    done.lesions.undo()
    settle(qtbot, done)
    assert ml(done) == before
    done.lesions.redo()
    settle(qtbot, done)
    assert ml(done) == [pytest.approx(sum(before))]


@pytest.mark.parametrize("moved", [False, True])
def test_splitting_where_a_lesion_is_narrowest(done, viewer, qtbot, at, moved):
    tumours, rows = viewer.layers["case tumours"], done.table.lesions
    choose(done, 0, 1)
    done.lesions.split()
    assert done.messages.text == SELECT_ONE
    choose(done, 0)
    done.lesions.split()
    assert done.messages.text == NOT_NARROW, "a ball"
    first, second = (np.argwhere(tumours.data == row.lesion.number).mean(axis=0) for row in rows)
    bridge = np.unique(np.linspace(first, second, 200).round().astype(int), axis=0)
    tumours.data_setitem(tuple(bridge.T), rows[0].lesion.number)
    settle(qtbot, done)
    choose(done, 0, 1)
    done.lesions.merge()
    settle(qtbot, done)
    (whole,) = ml(done)
    choose(done, 0)
    done.lesions.split()
    settle(qtbot, done)
    assert len(ml(done)) == 2 and sum(ml(done)) == pytest.approx(whole) and min(ml(done)) > 0.2 * whole
    halves_ml = ml(done)
    if moved:
        at(0.3)
        at(0.5)
        assert ml(done) == halves_ml
    done.lesions.undo()
    settle(qtbot, done)
    assert ml(done) == [pytest.approx(whole)]


def test_a_dumbbell_falls_apart_and_a_ball_does_not():
    grid = np.indices((30, 30, 60))
    balls = [sum((axis - at) ** 2 for axis, at in zip(grid, (15, 15, x), strict=True)) < 81 for x in (15, 36)]
    whole = balls[0] | balls[1]
    whole[13:18, 13:18, 15:36] = True
    where = np.flatnonzero(whole)
    part = halves(where, whole.shape, (1.0, 1.0, 1.0))
    assert part is not None and abs(part.size / where.size - 0.5) < 0.05
    assert len(set(np.unravel_index(part, whole.shape)[2] > 25)) == 1
    assert halves(np.flatnonzero(balls[0]), whole.shape, (1.0, 1.0, 1.0)) is None
    apart = np.flatnonzero(balls[0] & (grid[2] != 15))
    assert halves(apart, whole.shape, (1.0, 1.0, 1.0)).size <= apart.size / 2, "parts that do not touch"


def test_what_was_decided_is_the_same_in_a_session_that_is_reopened(done, make_panel, viewer, qtbot, at, tmp_path):
    """Merged lesions stay one, what follows the threshold goes on to follow it, and everyone is as corrected as before."""
    tumours = viewer.layers["case tumours"]
    tumours.data_setitem(tuple(np.array([n]) for n in (2, 20, 30)), 9)
    settle(qtbot, done)
    choose(done, 1, 2)
    done.lesions.merge()
    settle(qtbot, done)
    erase_half(tumours, 1)
    settle(qtbot, done)
    before = done.controller.shown.state
    assert {row.origin for row in done.table.lesions} == {"corrected"} and sum(row.fixed for row in done.table.lesions) == 1
    with qtbot.waitSignal(done.sessions.saved, timeout=60_000):
        done.sessions.save(tmp_path / "a.liver-session")
    other = make_panel(ViewerModel())
    with qtbot.waitSignal(other.sessions.reopened, timeout=60_000):
        other.open([tmp_path / "a.liver-session"])
    settle(qtbot, other)
    for value in (None, 0.3, 0.6):
        if value is not None:
            at(value)
            other.threshold.slider.setValue(value)
            settle(qtbot, other)
        one, two = done.controller.shown.state, other.controller.shown.state
        assert two.labels.same_as(one.labels) and two.origins == one.origins, value
    assert not one.labels.same_as(before.labels), "the rest follows the threshold"
    z, y, x = (axis[0] for axis in np.nonzero(other.controller.shown.tumours.data == other.table.lesions[1].lesion.number))
    number = len(other.table.lesions)
    other.controller.shown.tumours.data_setitem((np.array([z]), np.array([y]), np.array([x])), 0)
    settle(qtbot, other)
    assert len(other.table.lesions) == number, "merged lesions are not split by the next stroke"
