"""Liver and tumours in space with one click, and back to the very view from which one came."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
from napari_liver_anomaly.gui.space_view import FILL


def view_of(viewer):
    camera, dims = viewer.scene.camera, viewer.dims
    looks = [(layer.name, layer.visible, layer.opacity, str(layer.blending)) for layer in viewer.layers]
    return (*camera.center, camera.zoom, *camera.angles, *dims.point), (dims.ndisplay, dims.order, looks)


@pytest.fixture
def ready(make_panel, viewer, sample, run):
    panel = make_panel(viewer, sample)
    run(panel)
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_point(range(3), (7.5, 20.0, 16.0))
    viewer.scene.camera.zoom = 3.0
    return panel


def test_liver_and_tumours_fill_the_view_and_the_way_back_is_exact(ready, viewer):
    numbers, looks = view_of(viewer)
    ready.look.views.space.click()
    assert ready.look.views.space.isChecked() and viewer.dims.ndisplay == 3
    assert {layer.name for layer in viewer.layers if layer.visible} == {"case liver", "case tumours"}
    liver, camera = viewer.layers["case liver"], viewer.scene.camera
    inside = np.argwhere(liver.data) * liver.scale
    assert np.allclose(camera.center, (inside.max(axis=0) + inside.min(axis=0)) / 2), "the liver is in the middle"
    tall, _, wide = np.ptp(inside, axis=0) * camera.zoom / np.array((viewer.canvas.size[0], 1, viewer.canvas.size[1]))
    assert max(tall, wide) == pytest.approx(FILL)
    assert np.allclose(camera.view_direction, (0, 1, 0)) and np.allclose(camera.up_direction, (-1, 0, 0)), "from the front"
    ready.look.views.space.click()
    again, looks_again = view_of(viewer)
    assert looks_again == looks and np.allclose(again, numbers) and not ready.look.views.space.isChecked()


def test_a_mouse_that_rests_over_lesions_is_told_what_is_below_it_without_an_error(ready, viewer):
    chosen = viewer.layers.selection.active
    assert chosen is viewer.layers["case tumours"] and chosen.features.shape[0] > 1
    ready.look.views.space.click()
    viewer.mouse_over_canvas = True
    viewer.cursor.position = tuple(viewer.layers["case liver"].data_to_world(np.argwhere(viewer.layers["case liver"].data)[0]))
    assert viewer.cursor._view_direction is None, "the mouse has not moved since"
    assert viewer._calc_status_from_cursor() is not None
    ready.look.views.space.click()
    assert viewer.layers.selection.active is chosen


def test_napari_s_own_button_goes_all_the_way_back(ready, viewer):
    _, looks = view_of(viewer)
    ready.look.views.space.click()
    viewer.dims.ndisplay = 2
    assert view_of(viewer)[1] == looks and not ready.look.views.space.isChecked()


def test_layers_that_go_or_come_meanwhile(ready, viewer):
    ready.look.views.space.click()
    viewer.layers.remove("case tumours")
    viewer.add_points(np.zeros((1, 3)), name="mine")
    ready.look.views.space.click()
    assert viewer.layers["case"].visible and viewer.layers["mine"].visible and "case tumours" not in viewer.layers


def test_without_a_liver_it_says_what_is_missing(make_panel, viewer, sample):
    panel = make_panel(viewer)
    add(viewer, scan_layer(sample.volume))
    assert not panel.look.views.space.isEnabled() and panel.look.views.space.toolTip().startswith("Find the liver first")
    panel.look.views.space.click()
    assert not panel.look.views.space.isChecked() and viewer.dims.ndisplay == 2
    add(viewer, liver_layer(sample.liver, sample.volume))
    panel.look.views.space.click()
    assert viewer.dims.ndisplay == 3, "the liver alone before a run"


def test_the_side_views_keep_what_they_show(make_napari_viewer, make_panel, sample, qtbot):
    viewer = make_napari_viewer(show=True)
    panel = make_panel(viewer)
    viewer.window.add_dock_widget(panel, name="Liver tumours (Liver Anomaly)", area="right")
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    panel.look.views.planes.click()
    side = panel.look.planes.side.views[0]
    qtbot.waitUntil(lambda: len(side.viewer.layers) == 2, timeout=300_000)
    panel.look.views.space.click()
    qtbot.wait(150)
    assert not viewer.layers["case"].visible
    assert [(twin.visible, twin.opacity) for twin in side.viewer.layers] == [(True, 1.0), (True, 0.8)]
    panel.look.views.space.click()
    viewer.layers["case liver"].opacity = 0.5
    qtbot.waitUntil(lambda: side.viewer.layers[1].opacity == 0.5, timeout=300_000)
