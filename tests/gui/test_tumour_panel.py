"""The panel "Liver tumours": from the button to layers, and what may go wrong on the way."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.components import ViewerModel

from builders import refusal_of
from napari_liver_anomaly.errors import Finding, Level, OutOfMemory, Refusal
from napari_liver_anomaly.gui import threshold_slider
from napari_liver_anomaly.gui.layers import Role, Tag, add, liver_layer, scan_layer, tag_of
from napari_liver_anomaly.gui.lesion_model import cells
from napari_liver_anomaly.gui.lesion_rows import LesionRow
from napari_liver_anomaly.gui.tumour_panel import IN_PROGRESS
from napari_liver_anomaly.messages import make_finding

RESULTS = ["case restored", "case residual", "case anomaly score", "case tumours"]


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_a_run_shows_four_layers_over_the_scan(panel, viewer, sample, run):
    run(panel)
    assert names(viewer) == ["case", "case liver", *RESULTS]
    for layer in viewer.layers:
        assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
        assert tuple(layer.scale) == sample.volume.geometry.spacing_mm
        assert tuple(layer.axis_labels) == ("z", "y", "x")
        assert tag_of(layer).scan == sample.volume.identity
    residual = viewer.layers["case residual"]
    assert tuple(residual.contrast_limits) == (-60, 60) and not residual.visible
    assert panel.threshold.count.text().startswith("2 lesions, 0.5 ml (")
    assert panel.runbar.text.text() == "Ran on CPU. → Review the lesions, then export."
    assert list(viewer.layers["case tumours"].features["index"]) == [0, 1, 2]


def test_the_run_gets_what_the_panel_shows(panel, method, run):
    panel.model.device.setCurrentIndex(1)
    panel.model.rows.fields["min_lesion_mm3"].value = 75
    run(panel)
    (call,) = method.calls
    assert (call["device"], call["model"]) == ("cpu", "compact")
    assert (call["settings"].threshold, call["settings"].min_lesion_mm3) == (0.5, 75)


def test_a_second_run_fills_the_same_layers(panel, viewer, run):
    run(panel)
    before = list(viewer.layers)
    run(panel)
    assert list(viewer.layers) == before


def test_the_users_other_layers_stay(panel, viewer, run):
    points = viewer.add_points(np.zeros((1, 3)), name="mine")
    image = viewer.add_image(np.zeros((3, 4, 5)), name="other")
    states = [(layer.visible, layer.opacity, dict(layer.metadata)) for layer in (points, image)]
    panel.inputs.scan.choose(viewer.layers["case"])
    run(panel)
    assert [(layer.visible, layer.opacity, dict(layer.metadata)) for layer in (points, image)] == states
    assert viewer.layers["case"].visible


def test_what_is_missing_is_said_in_one_sentence(make_panel, viewer):
    panel = make_panel(viewer)
    panel.segment()
    assert panel.messages.text == "Choose a scan first: drop one above, or load it."
    panel.inputs.find_button.click()
    assert panel.messages.text == "Choose a scan first: drop one above, or load it."
    assert not panel.segmenting.busy


def test_without_a_model_the_panel_says_what_to_do(make_panel, viewer, sample):
    panel = make_panel(viewer, sample, names=())
    panel.segment()
    assert "Choose a model first" in panel.messages.text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            refusal_of(OutOfMemory, "x", "Not enough memory.", "Nothing was made.", "Close programs."),
            "Not enough memory. Nothing was made. Close programs.",
        ),
        (RuntimeError("bare"), "The program made a mistake (RuntimeError)."),
        (KeyboardInterrupt(), "The program made a mistake (KeyboardInterrupt)."),
    ],
)
def test_an_error_is_one_sentence_and_the_button_lives(panel, viewer, method, run, error, words):
    def stumble(step):
        raise error

    method.at_step = stumble
    run(panel)
    assert panel.messages.text.startswith(words)
    assert ("Traceback" in panel.messages.details) is not isinstance(error, Refusal)
    assert panel.runbar.button.isEnabled() and panel.runbar.button.text() == "Segment liver tumours"
    assert names(viewer) == ["case", "case liver"]
    method.at_step = lambda step: None
    run(panel)
    assert names(viewer)[2:] == RESULTS and not panel.messages.text


@pytest.mark.parametrize("step", range(4))
def test_cancel_at_every_step_leaves_nothing(panel, viewer, method, qtbot, step):
    at, goes = threading.Event(), threading.Event()

    def wait(now):
        if now == step:
            at.set()
            goes.wait(30)

    method.at_step = wait
    with qtbot.waitSignal(panel.finished, timeout=30_000):
        panel.runbar.button.click()
        at.wait(30)
        assert panel.runbar.button.text() == "Cancel"
        panel.runbar.button.click()
        assert panel.runbar.button.text() == "Stopping…" and not panel.runbar.button.isEnabled()
        goes.set()
    assert panel.runbar.text.text() == "Stopped. Nothing was kept."
    assert panel.runbar.button.isEnabled() and names(viewer) == ["case", "case liver"]
    assert panel.threshold.remark.text() == "Segment a scan to move the threshold.", (
        "a stopped run must not look like 'nothing found'"
    )


def test_a_second_panel_is_told_to_wait(make_panel, sample, method, qtbot):
    goes = threading.Event()
    method.at_step = lambda step: goes.wait(30)
    first, second = make_panel(ViewerModel(), sample), make_panel(ViewerModel(), sample)
    with qtbot.waitSignal(first.finished, timeout=30_000):
        first.segment()
        second.segment()
        assert second.messages.text == IN_PROGRESS and not second.segmenting.busy
        goes.set()


@pytest.mark.parametrize("gone", ["case", "case liver", "all"])
def test_a_layer_deleted_during_the_run_does_not_lose_the_result(panel, viewer, method, qtbot, gone):
    at, goes = threading.Event(), threading.Event()

    def wait(step):
        at.set()
        goes.wait(30)

    method.at_step = wait
    with qtbot.waitSignal(panel.finished, timeout=30_000):
        panel.segment()
        at.wait(30)
        viewer.layers.clear() if gone == "all" else viewer.layers.remove(gone)
        goes.set()
    assert names(viewer)[-4:] == RESULTS
    assert panel.messages.text == ("" if gone == "case liver" else "The scan was removed during the run. The result was kept.")


def test_edits_during_the_run_do_not_reach_it(panel, viewer, method, sample, run):
    def edit(step):
        if step == 0:
            viewer.layers["case"].data[:] = 0
            viewer.layers["case liver"].data[:] = 0

    original, liver = sample.volume.voxels.copy(), sample.liver.voxels.copy()
    method.at_step = edit
    run(panel)
    (call,) = method.calls
    assert np.array_equal(call["volume"].voxels, original) and np.array_equal(call["liver"].voxels, liver)
    assert "changed during the run" in panel.messages.text


def test_a_scan_edited_before_the_run_is_another_scan(panel, viewer, run, sample):
    """Its old liver still goes with it, and its results are filed under what was searched."""
    viewer.layers["case"].data[0, 0, 0] += 1
    run(panel)
    assert (
        tag_of(viewer.layers["case"]).scan
        == tag_of(viewer.layers["case tumours"]).scan
        != tag_of(viewer.layers["case liver"]).scan
    )
    assert panel.controller.shown is not None
    run(panel)
    assert len(viewer.layers) == 6


def test_a_layer_of_another_reader_can_be_searched(make_panel, viewer, sample, run):
    panel = make_panel(viewer)
    viewer.add_image(sample.volume.voxels[::-1].astype(float), scale=(-2.5, 0.8, 0.8), translate=(2.5 * 11, 0, 0), name="theirs")
    viewer.add_labels(sample.liver.voxels[::-1].astype(int), scale=(-2.5, 0.8, 0.8), translate=(2.5 * 11, 0, 0), name="organ")
    run(panel)
    assert "Left and right are not verified" in panel.messages.text
    tumours = viewer.layers["theirs tumours"]
    assert tuple(tumours.scale) == (2.5, 0.8, 0.8) and tuple(tumours.translate) == (0, 0, 0)
    assert panel.controller.shown is not None


def test_a_doubt_is_asked_once(make_panel, viewer, sample, run, qtbot):
    doubt = Finding(level=Level.ASK, code="x", what="Left and right unknown.", meaning="Sides are not verified.", action="Go on?")
    panel = make_panel(viewer)
    add(viewer, scan_layer(sample.volume, (doubt,)))
    add(viewer, liver_layer(sample.liver, sample.volume))
    panel.segment()
    assert not panel.segmenting.busy and panel.messages.text.startswith("Left and right unknown.")
    with qtbot.waitSignal(panel.finished, timeout=30_000):
        panel.messages.press("Segment anyway")
    run(panel)
    assert names(viewer)[-4:] == RESULTS


def test_what_was_found_at_opening_stands_in_the_report(make_panel, viewer, sample, run):
    """Sides that are not verified, for one, must be marked in every result."""
    note = Finding(level=Level.NOTE, code="orientation-unverified", what="Sides are unverified.", meaning="M.", action="A.")
    panel = make_panel(viewer)
    add(viewer, scan_layer(sample.volume, (note,)))
    add(viewer, liver_layer(sample.liver, sample.volume))
    run(panel)
    assert panel.controller.shown.result.findings == (note,) and "Sides are unverified." in panel.messages.text


def test_nothing_found_is_said_with_what_was_searched(panel, sample, method, run):
    method.sample.score[:] = 0
    run(panel)
    assert panel.threshold.count.text() == f"Searched {sample.liver.ml:,.0f} ml of liver, threshold 0.50: nothing found"


def test_results_follow_the_chosen_scan(panel, viewer, make_sample, run, sample):
    run(panel)
    other = make_sample(name="second", seed=8)
    layer = add(viewer, scan_layer(other.volume))
    panel.inputs.scan.choose(layer)
    assert panel.controller.shown is None and not panel.threshold.slider.isEnabled()
    assert panel.inputs.liver.layer is None, "the liver of the first scan is not offered for the second"
    panel.inputs.scan.choose(viewer.layers["case"])
    assert panel.threshold.slider.isEnabled() and panel.inputs.liver.layer is viewer.layers["case liver"]


def test_windows_apply_to_scan_and_restored_only(panel, viewer, run):
    run(panel)
    others = {name: list(viewer.layers[name].contrast_limits) for name in ("case residual", "case anomaly score")}
    panel.look.windows.buttons["Soft tissue"].click()
    for name in ("case", "case restored"):
        assert list(viewer.layers[name].contrast_limits) == [-160, 240]
    assert {name: list(viewer.layers[name].contrast_limits) for name in others} == others


def test_overlay_switches_and_layers_keep_in_step(panel, viewer, run):
    run(panel)
    tick, strength = panel.look.overlays.rows[Role.RESIDUAL]
    tick.click()
    strength.setValue(30)
    layer = viewer.layers["case residual"]
    assert layer.visible and layer.opacity == pytest.approx(0.3)
    layer.visible = False
    assert not tick.isChecked()
    viewer.layers.remove(layer)
    assert not tick.isEnabled()


def test_the_table_lists_the_lesions_and_a_click_goes_there(panel, viewer, run):
    assert not panel.table.isVisibleTo(panel)
    run(panel)
    shown = panel.controller.shown.lesions
    model = panel.table.model()
    assert model.rowCount() == len(shown) == 2
    for row, lesion in enumerate(shown):
        texts = [model.data(model.index(row, column)) for column in range(model.columnCount())]
        slice_ = int((viewer.layers["case tumours"].data == lesion.number).sum(axis=(1, 2)).argmax())
        score = int(panel.controller.shown.result.score[panel.controller.shown.result.labels == lesion.number].max()) / 255
        assert texts == list(cells(LesionRow(lesion, slice_, score=score)))
        panel.table.clicked.emit(model.index(row, 0))
        there = viewer.layers["case"].world_to_data(viewer.dims.point)
        areas = (viewer.layers["case tumours"].data == lesion.number).sum(axis=(1, 2))
        assert round(there[0]) == areas.argmax(), "the slice on which it is measured"
        assert viewer.layers["case tumours"].data[tuple(there.round().astype(int))] == lesion.number


def test_messages_are_those_of_the_chosen_scan(panel, viewer, make_sample, run):
    own, other = make_finding("liver-at-edge"), make_sample(name="other", seed=3)
    second = add(viewer, scan_layer(other.volume, (own,)))
    assert str(own) in panel.messages.text
    first = viewer.layers["case"]
    panel.inputs.scan.choose(second)
    panel.inputs.scan.choose(first)
    assert not panel.messages.text, "nothing of another patient"
    panel.messages.note("Something about the first.")
    panel.inputs.scan.choose(second)
    assert panel.messages.text == str(own), "its own again"
    panel.messages.ask("Which?", {"This": lambda: None})
    panel.inputs.scan.choose(first)
    assert panel.messages.answers, "a question stays until it is answered"


def test_the_folded_line_names_the_model_of_the_result(panel, run):
    assert "gave this result" not in panel.method._summary
    run(panel)
    assert panel.method._summary == "fake gave this result; next: compact, Automatic"


def test_a_jump_moves_the_view_only_where_the_lesion_would_be_out_of_sight(panel, viewer, run):
    run(panel)
    camera, shown = viewer.scene.camera, panel.controller.shown
    for lesion in shown.lesions:
        before = camera.center
        shown.turn_to(lesion)
        assert camera.center == before, "the whole scan is in sight: nothing moves under the eye"
    camera.zoom *= 40
    for lesion in shown.lesions:
        shown.turn_to(lesion)
        assert tuple(camera.center[1:]) == pytest.approx(viewer.dims.point[1:], abs=1), "zoomed in, it comes to the middle"
    edge = 0.9 * viewer.canvas.size[0] / camera.zoom / 2
    camera.center = (camera.center[0], camera.center[1] + edge, camera.center[2])
    shown.turn_to(shown.lesions[-1])
    assert camera.center[1] == pytest.approx(viewer.dims.point[1], abs=1), "nor does it stay at the edge"


def test_export_writes_what_is_on_screen(make_panel, viewer, sample, run, qtbot, tmp_path):
    written = []
    panel = make_panel(viewer, sample, write=lambda result, folder, inputs: written.append((result, folder)) or (folder / "a",))
    assert not panel.exports.choice.button.isEnabled()
    run(panel)
    tumours = viewer.layers["case tumours"]
    tumours.selected_label = 9
    tumours.data_setitem((np.array([5]), np.array([20]), np.array([30])), 9)
    with qtbot.waitSignal(panel.exports.writing.ended, timeout=30_000):
        panel.exports.choice.wanted.emit(tmp_path)
    ((result, folder),) = written
    assert folder == tmp_path and result.labels[5, 20, 30] == 9
    assert 9 in [lesion.number for lesion in result.lesions], "measured again"
    assert [finding.code for finding in result.findings] == ["corrected-by-hand"]
    assert panel.messages.text == f"Written: 1 file in the folder '{tmp_path.name}'."


def test_a_folder_that_cannot_be_written_is_said(make_panel, viewer, sample, run, qtbot, tmp_path):
    def refuse(result, folder, inputs):
        raise refusal_of(Refusal, "not-written", "Not written.", "Untouched.", "Choose another folder.")

    panel = make_panel(viewer, sample, write=refuse)
    run(panel)
    with qtbot.waitSignal(panel.exports.writing.ended, timeout=30_000):
        panel.exports.write(tmp_path)
    assert panel.messages.text == "Not written. Untouched. Choose another folder." and panel.exports.choice.button.isEnabled()


def test_a_panel_can_go_while_its_viewer_stays(panel, viewer, run, qtbot):
    run(panel)
    panel.deleteLater()
    qtbot.wait(50)
    viewer.theme = "light"
    viewer.layers["case tumours"].data_setitem((np.array([0]), np.array([0]), np.array([0])), 1)
    viewer.layers["case residual"].visible = True
    viewer.layers.clear()
    qtbot.wait(50)


def test_a_panel_that_goes_during_the_run_stops_it(panel, viewer, method, qtbot):
    at = threading.Event()
    method.steps, method.step_s, method.at_step = 100_000, 0.01, lambda step: at.set()
    panel.segment()
    at.wait(30)
    panel.deleteLater()
    qtbot.waitUntil(lambda: not [t for t in threading.enumerate() if t.name == "liver-anomaly"], timeout=60_000)
    assert names(viewer) == ["case", "case liver"]


def test_a_liver_tagged_for_nobody_else(panel, viewer, sample):
    """A result layer is neither a scan nor a liver."""
    viewer.add_labels(
        np.zeros(sample.volume.voxels.shape, np.uint8), metadata={"napari-liver-anomaly": Tag(Role.TUMOURS, "x")}, name="t"
    )
    assert [panel.inputs.liver.itemText(n) for n in range(panel.inputs.liver.count())] == ["case liver"]


def test_the_chosen_scan_is_the_shown_scan(panel, viewer, make_sample, run, method):
    run(panel)
    other = make_sample(name="second", seed=8)
    points = viewer.add_points(np.zeros((1, 3)), name="mine")
    second = add(viewer, scan_layer(other.volume))
    panel.inputs.scan.choose(second)
    first = [layer for layer in viewer.layers if layer.name.startswith("case")]
    assert second.visible and points.visible and not any(layer.visible for layer in first)
    panel.inputs.scan.choose(viewer.layers["case"])
    assert not second.visible and viewer.layers.index(second) < viewer.layers.index("case")
    assert {layer.name for layer in first if layer.visible} == {"case", "case liver", "case tumours"}, "as they were"


def test_a_threshold_of_one_scan_is_not_that_of_another(make_panel, viewer, sample, make_sample, method, run, qtbot, monkeypatch):
    panel = make_panel(viewer, sample)
    monkeypatch.setattr(threshold_slider, "AUTO", True)
    run(panel)
    panel.threshold.slider.setValue(0.9)
    qtbot.waitUntil(lambda: not panel.threshold._settle.isActive() and not panel.controller.busy, timeout=30_000)
    other = make_sample(name="second", seed=8)
    panel.inputs.scan.choose(add(viewer, scan_layer(other.volume)))
    assert panel.threshold.value == 0.5 and panel.threshold.auto.isChecked() and not panel.runbar.text.text()
    add(viewer, liver_layer(other.liver, other.volume))
    run(panel)
    assert method.calls[-1]["settings"].auto_threshold and method.calls[-1]["settings"].threshold == 0.5
    panel.inputs.scan.choose(viewer.layers["case"])
    assert panel.threshold.value == 0.9 and not panel.threshold.auto.isChecked()


def test_arrow_keys_in_the_table_go_to_the_lesion(panel, viewer, run):
    run(panel)
    panel.table.setCurrentIndex(panel.table.model().index(0, 0))
    first = viewer.dims.point
    panel.table.setCurrentIndex(panel.table.model().index(1, 0))
    assert viewer.dims.point != first
