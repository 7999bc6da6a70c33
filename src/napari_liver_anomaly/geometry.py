"""Where voxels lie: the grid of a scan's file and the one canonical order, the only room that knows axes.

Everywhere in the house an array is ``(z, y, x)`` with the index growing to **Inferior, Posterior, Left** ("IPL"). With positive scales napari then
shows radiological axial, coronal and sagittal views. The grid of the source file rides along, and every export goes back to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Refusal

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

    def slice_mm(self, number: int) -> float:
        """Say where an axial slice lies.

        Parameters
        ----------
        number : int
            Canonical index, from 0 at the head.

        Returns
        -------
        float
            Distance from the scanner's zero in mm, across the slice: positive towards the head, as the position of a DICOM image is.
        """
        to_feet = self.affine[:3, 0] / np.linalg.norm(self.affine[:3, 0])
        return -float(to_feet @ (self.affine[:3, 3] + number * self.affine[:3, 0]))

    def source_slice(self, number: int) -> int | None:
        """Find an axial slice along the last axis of the source.

        Parameters
        ----------
        number : int
            Canonical index, from 0 at the head.

        Returns
        -------
        int or None
            Index along the last axis; None where that axis does not run from head to feet.
        """
        axis, sign = self._turn[2]
        if axis != 0:
            return None
        return number if sign > 0 else self.source_shape[2] - 1 - number

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

        self._require(array.shape, self.source_shape)
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
        return np.ascontiguousarray(self.in_source_order(array))

    def in_source_order(self, array: Array) -> Array:
        """Look at an array in canonical order as it lies on the source's grid.

        Parameters
        ----------
        array : ndarray
            Canonical order, shape ``shape``.

        Returns
        -------
        ndarray
            The same memory, axes turned, shape ``source_shape``.

        Raises
        ------
        WrongGrid
            When the shape is not that of the grid.
        """
        from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

        self._require(array.shape, self.shape)
        back = ornt_transform(axcodes2ornt(CANONICAL), io_orientation(self.source_affine))
        turned: Array = apply_orientation(array, back)
        return turned

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
        return self._told(0)

    def _told(self, more: int, *, last: bool = False) -> str:
        """Say the grid in words, with so many more digits than usual, and with the place of the last voxel if wanted."""
        sizes = " × ".join(str(n) for n in self.shape[::-1])
        spacing = " × ".join(f"{mm:.{3 + more}g}" for mm in self.spacing_mm[::-1])
        z, y, x = self.shape
        ends = {"first": (0, 0, 0), **({"last": (z - 1, y - 1, x - 1)} if last else {})}
        places = [
            f"{name} at ({', '.join(f'{mm:.{1 + more}f}' for mm in self.position_mm(end))}) mm" for name, end in ends.items()
        ]
        return f"{sizes} voxels of {spacing} mm, {', '.join(places)}"

    def told_beside(self, other: Geometry) -> tuple[str, str]:
        """Say two grids in so many words that the difference can be seen.

        Parameters
        ----------
        other : Geometry
            Another grid.

        Returns
        -------
        tuple of str
            This one and the other, with as few digits as tell them apart.
        """
        for more, last in ((0, False), (0, True), (2, True), (4, True)):
            one, two = self._told(more, last=last), other._told(more, last=last)
            if one != two:
                break
        return one, two

    def __repr__(self) -> str:
        return f"Geometry({self.words()}, oriented={self.oriented})"

    def words(self) -> str:
        """Say shape and voxel size, for one line about what lies on this grid.

        Returns
        -------
        str
            For example ``"shape=(48, 256, 256), spacing_mm=(4, 1.406, 1.406)"``.
        """
        return f"shape={self.shape}, spacing_mm=({', '.join(f'{mm:.4g}' for mm in self.spacing_mm)})"

    @staticmethod
    def _require(found: tuple[int, ...], wanted: tuple[int, int, int]) -> None:
        if tuple(found) != wanted:
            raise wrong_shape("An array", found, wanted)


def wrong_shape(what: str, found: Sequence[int], wanted: Sequence[int]) -> Refusal:
    """Refuse what is not on the grid of its scan."""
    size, of_scan = (" × ".join(map(str, shape)) for shape in (found, wanted))
    return make_refusal("shape-differs", what=what, size=size, wanted=of_scan)
