"""Volumes and masks in one canonical order: the only room that knows axes.

Everywhere in the house an array is ``(z, y, x)`` with the index growing to **Inferior, Posterior, Left** ("IPL"). With positive scales napari then
shows radiological axial, coronal and sagittal views. The grid of the source file rides along, and every export goes back to it.
"""

from __future__ import annotations

import hashlib
import reprlib
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.stored_values import to_hounsfield, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding, Refusal

    Array = NDArray[np.generic]

CANONICAL = ("I", "P", "L")
SAME_PLACE_MM = 0.01
VOLUME_FROM = "make one with Volume.from_array(voxels, affine)"  # or read it; said to who gives something else
MASK_FROM = "make one with Mask.from_array(voxels, affine)"


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
        return f"Geometry({self._words()}, oriented={self.oriented})"

    def _words(self) -> str:
        """Shape and voxel size, for one line about what lies on this grid."""
        return f"shape={self.shape}, spacing_mm=({', '.join(f'{mm:.4g}' for mm in self.spacing_mm)})"

    @staticmethod
    def _require(found: tuple[int, ...], wanted: tuple[int, int, int]) -> None:
        if tuple(found) != wanted:
            raise wrong_shape("An array", found, wanted)


def wrong_shape(what: str, found: Sequence[int], wanted: Sequence[int]) -> Refusal:
    """Refuse what is not on the grid of its scan."""
    size, of_scan = (" × ".join(map(str, shape)) for shape in (found, wanted))
    return make_refusal("shape-differs", what=what, size=size, wanted=of_scan)


class SourceImage(NamedTuple):
    """The DICOM image that one slice of a scan is: file, number of the picture in it from 0, identity of the object, and number in its series."""

    path: Path
    frame: int
    uid: str
    number: int | None = None  # as archives show it, where the file has one


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
    images : tuple of SourceImage
        The DICOM images whose voxels these are, one for each slice along the last axis of the source; empty for another format, and where slices
        were resampled or filled in.
    """

    voxels: NDArray[np.int16]
    geometry: Geometry
    name: str = "scan"
    findings: tuple[Finding, ...] = ()
    images: tuple[SourceImage, ...] = ()

    def __post_init__(self) -> None:
        _require_voxels(self.voxels, self.geometry, "Volume", np.int16, "int16 Hounsfield units")

    @classmethod
    def from_array(cls, voxels: Array, affine: NDArray[np.floating], name: str = "scan") -> Volume:
        """Make a scan of an array and its affine, as nibabel, SimpleITK or MONAI give them.

        Parameters
        ----------
        voxels : ndarray, (i, j, k) of any kind of number
            Hounsfield units, in the order of the affine: that of the file, not the canonical one.
        affine : ndarray, (4, 4)
            Index (i, j, k) to position in the patient in mm, RAS+ (x to the right, y to the front, z to the head). For voxels that run to the
            patient's left, back and head at ``sx, sy, sz`` mm this is ``np.diag([-sx, -sy, sz, 1])``.
        name : str
            What it is called on screen.

        Returns
        -------
        Volume
            The same voxels in canonical order, rounded to whole HU.

        Raises
        ------
        TypeError
            For an array without three axes of numbers.
        InvalidNumbers
            For NaN, infinity, and values that no CT has.
        ImpossibleGeometry
            For an affine that is no position matrix.
        """
        voxels = _three_axes(voxels, "Volume")
        geometry = Geometry(voxels.shape, _matrix(affine, "Volume"))
        hu = to_hounsfield(voxels.copy(), 1.0, 0.0)
        return cls(geometry.to_canonical(hu).astype(np.int16, copy=False), geometry, name)

    @classmethod
    def from_file(cls, path: str | Path) -> Volume:
        """Read a scan; the same as :func:`napari_liver_anomaly.read`, which also takes answers to questions.

        Parameters
        ----------
        path : path-like
            A NIfTI, NRRD or MetaImage file, or a folder of one DICOM series.

        Returns
        -------
        Volume
            With its findings.

        Raises
        ------
        Refusal
            As :func:`napari_liver_anomaly.read`.
        """
        volume: Volume = _public("read")(path)
        return volume

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return _as_array(self.voxels, dtype, copy)

    def __repr__(self) -> str:
        return f"Volume({reprlib.repr(self.name)}, {self.geometry._words()})"

    def _repr_html_(self) -> str:
        from napari_liver_anomaly.notebook import slice_html

        middle = self.geometry.shape[0] // 2
        return slice_html(self.voxels[middle], self.geometry.spacing_mm[1:], f"CT, slice {middle}: {self.geometry}", {})

    def image_of(self, number: int) -> SourceImage | None:
        """Find the DICOM image that an axial slice is.

        Parameters
        ----------
        number : int
            Canonical index, from 0 at the head.

        Returns
        -------
        SourceImage or None
            None for another format, and where the images are no axial slices.
        """
        axis, sign = self.geometry._turn[2]
        if not self.images or axis != 0:
            return None
        return self.images[number if sign > 0 else len(self.images) - 1 - number]

    def place_of(self, number: int) -> str:
        """Say where an axial slice is found in the patient and in the archive.

        Parameters
        ----------
        number : int
            Canonical index, from 0 at the head.

        Returns
        -------
        str
            For example ``"F 112.5 mm, image 23"``; what is not known is left out.
        """
        mm, image = self.geometry.slice_mm(number), self.image_of(number)
        known = [f"{'H' if mm > 0 else 'F'} {abs(mm):.1f} mm"] if self.geometry.oriented else []
        if image is not None and image.number is not None:
            known.append(f"image {image.number}")
        return ", ".join(known)

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
    judged : bool
        Whether it was judged if it looks like a liver, as :func:`~napari_liver_anomaly.liver.check_liver` does.
    """

    voxels: NDArray[np.bool_]
    geometry: Geometry
    scan: str | None = None
    probability: NDArray[np.uint8] | None = None
    findings: tuple[Finding, ...] = ()
    found: bool = False
    judged: bool = False

    def __post_init__(self) -> None:
        _require_voxels(self.voxels, self.geometry, "Mask", np.bool_, "bool")
        if self.probability is not None:
            _require_shape(self.probability, self.geometry)
            if self.probability.dtype != np.uint8:
                raise TypeError("Mask.probability must be uint8.")

    @classmethod
    def from_array(cls, voxels: Array, affine: NDArray[np.floating]) -> Mask:
        """Make a mask of an array and its affine: every voxel with a label above zero.

        Parameters
        ----------
        voxels : ndarray, (i, j, k) bool or whole numbers
            In the order of the affine, as for :meth:`Volume.from_array`.
        affine : ndarray, (4, 4)
            Index (i, j, k) to position in the patient in mm, RAS+.

        Returns
        -------
        Mask
            In canonical order.

        Raises
        ------
        TypeError
            For an array without three axes of numbers.
        InvalidNumbers
            For labels that are not whole numbers.
        ImpossibleGeometry
            For an affine that is no position matrix.
        """
        voxels = _three_axes(voxels, "Mask")
        geometry = Geometry(voxels.shape, _matrix(affine, "Mask"))
        inside = voxels if voxels.dtype == np.bool_ else whole_numbers(voxels, 1.0, 0.0) > 0
        return cls(geometry.to_canonical(inside).astype(np.bool_, copy=False), geometry)

    @classmethod
    def from_file(cls, path: str | Path, volume: Volume) -> Mask:
        """Read a mask of a scan; the same as :func:`napari_liver_anomaly.read_mask`.

        Parameters
        ----------
        path : path-like
            A NIfTI, NRRD or MetaImage file of whole numbers on the scan's own grid.
        volume : Volume
            The scan.

        Returns
        -------
        Mask
            Knowing its scan.

        Raises
        ------
        Refusal
            As :func:`napari_liver_anomaly.read_mask`.
        """
        mask: Mask = _public("read_mask")(path, volume)
        return mask

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return _as_array(self.voxels, dtype, copy)

    def __repr__(self) -> str:
        return f"Mask({self.ml:.1f} ml, {self.geometry._words()}{', found' if self.found else ''})"

    def _repr_html_(self) -> str:
        from napari_liver_anomaly.notebook import DARKEST_HU, LIVER, largest_slice, slice_html

        number = largest_slice(self.voxels)
        inside = self.voxels[number]
        black = np.full(inside.shape, DARKEST_HU, np.int16)
        return slice_html(black, self.geometry.spacing_mm[1:], f"Mask of {self.ml:,.1f} ml, slice {number}", {LIVER: inside})

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
        require_kind(volume, Volume, "Mask.of", VOLUME_FROM)
        if not self.geometry.same_grid(volume.geometry):
            own, scan = self.geometry.told_beside(volume.geometry)
            raise make_refusal("mask-grid", what=what, mask=own, scan=scan)
        if self.scan is not None and self.scan != volume.identity:
            raise make_refusal("mask-scan", what=what, own=self.scan[:4], other=volume.identity[:4])
        return replace(self, geometry=volume.geometry, scan=volume.identity)


def _require_shape(voxels: Array, geometry: Geometry) -> None:
    """Refuse voxels whose shape is not that of the grid."""
    Geometry._require(voxels.shape, geometry.shape)


def _require_voxels(voxels: Array, geometry: Geometry, owner: str, kind: type[np.generic], words: str) -> None:
    """Refuse voxels that are no array of the right kind and shape."""
    if not isinstance(voxels, np.ndarray) or not isinstance(geometry, Geometry):
        raise TypeError(f"{owner}() needs an array and its Geometry; {owner}.from_array(voxels, affine) makes both.")
    _require_shape(voxels, geometry)
    if voxels.dtype != kind:
        raise TypeError(f"{owner}.voxels must be {words}.")


def require_kind(value: object, kind: type, function: str, how: str) -> None:
    """Refuse a thing of the wrong kind in one sentence."""
    if not isinstance(value, kind):
        raise TypeError(f"{function}() needs a {kind.__name__}, not {type(value).__name__}; {how}.")


def _public(name: str) -> Any:
    """Look up a function of the package, as a user would: this module itself depends on nothing above it."""
    return getattr(import_module(__package__), name)


def _three_axes(voxels: Any, owner: str) -> Array:
    array = np.asarray(voxels)
    if array.ndim != 3 or array.dtype.kind not in "biuf":
        raise TypeError(
            f"{owner}.from_array() needs an array with three axes of numbers, not {array.ndim} axes of {array.dtype}."
        )
    return array


def _matrix(affine: Any, owner: str) -> NDArray[np.float64]:
    try:
        return np.asarray(affine, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{owner}.from_array() needs an affine of 4 × 4 numbers, not {type(affine).__name__}.") from None


def _as_array(voxels: Array, dtype: Any, copy: bool | None) -> NDArray[Any]:
    """Answer numpy: the voxels themselves where they fit, and a copy only where it must or may be one."""
    if copy is False and dtype is not None and np.dtype(dtype) != voxels.dtype:
        raise ValueError(f"Voxels of {voxels.dtype} cannot be given as {np.dtype(dtype)} without a copy.")
    return np.array(voxels, dtype) if copy else np.asarray(voxels, dtype)
