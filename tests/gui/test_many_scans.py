"""A list of studies is segmented one after another; one that is refused or asks says so, and the rest go on."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication

from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.many_scans_panel import WAITS, ManyScansPanel
from napari_liver_anomaly.gui.worker import Engine
from napari_liver_anomaly.io import read, read_session, write_image
from napari_liver_anomaly.many_scans import State
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

LONG_MS = 120_000


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSettings())


@pytest.fixture
def studies(phantom, tmp_path):
    folder = tmp_path / "studies"
    for name in ("a", "b"):
        voxels = phantom.volume.voxels.copy()
        voxels[0, 0, 0] += ord(name)
        write_image(voxels, phantom.volume.geometry, folder / f"{name}.nii.gz")
    write_image(phantom.volume.voxels[:, :16, :16].copy(), _cut(phantom.volume.geometry), folder / "c small.nii.gz")
    (folder / "d damaged.nii.gz").write_bytes((folder / "a.nii.gz").read_bytes()[:5000])
    (folder / "e empty").mkdir()
    (folder / ".hidden").mkdir()
    return folder


def _cut(geometry):
    from napari_liver_anomaly.geometry import Geometry

    z = geometry.shape[0]
    affine = geometry.affine.copy()
    order = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])  # (x, y, z) of the file from (z, y, x)
    return Geometry((16, 16, z), affine @ order)


def test_what_asks_or_was_refused_is_opened_where_it_is_answered(studies, qtbot, make_panel, viewer):
    reading = make_panel(viewer)
    panel = ManyScansPanel(viewer, Engine(names=("compact",)))
    qtbot.addWidget(panel)
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(studies))])
    how = Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter, event = QDragEnterEvent(QPoint(5, 5), *how), QDropEvent(QPointF(5, 5), *how)
    QApplication.sendEvent(panel, enter)  # without which Qt gives nobody the drop
    assert enter.isAccepted()
    with qtbot.waitSignal(panel.listing.ended, timeout=LONG_MS):
        QApplication.sendEvent(panel, event)
    assert event.isAccepted() and len(panel.studies) == 5, "a folder can be dropped on the panel"
    panel.show()
    qtbot.waitExposed(panel)
    panel.list.setCurrentRow(3)
    with qtbot.waitSignal(reading.scans.reading.refused, timeout=LONG_MS) as refused:
        qtbot.keyClick(panel.list, Qt.Key.Key_Return)
    assert refused.args[0].what in reading.messages.text, "the damaged file is refused in the panel of one scan"
    at = panel.list.visualItemRect(panel.list.item(2)).center()
    with qtbot.waitSignal(reading.asked, timeout=LONG_MS):
        qtbot.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=at)
        qtbot.mouseDClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert "Hounsfield" in reading.scans.question.text and reading.scans.question.answers


class Found:
    """Stands for inference: finds the score of the phantom, and counts how often it was asked."""

    def __init__(self, method, phantom):
        self.method, self.phantom, self.calls = method, phantom, 0
        method.sample = type("S", (), {"score": np.where(phantom.tumours.voxels, 255, 0).astype(np.uint8)})

    def __call__(self, volume, liver, model, settings, *, device, job, find=None):
        from dataclasses import replace

        self.calls += 1
        mask = replace(self.phantom.liver, scan=volume.identity, geometry=volume.geometry)
        return self.method(volume, mask, model, settings, find=find, unlikely="ask", device=device, job=job)


def test_it_says_that_it_waits_for_another_panel(studies, tmp_path, qtbot, monkeypatch, make_panel):
    """Runs are one at a time in the whole program; what waits begins when the other ends."""
    monkeypatch.setattr("napari_liver_anomaly.many_scans.study._hash_of", lambda _: "0" * 64)
    monkeypatch.setattr("napari_liver_anomaly.gui.many_scans_panel.AGAIN_MS", 20)
    panel, goes = ManyScansPanel(ViewerModel(), Engine(segment=lambda *_, **__: None, names=("compact",))), threading.Event()
    qtbot.addWidget(panel)
    with qtbot.waitSignal(panel.listing.ended, timeout=LONG_MS):
        panel.add(studies / "d damaged.nii.gz")
    panel.put_in(tmp_path / "out")
    other = Task(panel, alone=True)
    assert other.start(lambda job: goes.wait(60))
    panel.runbar.button.click()
    assert panel.runbar.text.text() == WAITS and panel.studies[0].state is State.WAITING
    with qtbot.waitSignal(panel.finished, timeout=LONG_MS):
        goes.set()
    assert panel.studies[0].state is State.REFUSED and panel.runbar.text.text() != WAITS


def test_a_done_study_is_opened_with_its_result(studies, tmp_path, qtbot, method, phantom, monkeypatch, make_panel, viewer):
    monkeypatch.setattr("napari_liver_anomaly.many_scans.study._hash_of", lambda _: "0" * 64)
    reading, found = make_panel(viewer), Found(method, phantom)
    panel = ManyScansPanel(viewer, Engine(segment=found, names=("compact",)))
    qtbot.addWidget(panel)
    with qtbot.waitSignal(panel.listing.ended, timeout=LONG_MS):
        panel.add(studies / "a.nii.gz", studies / "b.nii.gz")
    panel.put_in(tmp_path / "out")
    with qtbot.waitSignal(panel.finished, timeout=LONG_MS):
        panel.runbar.button.click()
    panel.show()
    qtbot.waitExposed(panel)
    panel.list.setCurrentRow(1)
    with qtbot.waitSignal(reading.sessions.reopened, timeout=LONG_MS):
        qtbot.keyClick(panel.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not reading.busy and not reading.controller.busy, timeout=LONG_MS)
    shown, study = reading.controller.shown, panel.studies[1]
    assert reading.inputs.scan.layer.name == "b" and len(shown.lesions) == study.lesions == len(reading.table.lesions) > 0
    assert np.array_equal(shown.result.volume.voxels, read(studies / "b.nii.gz").voxels) and found.calls == 2, (
        "nothing is computed anew"
    )


def test_the_rest_go_on_and_it_continues_where_it_was(studies, tmp_path, qtbot, method, phantom, monkeypatch):
    found = Found(method, phantom)
    monkeypatch.setattr("napari_liver_anomaly.many_scans.study._hash_of", lambda _: "0" * 64)
    panel = ManyScansPanel(ViewerModel(), Engine(segment=found, names=("compact",)))
    qtbot.addWidget(panel)
    panel.start()
    assert "Add a folder" in panel.messages.text
    with qtbot.waitSignal(panel.listing.ended, timeout=LONG_MS):
        panel.add(studies)
    assert [study.path.name for study in panel.studies] == [
        "a.nii.gz", "b.nii.gz", "c small.nii.gz", "d damaged.nii.gz", "e empty",
    ]  # fmt: skip
    panel.start()
    assert "where the results go" in panel.messages.text
    panel.put_in(tmp_path / "out")
    with qtbot.waitSignal(panel.finished, timeout=LONG_MS):
        panel.runbar.button.click()
        assert not panel.clear_button.isEnabled() and "Cancel the run first" in panel.clear_button.toolTip()
    assert panel.clear_button.isEnabled()
    states = [study.state for study in panel.studies]
    assert states == [State.DONE, State.DONE, State.ASKS, State.REFUSED, State.REFUSED], [s.summary for s in panel.studies]
    assert found.calls == 2 and len(list((tmp_path / "out").iterdir())) == 2
    assert panel.runbar.text.text() == "2 segmented, 1 with a question, 2 refused."
    lesions = panel.studies[0].lesions
    assert lesions > 0 and panel.list.item(0).text().startswith(f"a.nii.gz\n{lesions} lesion")
    assert not panel.list.item(0).icon().isNull() and "Hounsfield" in panel.list.item(2).text()
    assert read_session(panel.studies[1].session).path == studies / "b.nii.gz"

    with qtbot.waitSignal(panel.finished, timeout=LONG_MS):  # again: what is done stays done, the others are tried again
        panel.runbar.button.click()
    assert found.calls == 2 and [study.state for study in panel.studies] == states
    other = ManyScansPanel(ViewerModel(), Engine(segment=found, names=("compact",)))
    qtbot.addWidget(other)
    with qtbot.waitSignal(other.listing.ended, timeout=LONG_MS):
        other.add(studies / "a.nii.gz")
    other.put_in(tmp_path / "out")
    with qtbot.waitSignal(other.finished, timeout=LONG_MS):
        other.runbar.button.click()
    assert found.calls == 2 and other.studies[0].again and other.studies[0].lesions == lesions

    panel.clear()
    with qtbot.waitSignal(panel.listing.ended, timeout=LONG_MS):
        panel.add(studies / "b.nii.gz", studies / "a.nii.gz")
    panel.put_in(tmp_path / "elsewhere")

    def stop(step):
        panel.runbar.stopped.emit()
        while not panel.segmenting.stopping:  # the window's thread hears it a moment later
            time.sleep(0.01)

    method.at_step = stop
    with qtbot.waitSignal(panel.finished, timeout=LONG_MS):
        panel.runbar.button.click()
    assert [study.state for study in panel.studies] == [State.WAITING] * 2 and not (tmp_path / "elsewhere").exists()
