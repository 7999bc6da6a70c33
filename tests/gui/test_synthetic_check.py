"""Would the model see this: what is drawn is searched, compared and shown, and nothing is kept of a search that ends early."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.gui.anomaly_panel import AnomalyPanel
from napari_liver_anomaly.gui.known_lesion_table import cells
from napari_liver_anomaly.gui.layers import Role, add, liver_layer, scan_layer, tag_of
from napari_liver_anomaly.gui.tumour_panel import IN_PROGRESS
from napari_liver_anomaly.gui.worker import Engine
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.synthesis import RECIPES
from napari_liver_anomaly.synthesis.apply import synthesise

SEED = 3


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSettings(slices=24, size_px=96, tumours=False))


class Searched:
    """Stands for the model: the rule that needs no network, and what it was given."""

    def __init__(self):
        self.results = []

    def __call__(self, volume, liver, model, settings, *, unlikely, device, job):
        job.at("Searching the liver", 0, 2)
        self.results.append(segment(volume, liver, DarkRule(), settings, unlikely=unlikely, device=device, job=job))
        return self.results[-1]


@pytest.fixture
def searched():
    return Searched()


@pytest.fixture
def anomalies(qtbot, viewer, phantom, searched):
    panel = AnomalyPanel(viewer, Engine(segment=searched, names=("standard",)))
    panel.follow.setChecked(False)
    add(viewer, scan_layer(phantom.volume))
    add(viewer, liver_layer(phantom.liver, phantom.volume))
    panel.recipe.seed.setValue(SEED)
    yield panel
    panel.deleteLater()


def press(qtbot, panel):
    with qtbot.waitSignal(panel.check.finished, timeout=120_000):
        panel.check.runbar.button.click()


def test_what_is_drawn_is_searched_and_shown(anomalies, viewer, phantom, searched, qtbot):
    press(qtbot, anomalies)
    result = searched.results[0]
    volume, mask = synthesise(phantom.volume, phantom.liver, RECIPES["nodules"](), SEED)
    assert np.array_equal(result.volume.voxels, volume.voxels), "the search got the scan with the anomalies"
    scan, liver, drawn, found = (viewer.layers[f"phantom anomalous{kind}"] for kind in ("", " liver", " mask", " found"))
    assert np.array_equal(scan.data, volume.voxels) and np.array_equal(drawn.data, mask.voxels)
    assert np.array_equal(found.data, result.labels > 0) and tag_of(found).role is Role.FOUND
    assert {tag_of(layer).scan for layer in (scan, liver, drawn, found)} == {result.volume.identity}
    rows = anomalies.check.table.model()
    known = rows.lesions
    assert len(known) == rows.rowCount() > 1
    assert f"Found {sum(one.found for one in known)} of {len(known)} anomalies" in anomalies.check.verdict.text()
    assert tuple(rows.data(rows.index(0, k)) for k in range(rows.columnCount())) == cells(known[0])


def test_a_row_leads_to_its_anomaly(anomalies, viewer, qtbot):
    press(qtbot, anomalies)
    table, scan = anomalies.check.table, viewer.layers["phantom anomalous"]
    last = table.model().lesions[-1]
    table.clicked.emit(table.model().index(len(table.model().lesions) - 1, 0))
    assert tuple(np.round(scan.world_to_data(viewer.dims.point)).astype(int)) == last.centre
    viewer.layers.remove(scan)
    table.clicked.emit(table.model().index(0, 0))  # a scan that is gone is no mishap


def test_the_next_search_takes_the_place_of_the_last(anomalies, viewer, qtbot):
    press(qtbot, anomalies)
    names = [layer.name for layer in viewer.layers]
    anomalies.recipe.seed.setValue(SEED + 1)
    press(qtbot, anomalies)
    assert [layer.name for layer in viewer.layers] == names


def test_one_run_at_a_time_and_nothing_kept_when_stopped(anomalies, viewer, qtbot):
    anomalies.check.runbar.button.click()
    anomalies.draw_whole()
    assert anomalies.messages.text == IN_PROGRESS and not anomalies.drawing.busy
    with qtbot.waitSignal(anomalies.check.finished, timeout=120_000):
        anomalies.check.runbar.button.click()
    assert len(viewer.layers) == 2 and anomalies.check.runbar.text.text() == "Stopped. Nothing was kept."
    assert anomalies.check.runbar.button.isEnabled() and not anomalies.check.table.isVisibleTo(anomalies)


def test_what_cannot_be_searched_is_said(anomalies, viewer, qtbot):
    anomalies.recipe.rows["nodules"].fields["p_empty"].value = 1.0
    press(qtbot, anomalies)
    assert anomalies.messages.text.startswith("No anomaly was drawn into this liver with this seed.")
    viewer.layers.clear()
    anomalies.search()
    assert anomalies.messages.text == "Choose a scan and its liver first." and not anomalies.check.busy
