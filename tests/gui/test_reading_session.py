"""A whole reading session in a real window with the packaged model, from the study to the session that is opened again the next day."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from napari_liver_anomaly.gui.tumour_panel import TumourPanel

WALK = Path(__file__).parents[2] / "docs" / "reading_session.py"


@pytest.mark.slow
def test_a_reading_session(make_napari_viewer, tmp_path):
    spec = importlib.util.spec_from_file_location("reading_session", WALK)
    walk = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(walk)
    viewer = make_napari_viewer(show=True)
    panel = TumourPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Liver tumours", area="right")
    walk.prepare(tmp_path)
    taken = []
    walk.Reading(viewer, panel, tmp_path, taken.append).walk()
    assert len(taken) == 16 and taken[-1] == "15-reopen"
    origins = {row[-1] for row in walk.Reading(viewer, panel, tmp_path, taken.append).rows()}
    assert origins == {"automatic", "corrected", "manual"}
