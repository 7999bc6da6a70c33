"""Grids of the liver finder: a scan of any spacing becomes blocks of fixed spacing, and the prediction comes back to the scan.

Places are in mm from the outer corner of the first voxel, so voxel ``i`` of spacing ``s`` lies at ``(i + 0.5) s``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Three = tuple[float, float, float]

DARKEST_HU, BRIGHTEST_HU = -45, 160
FINE_MM: Three = (4.0, 2.5, 2.5)
COARSE_MM: Three = (10.0, 10.0, 10.0)


def unit(voxels: NDArray[np.generic]) -> Floats:
    """Bring HU to 0…1 over the window from -45 to 160 HU; values outside count as its ends."""
    clipped: Floats = np.clip(voxels, DARKEST_HU, BRIGHTEST_HU).astype(np.float32)
    clipped -= DARKEST_HU
    clipped /= BRIGHTEST_HU - DARKEST_HU
    return clipped


def shape_for(shape: tuple[int, ...], spacing: Three, step: Three) -> tuple[int, int, int]:
    """Count the voxels of another spacing that cover a block, at least 1 along each axis."""
    z, y, x = (max(1, round(n * s / t)) for n, s, t in zip(shape, spacing, step, strict=True))
    return (z, y, x)


def mixing(count: int, spacing: float, wanted: int, step: float, reach: float) -> Floats:
    """Say how much each voxel along one axis gives to each voxel of another spacing, (wanted, count); the first corner is the same.

    ``reach`` is the half width, in mm, of the triangle over which values are averaged; never less than ``spacing``, which is linear interpolation.
    Every row sums to 1, and beyond the ends the last value goes on.
    """
    have = (np.arange(count) + 0.5) * spacing
    want = np.clip((np.arange(wanted) + 0.5) * step, have[0], have[-1])
    share = np.maximum(0, 1 - np.abs(want[:, None] - have[None, :]) / max(reach, spacing))
    return np.asarray(share / share.sum(axis=1, keepdims=True), dtype=np.float32)


def resample(block: NDArray[np.generic], spacing: Three, step: Three, reach: Three, *, hu: bool = False) -> Floats:
    """Bring a block to another spacing, averaged so that nothing between the new voxels is lost; ``hu`` brings HU to 0…1 first."""
    wanted = shape_for(block.shape, spacing, step)
    deep, down, across = (mixing(n, s, w, t, r) for n, s, w, t, r in zip(block.shape, spacing, wanted, step, reach, strict=True))
    planes = np.empty((block.shape[0], *wanted[1:]), np.float32)
    for index, plane in enumerate(block):
        values = unit(plane) if hu else plane.astype(np.float32)
        planes[index] = down @ (values @ across.T)
    return np.asarray(np.tensordot(deep, planes, axes=1), dtype=np.float32)


def spread(
    prediction: Floats, start: tuple[int, int, int], step: Three, shape: tuple[int, int, int], spacing: Three
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Bring a prediction for a box, 0…1, back to the scan's grid: where it is above one half, and as grey levels 0…255; 0 outside the box."""
    above, grey = np.zeros(shape, bool), np.zeros(shape, np.uint8)
    parts = [_span(*axis) for axis in zip(shape, spacing, start, prediction.shape, step, strict=True)]
    deep, down, across = (_between(*axis) for axis in zip(parts, spacing, start, prediction.shape, step, strict=True))
    _, rows, columns = parts
    for index, weights in zip(range(parts[0].start, parts[0].stop), deep, strict=True):
        used = np.flatnonzero(weights)
        plane = down @ np.tensordot(weights[used], prediction[used], axes=1) @ across.T
        above[index, rows, columns] = plane > 0.5
        grey[index, rows, columns] = np.rint(255 * np.clip(plane, 0, 1))
    return above, grey


def _span(count: int, spacing: float, start: int, wanted: int, step: float) -> slice:
    """Voxels of the scan whose middle lies in the box."""
    first = int(np.ceil(start * step / spacing - 0.5))
    last = int(np.floor((start + wanted) * step / spacing - 0.5))
    return slice(max(0, first), min(count, last + 1) if (start + wanted) * step < count * spacing - step else count)


def _between(part: slice, spacing: float, start: int, count: int, step: float) -> Floats:
    """Weights of linear interpolation from the box to the scan's voxels along one axis."""
    place = np.clip(((np.arange(part.start, part.stop) + 0.5) * spacing) / step - 0.5 - start, 0, count - 1)
    share = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(count)[None, :]))
    return np.asarray(share, dtype=np.float32)
