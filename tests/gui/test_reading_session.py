"""A whole reading session in a real window with the packaged model, from the study to the session that is opened again the next day."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path

import pytest

from napari_liver_anomaly.gui.tumour_panel import TumourPanel


def unpack(archive, folder):
    """Unpack a study; the test is skipped where it is absent."""
    if not archive.exists():
        pytest.skip(f"no {archive.name} among the real scans")
    with zipfile.ZipFile(archive) as files:
        files.extractall(folder)
    return folder


WALK = Path(__file__).parents[2] / "docs" / "reading_session.py"


@pytest.mark.slow
@pytest.mark.parametrize("study", [None, "ircad_17_dicom.zip"])
def test_a_reading_session(make_napari_viewer, tmp_path, study, request):
    unpacked = None if study is None else unpack(request.getfixturevalue("data_dir") / study, tmp_path / "unpacked")
    spec = importlib.util.spec_from_file_location("reading_session", WALK)
    walk = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(walk)
    viewer = make_napari_viewer(show=True)
    panel = TumourPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Liver tumours", area="right")
    walk.prepare(tmp_path, unpacked)
    taken = []
    walk.Reading(viewer, panel, tmp_path, taken.append).walk()
    assert len(taken) == 16 and taken[-1] == "15-reopen"
    origins = {row[-1] for row in walk.Reading(viewer, panel, tmp_path, taken.append).rows()}
    assert origins == {"automatic", "corrected", "manual"}
