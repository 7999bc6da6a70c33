"""The threshold: live on the graphics card, then cleaned lesions, and never over a correction by hand."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
from qtpy.QtWidgets import QLineEdit

from napari_liver_anomaly import lesions, segmentation
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.result_layers import ResultLayers
from napari_liver_anomaly.result import Result
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.volume import Geometry, Mask, Volume

TICK_MS = 5.0


def settle(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.threshold._settle.isActive() and not panel.controller.busy, timeout=30_000)


def expected(sample, threshold, min_mm3=50.0):
    return lesions.label_components(sample.score, threshold, min_mm3, sample.volume.geometry)


@pytest.fixture
def done(panel, run):
    run(panel)
    return panel


def test_slider_and_number_say_the_same(done):
    done.threshold.slider.setValue(0.37)
    number = done.threshold.findChild(QLineEdit)
    assert number.text() == "0.37" and done.threshold.value == 0.37
    number.setText("0.81")
    number.editingFinished.emit()
    assert done.threshold.slider.value() == done.threshold.value == 0.81


def test_while_it_moves_the_score_shows_exactly_the_voxels_that_count(done, viewer, sample):
    score = viewer.layers["case anomaly score"]
    labels = viewer.layers["case tumours"].data
    for step in (10, 37, 90, 100):
        done.threshold.slider.setValue(step / 100)
        low, high = score.contrast_limits
        level = lesions.level_of(step / 100)
        assert level - 1 < low < high < level, "a whole number may not lie inside the edge"
        assert score.visible and score.colormap.name == "threshold"
        assert not done.overlays.rows[Role.SCORE][0].isChecked(), "the switch says what the user chose"
    assert viewer.layers["case tumours"].data is labels, "no array is made while it moves"


def test_on_release_the_lesions_are_cut_and_the_heat_map_is_back(done, viewer, sample, qtbot):
    score = viewer.layers["case anomaly score"]
    before = (score.visible, list(score.contrast_limits), score.colormap, score.opacity)
    done.threshold.slider.setValue(0.2)
    settle(qtbot, done)
    assert np.array_equal(viewer.layers["case tumours"].data, expected(sample, 0.2))
    assert (score.visible, list(score.contrast_limits), score.colormap, score.opacity) == before
    ml = np.count_nonzero(expected(sample, 0.2)) * sample.volume.geometry.voxel_ml
    assert done.threshold.count.text() == f"2 lesions, {ml:,.1f} ml in all"


def test_while_the_slider_is_held_nothing_is_cut(done, viewer, qtbot):
    labels = viewer.layers["case tumours"].data
    done.threshold.slider.setSliderDown(True)
    done.threshold.slider.setValue(0.2)
    qtbot.wait(400)
    assert viewer.layers["case tumours"].data is labels
    done.threshold.slider.setSliderDown(False)
    settle(qtbot, done)
    assert viewer.layers["case tumours"].data is not labels


def test_back_at_the_old_threshold_the_preview_ends(done, viewer, qtbot):
    done.threshold.slider.setValue(0.2)
    done.threshold.slider.setValue(0.5)
    settle(qtbot, done)
    assert not done.controller.preview.on and not viewer.layers["case anomaly score"].visible


def test_the_smallest_lesion_counts_too(done, viewer, sample, qtbot):
    done.model.rows.fields["min_lesion_mm3"].value = 300
    qtbot.waitUntil(lambda: not done.controller.busy, timeout=30_000)
    assert np.array_equal(viewer.layers["case tumours"].data, expected(sample, 0.5, 300.0))
    assert done.threshold.count.text().startswith("1 lesion,")


def paint(layer, value=7):
    layer.data_setitem((np.array([3, 3]), np.array([20, 21]), np.array([30, 30])), value)


@pytest.mark.parametrize("how", ["brush", "script", "undone"])
def test_a_correction_by_hand_is_never_overwritten(done, viewer, sample, qtbot, how):
    layer = viewer.layers["case tumours"]
    if how == "script":
        layer.data[3, 20, 30] = 7
    else:
        paint(layer)
        if how == "undone":
            layer.undo()
    corrected = layer.data.copy()
    done.threshold.slider.setValue(0.2)
    settle(qtbot, done)
    assert np.array_equal(layer.data, corrected)
    assert np.array_equal(viewer.layers["case tumours 2"].data, expected(sample, 0.2))
    assert done.messages.text.startswith("'case tumours' was corrected by hand and is kept.")
    done.threshold.slider.setValue(0.3)
    settle(qtbot, done)
    assert np.array_equal(viewer.layers["case tumours 2"].data, expected(sample, 0.3)) and "case tumours 3" not in viewer.layers


@pytest.mark.parametrize("how", ["brush", "script"])
def test_a_new_run_does_not_overwrite_a_correction(done, viewer, run, how):
    layer = viewer.layers["case tumours"]
    paint(layer) if how == "brush" else layer.data.__setitem__((3, 20, 30), 7)
    corrected = layer.data.copy()
    run(done)
    assert np.array_equal(layer.data, corrected) and "case tumours 2" in viewer.layers
    assert not done.threshold.remark.text()


def test_a_panel_opened_later_does_not_overwrite_either(done, viewer, make_panel, run):
    paint(viewer.layers["case tumours"])
    corrected = viewer.layers["case tumours"].data.copy()
    run(make_panel(viewer))
    assert np.array_equal(viewer.layers["case tumours"].data, corrected) and "case tumours 2" in viewer.layers


def test_a_correction_is_counted(done, viewer, qtbot):
    paint(viewer.layers["case tumours"])
    qtbot.waitUntil(lambda: done.threshold.count.text().startswith("3 lesions"), timeout=30_000)
    assert done.threshold.remark.text() == "Corrected by hand."


def test_deleted_tumours_come_back_as_a_new_layer(done, viewer, sample, qtbot):
    viewer.layers.remove("case tumours")
    done.threshold.slider.setValue(0.2)
    settle(qtbot, done)
    assert np.array_equal(viewer.layers["case tumours"].data, expected(sample, 0.2))
    assert not done.messages.text


def test_a_deleted_score_is_no_mishap(done, viewer, sample, qtbot):
    done.threshold.slider.setValue(0.3)
    viewer.layers.remove("case anomaly score")
    done.threshold.slider.setValue(0.2)
    settle(qtbot, done)
    assert np.array_equal(viewer.layers["case tumours"].data, expected(sample, 0.2))


def test_a_fault_while_cutting_is_said(done, viewer, qtbot, monkeypatch):
    monkeypatch.setattr(segmentation, "label_components", lambda *_: 1 / 0)
    done.threshold.slider.setValue(0.2)
    settle(qtbot, done)
    assert "ZeroDivisionError" in done.messages.text and not done.controller.preview.on


def test_in_space_the_preview_is_a_surface(done, viewer, qtbot):
    viewer.dims.ndisplay = 3
    score = viewer.layers["case anomaly score"]
    done.threshold.slider.setValue(0.4)
    assert score.rendering == "iso" and score.iso_threshold == lesions.level_of(0.4) - 0.5
    settle(qtbot, done)
    assert score.rendering != "iso"


def large_result():
    """A result of 200 × 512 × 512, quickly made."""
    geometry = Geometry((512, 512, 200), np.diag([-0.7, -0.7, -1.0, 1.0]))
    voxels, score = np.zeros(geometry.shape, np.int16), np.zeros(geometry.shape, np.uint8)
    voxels[60:140, 100:300, 100:300] = 100
    score[80:100, 150:250, 150:250] = np.arange(100, dtype=np.uint8) * 2
    volume = Volume(voxels, geometry, "large")
    liver = Mask(voxels > 0, geometry, volume.identity)
    labels = lesions.label_components(score, 0.5, 50.0, geometry)
    return Result(
        volume=volume, liver=liver, restored=None, residual=None, score=score, labels=labels, lesions=(), settings=SegmentSettings(),
        model="", model_hash="",
        device="cpu", ran_on="", timings_s={},
    )  # fmt: skip


@pytest.mark.benchmark
def test_a_tick_is_quick_on_a_large_scan(make_napari_viewer, make_panel, figure):
    """In a real window, with nothing but the score to draw."""
    result, viewer = large_result(), make_napari_viewer(show=True)
    panel = make_panel(viewer)
    shown = ResultLayers(viewer, result, {"scale": (1.0, 0.7, 0.7), "units": ("mm",) * 3}, "large")
    for _ in shown.show(0, (15, 165)):
        pass
    viewer.dims.set_point(0, 90)
    panel._follow(shown)
    panel.threshold.slider.setSliderDown(True)
    panel.threshold.slider.setValue(0.6)
    ticks_ms = []
    for step in range(20, 50):
        began = time.perf_counter()
        panel.threshold.slider.setValue(step / 100)
        ticks_ms.append(1000 * (time.perf_counter() - began))
    median_ms = statistics.median(ticks_ms)
    figure("tick_ms", median_ms)
    assert panel.controller.preview.on
    assert median_ms <= TICK_MS, f"a tick took {median_ms:.1f} ms"
    panel.threshold.slider.setSliderDown(False)
    panel.controller.follow(None)
