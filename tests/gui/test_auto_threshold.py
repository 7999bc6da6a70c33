"""Auto: each scan chooses its threshold from its own scores, until the slider is moved by hand."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from former_cut import label_components
from napari_liver_anomaly.gui import prepared_result, threshold_slider
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
from napari_liver_anomaly.gui.threshold_slider import ThresholdSlider
from napari_liver_anomaly.segmentation import AUTO_SETTINGS
from napari_liver_anomaly.thresholds import auto_threshold


def settle(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.threshold._settle.isActive() and not panel.controller.busy, timeout=30_000)


@pytest.fixture
def best(sample):
    """What the sample's scores choose; neither the default nor where a test moves the slider to."""
    value = auto_threshold(sample.score, sample.liver.voxels)
    assert value not in (0.5, 0.6)
    return value


def expected(sample, threshold, min_mm3=50.0):
    return label_components(sample.score, threshold, min_mm3, sample.volume.geometry)


def shows(panel, value):
    return panel.threshold.value == round(value, 2)


def test_a_new_panel_begins_with_auto():
    assert threshold_slider.AUTO is AUTO_SETTINGS.auto_threshold is True


@pytest.mark.parametrize("on", [False, True])
def test_one_word_decides_how_a_panel_begins(qtbot, monkeypatch, on):
    monkeypatch.setattr(threshold_slider, "AUTO", on)
    widget = ThresholdSlider(0.5)
    qtbot.addWidget(widget)
    assert widget.auto.isChecked() is on and "no label is used" in widget.auto.toolTip()


def test_it_is_no_row_of_the_settings(panel):
    assert set(panel.model.rows.fields) == {"min_peak_score", "min_lesion_mm3", "min_liver_probability", "batch"}


def test_a_run_with_auto_cuts_where_the_scores_say(panel, viewer, sample, run, best):
    assert panel.threshold.auto.isEnabled() and not panel.threshold.slider.isEnabled()
    panel.threshold.auto.click()
    run(panel)
    assert shows(panel, best) and panel.threshold.auto.isChecked()
    assert np.array_equal(viewer.layers["case tumours"].data, expected(sample, best))
    settings = panel.controller.shown.now().settings
    assert (settings.threshold, settings.auto_threshold) == (best, True)


def test_without_auto_a_run_takes_the_slider(panel, run, best):
    panel.threshold.show_threshold(0.5, auto=False)
    run(panel)
    assert shows(panel, 0.5) and not panel.threshold.auto.isChecked()


def test_reset_gives_what_a_first_run_gives(panel, viewer, sample, run, qtbot, best, monkeypatch):
    monkeypatch.setattr(threshold_slider, "AUTO", True)
    panel.threshold.show_threshold(0.5, auto=True)
    assert not panel.threshold.back.isVisibleTo(panel), "before a run there is nothing to set back"
    run(panel)
    assert not panel.threshold.back.isVisibleTo(panel)
    panel.threshold.slider.setValue(0.6)
    assert panel.threshold.back.isVisibleTo(panel)
    settle(qtbot, panel)
    panel.threshold.back.click()
    settle(qtbot, panel)
    assert shows(panel, best) and panel.threshold.auto.isChecked() and not panel.threshold.back.isVisibleTo(panel)
    assert np.array_equal(viewer.layers["case tumours"].data, expected(sample, best))
    panel.threshold.auto.click()
    assert panel.threshold.back.isVisibleTo(panel), "nor is a threshold without Auto that of a first run"


def test_moving_by_hand_switches_auto_off_and_a_click_on_again(panel, viewer, sample, run, qtbot, best):
    panel.threshold.show_threshold(0.5, auto=True)
    run(panel)
    panel.threshold.slider.setValue(0.6)
    assert not panel.threshold.auto.isChecked()
    settle(qtbot, panel)
    assert np.array_equal(viewer.layers["case tumours"].data, expected(sample, 0.6)) and shows(panel, 0.6)
    assert not panel.controller.shown.now().settings.auto_threshold
    panel.threshold.auto.click()
    settle(qtbot, panel)
    assert shows(panel, best) and panel.threshold.auto.isChecked()
    assert np.array_equal(viewer.layers["case tumours"].data, expected(sample, best))
    assert panel.table.model().rowCount() == expected(sample, best).max()
    assert panel.controller.shown.now().settings.auto_threshold
    panel.threshold.auto.click()
    settle(qtbot, panel)
    assert shows(panel, best) and not panel.controller.shown.now().settings.auto_threshold, "off: the threshold stays where it is"


def test_the_smallest_lesion_counts_with_auto_too(panel, viewer, sample, run, qtbot, best):
    panel.threshold.show_threshold(0.5, auto=True)
    run(panel)
    panel.model.rows.fields["min_lesion_mm3"].value = 300
    settle(qtbot, panel)
    assert np.array_equal(viewer.layers["case tumours"].data, expected(sample, best, 300.0)) and shows(panel, best)


def test_switching_off_before_the_scan_has_chosen_leaves_the_slider(panel, viewer, sample, run, qtbot, monkeypatch):
    run(panel)
    goes = threading.Event()
    monkeypatch.setattr(prepared_result, "threshold_from", lambda *_: goes.wait(30) and 0.3)
    for leave in (panel.threshold.auto.click, lambda: panel.threshold.slider.setValue(0.6)):
        goes.clear()
        before = panel.threshold.value
        panel.threshold.auto.click()
        leave()
        wanted = panel.threshold.value
        goes.set()
        settle(qtbot, panel)
        assert shows(panel, wanted) and not panel.threshold.auto.isChecked()
        assert np.array_equal(viewer.layers["case tumours"].data, expected(sample, wanted))
        assert not panel.controller.preview.on and wanted in (before, 0.6)


def test_every_scan_keeps_its_own(panel, viewer, make_sample, run, qtbot, best):
    panel.threshold.show_threshold(0.5, auto=True)
    run(panel)
    other = make_sample(name="second", seed=8)
    layer = add(viewer, scan_layer(other.volume))
    add(viewer, liver_layer(other.liver, other.volume))
    panel.inputs.scan.choose(layer)
    panel.threshold.auto.click()
    run(panel)
    panel.threshold.slider.setValue(0.6)
    settle(qtbot, panel)
    panel.inputs.scan.choose(viewer.layers["case"])
    assert panel.threshold.auto.isChecked() and shows(panel, best)
    panel.inputs.scan.choose(layer)
    assert not panel.threshold.auto.isChecked() and shows(panel, 0.6)


def test_a_correction_by_hand_is_not_lost_to_auto(panel, viewer, run, qtbot, best):
    panel.threshold.show_threshold(0.5, auto=True)
    run(panel)
    layer = viewer.layers["case tumours"]
    painted = (np.array([3, 3]), np.array([20, 21]), np.array([30, 30]))
    layer.data_setitem(painted, 7)
    panel.threshold.auto.click()
    settle(qtbot, panel)
    panel.threshold.auto.click()
    settle(qtbot, panel)
    assert shows(panel, best) and (layer.data[painted] > 0).all()
    panel.threshold.slider.setValue(0.6)
    settle(qtbot, panel)
    panel.threshold.auto.click()
    settle(qtbot, panel)
    assert (layer.data[painted] > 0).all() and "case tumours 2" not in viewer.layers
