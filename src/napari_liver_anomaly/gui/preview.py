"""The threshold while the slider moves: the graphics card cuts the score, no array is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Image

TINT = ((1, 0.3, 0.3, 0), (1, 0.3, 0.3, 0.6))
EDGE = 0.1  # half width of the cut, in grey levels: the score is whole numbers, so nothing lies in between


class Preview:
    """Turns the anomaly score layer into a live cut, and back into the heat map it was.

    Parameters
    ----------
    viewer : ViewerModel
        To know whether it is shown flat or in space.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layer: Image | None = None
        self._before: dict[str, Any] = {}

    @property
    def on(self) -> bool:
        """Whether a preview is shown."""
        return self._layer is not None

    def show(self, layer: Image, level: int) -> None:
        """Show which voxels the threshold takes.

        Parameters
        ----------
        layer : Image
            The anomaly score, uint8.
        level : int
            Smallest grey level that counts, 1 to 255.
        """
        if self._layer is not layer:
            self.end()
            self._begin(layer)
        cut = level - 0.5
        if self._viewer.dims.ndisplay == 3:
            layer.iso_threshold = cut
        layer.contrast_limits = (cut - EDGE, cut + EDGE)

    def end(self) -> None:
        """Show the heat map again, as it was."""
        layer, self._layer = self._layer, None
        if layer is not None:
            for name, value in self._before.items():
                setattr(layer, name, value)

    def _begin(self, layer: Image) -> None:
        from napari.utils.colormaps import Colormap

        names = ("visible", "contrast_limits", "contrast_limits_range", "colormap", "opacity", "rendering", "iso_threshold")
        self._before = {name: getattr(layer, name) for name in names}
        self._layer = layer
        layer.colormap = Colormap(TINT, name="threshold")
        layer.opacity = 1.0
        if self._viewer.dims.ndisplay == 3:
            layer.rendering = "iso"
        layer.visible = True
