"""Window width and level: by numbers, by buttons and by the right mouse button, all of which show the same."""

from __future__ import annotations

import numpy as np
import pytest
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_liver_anomaly.gui.layers import Role, add, find, scan_layer
from napari_liver_anomaly.gui.window_drag import dragged

START, RIGHT_AND_DOWN = (200, 200), (260, 240)


def mouse(canvas, kind, at, button, held):
    point = QPointF(*at)
    where = QPointF(canvas.mapToGlobal(point.toPoint()))
    QApplication.sendEvent(canvas, QMouseEvent(kind, point, where, button, held, Qt.KeyboardModifier.NoModifier))


def drag(qtbot, canvas, button, until=RIGHT_AND_DOWN):
    none = Qt.MouseButton.NoButton
    mouse(canvas, QEvent.Type.MouseMove, START, none, none)
    qtbot.wait(20)
    mouse(canvas, QEvent.Type.MouseButtonPress, START, button, button)
    for part in (0.3, 0.6, 1.0):
        at = tuple(a + (b - a) * part for a, b in zip(START, until, strict=True))
        mouse(canvas, QEvent.Type.MouseMove, at, none, button)
        qtbot.wait(20)
    mouse(canvas, QEvent.Type.MouseButtonRelease, until, button, none)
    qtbot.wait(20)


@pytest.fixture
def panel(make_napari_viewer, make_panel, sample):
    viewer = make_napari_viewer(show=True)
    panel = make_panel(viewer)
    viewer.window.add_dock_widget(panel, name="Liver tumours (Liver Anomaly)", area="right")
    add(viewer, scan_layer(sample.volume))
    return panel


def seen(panel):
    """Width and level as the scan is shown, once the numbers say the same."""
    low, high = panel.inputs.scan.layer.contrast_limits
    assert (panel.look.numbers.width_hu.value, panel.look.numbers.level_hu.value) == (high - low, (high + low) / 2)
    return high - low, (high + low) / 2


def test_right_is_wider_and_down_is_a_higher_level():
    assert dragged((15, 165), 40, 0) == (0, 180)
    assert dragged((15, 165), 0, 40) == (45, 195)
    low, high = dragged((15, 165), -10_000, 10_000)
    assert high - low == 1 and (low + high) / 2 == 3071, "never without width, nor where no tissue is"


def test_the_right_button_sets_the_window_and_nothing_else(panel, qtbot):
    canvas = panel.window().findChild(QtViewer).canvas.native
    camera, voxels = panel.viewer.scene.camera, panel.inputs.scan.layer.data.copy()
    before = camera.zoom, camera.center
    drag(qtbot, canvas, Qt.MouseButton.RightButton)
    assert seen(panel) == (195, 120)
    assert (camera.zoom, camera.center) == before, "napari's zoom by the right button rests"
    assert np.array_equal(panel.inputs.scan.layer.data, voxels)
    drag(qtbot, canvas, Qt.MouseButton.LeftButton)
    assert seen(panel) == (195, 120) and camera.center != before[1], "the left button moves the view as ever"


def test_a_brush_keeps_its_right_button(panel, qtbot):
    labels = panel.viewer.add_labels(np.zeros_like(panel.inputs.scan.layer.data, np.uint8), scale=panel.inputs.scan.layer.scale)
    labels.mode = "paint"
    drag(qtbot, panel.window().findChild(QtViewer).canvas.native, Qt.MouseButton.RightButton)
    assert seen(panel) == (150, 90) and not panel.viewer.scene.camera.mouse_pan


def test_numbers_are_typed_and_follow(make_panel, viewer, sample, run):
    panel = make_panel(viewer, sample)
    run(panel)
    panel.look.numbers.width_hu.native.setValue(300)
    panel.look.numbers.level_hu.native.setValue(60)
    assert seen(panel) == (300, 60)
    restored = find(viewer, Role.RESTORED, panel.controller.shown.scan)
    assert tuple(restored.contrast_limits) == (-90, 210), "the restored twin is seen in the same window"
    panel.look.windows.buttons["Lung"].click()
    assert seen(panel) == (1500, -600)
    panel.inputs.scan.layer.contrast_limits = (0, 40)
    assert seen(panel) == (40, 20)
    viewer.layers.clear()
    assert not panel.look.numbers.width_hu.native.isEnabled()
