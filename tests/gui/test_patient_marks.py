"""What the corner and the edges of a view say. That it is true for every order of axes is row F145 of the fault table."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.gui.layer_snapshot import snapshot_of
from napari_liver_anomaly.gui.layers import add, scan_layer
from napari_liver_anomaly.gui.patient_marks import CORNER, EDGES
from napari_liver_anomaly.gui.patient_sides import Sides
from napari_liver_anomaly.volume import Volume


def oblique(degrees):
    """A scan that was turned about the patient's long axis."""
    turn, angle = np.eye(4), np.radians(degrees)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Volume(np.zeros((4, 5, 6), np.int16), Geometry((6, 5, 4), turn @ np.diag([-1.0, -1.0, -2.0, 1.0])), "oblique")


@pytest.mark.parametrize(("degrees", "right"), [(0, "L"), (10, "L"), (30, "LP"), (-30, "LA")])
def test_an_oblique_view_has_two_letters(qapp, viewer, degrees, right):
    sides = Sides.of(snapshot_of(add(viewer, scan_layer(oblique(degrees)))))
    assert sides.letters(2) == right and sides.letters(0) == "F"
    assert sides.place(0, (2.0, 0.0, 0.0)) == "Axial\nF 2.0 mm\nslice 1 / 3"
    assert not sides.place(0, (20.0, 0.0, 0.0)), "outside of the scan there is nothing to say"


def test_the_panel_marks_the_chosen_scan(make_panel, viewer, sample, run):
    panel = make_panel(viewer, sample)
    viewer.dims.set_point(range(3), (5.0, 16.0, 24.0))
    said = {name: text.text for name, text in panel.look.marks.texts.items()}
    assert [said[name] for name in EDGES] == ["R", "L", "A", "P"]
    assert said[CORNER] == "Axial\nF 5.0 mm\nslice 2 / 11\nW 150  L 90"
    viewer.dims.set_point(0, 7.5)
    panel.look.numbers.width_hu.value = 400
    assert panel.look.marks.texts[CORNER].text == "Axial\nF 7.5 mm\nslice 3 / 11\nW 400  L 90"
    viewer.dims.ndisplay = 3
    assert not any(text.visible for text in panel.look.marks.texts.values()), "space has no edges"
    viewer.dims.ndisplay = 2
    viewer.layers.remove(panel.inputs.scan.layer)
    assert not any(text.visible for text in panel.look.marks.texts.values())


def test_the_slice_is_that_of_the_table(make_panel, viewer, sample, run):
    panel = make_panel(viewer, sample)
    run(panel)
    for row in panel.controller.shown.rows():
        panel.table.picked.emit(row.lesion)
        assert f"slice {row.slice} / " in panel.look.marks.texts[CORNER].text


def test_marks_go_with_the_panel(make_panel, viewer, sample):
    before = set(viewer.canvas.overlays)
    panel = make_panel(viewer, sample)
    assert len(set(viewer.canvas.overlays) - before) == 5
    panel._leave()
    assert set(viewer.canvas.overlays) == before
