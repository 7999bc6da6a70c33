"""Preview of the threshold while the slider moves: the graphics card cuts the score, and no array is made in the main thread.

What a worker finds to be dropped at a threshold is taken out of the score that is shown. Until it has looked at the next threshold, it stays out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Image
    from numpy.typing import NDArray

TINT = ((1, 0.3, 0.3, 0), (1, 0.3, 0.3, 0.6))
EDGE = 0.1  # half width of the cut, in grey levels: the score is whole numbers, so nothing lies in between


class ThresholdPreview:
    """Turns the anomaly score layer into a live cut, and back into the heat map it was."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.layer: Image | None = None
        self._score: NDArray[np.uint8] | None = None
        self._copy: NDArray[np.uint8] | None = None  # what is shown once pieces are dropped; the score itself is never written
        self._written = np.empty(0, np.int64)
        self._before: dict[str, Any] = {}

    @property
    def on(self) -> bool:
        """Whether a preview is shown."""
        return self.layer is not None

    def show(self, layer: Image, score: NDArray[np.uint8], level: int) -> None:
        """Show which voxels the threshold takes."""
        if self.layer is not layer:
            self.end()
            self._score = score
            self._begin(layer)
        cut = level - 0.5
        if self._viewer.dims.ndisplay == 3:
            layer.iso_threshold = cut
        layer.contrast_limits = (cut - EDGE, cut + EDGE)

    def hide(self, hidden: NDArray[np.int64], drawn: NDArray[np.int64]) -> None:
        """Show some voxels, given flat, as if they did not count, and some as if they did. Only these are written."""
        if self.layer is None or self._score is None or not (self._written.size or hidden.size or drawn.size):
            return
        if self._copy is None:
            self._copy = self._score.copy(order="C")
        flat = self._copy.reshape(-1)
        flat[self._written] = self._score.reshape(-1)[self._written]
        flat[hidden], flat[drawn] = 0, 255
        self._written = np.concatenate([hidden, drawn])
        if self.layer.data is not self._copy:
            self.layer.data = self._copy
        else:
            self.layer.refresh(extent=False, thumbnail=False)

    def end(self) -> None:
        """Show the heat map again, as it was."""
        layer, self.layer = self.layer, None
        self._copy, self._written = None, np.empty(0, np.int64)
        if layer is not None:
            if layer.data is not self._score:
                layer.data = self._score
            for name, value in self._before.items():
                setattr(layer, name, value)

    def _begin(self, layer: Image) -> None:
        from napari.utils.colormaps import Colormap

        names = ("visible", "contrast_limits", "contrast_limits_range", "colormap", "opacity", "rendering", "iso_threshold")
        self._before = {name: getattr(layer, name) for name in names}
        self.layer = layer
        layer.colormap = Colormap(TINT, name="threshold")
        layer.opacity = 1.0
        if self._viewer.dims.ndisplay == 3:
            layer.rendering = "iso"
        layer.visible = True
