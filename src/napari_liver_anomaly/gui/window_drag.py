"""Window width and level by dragging in the view with the right mouse button."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal

from napari_liver_anomaly.gui.window_settings import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RIGHT_BUTTON = 2
PART_PER_PX = 0.005  # of the width that a drag began with; so the hand is as fine in a narrow window as in a wide one


class WindowDrag(QObject):
    """Turns drags into windows. napari's own zoom by the right button rests meanwhile; the wheel still zooms."""

    moved = Signal(float, float)  # darkest and brightest value

    def __init__(self, parent: QObject, seen: Callable[[], tuple[float, float] | None]) -> None:
        super().__init__(parent)
        self._seen = seen

    def listen(self, viewer: Any) -> None:
        """Hear the mouse in a viewer, as long as there is somebody to tell."""

        def drag(viewer: Any, event: Any) -> Iterator[None]:
            if isalive(self):
                yield from self._drag(viewer, event)

        viewer.mouse_drag_callbacks.append(drag)

    def _drag(self, viewer: Any, event: Any) -> Iterator[None]:
        active, before = viewer.layers.selection.active, self._seen()
        busy = active is not None and str(active.mode) != "pan_zoom"  # brushes have their own use for the button
        if event.button != RIGHT_BUTTON or event.modifiers or viewer.dims.ndisplay != 2 or busy or before is None:
            return
        camera, (x, y) = viewer.scene.camera, tuple(event.pos)
        camera.mouse_pan = False  # which is also its zoom by this button
        try:
            yield
            while event.type == "mouse_move":
                self.moved.emit(*dragged(before, event.pos[0] - x, event.pos[1] - y))
                event.handled = True
                yield
        finally:
            camera.mouse_pan = True


def dragged(before: tuple[float, float], right_px: float, down_px: float) -> tuple[float, float]:
    """Give the window that a drag makes of one, in whole HU: wider to the right, a higher level downwards."""
    width, level = before[1] - before[0], (before[0] + before[1]) / 2
    step = max(width, 100) * PART_PER_PX
    return Window.near(width + right_px * step, level + down_px * step).limits_hu
