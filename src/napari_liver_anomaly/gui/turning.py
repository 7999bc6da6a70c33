"""Turn the view to a voxel of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer

IN_SIGHT = 0.8  # of the way from the middle of a view to its edge


def turn_view(viewer: Any, layer: Layer, voxel: Sequence[float]) -> None:
    """Show the slices of a voxel, in flat views and in space, and move the view where the voxel would be at its edge or beyond."""
    point = layer.data_to_world(tuple(voxel))
    turn_to(viewer, point)
    keep_in_sight(viewer, point)


def turn_to(viewer: Any, point: Sequence[float]) -> None:
    """Show the slices nearest to a point in mm. By steps of the sliders: these would round any other point, and all layers be sliced twice."""
    dims, axes = viewer.dims, range(viewer.dims.ndim - len(point), viewer.dims.ndim)
    ranges = [dims.range[axis] for axis in axes]
    dims.set_current_step(
        axes, [round((at - one.start) / one.step) if one.step else 0 for at, one in zip(point, ranges, strict=True)]
    )


def keep_in_sight(viewer: Any, point: Sequence[float]) -> None:
    """Put a point in mm in the middle of a flat view where it is not well within it, and always in space."""
    dims, camera = viewer.dims, viewer.scene.camera
    first = dims.ndim - len(point)
    wanted = [float(point[axis - first]) for axis in dims.displayed if axis >= first]
    reach = [IN_SIGHT * size / camera.zoom / 2 for size in viewer.canvas.size]
    now = tuple(camera.center)[3 - len(wanted) :]
    if len(wanted) != 2 or any(abs(at - middle) > most for at, middle, most in zip(wanted, now, reach, strict=True)):
        camera.center = (*tuple(camera.center)[: 3 - len(wanted)], *wanted)
