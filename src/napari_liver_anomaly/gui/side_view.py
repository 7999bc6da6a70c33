"""A small view of another plane, beside the viewer's own canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QSlider, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_liver_anomaly.gui.crosshair import Crosshair
from napari_liver_anomaly.gui.event_listener import EventListener
from napari_liver_anomaly.gui.patient_marks import PatientMarks
from napari_liver_anomaly.gui.turning import keep_in_sight
from napari_liver_anomaly.gui.twin_layers import TwinLayers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qtpy.QtGui import QResizeEvent

PLANES = ("Axial", "Coronal", "Sagittal")  # by the axis that is looked along
ORDERS = ((0, 1, 2), (1, 0, 2), (2, 0, 1))  # of the axes, the first is looked along
LEFT_BUTTON, STILL_PX = 1, 3
ALONE = "acts_alone"
LEAST_PX = 120


class SideView(QWidget):
    """A canvas with a slider, and the twins of the viewer's layers in it."""

    pointed = Signal(tuple)  # point in mm that was clicked on
    turned = Signal(int, float)  # axis, and the place in mm on it that the view was turned to
    wanted = Signal(int)  # axis of the plane that was double-clicked

    def __init__(self, source: Any) -> None:
        super().__init__()
        from napari.components import ViewerModel
        from napari.qt import QtViewer

        self.axis = 0
        self.viewer = ViewerModel()
        self.canvas = QtViewer(self.viewer)
        self.canvas.setAcceptDrops(False)  # a scan is opened where scans are opened
        self.canvas.dims.setVisible(False)  # too wide for a small view
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.setMinimumSize(LEAST_PX, LEAST_PX)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.canvas, stretch=1)
        layout.addWidget(self.slider)
        self._source, self._events = source, EventListener()
        self._events.hear(source.events.theme, self._follow_theme)
        self._follow_theme()
        self.twins = TwinLayers(self, source, self.viewer)
        self.crosshair = Crosshair(self.canvas)
        self.marks = PatientMarks(self, self.viewer, window=False)
        self.slider.valueChanged.connect(lambda step: self.viewer.dims.set_current_step(self.axis, step))
        self.viewer.dims.events.point.connect(self._tell)
        self.viewer.mouse_double_click_callbacks[:] = [lambda *_: self.wanted.emit(self.axis)]
        self.viewer.mouse_drag_callbacks.append(on_click(self.pointed.emit))

    def show_plane(self, axis: int) -> None:
        """Look along an axis."""
        self.axis = axis
        if tuple(self.viewer.dims.order) != ORDERS[axis]:
            self.viewer.dims.order = ORDERS[axis]
        self.slider.setToolTip(f"{PLANES[axis]} slice. Double-click the picture to see it large.")
        self.slider.setAccessibleName(f"{PLANES[axis]} slice")

    def show_point(self, point: tuple[float, ...]) -> None:
        """Turn to the slice of a point, and mark it."""
        dims = self.viewer.dims
        if dims.ndim != len(point):
            return
        if dims.point[self.axis] != point[self.axis]:
            with self.viewer.dims.events.point.blocker(self._tell):
                dims.set_point(self.axis, point[self.axis])
        with signals_blocked(self.slider):
            self.slider.setRange(0, dims.nsteps[self.axis] - 1)
            self.slider.setValue(dims.current_step[self.axis])
        keep_in_sight(self.viewer, point)
        self.crosshair.show_point(point)

    def end(self) -> None:
        """Let go of viewer and canvas."""
        self.twins.stop()
        self._events.stop()
        self.viewer.dims.events.point.disconnect(self._tell)
        self.crosshair.remove()
        self.marks.remove()
        self.viewer.mouse_double_click_callbacks.clear()
        self.viewer.mouse_drag_callbacks.clear()
        self.canvas.close()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show the whole plane in the room that there is now."""
        super().resizeEvent(event)
        if self.viewer.layers:
            self.viewer.fit_to_view()

    def _follow_theme(self, _event: object = None) -> None:
        self.viewer.theme = self._source.theme

    def _tell(self, _event: object = None) -> None:
        """Tell that the user turned to another slice in this view."""
        dims = self.viewer.dims
        if dims.ndim == len(ORDERS) and not self.twins.busy:  # layers that come and go move the point, too
            self.turned.emit(self.axis, dims.point[self.axis])


def on_click(act: Callable[[tuple[float, ...]], object], *, alone: bool = False) -> Callable[[Any, Any], Iterator[None]]:
    """Act on clicks of the left button that are no drags, with the point in mm; ``alone``: while it listens, no other acts."""

    def click(viewer: Any, event: Any) -> Iterator[None]:
        active = viewer.layers.selection.active
        brush = active is not None and str(active.mode) != "pan_zoom"
        if not alone and any(getattr(other, ALONE, False) for other in viewer.mouse_drag_callbacks):
            return
        if event.button != LEFT_BUTTON or event.modifiers or viewer.dims.ndisplay != 2 or brush:
            return
        began = tuple(event.pos)
        yield
        while event.type == "mouse_move":
            if max(abs(now - then) for now, then in zip(event.pos, began, strict=True)) > STILL_PX:
                return
            yield
        act(tuple(event.position))

    setattr(click, ALONE, alone)
    return click
