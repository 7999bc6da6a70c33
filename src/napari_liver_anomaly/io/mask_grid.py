"""Where the voxels of a mask file lie on the grid of its scan: on all of it, on part of it, or off it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.geometry import SAME_PLACE_MM
from napari_liver_anomaly.io.source import found
from napari_liver_anomaly.messages import make_finding, make_refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.geometry import Geometry

    Bools = NDArray[np.bool_]
    Offset = tuple[int, int, int]

ROUNDED_MM = 0.1  # programs write positions and voxel sizes with a few digits; over a scan that adds up to less
ROUNDED_VOXELS = 0.1  # but never so much that a voxel could be taken for its neighbour


def offset_on(scan: Geometry, mask: Geometry, what: str, *, sparse: bool = False) -> tuple[Offset, tuple[Finding, ...]]:
    """Index (z, y, x) in the scan at which the first voxel of a mask lies; refused where the voxels of the two do not coincide.

    Of a sparse mask only those slices were stored that hold a voxel, each with its place.
    """
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in mask.shape], indexing="ij"), axis=-1).reshape(-1, 3)
    to_scan = np.linalg.inv(scan.affine) @ mask.affine
    off = np.rint(to_scan[:3, 3])
    apart_mm = np.abs(corners @ (to_scan[:3, :3] - np.eye(3)).T + to_scan[:3, 3] - off) * scan.spacing_mm
    most_mm = np.minimum(ROUNDED_MM, ROUNDED_VOXELS * np.array(scan.spacing_mm))
    if (apart_mm > most_mm).any() or not _is_part(off, mask, scan, sparse=sparse):
        raise beside(scan, mask, what)
    place = (int(off[0]), int(off[1]), int(off[2]))
    rounded = make_finding("mask-rounded", what=what, apart=apart_mm.max()) if apart_mm.max() > SAME_PLACE_MM else None
    part = None if mask.shape == scan.shape or sparse else make_finding("mask-part-of-grid", what=what)
    return place, found(rounded, part)


def _is_part(off: NDArray[np.float64], mask: Geometry, scan: Geometry, *, sparse: bool) -> bool:
    """Whether a mask is the scan's grid cut down; shifted or cut by a single voxel is a fault in counting rather than a cut."""
    cut = np.array(scan.shape) - np.array(mask.shape)
    return bool(((off >= 0) & (off <= cut) & (sparse | (cut != 1))).all())


def on_whole_grid(voxels: Bools, offset: Offset, scan: Geometry) -> Bools:
    """Put a mask at its place in the scan, with nothing around it."""
    if voxels.shape == scan.shape:
        return voxels
    whole = np.zeros(scan.shape, np.bool_)
    whole[tuple(slice(start, start + n) for start, n in zip(offset, voxels.shape, strict=True))] = voxels
    return whole


def beside(scan: Geometry, mask: Geometry, what: str) -> Exception:
    """Say that a mask is not on the grid of its scan."""
    own, other = mask.told_beside(scan)
    return make_refusal("mask-grid", what=what, mask=own, scan=other)
