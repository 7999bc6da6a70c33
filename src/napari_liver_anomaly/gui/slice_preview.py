"""A preview of one slice: an image and a mask that follow the slice on screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.gui.layers import HU_RANGE, KEY, RED, Role, Tag, add, outlined

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot


GAP_PX = 4  # between the scan and the preview beside it


@dataclass(frozen=True, eq=False)
class SyntheticSlice:
    """One slice with an anomaly: canonical index, HU (y, x) int16, mask (y, x) bool."""

    z: int
    hu: NDArray[np.int16]
    mask: NDArray[np.bool_]


class SlicePreview:
    """Two layers of one slice, over the scan or beside it, moved and filled again rather than made anew."""

    def __init__(self, viewer: Any) -> None:
        self._beside = False
        self._viewer = viewer
        self.image: Image | None = None
        self.mask: Layer | None = None
        self._scan: Any = None
        self._z = -1

    def show(self, drawn: SyntheticSlice, scan: LayerSnapshot, window: tuple[float, float]) -> None:
        """Show a slice at its place over the scan."""
        place = place_of_slice(scan.place, drawn.z, drawn.hu.shape[1] + GAP_PX if self._beside else 0)
        hu, mask = drawn.hu[None], drawn.mask[None].astype(np.uint8)
        if self.image is None or self.mask is None or self._scan is not scan.data:
            self.remove()
            self._scan, self._z = scan.data, drawn.z
            look = {"colormap": "gray", "contrast_limits": window, "metadata": {KEY: Tag(Role.PREVIEW, "")}}
            self.image = add(self._viewer, (hu, look | place | {"name": f"{scan.name} preview"}, "image"))
            self.image.contrast_limits_range = HU_RANGE
            look = outlined(f"{scan.name} preview mask", RED, Tag(Role.PREVIEW, ""))
            self.mask = add(self._viewer, (mask, look | place, "labels"))
            return
        for layer, data in ((self.image, hu), (self.mask, mask)):
            layer.data = data
            if drawn.z != self._z:
                moved = "affine" if "affine" in place else "translate"
                setattr(layer, moved, place[moved])
        self._z = drawn.z
        self.image.contrast_limits = window

    def put(self, *, beside: bool) -> None:
        """Show the next slice beside the scan, to the right of it, or over it."""
        if beside != self._beside:
            self._beside = beside
            self.remove()

    def remove(self) -> None:
        """Take both layers away."""
        ours, self.image, self.mask = (self.image, self.mask), None, None  # first, so that it is not taken for the user's doing
        for layer in ours:
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def forget(self, layer: Layer) -> bool:
        """Note that a layer was deleted by the user."""
        if layer is self.image:
            self.image = None
        elif layer is self.mask:
            self.mask = None
        else:
            return False
        return True


def place_of_slice(place: dict[str, Any], z: int, columns: int = 0) -> dict[str, Any]:
    """Put a stack of one slice where slice ``z`` of the whole stack lies, or so many columns beside it."""
    if "affine" in place:
        affine = np.array(place["affine"], float)
        affine[:3, 3] += affine[:3, 0] * z + affine[:3, 2] * columns
        return place | {"affine": affine}
    down, back, left = place["translate"]
    return place | {"translate": (down + place["scale"][0] * z, back, left + place["scale"][2] * columns)}


def slice_on_screen(viewer: Any, scan: LayerSnapshot) -> int:
    """Canonical index of the axial slice nearest to where the viewer's sliders stand."""
    place = scan.place
    matrix = np.array(place["affine"], float) if "affine" in place else np.diag([*place["scale"], 1.0])
    if "translate" in place:
        matrix[:3, 3] = place["translate"]
    index = np.linalg.inv(matrix) @ [*viewer.dims.point[-3:], 1.0]
    return int(np.clip(round(index[0]), 0, scan.geometry.shape[0] - 1))
