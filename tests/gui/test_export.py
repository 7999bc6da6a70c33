"""Export from the panel: what is ticked is written, what cannot be is not offered and says why, and a picture of the view."""

from __future__ import annotations

from builders import STUDY, dicom_series
from napari_liver_anomaly.gui import export
from napari_liver_anomaly.gui.export import ExportButton
from napari_liver_anomaly.io import read
from napari_liver_anomaly.io.export_options import PLAIN, ExportOptions


def test_nothing_is_ticked_at_first_and_what_cannot_be_says_why(qtbot, sample, tmp_path):
    row = ExportButton()
    qtbot.addWidget(row)
    assert row.ticked == PLAIN and not any(tick.isEnabled() for tick in row.ticks.values())
    row.offer(sample.volume)
    assert row.ticks["report"].isEnabled() and not row.ticks["dicom_seg"].isEnabled()
    assert "not read from DICOM" in row.ticks["dicom_seg"].toolTip()
    row.offer(read(dicom_series(tmp_path / "ct", tags=STUDY)))
    row.ticks["dicom_seg"].setChecked(True)
    assert row.ticked == ExportOptions(dicom_seg=True) and "names the patient" in row.ticks["dicom_seg"].text()
    assert row.also.text() == "✓"
    row.offer(sample.volume)
    assert row.ticked == PLAIN and row.also.text() == "+", "it was ticked for another scan"
    assert row.ticks["dicom_seg"].text().endswith("not for this scan")
    row.offer(read(dicom_series(tmp_path / "placeless", tags={**STUDY, "FrameOfReferenceUID": ""})))
    assert not row.ticks["dicom_seg"].isEnabled() and "lack FrameOfReferenceUID" in row.ticks["dicom_seg"].toolTip()


def test_what_is_ticked_is_written(make_panel, viewer, sample, run, qtbot, tmp_path):
    written = []
    panel = make_panel(viewer, sample, write=lambda result, folder, inputs, **said: written.append(said) or (folder / "a",))
    run(panel)
    for name in ("report", "patient"):
        panel.exports.choice.ticks[name].setChecked(True)
    with qtbot.waitSignal(panel.exports.writing.ended, timeout=30_000):
        panel.exports.choice.wanted.emit(tmp_path)
    assert written == [{"also": ExportOptions(report=True, patient=True)}]


def test_the_view_is_saved_as_a_picture(make_panel, viewer, sample, monkeypatch, tmp_path):
    import numpy as np
    from PIL import Image

    seen = np.random.default_rng(0).integers(0, 255, (20, 30, 4), np.uint8)
    panel = make_panel(viewer, sample)
    monkeypatch.setattr(
        type(panel.viewer), "screenshot", lambda self, **said: seen if said["canvas_only"] else None, raising=False
    )
    monkeypatch.setattr(export, "ask_place", lambda *_: tmp_path / "view.png")
    panel.exports.choice.picture.trigger()
    picture = Image.open(tmp_path / "view.png")
    assert np.array_equal(np.asarray(picture), seen[..., :3]) and picture.info == {}
    assert "Written: 1 file" in panel.messages.text
