"""What every format returns: geometry, findings about the header, and a function that loads the voxels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.storage import voxel_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import DTypeLike, NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.storage import BoundedReader
    from napari_liver_anomaly.volume import SourceImage

    Array = NDArray[np.generic]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A file or series whose header was read and whose voxels were not.

    Attributes
    ----------
    shape : tuple of int
        Voxels along x, y, z of the source (columns, rows, slices for DICOM).
    affine : ndarray, (4, 4) float64
        Source index to position in mm, RAS+. May be unusable; then ``findings`` say so.
    findings : tuple of Finding
        Doubts about the header, of every level.
    load : callable
        Gives the stored values in source order, shape ``shape``.
    slope, intercept : float
        HU = slope · stored + intercept.
    oriented : bool
        Whether the file says where left and right are.
    names : dict of int to str
        What the file calls the labels of a mask, where it does.
    further_names : dict of int to tuple of str
        Other words for them, such as codes.
    sparse : bool
        Whether slices without any voxel were left out of the file.
    layered : bool
        Whether the labels of a mask may overlap: they have one more axis then, of layers.
    images : tuple of SourceImage
        The DICOM images that the slices are, where each is one.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    findings: tuple[Finding, ...]
    load: Callable[[], Array]
    slope: float = 1.0
    intercept: float = 0.0
    oriented: bool = True
    names: Mapping[int, str] = field(default_factory=dict)
    further_names: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    sparse: bool = False
    layered: bool = False
    images: tuple[SourceImage, ...] = ()


def affine_of(directions: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Position matrix from the steps along each axis."""
    affine = np.eye(4)
    affine[:3, :3] = directions
    affine[:3, 3] = origin
    return affine


def array_from(reader: BoundedReader, shape: tuple[int, ...], kind: DTypeLike, volume: tuple[int, int] = (1, 1)) -> Array:
    """Take an array whose first axis runs fastest, to the very end of its file."""
    stored = np.dtype(kind)
    count, (chosen, volumes) = voxel_bytes(shape, stored.itemsize), volume
    reader.skip((chosen - 1) * count)
    taken = reader.read(count)
    reader.skip((volumes - chosen) * count)
    reader.finish()
    return np.frombuffer(taken, stored).reshape(shape, order="F")


def found(*checked: Finding | None) -> tuple[Finding, ...]:
    """Keep those findings that are there."""
    return tuple(finding for finding in checked if finding is not None)
