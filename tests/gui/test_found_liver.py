"""The liver found by the program: by the button, and by itself when there is none to search in."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.components import ViewerModel

from builders import refusal_of
from napari_liver_anomaly.errors import Finding, Level, Refusal
from napari_liver_anomaly.gui.anomaly_panel import AnomalyPanel
from napari_liver_anomaly.gui.availability import NO_SCAN_YET
from napari_liver_anomaly.gui.found_liver import AUTOMATIC
from napari_liver_anomaly.gui.layers import Role, add, liver_layer, scan_layer, tag_of
from napari_liver_anomaly.gui.tumour_panel import IN_PROGRESS

RESULTS = ["case restored", "case residual", "case anomaly score", "case tumours"]
EDGE = Finding(
    level=Level.NOTE, code="liver-at-edge", what="The liver touches the edge.", meaning="Part is missing.", action="Take care."
)
NO_LIVER = refusal_of(Refusal, "liver-not-found", "No liver was found.", "Nothing was searched.", "Load a mask of it.")


def names(viewer):
    return [layer.name for layer in viewer.layers]


@pytest.fixture
def panel(make_panel, viewer, sample):
    """The panel on a viewer with a scan and no liver."""
    panel = make_panel(viewer)
    add(viewer, scan_layer(sample.volume))
    return panel


@pytest.fixture
def find(qtbot):
    """Press "Find liver" and wait for the end."""

    def press(panel):
        with qtbot.waitSignal(panel.finished, timeout=60_000):
            panel.inputs.find_button.click()

    return press


def paint(layer, value=0):
    layer.data_setitem((np.array([5, 5]), np.array([24, 25]), np.array([32, 32])), value)


def test_the_button_brings_a_liver_that_can_be_corrected(panel, viewer, sample, finder, find):
    finder.findings = (EDGE,)
    panel.model.device.setCurrentIndex(1)
    find(panel)
    assert names(viewer) == ["case", "case liver"]
    layer = viewer.layers["case liver"]
    assert np.array_equal(layer.data > 0, sample.liver.voxels) and layer.editable and layer.contour > 0
    assert (tag_of(layer).role, tag_of(layer).scan) == (Role.LIVER, sample.volume.identity)
    assert tuple(layer.scale) == sample.volume.geometry.spacing_mm
    assert panel.inputs.liver.layer is layer
    assert finder.calls[0]["device"] == "cpu"
    assert panel.messages.text == f"{AUTOMATIC} {EDGE}"
    assert panel.runbar.text.text() == f"Liver found: {sample.liver.ml:,.0f} ml."


def test_while_it_looks_the_big_button_cancels(panel, viewer, finder, qtbot):
    at, goes = threading.Event(), threading.Event()
    finder.at_step = lambda: at.set() or goes.wait(30)
    with qtbot.waitSignal(panel.finished, timeout=30_000):
        panel.inputs.find_button.click()
        assert at.wait(30)
        qtbot.waitUntil(lambda: panel.runbar.text.text().startswith("Finding the liver"), timeout=30_000)
        assert panel.runbar.button.text() == "Cancel" and not panel.inputs.find_button.isEnabled()
        panel.runbar.button.click()
        goes.set()
    assert panel.runbar.text.text() == "Stopped. Nothing was kept." and names(viewer) == ["case"]
    assert panel.inputs.find_button.isEnabled()


@pytest.mark.parametrize(
    ("error", "words"),
    [(NO_LIVER, "No liver was found. Nothing was searched. Load a mask of it."), (RuntimeError("bare"), "The program made a")],
)
@pytest.mark.parametrize("how", ["find", "segment"])
def test_no_liver_is_said_in_plain_words(panel, viewer, finder, find, run, error, words, how):
    def stumble():
        raise error

    finder.at_step = stumble
    (find if how == "find" else run)(panel)
    assert panel.messages.text.startswith(words) and names(viewer) == ["case"]
    assert panel.inputs.find_button.isEnabled() and panel.runbar.button.text() == "Segment liver tumours"


def test_pressed_again_it_fills_the_same_layer(panel, viewer, finder, find):
    find(panel)
    layer = viewer.layers["case liver"]
    finder.voxels[:4] = False
    find(panel)
    assert names(viewer) == ["case", "case liver"] and np.array_equal(layer.data > 0, finder.voxels)
    paint(layer)
    layer.undo()
    find(panel)
    assert names(viewer) == ["case", "case liver"]


@pytest.mark.parametrize("how", ["brush", "script", "another panel"])
def test_a_corrected_liver_is_never_overwritten(panel, viewer, sample, find, make_panel, how):
    find(panel)
    layer = viewer.layers["case liver"]
    layer.data.__setitem__((5, 24, 32), 0) if how == "script" else paint(layer)
    corrected = layer.data.copy()
    find(make_panel(viewer) if how == "another panel" else panel)
    assert np.array_equal(layer.data, corrected) and names(viewer) == ["case", "case liver", "case liver 2"]
    assert np.array_equal(viewer.layers["case liver 2"].data > 0, sample.liver.voxels)
    if how == "brush":
        assert panel.inputs.liver.layer is viewer.layers["case liver 2"]
        find(panel)
        assert names(viewer) == ["case", "case liver", "case liver 2"], "the new one is filled again"


def test_a_loaded_liver_is_never_overwritten(make_panel, viewer, sample, finder, find):
    panel = make_panel(viewer, sample)
    finder.voxels[:4] = False
    find(panel)
    assert names(viewer) == ["case", "case liver", "case liver 2"]
    assert np.array_equal(viewer.layers["case liver"].data > 0, sample.liver.voxels)


def test_without_a_liver_segment_finds_it_first(panel, viewer, sample, method, finder, run):
    finder.findings = method.findings = (EDGE,)  # both may say so; it is told once
    told = {"Finding the liver": threading.Event(), "Searching the liver": threading.Event()}
    phases = []
    panel.segmenting.progressed.connect(
        lambda progress, _: phases.append(progress.phase) or (progress.phase in told and told[progress.phase].set())
    )
    finder.at_step = lambda: told["Finding the liver"].wait(60)
    method.at_step = lambda _: told["Searching the liver"].wait(60)
    run(panel)
    assert names(viewer) == ["case", "case liver", *RESULTS]
    assert phases.index("Finding the liver") < phases.index("Searching the liver")
    assert np.array_equal(method.calls[0]["liver"].voxels, sample.liver.voxels)
    assert panel.inputs.liver.layer is viewer.layers["case liver"]
    assert panel.messages.text == f"{AUTOMATIC} {EDGE}"
    assert panel.controller.shown.result.findings == (AUTOMATIC, EDGE), "the report says so too"
    run(panel)
    assert len(finder.calls) == 1 and len(viewer.layers) == 6, "the second run takes the liver that is there"


def test_the_report_tells_a_found_liver_from_a_corrected_one(panel, viewer, find, run):
    find(panel)
    run(panel)
    assert panel.controller.shown.result.findings == (AUTOMATIC,) and not panel.messages.text
    assert panel.controller.shown.result.liver_from == "found"
    paint(viewer.layers["case liver"])
    run(panel)
    assert panel.controller.shown.result.findings == () and panel.controller.shown.result.liver_from == "corrected"


@pytest.mark.parametrize("ending", ["refused", "failed", "cancelled"])
def test_a_found_liver_outlives_a_search_without_a_result(panel, viewer, sample, method, finder, run, ending):
    def stumble(step):
        if ending == "cancelled":
            panel.segmenting.cancel()
        else:
            raise NO_LIVER if ending == "refused" else RuntimeError("bare")

    method.at_step = stumble
    run(panel)
    assert names(viewer) == ["case", "case liver"] and panel.inputs.liver.layer is viewer.layers["case liver"]
    assert np.array_equal(viewer.layers["case liver"].data > 0, sample.liver.voxels)
    words = {"refused": str(NO_LIVER), "failed": "The program made a mistake (RuntimeError)", "cancelled": ""}[ending]
    assert panel.messages.text.startswith(words)
    assert panel.runbar.text.text() == (
        "Stopped. Only the liver was kept." if ending == "cancelled" else "The liver that was found is kept."
    )
    method.at_step = lambda step: None
    run(panel)
    assert names(viewer) == ["case", "case liver", *RESULTS] and len(finder.calls) == 1, "it is not looked for again"


def test_a_liver_found_before_a_failure_is_not_shown_without_its_scan(panel, viewer, method, run):
    def stumble(step):
        viewer.layers.clear()
        raise NO_LIVER

    method.at_step = stumble
    run(panel)
    assert names(viewer) == [] and panel.messages.text == str(NO_LIVER) and not panel.runbar.text.text()


@pytest.mark.parametrize("when", ["finding", "searching"])
@pytest.mark.parametrize("gone", ["scan", "all"])
def test_a_scan_deleted_during_the_run_does_not_lose_the_result(panel, viewer, method, finder, qtbot, when, gone):
    at, goes = threading.Event(), threading.Event()
    (finder if when == "finding" else method).at_step = lambda *_: at.set() or goes.wait(30)
    viewer.add_points(np.zeros((1, 3)), name="mine")
    with qtbot.waitSignal(panel.finished, timeout=30_000):
        panel.segment()
        assert at.wait(30)
        viewer.layers.remove("case") if gone == "scan" else viewer.layers.clear()
        goes.set()
    assert names(viewer)[-5:] == ["case liver", *RESULTS]
    assert panel.messages.text == f"The scan was removed during the run. The result was kept. {AUTOMATIC}"


def test_a_liver_found_for_a_scan_that_is_gone_is_dropped(panel, viewer, finder, qtbot):
    at, goes = threading.Event(), threading.Event()
    finder.at_step = lambda: at.set() or goes.wait(30)
    with qtbot.waitSignal(panel.finished, timeout=30_000):
        panel.inputs.find_button.click()
        assert at.wait(30)
        viewer.layers.clear()
        goes.set()
    assert names(viewer) == []
    assert panel.messages.text == "The scan was removed while its liver was looked for. Nothing was kept."
    assert panel.inputs.find_button.toolTip() == NO_SCAN_YET and not panel.runbar.running


@pytest.mark.parametrize("gone", ["before", "during"])
def test_a_deleted_liver_is_found_again(panel, viewer, finder, find, qtbot, gone):
    find(panel)
    at, goes = threading.Event(), threading.Event()
    finder.at_step = lambda: at.set() or goes.wait(30)
    if gone == "before":
        viewer.layers.remove("case liver")
        assert panel.inputs.liver.layer is None
    with qtbot.waitSignal(panel.finished, timeout=30_000):
        panel.inputs.find_button.click()
        assert at.wait(30)
        if gone == "during":
            viewer.layers.remove("case liver")
        goes.set()
    assert names(viewer) == ["case", "case liver"] and panel.inputs.liver.layer is viewer.layers["case liver"]


def test_another_scan_chosen_meanwhile_stays_chosen(panel, viewer, make_sample, finder, qtbot):
    second = make_sample(name="second", seed=8)
    other = add(viewer, scan_layer(second.volume))
    its_liver = add(viewer, liver_layer(second.liver, second.volume))
    panel.inputs.scan.choose(viewer.layers["case"])
    at, goes = threading.Event(), threading.Event()
    finder.at_step = lambda: at.set() or goes.wait(30)
    with qtbot.waitSignal(panel.finished, timeout=30_000):
        panel.inputs.find_button.click()
        assert at.wait(30)
        panel.inputs.scan.choose(other)
        goes.set()
    assert panel.inputs.scan.layer is other and panel.inputs.liver.layer is its_liver
    panel.inputs.scan.choose(viewer.layers["case"])
    assert panel.inputs.liver.layer is viewer.layers["case liver"]


def test_a_liver_found_in_the_scan_of_another_reader_lies_on_it(make_panel, viewer, sample, finder, method, find, run):
    """Its axes may run the other way; ours never do."""
    panel = make_panel(viewer)
    viewer.add_image(sample.volume.voxels[::-1].astype(float), scale=(-2.5, 0.8, 0.8), translate=(2.5 * 11, 0, 0), name="theirs")
    find(panel)
    liver = viewer.layers["theirs liver"]
    assert np.array_equal(liver.data > 0, sample.liver.voxels) and tuple(liver.scale) == (2.5, 0.8, 0.8)
    assert "Left and right are not verified" in panel.messages.text
    run(panel)
    assert np.array_equal(method.calls[0]["liver"].voxels, sample.liver.voxels), "and the run takes it as it is"
    assert len(finder.calls) == 1


def test_a_doubt_is_asked_before_the_liver_is_looked_for(make_panel, viewer, sample, finder, qtbot, run):
    doubt = Finding(level=Level.ASK, code="x", what="Left and right unknown.", meaning="Sides are not verified.", action="Go on?")
    panel = make_panel(viewer)
    add(viewer, scan_layer(sample.volume, (doubt,)))
    panel.inputs.find_button.click()
    assert not panel.segmenting.busy and panel.messages.text.startswith("Left and right unknown.")
    with qtbot.waitSignal(panel.finished, timeout=30_000):
        panel.messages.press("Find it anyway")
    assert names(viewer) == ["case", "case liver"]
    run(panel)
    assert names(viewer)[-4:] == RESULTS, "one answer is enough"


def test_a_second_panel_is_told_to_wait(make_panel, sample, finder, qtbot):
    goes = threading.Event()
    finder.at_step = lambda: goes.wait(30)
    first, second = make_panel(ViewerModel(), sample), make_panel(ViewerModel(), sample)
    with qtbot.waitSignal(first.finished, timeout=30_000):
        first.inputs.find_button.click()
        second.inputs.find_button.click()
        assert second.messages.text == IN_PROGRESS and second.inputs.find_button.isEnabled()
        goes.set()


def test_the_other_panel_has_no_such_button(qtbot, viewer, sample):
    panel = AnomalyPanel(viewer)
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    assert not panel.inputs.find_button.isVisibleTo(panel)
    panel.deleteLater()
