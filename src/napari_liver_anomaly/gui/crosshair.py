"""Two thin lines through the point that all views show, drawn in a canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.qt import QtViewer

COLOUR = (0.34, 0.71, 0.91, 0.8)  # sky blue of Okabe and Ito: told from turquoise and red outlines by everybody
IN_FRONT = 1_000


class Crosshair:
    """Lines of a flat view; in space there are none."""

    def __init__(self, canvas: QtViewer) -> None:
        from vispy.scene.visuals import InfiniteLine

        self._viewer, scene = canvas.viewer, canvas.canvas.view.scene
        self._across, self._down = (InfiniteLine(0, COLOUR, vertical=vertical, parent=scene) for vertical in (False, True))
        for line in (self._across, self._down):
            line.order = IN_FRONT

    def show_point(self, point: Sequence[float]) -> None:
        """Go through a point, given in mm along all axes of the viewer."""
        dims = self._viewer.dims
        flat = dims.ndisplay == 2 and dims.ndim == len(point)
        for line, axis in zip((self._across, self._down), dims.displayed[-2:], strict=True):
            line.visible = flat
            if flat:
                line.set_data(point[axis])

    def remove(self) -> None:
        """Take the lines away."""
        self._across.parent = self._down.parent = None
