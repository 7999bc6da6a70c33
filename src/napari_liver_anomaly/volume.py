"""Volumes and masks: voxels in the one canonical order of :mod:`napari_liver_anomaly.geometry`, with the grid they came from."""

from __future__ import annotations

import hashlib
import reprlib
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.stored_values import to_hounsfield, whole_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding

    Array = NDArray[np.generic]

VOLUME_FROM = "make one with Volume.from_array(voxels, affine)"  # or read it; said to who gives something else
MASK_FROM = "make one with Mask.from_array(voxels, affine)"


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
        return f"Volume({reprlib.repr(self.name)}, {self.geometry.words()})"

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
        along = self.geometry.source_slice(number)
        return self.images[along] if self.images and along is not None else None

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
        return f"Mask({self.ml:.1f} ml, {self.geometry.words()}{', found' if self.found else ''})"

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
