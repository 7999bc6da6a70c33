"""Opening scans: from files to layers without napari's chooser, and the canvas only with consent."""

from __future__ import annotations

from threading import Event

import nibabel
import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication

from napari_liver_anomaly import inference, phantom
from napari_liver_anomaly.gui import inputs
from napari_liver_anomaly.gui.layers import Role, tag_of
from napari_liver_anomaly.gui.open_box import PATTERNS, PLUGIN, WORDS, canvas_is_ours, claim_canvas, once_each
from napari_liver_anomaly.io import dicom_folder
from napari_liver_anomaly.job import Progress
from napari_liver_anomaly.liver import plausibility
from napari_liver_anomaly.models.rules import DarkRule


def save(array, geometry, path):
    nibabel.save(nibabel.Nifti1Image(geometry.to_source(array), geometry.source_affine), path)
    return path


@pytest.fixture
def sample(make_sample):
    """As wide as a body, for files are judged by that."""
    return make_sample(spacing_mm=(5.0, 4.0, 4.0))


@pytest.fixture
def files(sample, tmp_path):
    geometry = sample.volume.geometry
    return (
        save(sample.volume.voxels, geometry, tmp_path / "scan.nii.gz"),
        save(sample.liver.voxels.astype(np.uint8), geometry, tmp_path / "liver.nii.gz"),
    )


def drop(box, paths):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    box.dropEvent(event)
    return event


def take_liver(panel, path, qtbot):
    """Load a mask that the panel asks about, for it lies in a scan that is small for a body."""
    with qtbot.waitSignal(panel.asked, timeout=30_000):
        panel.open_liver(path)
    with qtbot.waitSignal(panel.loaded, timeout=30_000):
        panel.scans.question.press("Take it for the liver")


def test_a_dropped_scan_and_its_liver_become_layers(make_panel, viewer, sample, files, qtbot, run):
    panel = make_panel(viewer)
    scan, liver = files
    with qtbot.waitSignal(panel.loaded, timeout=30_000):
        assert drop(panel.scans.box, [scan]).isAccepted()
        assert not panel.scans.box.file.isEnabled()
    layer = panel.inputs.scan.layer
    assert np.array_equal(layer.data, sample.volume.voxels) and tag_of(layer).role is Role.SCAN
    assert panel.scans.box.file.isEnabled()
    take_liver(panel, liver, qtbot)
    assert np.array_equal(panel.inputs.liver.layer.data, sample.liver.voxels)
    assert panel.inputs.liver.layer.name == "scan liver" and panel.inputs.liver.layer.contour > 0
    run(panel)
    assert "scan tumours" in viewer.layers


def test_a_drop_anywhere_on_the_panel_opens_after_a_run(panel, files, qtbot, run):
    run(panel)
    assert not panel.study.is_open, "the box itself is folded away by then"
    target = panel.table.viewport()
    while target is not None and not target.acceptDrops():  # as Qt looks for who takes a drop
        target = target.parentWidget()
    assert target is panel
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(files[0]))])
    enter = QDragEnterEvent(
        QPoint(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(panel, enter)
    assert enter.isAccepted() and panel.scans.box.property("over")
    before = panel.inputs.scan.layer
    with qtbot.waitSignal(panel.loaded, timeout=30_000):
        assert drop(panel, [files[0]]).isAccepted()
    assert panel.inputs.scan.layer is not before and panel.inputs.scan.layer.name.startswith("scan")
    assert not panel.scans.box.property("over")


def test_a_broken_file_is_said_in_words(make_panel, viewer, tmp_path, qtbot):
    panel = make_panel(viewer)
    (tmp_path / "broken.nii.gz").write_bytes(b"no scan")
    with qtbot.waitSignal(panel.scans.reading.ended, timeout=30_000):
        panel.open([tmp_path / "broken.nii.gz"])
    assert panel.messages.text and not panel.messages.details and not viewer.layers
    assert panel.scans.box.file.isEnabled()


def test_a_liver_of_another_grid_is_refused(make_panel, viewer, make_sample, files, tmp_path, qtbot):
    panel = make_panel(viewer)
    other = make_sample((12, 48, 60), spacing_mm=(5.0, 4.5, 4.5))
    wrong = save(other.liver.voxels.astype(np.uint8), other.volume.geometry, tmp_path / "wrong.nii.gz")
    with qtbot.waitSignal(panel.loaded, timeout=30_000):
        panel.open([files[0]])
    with qtbot.waitSignal(panel.scans.reading.ended, timeout=30_000):
        panel.open_liver(wrong)
    assert "not on the same grid" in panel.messages.text and len(viewer.layers) == 1


def test_a_liver_before_its_scan(make_panel, viewer, files):
    panel = make_panel(viewer)
    panel.open_liver(files[1])
    assert panel.messages.text == "Load the scan first, then its liver mask."


def test_a_liver_is_chosen_among_masks(panel, monkeypatch):
    asked = []
    monkeypatch.setattr(inputs, "ask_file", lambda parent, title, kinds: asked.append((title, kinds)))
    panel.inputs.load_button.click()
    ((title, kinds),) = asked
    assert title == "Load a liver mask" and kinds.startswith("Masks (*.nii") and "CT" not in kinds


def test_export_does_not_write_over_what_was_read(make_panel, viewer, files, qtbot, run):
    inputs = []
    panel = make_panel(viewer, write=lambda result, folder, read: inputs.extend(read) or ())
    with qtbot.waitSignal(panel.loaded, timeout=30_000):
        panel.open([files[0]])
    take_liver(panel, files[1], qtbot)
    run(panel)
    with qtbot.waitSignal(panel.exports.writing.ended, timeout=30_000):
        panel.exports.write(files[0].parent)
    assert inputs == [str(path) for path in files]


def test_the_sample_opens_from_the_panel(make_panel, viewer, qtbot, monkeypatch):
    small = phantom.make_phantom(phantom.PhantomSettings(slices=8, size_px=64))
    monkeypatch.setattr(phantom, "make_phantom", lambda: small)
    panel = make_panel(viewer)
    with qtbot.waitSignal(panel.loaded, timeout=30_000):
        panel.scans.box.sample.click()
    assert [layer.name for layer in viewer.layers] == ["phantom", "phantom liver"]
    assert panel.inputs.scan.layer is viewer.layers[0] and panel.inputs.liver.layer is viewer.layers[1]


def test_slices_dropped_together_are_one_scan(tmp_path):
    slices = [tmp_path / f"{n}.dcm" for n in range(4)]
    alone = tmp_path / "other" / "1.dcm"
    alone.parent.mkdir()
    scan = tmp_path / "scan.nii.gz"
    for path in (*slices, alone, scan):
        path.touch()
    assert once_each([*slices, alone, scan]) == [tmp_path, alone, scan]


def test_napari_settings_are_touched_only_by_the_tick(make_panel, viewer):
    plugins = get_settings().plugins
    plugins.extension2reader = {"*.tif": "napari", "*.nii": "another"}
    panel = make_panel(viewer)
    assert plugins.extension2reader == {"*.tif": "napari", "*.nii": "another"} and not panel.scans.box.canvas.isChecked()
    panel.scans.box.canvas.click()
    assert canvas_is_ours()
    assert plugins.extension2reader == {"*.tif": "napari"} | dict.fromkeys(PATTERNS, PLUGIN)
    panel.scans.box.canvas.click()
    assert plugins.extension2reader == {"*.tif": "napari"}


def test_taking_the_canvas_back_leaves_other_plugins_alone():
    plugins = get_settings().plugins
    plugins.extension2reader = {"*.nii": "another", "*.mha": PLUGIN}
    claim_canvas(False)
    assert plugins.extension2reader == {"*.nii": "another"}


def test_the_search_of_a_disc_is_told_and_can_be_stopped(make_panel, viewer, tmp_path, qtbot, monkeypatch):
    (tmp_path / "disc" / "a" / "b").mkdir(parents=True)
    panel, begun, go = make_panel(viewer), Event(), Event()
    search = dicom_folder._entries

    def slow(*args):
        begun.set()
        assert go.wait(30)
        return search(*args)

    monkeypatch.setattr(dicom_folder, "_entries", slow)
    panel.open([tmp_path / "disc"])
    panel.open([tmp_path / "other"])  # waits
    assert begun.wait(30) and panel.scans.box.folder.text() == "Cancel"
    panel.scans.box.show_progress(Progress("Reading the headers", 12, 340), None)
    assert panel.scans.box.words.text() == "Reading the headers: 3 %"
    panel.scans.box.folder.click()
    assert panel.scans.box.words.text() == "Stopping at the next file."
    with qtbot.waitSignal(panel.scans.reading.ended, timeout=30_000):
        go.set()
    assert "Nothing was read" in panel.messages.text and not viewer.layers and not panel.scans.reading.busy
    assert panel.scans.box.folder.text() == "Load DICOM folder…" and panel.scans.box.words.text() == WORDS


def test_a_loaded_liver_is_judged_once_and_a_drawn_on_one_again(make_panel, viewer, files, method, qtbot, run, monkeypatch):
    judged, given = [], []
    judge = plausibility.likely_given
    monkeypatch.setattr(plausibility, "likely_given", lambda *args: judged.append(args[2]) or judge(*args))

    def segment(volume, mask, *args, **more):
        given.append(mask)
        return inference.segment(volume, mask, DarkRule(), None, unlikely="accept", device="cpu")

    panel = make_panel(viewer, segment=segment)
    with qtbot.waitSignal(panel.loaded, timeout=30_000):
        panel.open([files[0]])
    take_liver(panel, files[1], qtbot)
    assert judged == ["ask", "accept"]
    run(panel)
    assert judged == ["ask", "accept"] and given[-1].judged
    result = next(iter(panel.shown.values())).result
    assert "given-liver-accepted" in {finding.code for finding in result.findings} and result.liver_from == "given"
    layer = panel.inputs.liver.layer
    layer.data = np.roll(layer.data, 1, axis=1)
    run(panel)
    assert judged == ["ask", "accept", "accept"] and not given[-1].judged
