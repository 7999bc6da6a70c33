"""Axial, coronal and sagittal views at once: one point, one memory, one look, and nothing left behind."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QDockWidget

from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
from napari_liver_anomaly.gui.planes import NAME
from napari_liver_anomaly.gui.side_view import ORDERS
from napari_liver_anomaly.gui.twin_layers import TwinLayers


@pytest.fixture
def panel(make_napari_viewer, make_panel, sample, qtbot):
    viewer = make_napari_viewer(show=True)
    panel = make_panel(viewer)
    viewer.window.add_dock_widget(panel, name="Liver tumours (Liver Anomaly)", area="right")
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    viewer.dims.set_point(range(3), (5.0, 16.0, 24.0))
    return panel


@pytest.fixture
def planes(panel, qtbot):
    panel.look.views.planes.click()
    settle(panel.look.planes, qtbot)
    return panel.look.planes


def settle(planes, qtbot):
    qtbot.wait(50)
    timers = [planes._later, *(view.twins._later for view in planes.side.views)]
    qtbot.waitUntil(lambda: not any(timer.isActive() for timer in timers), timeout=60_000)


def slice_of(view, layer):
    """What a side view shows of a layer, as the voxels that are displayed."""
    return np.asarray(view.twins.twins[layer]._slice.image.raw)


def test_all_views_show_the_same_point_from_three_sides(panel, planes, qtbot, sample):
    scan = panel.inputs.scan.layer
    assert [view.axis for view in planes.side.views] == [1, 2] and panel.look.views.planes.isChecked()
    for point in ((5.0, 16.0, 24.0), (12.5, 8.0, 40.0)):
        panel.viewer.dims.set_point(range(3), point)
        settle(planes, qtbot)
        _, y, x = (round(mm / step) for mm, step in zip(point, sample.volume.geometry.spacing_mm, strict=True))
        coronal, sagittal = planes.side.views
        assert np.array_equal(slice_of(coronal, scan), sample.volume.voxels[:, y])
        assert np.array_equal(slice_of(sagittal, scan), sample.volume.voxels[:, :, x])
        for view, (row, column) in ((coronal, (0, 2)), (sagittal, (0, 1))):
            assert view.crosshair._across._pos[0, 1] == pytest.approx(point[row])
            assert view.crosshair._down._pos[0, 0] == pytest.approx(point[column])


def test_a_jump_draws_each_layer_once(panel, run, qtbot):
    """Sliders round the point they are told of: another point would be drawn twice."""
    run(panel)
    shown, seen = panel.controller.shown, []
    panel.inputs.scan.layer.events.set_data.connect(lambda _: seen.append(panel.viewer.dims.point))
    for lesion in shown.lesions * 2:
        panel.viewer.dims.set_current_step(range(3), (0, 0, 0))
        seen.clear()
        shown.turn_to(lesion)
        qtbot.wait(20)
        assert len(seen) == 1
    middle = np.argwhere(shown.tumours.data == lesion.number).mean(axis=0)
    assert np.abs(shown.tumours.world_to_data(panel.viewer.dims.point) - middle).max() < 3


def test_a_jump_to_a_lesion_that_is_gone_leaves_the_view(panel, run):
    """Its row may still be there for a moment after the threshold took it away."""
    run(panel)
    shown, point = panel.controller.shown, panel.viewer.dims.point
    shown.turn_to(dataclasses.replace(shown.lesions[0], number=99))
    assert panel.viewer.dims.point == point


def test_lesions_are_outlined_in_all_views(panel, planes, run, qtbot):
    run(panel)
    tumours = panel.controller.shown.tumours
    voxel = np.argwhere(tumours.data)[len(np.argwhere(tumours.data)) // 2]
    panel.viewer.dims.set_point(range(3), tumours.data_to_world(voxel))
    qtbot.waitUntil(lambda: all(tumours in view.twins.twins for view in planes.side.views), timeout=30_000)
    settle(planes, qtbot)
    for view, axis in zip(planes.side.views, (1, 2), strict=True):
        twin = view.twins.twins[tumours]
        cut = np.take(tumours.data, voxel[axis], axis=axis) > 0
        drawn = np.asarray(twin._slice.image.view) > 0
        assert twin.visible and twin.contour == 1 and cut.any()
        assert drawn.any() and (drawn <= cut).all() and drawn.sum() < cut.sum(), "the edge is drawn, not the inside"


def test_each_view_shows_its_plane_before_all_layers_are_there(panel, qtbot):
    panel.look.views.planes.click()
    seen = {}
    for view in panel.look.planes.side.views:
        view.twins.grown.connect(
            lambda view=view: seen.setdefault(view, (tuple(view.viewer.dims.order), len(view.viewer.layers)))
        )
    settle(panel.look.planes, qtbot)
    assert [seen[view] for view in panel.look.planes.side.views] == [(ORDERS[1], 1), (ORDERS[2], 1)]


def test_a_click_or_the_slider_turns_all_views(panel, planes, qtbot):
    coronal, sagittal = planes.side.views
    coronal.pointed.emit((7.5, 16.0, 32.0))
    settle(planes, qtbot)
    assert panel.viewer.dims.point == (7.5, 16.0, 32.0)
    assert sagittal.viewer.dims.point[2] == 32.0 and sagittal.slider.value() == 40
    sagittal.slider.setValue(10)
    settle(planes, qtbot)
    assert panel.viewer.dims.point == (7.5, 16.0, 8.0)


def test_the_window_and_the_theme_are_the_same_in_all_views(panel, planes, qtbot):
    panel.look.drag.moved.emit(-100.0, 300.0)
    panel.viewer.theme = "light"
    settle(planes, qtbot)
    for view in planes.side.views:
        assert view.viewer.layers[0].contrast_limits == [-100, 300] and view.viewer.theme == "light"
        assert any("WindowDrag" in drag.__qualname__ for drag in view.viewer.mouse_drag_callbacks)


def test_a_double_click_changes_places(panel, planes, qtbot):
    planes.side.views[0].wanted.emit(1)
    settle(planes, qtbot)
    assert tuple(panel.viewer.dims.order) == ORDERS[1] and [view.axis for view in planes.side.views] == [0, 2]
    panel.viewer.dims.order = (0, 1, 2)
    settle(planes, qtbot)
    assert [view.axis for view in planes.side.views] == [1, 2]


def test_closing_by_button_or_dock_leaves_nothing(panel, planes, qtbot):
    window, callbacks = panel.window(), len(panel.viewer.mouse_drag_callbacks)
    panel.look.views.planes.click()
    qtbot.wait(50)
    docks = [dock for dock in window.findChildren(QDockWidget) if dock.objectName() == NAME]
    assert not docks and planes.side is None and len(panel.viewer.mouse_drag_callbacks) == callbacks - 1
    panel.look.views.planes.click()
    settle(planes, qtbot)
    panel.viewer.window.remove_dock_widget(planes.side)
    qtbot.wait(50)
    assert planes.side is None and not panel.look.views.planes.isChecked()


def test_the_window_closes_while_they_are_open(planes):
    """The fixture of napari looks for canvases that are left."""


def test_without_a_window_the_button_goes_back(make_panel, viewer, sample):
    panel = make_panel(viewer, sample)
    panel.look.views.planes.click()
    assert not panel.look.views.planes.isChecked() and panel.look.planes.side is None


@pytest.fixture
def twins(qapp, sample, qtbot):
    source, target = ViewerModel(), ViewerModel()
    add(source, scan_layer(sample.volume))
    add(source, liver_layer(sample.liver, sample.volume))
    made = TwinLayers(qapp, source, target)
    qtbot.waitUntil(lambda: len(target.layers) == 2, timeout=30_000)
    yield made, source, target
    made.stop()
    made.deleteLater()


def test_twins_share_memory_and_follow_the_look(twins, qtbot):
    made, source, target = twins
    assert [np.shares_memory(twin.data, layer.data) for layer, twin in made.twins.items()] == [True, True]
    scan, liver = source.layers
    scan.contrast_limits, liver.opacity, liver.visible = (-100, 300), 0.3, False
    qtbot.waitUntil(lambda: target.layers[0].contrast_limits == [-100, 300], timeout=30_000)
    assert target.layers[1].opacity == 0.3 and not target.layers[1].visible
    assert all(not twin.editable and not twin.metadata for twin in target.layers)


def test_what_is_painted_undone_or_replaced_is_seen_in_the_twin(twins, qtbot):
    made, source, target = twins
    liver, twin = source.layers[1], target.layers[1]
    seen = []
    twin.events.set_data.connect(lambda _: seen.append(twin.data.sum()))
    liver.data_setitem((np.array([0]), np.array([0]), np.array([0])), 1)
    qtbot.waitUntil(lambda: seen[-1:] == [liver.data.sum()], timeout=30_000)
    liver.undo()
    qtbot.waitUntil(lambda: seen[-1] == liver.data.sum() and not made._later.isActive(), timeout=30_000)
    liver.data = np.zeros_like(liver.data)
    qtbot.waitUntil(lambda: seen[-1] == 0, timeout=30_000)


def test_scrolling_draws_no_twin_anew(twins, qtbot):
    _, source, target = twins
    seen = []
    target.layers[1].events.set_data.connect(lambda _: seen.append(1))
    for mm in (0.0, 5.0, 10.0, 5.0):
        source.dims.set_point(0, mm)
    qtbot.wait(100)
    assert not seen


def test_layers_that_come_go_and_change_places_do_so_in_the_twins(twins, qtbot):
    made, source, target = twins
    hidden = source.add_image(np.zeros((4, 4, 4)), visible=False, name="hidden")
    qtbot.wait(100)
    assert hidden not in made.twins, "what is not seen costs nothing"
    hidden.visible = True
    source.layers.move(2, 0)
    source.layers.remove(source.layers[-1])
    qtbot.waitUntil(lambda: [layer.name for layer in target.layers] == ["hidden", "case"], timeout=30_000)
