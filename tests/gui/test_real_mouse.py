"""A real mouse in a real window: the left button turns planes, grows a lesion and swaps views, and a click on a head sorts."""

from __future__ import annotations

import numpy as np
import pytest
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
from napari_liver_anomaly.gui.lesion_model import NAMES

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


def mouse(canvas, kind, at, button, held):
    point = QPointF(*at)
    where = QPointF(canvas.mapToGlobal(point.toPoint()))
    QApplication.sendEvent(canvas, QMouseEvent(kind, point, where, button, held, Qt.KeyboardModifier.NoModifier))


def click(qtbot, canvas, at=None, *, twice=False):
    """Press and release the left button in a canvas; in its middle when no place is said."""
    at = at or (canvas.width() / 2, canvas.height() / 2)
    mouse(canvas, QEvent.Type.MouseMove, at, NONE, NONE)
    qtbot.wait(20)
    for press in (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick)[: 1 + twice]:
        mouse(canvas, press, at, LEFT, LEFT)
        mouse(canvas, QEvent.Type.MouseButtonRelease, at, LEFT, NONE)
    qtbot.wait(50)


@pytest.fixture
def panel(make_napari_viewer, make_panel, sample, run, qtbot):
    viewer = make_napari_viewer(show=True)
    panel = make_panel(viewer)
    viewer.window.add_dock_widget(panel, name="Liver tumours (Liver Anomaly)", area="right")
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    run(panel)
    panel.look.views.planes.click()
    settle(panel, qtbot)
    return panel


def settle(panel, qtbot):
    planes = panel.look.planes
    qtbot.wait(50)
    timers = [planes._later, *(view.twins._later for view in planes.side.views)]
    qtbot.waitUntil(lambda: not panel.controller.busy and not any(timer.isActive() for timer in timers), timeout=60_000)


def test_left_button(panel, qtbot):
    viewer, planes = panel.viewer, panel.look.planes
    large = panel.window().findChild(QtViewer).canvas.native
    gone = panel.controller.shown.lesions[0]
    middle = np.array(np.unravel_index(panel.controller.shown.voxels_of(gone), panel.controller.shown.state.labels.shape)).T
    panel.lesions.keep(gone, False)  # so that there is something to grow
    settle(panel, qtbot)
    panel.controller.shown.turn_to(gone)
    viewer.scene.camera.center = (0, *viewer.dims.point[1:])  # a jump leaves the view where it is while the lesion is in sight
    settle(panel, qtbot)
    there = np.array(viewer.dims.point)

    panel.lesions.add()
    click(qtbot, large)
    qtbot.waitUntil(lambda: panel.lesions.adding.region is not None and not panel.lesions.adding.busy, timeout=60_000)
    assert np.isin(panel.lesions.adding.region.where, panel.controller.shown.voxels_of(gone)).any() and len(middle)
    click(qtbot, large, (large.width() / 2 + 2, large.height() / 2 + 40))  # beside the lesion
    assert np.array_equal(viewer.dims.point, there), "while a click grows it turns nothing"
    panel.lesions.adding.end()

    click(qtbot, large, (large.width() / 2 + 40, large.height() / 2 + 40))
    settle(panel, qtbot)
    now = np.array(viewer.dims.point)
    assert now[0] == there[0] and (now[1:] > there[1:]).all(), "a click goes there in all planes"
    coronal, sagittal = planes.side.views
    assert coronal.viewer.dims.point[1] == pytest.approx(now[1]) and sagittal.viewer.dims.point[2] == pytest.approx(now[2])
    before = tuple(viewer.dims.order)
    click(qtbot, coronal.canvas.canvas.native, twice=True)
    settle(panel, qtbot)
    assert tuple(viewer.dims.order) != before and coronal.axis == 0, "a double click changes places"


def test_a_click_on_a_head_sorts(panel, qtbot):
    names, column = panel.table.horizontalHeader(), NAMES.index("ml")
    at = QPoint(names.sectionViewportPosition(column) + names.sectionSize(column) // 2, names.height() // 2)
    seen = []
    for _ in range(2):
        qtbot.mouseClick(names.viewport(), LEFT, pos=at)
        seen.append([row.lesion.volume_ml for row in panel.table.lesions])
    assert len(seen[0]) == 2 and seen[0] == seen[1][::-1] and sorted(seen) == [sorted(seen[0]), sorted(seen[0])[::-1]]
