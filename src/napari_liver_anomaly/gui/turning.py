"""Turn the view to a voxel of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer


def turn_view(viewer: Any, layer: Layer, voxel: Sequence[float]) -> None:
    """Show the slices of a voxel, in flat views and in space, and put it in the middle of the view."""
    dims, camera = viewer.dims, viewer.scene.camera
    point = layer.data_to_world(tuple(voxel))
    dims.set_point(range(dims.ndim - 3, dims.ndim), point)
    shown = [float(point[axis - (dims.ndim - 3)]) for axis in dims.displayed if axis >= dims.ndim - 3]
    camera.center = (*tuple(camera.center)[: 3 - len(shown)], *shown)
