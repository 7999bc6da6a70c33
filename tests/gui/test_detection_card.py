"""The detection limit in the panel: what the library measures, told beforehand, one at a time, kept as a table."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from napari_liver_anomaly.detection import DetectionLimitSettings, detection_limit
from napari_liver_anomaly.detection.limit_table import cells_of
from napari_liver_anomaly.gui.anomaly_panel import AnomalyPanel
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
from napari_liver_anomaly.gui.tumour_panel import IN_PROGRESS
from napari_liver_anomaly.gui.worker import Engine
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

FEW = {"sizes": 2, "contrasts": 2, "per_cell": 1, "size_low_mm": 10.0}


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSettings(slices=24, size_px=96))


def searched(volume, liver, model, settings, *, unlikely, device, job):
    """Search with the rule that needs no network."""
    return segment(volume, liver, DarkRule(), settings, unlikely=unlikely, device=device, job=job)


@pytest.fixture
def panel(qtbot, viewer, phantom):
    panel = AnomalyPanel(viewer, Engine(segment=searched, names=("standard",)))
    panel.follow.setChecked(False)
    add(viewer, scan_layer(phantom.volume))
    add(viewer, liver_layer(phantom.liver, phantom.volume))
    for name, value in FEW.items():
        panel.card.rows.fields[name].value = value
    yield panel
    panel.deleteLater()


def press(qtbot, panel):
    with qtbot.waitSignal(panel.card.finished, timeout=120_000):
        panel.card.runbar.button.click()


def test_the_table_is_what_the_library_measures(panel, viewer, phantom, qtbot, tmp_path):
    before = viewer.layers["phantom"].data.copy()
    press(qtbot, panel)
    limit = detection_limit(phantom.volume, phantom.liver, DarkRule(), DetectionLimitSettings(**FEW))
    assert limit.inserted.sum() > 0
    table = panel.card.table
    shown = [[table.item(n, k).text() for k in range(table.columnCount())] for n in range(table.rowCount())]
    assert shown == [row[1:] for row in cells_of(limit)]
    assert panel.card.verdict.text().startswith(limit.summary) and "in phantom" in panel.card.about.text()
    assert np.array_equal(viewer.layers["phantom"].data, before) and len(viewer.layers) == 2, "the scan stays as it is"
    panel.card.write(tmp_path / "limit.csv")
    with open(tmp_path / "limit.csv", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == limit.inserted.sum()
    assert panel.messages.text == "Written: limit.csv."


def test_what_it_takes_is_told_beforehand(panel):
    assert panel.card.foreseen.text().startswith("At most 9 searches of this scan; stops after about 15 min.")
    panel.card.rows.fields["searches"].value = 3
    panel.card.rows.fields["most_minutes"].value = 5
    assert panel.card.foreseen.text().startswith("At most 4 searches of this scan; stops after about 5 min.")


def test_one_run_at_a_time_and_cancel_keeps_nothing(panel, qtbot):
    panel.card.runbar.button.click()
    panel.search()
    assert panel.messages.text == IN_PROGRESS
    with qtbot.waitSignal(panel.card.finished, timeout=120_000):
        panel.card.runbar.button.click()
    assert panel.card.limit is None and not panel.card.table.isVisibleTo(panel)
    assert panel.card.runbar.text.text() == "Stopped. Nothing was kept."


def test_rows_that_do_not_go_together_are_said_by_their_names(panel):
    panel.card.rows.fields["size_low_mm"].value = 50.0
    panel.card.runbar.button.click()
    assert "Largest lesion (mm) is 30" in panel.messages.text and not panel.card.measuring.busy
