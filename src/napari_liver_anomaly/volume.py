"""Volumes and masks in one canonical order: the only room that knows axes.

Everywhere in the house an array is ``(z, y, x)`` with the index growing to **Inferior, Posterior, Left** ("IPL"). With positive scales napari then
shows radiological axial, coronal and sagittal views. The grid of the source file rides along, and every export goes back to it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding

    Array = NDArray[np.generic]

CANONICAL = ("I", "P", "L")
SAME_PLACE_MM = 0.01


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the voxels of a scan lie in the patient.

    Attributes
    ----------
    source_shape : tuple of int
        Shape of the array in the source's own axis order (x, y, z for NIfTI and DICOM).
    source_affine : ndarray, (4, 4) float64
        Source voxel index to patient position in mm, RAS+ (x to the right, y to the front, z to the head), as in NIfTI.
    oriented : bool
        Whether the source says where left and right are. When it does not, the affine is a guess, and exports say nothing either.
    """

    source_shape: tuple[int, int, int]
    source_affine: NDArray[np.float64]
    oriented: bool = True

    def __post_init__(self) -> None:
        affine = np.array(self.source_affine, dtype=np.float64)
        affine.setflags(write=False)
        object.__setattr__(self, "source_affine", affine)
        object.__setattr__(self, "source_shape", tuple(int(n) for n in self.source_shape))
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
            raise make_refusal("geometry-singular")

    @cached_property
    def _turn(self) -> NDArray[np.float64]:
        """Nibabel's orientation transform from source axes to canonical axes."""
        from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

        turn: NDArray[np.float64] = ornt_transform(io_orientation(self.source_affine), axcodes2ornt(CANONICAL))
        return turn

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Shape (z, y, x) in canonical order."""
        sizes = [0, 0, 0]
        for source_axis, canonical_axis in enumerate(self._turn[:, 0].astype(int)):
            sizes[canonical_axis] = self.source_shape[source_axis]
        return (sizes[0], sizes[1], sizes[2])

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """Canonical index (z, y, x) to patient position in mm, RAS+; (4, 4) float64."""
        from nibabel.orientations import inv_ornt_aff

        return np.asarray(self.source_affine @ inv_ornt_aff(self._turn, self.source_shape))

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size (z, y, x) in mm."""
        z, y, x = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return (float(z), float(y), float(x))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml (also right for oblique grids)."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def to_canonical(self, array: Array) -> Array:
        """Turn an array from source order to canonical order.

        Parameters
        ----------
        array : ndarray
            In the source's axis order, shape ``source_shape``.

        Returns
        -------
        ndarray
            The same values in canonical order (z, y, x), contiguous.

        Raises
        ------
        WrongGrid
            When the shape is not that of this geometry.
        """
        from nibabel.orientations import apply_orientation

        self._demand(array.shape, self.source_shape)
        return np.ascontiguousarray(apply_orientation(array, self._turn))

    def to_source(self, array: Array) -> Array:
        """Turn an array from canonical order back to source order.

        Parameters
        ----------
        array : ndarray
            Canonical order, shape ``shape``.

        Returns
        -------
        ndarray
            The same values on the source's grid, shape ``source_shape``.

        Raises
        ------
        WrongGrid
            When the shape is not that of this geometry.
        """
        from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

        self._demand(array.shape, self.shape)
        back = ornt_transform(axcodes2ornt(CANONICAL), io_orientation(self.source_affine))
        return np.ascontiguousarray(apply_orientation(array, back))

    def position_mm(self, index: tuple[float, float, float]) -> tuple[float, float, float]:
        """Place of a canonical index in the patient.

        Parameters
        ----------
        index : tuple of float
            Canonical (z, y, x), fractions allowed.

        Returns
        -------
        tuple of float
            x, y, z in mm, RAS+.
        """
        x, y, z = self.affine[:3, :3] @ np.asarray(index, dtype=float) + self.affine[:3, 3]
        return (float(x), float(y), float(z))

    def same_grid(self, other: Geometry) -> bool:
        """Whether two grids put every voxel at the same place, in canonical order.

        Parameters
        ----------
        other : Geometry
            The grid to compare with.

        Returns
        -------
        bool
            True when shapes agree and all eight corners lie within 0.01 mm.
        """
        if self.shape != other.shape:
            return False
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij"), axis=-1).reshape(-1, 3)
        apart = (corners @ (self.affine - other.affine)[:3, :3].T) + (self.affine - other.affine)[:3, 3]
        return bool(np.abs(apart).max() <= SAME_PLACE_MM)

    def __str__(self) -> str:
        sizes = " × ".join(str(n) for n in self.shape[::-1])
        spacing = " × ".join(f"{mm:.3g}" for mm in self.spacing_mm[::-1])
        first = ", ".join(f"{mm:.1f}" for mm in self.position_mm((0, 0, 0)))
        return f"{sizes} voxels of {spacing} mm, first at ({first}) mm"

    @staticmethod
    def _demand(found: tuple[int, ...], wanted: tuple[int, int, int]) -> None:
        if tuple(found) != wanted:
            raise make_refusal("shape-differs", what="An array", shape=tuple(found), wanted=wanted)


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT scan: Hounsfield units on a grid.

    Attributes
    ----------
    voxels : ndarray, (z, y, x) int16
        Hounsfield units, canonical order.
    geometry : Geometry
        Where they lie.
    name : str
        What the user calls it on screen. Never written to any file.
    findings : tuple of Finding
        What is doubtful about it, as reading found it.
    """

    voxels: NDArray[np.int16]
    geometry: Geometry
    name: str = "scan"
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        _demand_shape(self.voxels, self.geometry)
        if self.voxels.dtype != np.int16:
            raise TypeError("Volume.voxels must be int16 Hounsfield units.")

    @cached_property
    def identity(self) -> str:
        """Sixteen hexadecimal digits that change with any voxel or with the place of the grid."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.voxels).data, digest_size=8)
        digest.update(np.round(self.geometry.affine, 4).astype("<f8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Mask:
    """A set of voxels of one scan.

    Attributes
    ----------
    voxels : ndarray, (z, y, x) bool
        Canonical order.
    geometry : Geometry
        Where they lie; must be the grid of the scan it is used with.
    scan : str
        Identity of the scan it was drawn on or made for, when that is known.
    probability : ndarray, (z, y, x) uint8, or None
        Probability of each voxel by the program that found the mask, 0…255 for 0…1; None for a mask that somebody drew.
    findings : tuple of Finding
        What is doubtful about it, as reading it or finding it told.
    found : bool
        Whether a program found it, and nobody corrected it since.
    """

    voxels: NDArray[np.bool_]
    geometry: Geometry
    scan: str | None = None
    probability: NDArray[np.uint8] | None = None
    findings: tuple[Finding, ...] = ()
    found: bool = False

    def __post_init__(self) -> None:
        _demand_shape(self.voxels, self.geometry)
        if self.voxels.dtype != np.bool_:
            raise TypeError("Mask.voxels must be bool.")
        if self.probability is not None:
            _demand_shape(self.probability, self.geometry)
            if self.probability.dtype != np.uint8:
                raise TypeError("Mask.probability must be uint8.")

    @property
    def ml(self) -> float:
        """Volume in ml."""
        return float(np.count_nonzero(self.voxels)) * self.geometry.voxel_ml

    def of(self, volume: Volume, what: str = "mask") -> Mask:
        """Make sure this mask belongs to a scan.

        Parameters
        ----------
        volume : Volume
            The scan it is to be used with.
        what : str
            What the mask is, for the message: "liver mask".

        Returns
        -------
        Mask
            The same mask, knowing its scan.

        Raises
        ------
        WrongGrid
            When the grids differ (both are named), or when the mask was made for another scan.
        """
        if not self.geometry.same_grid(volume.geometry):
            raise make_refusal("mask-grid", what=what, mask=self.geometry, scan=volume.geometry)
        if self.scan is not None and self.scan != volume.identity:
            raise make_refusal("mask-scan", what=what, own=self.scan[:4], other=volume.identity[:4])
        return replace(self, geometry=volume.geometry, scan=volume.identity)


def _demand_shape(voxels: Array, geometry: Geometry) -> None:
    """Refuse voxels whose shape is not that of the grid."""
    Geometry._demand(voxels.shape, geometry.shape)
