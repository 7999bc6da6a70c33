"""The liver is mended by a click on its probability, which is seen before it is taken; where that is not possible, the panel says why."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.gui.layers import add, scan_layer
from napari_liver_anomaly.gui.liver_mending import ADD, AGAIN, NO_LIVER, NOT_FOUND, NOTHING, TAKE, TAKEN


@pytest.fixture
def found(make_panel, viewer, sample, finder, qtbot):
    """A panel with a found liver that lacks a corner the finder half believed in, and has a piece of which it was not sure."""
    whole = sample.liver.voxels
    x = np.indices(whole.shape)[2]
    missing, unsure = whole & (x > 45), whole & (x < 20)
    finder.voxels = whole & ~missing
    finder.probability = np.where(whole, 250, 2).astype(np.uint8)
    finder.probability[missing], finder.probability[unsure] = 110, 140
    panel = make_panel(viewer)
    add(viewer, scan_layer(sample.volume))
    with qtbot.waitSignal(panel.finished, timeout=60_000):
        panel.find_liver()
    return panel, panel.inputs.liver.layer, missing, unsure


def click(panel, where, qtbot):
    voxel = np.argwhere(where)[np.count_nonzero(where) // 2]
    panel.mending.growing.grow_at(panel.inputs.liver.layer.data_to_world(voxel))
    wait(panel.mending.growing, qtbot)


def wait(growing, qtbot):
    qtbot.waitUntil(lambda: not growing.busy, timeout=30_000)


def test_a_missing_part_is_added_and_a_wrong_one_taken_away(found, viewer, run, qtbot):
    panel, liver, missing, unsure = found
    before = liver.data.copy()
    panel.mending.edit.entries[ADD].trigger()
    click(panel, missing, qtbot)
    (preview,) = [layer for layer in viewer.layers if layer.name.endswith("region")]
    assert np.array_equal(preview.data > 0, missing) and np.array_equal(liver.data, before), "only seen"
    panel.mending.growing.buttons["Accept"].click()
    assert np.array_equal(liver.data > 0, (before > 0) | missing) and panel.messages.text == AGAIN
    assert not [layer for layer in viewer.layers if layer.name.endswith("region")] and not panel.mending.growing.on
    panel.mending.edit.entries[TAKE].trigger()
    click(panel, unsure, qtbot)
    for _ in range(4):
        panel.mending.growing.buttons["Smaller"].click()
    wait(panel.mending.growing, qtbot)
    panel.mending.growing.buttons["Accept"].click()
    assert not liver.data[unsure].any() and (liver.data > 0).sum() == ((before > 0) | missing).sum() - unsure.sum()
    for _ in range(2):
        panel.mending.edit.entries["Undo"].trigger()
    assert np.array_equal(liver.data, before), "undone like any correction, whichever layer is chosen"
    liver.redo()
    run(panel)
    assert panel.controller.shown.result.liver_from == "corrected" and np.array_equal(
        panel.controller.shown.result.liver.voxels, (before > 0) | missing
    )


def test_it_says_why_nothing_can_be_grown(found, make_panel, viewer, sample, qtbot):
    panel, liver, _, unsure = found
    sure = (liver.data > 0) & ~unsure
    for way, where, words in (
        (ADD, sure, TAKEN[ADD]), (ADD, sample.volume.voxels < -350, NOTHING[ADD]), (TAKE, sure, NOTHING[TAKE]),
        (TAKE, liver.data == 0, TAKEN[TAKE]),
    ):  # fmt: skip
        panel.mending.begin(way)
        click(panel, where, qtbot)
        assert panel.messages.text == words and panel.mending.growing.region is None
    viewer.layers.remove(liver)
    assert not panel.mending.growing.on, "without its liver it ends"
    panel.mending.begin(ADD)
    assert panel.messages.text == NO_LIVER


def test_a_given_liver_has_no_probability(panel):
    panel.mending.begin(ADD)
    assert panel.messages.text == NOT_FOUND and not panel.mending.growing.on
    panel.mending.brush()
    liver = panel.inputs.liver.layer
    assert (liver.n_edit_dimensions, str(liver.mode), liver.selected_label) == (3, "paint", 1)
