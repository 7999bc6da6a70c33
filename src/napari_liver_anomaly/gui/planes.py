"""Axial, coronal and sagittal views of the same scan at once, which show the same point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QApplication, QDockWidget, QHBoxLayout, QMainWindow, QWidget

from napari_liver_anomaly.gui.crosshair import Crosshair
from napari_liver_anomaly.gui.event_listener import EventListener
from napari_liver_anomaly.gui.side_view import ORDERS, SideView, on_click
from napari_liver_anomaly.gui.turning import turn_to

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.qt import QtViewer

NAME = "Other planes"
LATER_MS = 30
PART = 0.42  # of the height that the canvas had


class SideViews(QWidget):
    """The two planes that the large view does not show."""

    closed = Signal()

    def __init__(self, source: Any) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.views = (SideView(source), SideView(source))
        for view in self.views:
            row.addWidget(view, stretch=1)
        self._docked = False

    def event(self, event: QEvent | None) -> bool:
        """Notice that the dock was closed: napari takes what is inside out of it."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            docked = isinstance(self.parentWidget(), QDockWidget)
            if self._docked and not docked:
                self.closed.emit()
            self._docked = docked
        return bool(super().event(event))


class Planes(QObject):
    """Opens and closes the side views of a viewer, and keeps all views at one point."""

    changed = Signal(bool)  # whether they are open
    opened = Signal(object)  # each viewer that was opened

    def __init__(self, parent: QObject, viewer: Any) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.side: SideViews | None = None
        self._scan: Image | None = None
        self._crosshair: Crosshair | None = None
        self._events = EventListener()
        self._click = on_click(self._turn_to)
        self._later = QTimer(self)  # the large view is turned first, so that it is as quick as it would be alone
        self._later.setSingleShot(True)
        self._later.setInterval(LATER_MS)
        self._later.timeout.connect(self._follow)

    @property
    def possible(self) -> bool:
        """Whether the viewer has a window, and a stack of slices to look at."""
        return hasattr(self._viewer, "window") and self._viewer.dims.ndim == 3 and bool(self._viewer.layers)

    def follow(self, scan: Image | None) -> None:
        """Mark the sides of this scan's patient in the side views."""
        self._scan = scan
        for view in self.side.views if self.side is not None else ():
            view.marks.follow(scan)

    def hold(self, held: bool) -> None:
        """Leave in the side views what can be seen there, while the large view shows space."""
        for view in self.side.views if self.side is not None else ():
            view.twins.hold(held)

    def show_or_hide(self, wanted: bool) -> None:
        """Open the side views or close them; where there is nothing to open, say that they are closed."""
        if wanted:
            self.open()
        else:
            self.close()
        self.changed.emit(self.side is not None)

    def open(self) -> None:
        """Open the side views below the canvas."""
        if self.side is not None or not self.possible or (main := canvas_of(self._viewer)) is None:
            return
        self.side = SideViews(self._viewer)
        for view in self.side.views:
            view.pointed.connect(self._turn_to)
            view.turned.connect(self._viewer.dims.set_point)
            view.wanted.connect(self._swap)
            view.twins.grown.connect(self._follow)
            view.marks.follow(self._scan)
            self.opened.emit(view.viewer)
        self.side.closed.connect(self.close)
        self._crosshair = Crosshair(main)
        for closing in (main, main.window()):
            closing.installEventFilter(self)
        dims = self._viewer.dims.events
        for event in (dims.point, dims.order, dims.ndisplay):
            self._events.hear(event, self._mark)
        self._viewer.mouse_drag_callbacks.append(self._click)
        self._dock(main)
        self._mark()
        self.changed.emit(True)

    def close(self) -> None:
        """Close them again."""
        side, self.side = self.side, None
        if side is None:
            return
        self._later.stop()
        self._events.stop()
        self._viewer.mouse_drag_callbacks.remove(self._click)
        if self._crosshair is not None:
            self._crosshair.remove()
        for view in side.views:
            view.end()
        if isinstance(side.parentWidget(), QDockWidget):
            self._viewer.window.remove_dock_widget(side)
        side.deleteLater()
        self.changed.emit(False)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Close with the window: a canvas of napari's must not be deleted before it was closed."""
        if event is not None and event.type() == QEvent.Type.Close:
            self.close()
        return False

    def _dock(self, main: QtViewer) -> None:
        """Put them below the canvas, between lists and panels."""
        window, height = main.window(), main.height()
        if isinstance(window, QMainWindow):
            window.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
            window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        dock = self._viewer.window.add_dock_widget(self.side, name=NAME, area="bottom")
        if isinstance(window, QMainWindow):
            window.resizeDocks([dock], [round(PART * height)], Qt.Orientation.Vertical)

    def _mark(self, _event: object = None) -> None:
        """Mark the point in the large view at once, and turn the others to it a moment later."""
        if self._crosshair is not None:
            self._crosshair.show_point(tuple(self._viewer.dims.point))
        self._later.start()

    def _follow(self) -> None:
        """Show the planes that the large view does not, through its point."""
        dims = self._viewer.dims
        if self.side is None or dims.ndim != 3:
            return
        others = [axis for axis in range(3) if axis != dims.order[0]]
        for view, axis in zip(self.side.views, others, strict=True):
            view.show_plane(axis)
            view.show_point(tuple(dims.point))

    def _turn_to(self, point: tuple[float, ...]) -> None:
        turn_to(self._viewer, point)

    def _swap(self, axis: int) -> None:
        """Show a plane in the large view, and the large view's plane in its place."""
        self._viewer.dims.order = ORDERS[axis]


def canvas_of(viewer: Any) -> QtViewer | None:
    """Find the canvas of a viewer's window."""
    from napari.qt import QtViewer

    for window in QApplication.topLevelWidgets():
        for canvas in window.findChildren(QtViewer):
            if getattr(canvas.viewer, "__wrapped__", canvas.viewer) is viewer:
                return canvas
    return None
