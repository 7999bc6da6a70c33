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
    turn_to(viewer, point)
    shown = [float(point[axis - (dims.ndim - 3)]) for axis in dims.displayed if axis >= dims.ndim - 3]
    camera.center = (*tuple(camera.center)[: 3 - len(shown)], *shown)


def turn_to(viewer: Any, point: Sequence[float]) -> None:
    """Show the slices nearest to a point in mm. By steps of the sliders: these would round any other point, and all layers be sliced twice."""
    dims, axes = viewer.dims, range(viewer.dims.ndim - len(point), viewer.dims.ndim)
    ranges = [dims.range[axis] for axis in axes]
    dims.set_current_step(
        axes, [round((at - one.start) / one.step) if one.step else 0 for at, one in zip(point, ranges, strict=True)]
    )
