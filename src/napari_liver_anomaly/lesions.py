"""Lesions as a radiologist would describe them, measured; each in its own voxels, so that a large scan costs no more than a small one."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.geometry import wrong_shape
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.simple_cyst import may_be_cyst
from napari_liver_anomaly.sparse_labels import SparseLabels
from napari_liver_anomaly.volume import MASK_FROM, VOLUME_FROM, Mask, Volume, require_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

MOST = np.iinfo(np.uint16).max
MAD_TO_SD = 1.4826
LOWEST_HU = int(np.iinfo(np.int16).min)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One lesion, as a radiologist would describe it.

    Attributes
    ----------
    number : int
        Its label; 1 is the largest.
    volume_ml : float
        Volume in ml.
    long_mm, short_mm : float
        On the axial slice with the lesion's largest area: longest diameter between the voxels' outlines, and largest extent
        perpendicular to it.
    equivalent_mm : float
        Diameter of the sphere of the same volume.
    centroid_index : tuple of float
        Centre of mass, canonical (z, y, x).
    centroid_mm : tuple of float
        The same place in the patient, x, y, z in mm, RAS+.
    mean_hu : float
        Mean of the scan inside the lesion, HU.
    liver_hu : float
        Median of the liver outside all lesions, HU; NaN when no such liver is left.
    difference_hu : float
        ``mean_hu - liver_hu``: negative for a dark lesion.
    first_slice, last_slice : int
        First and last canonical axial slice, counted from 0 at the head.
    slices : int
        Number of axial slices it appears on.
    may_be_cyst : bool
        Whether it is as dark and even as water, with a sharp edge, and may be a simple cyst: a hint, no diagnosis.
    """

    number: int
    volume_ml: float
    long_mm: float
    short_mm: float
    equivalent_mm: float
    centroid_index: tuple[float, float, float]
    centroid_mm: tuple[float, float, float]
    mean_hu: float
    liver_hu: float
    difference_hu: float
    first_slice: int
    last_slice: int
    slices: int
    may_be_cyst: bool = False

    def __repr__(self) -> str:
        return (
            f"Lesion({self.number}: {self.volume_ml:.1f} ml, {self.long_mm:.0f} × {self.short_mm:.0f} mm, {self.mean_hu:.0f} HU)"
        )


def level_of(threshold: float) -> int:
    """Smallest grey score that counts as tumour: the rule is ``score >= level_of(threshold)``."""
    if not 0 <= threshold <= 1:
        raise make_refusal(
            "setting-range",
            name="threshold",
            value=repr(threshold),
            help="It is the smallest score called tumour.",
            allowed="a number from 0 to 1",
        )
    return max(1, math.ceil(255 * threshold - 1e-6))


def measure(labels: NDArray[np.integer] | Mask, volume: Volume, liver: Mask) -> tuple[Lesion, ...]:
    """Measure every lesion of a scan.

    Parameters
    ----------
    labels : ndarray, (z, y, x) integer; or Mask
        Lesion numbers as a result has them, 0 outside; numbers may be missing, as after editing by hand. A mask is one lesion, and
        must belong to the scan.
    volume : Volume
        The scan.
    liver : Mask
        Its liver.

    Returns
    -------
    tuple of Lesion
        One per number in use, in rising order.

    Raises
    ------
    WrongGrid
        When the labels or the liver do not lie on the scan's grid, or belong to another scan.
    """
    require_kind(volume, Volume, "measure", VOLUME_FROM)
    require_kind(liver, Mask, "measure", MASK_FROM)
    liver = liver.of(volume, "liver mask")
    if not isinstance(labels, np.ndarray):
        require_kind(labels, Mask, "measure", "give the labels of a result, or a Mask")
        labels = labels.of(volume, "tumour mask").voxels.astype(np.uint8)
    if labels.shape != volume.geometry.shape:
        raise wrong_shape("An image of lesions", labels.shape, volume.geometry.shape)
    return measure_again(SparseLabels.of(labels), LiverScan(volume, liver))


@dataclass(frozen=True, eq=False)
class LiverScan:
    """A scan and its liver on one grid, with what is needed of them each time that lesions are measured."""

    volume: Volume
    liver: Mask

    @cached_property
    def hu_counts(self) -> NDArray[np.int64]:
        """How often the liver has each value from -32768 HU upwards."""
        box = box_of(self.liver.voxels)
        return _hu_counts(np.empty(0, np.int16) if box is None else self.volume.voxels[box][self.liver.voxels[box]])

    @cached_property
    def spread_hu(self) -> float:
        """How far the liver's values scatter around their median, as a standard deviation that few odd ones do not move."""
        upto = np.cumsum(self.hu_counts)
        if not (size := int(upto[-1])):
            return 0.0
        far = np.abs(np.arange(self.hu_counts.size) - int(np.searchsorted(upto, (size + 1) // 2)))
        nearest_first = np.argsort(far, kind="stable")
        place = int(np.searchsorted(np.cumsum(self.hu_counts[nearest_first]), (size + 1) // 2))
        return MAD_TO_SD * float(far[nearest_first][place])

    def median_outside(self, where: NDArray[np.int64]) -> float:
        """Median of the liver without some voxels, given flat; NaN when nothing is left."""
        lesions = where[self.liver.voxels.reshape(-1)[where]]
        upto = np.cumsum(self.hu_counts - _hu_counts(self.volume.voxels.reshape(-1)[lesions]))
        if not (left := int(upto[-1])):
            return math.nan
        low, high = np.searchsorted(upto, ((left - 1) // 2, left // 2), "right")
        return float(low + high) / 2 + LOWEST_HU


def measure_again(
    labels: SparseLabels, scan: LiverScan, known: SparseLabels | None = None, lesions: Iterable[Lesion] = ()
) -> tuple[Lesion, ...]:
    """Measure lesions, but for those that are among others already measured; only the median of the liver is another for those."""
    liver_hu, measured = scan.median_outside(labels.where), {lesion.number: lesion for lesion in lesions}
    found: list[Lesion] = []
    before = {(int(where[0]), where.size): (number, where) for number, where in known.parts()} if known is not None else {}
    for number, where in labels.parts():
        former, same = before.get((int(where[0]), where.size), (0, where))
        if former in measured and np.array_equal(where, same):
            lesion = measured[former]
            found.append(replace(lesion, number=number, liver_hu=liver_hu, difference_hu=lesion.mean_hu - liver_hu))
        else:
            found.append(_one(number, where, scan, liver_hu))
    return tuple(found)


def _hu_counts(hu: NDArray[np.int16]) -> NDArray[np.int64]:
    return np.bincount(hu.astype(np.int64) - LOWEST_HU, minlength=2**16)


def box_of(voxels: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """Smallest box around the true voxels."""
    box: list[slice] = []
    for axis in range(voxels.ndim):
        part = voxels[tuple(box)]  # already cut along the axes before, so each pass is shorter
        used = np.flatnonzero(part.any(axis=tuple(other for other in range(voxels.ndim) if other != axis)))
        if not used.size:
            return None
        box.append(slice(int(used[0]), int(used[-1]) + 1))
    return tuple(box)


def _one(number: int, where: NDArray[np.int64], scan: LiverScan, liver_hu: float) -> Lesion:
    """Measure one lesion from its voxels, flat and rising."""
    volume = scan.volume
    places = np.stack(np.unravel_index(where, volume.geometry.shape))
    start = places.min(axis=1)
    places -= start[:, None]
    areas = np.bincount(places[0])
    shape = np.zeros(places[1:].max(axis=1) + 1, bool)
    shape[tuple(places[1:, places[0] == areas.argmax()])] = True
    z, y, x = (float(c) for c in places.mean(axis=1) + start)
    volume_ml = where.size * volume.geometry.voxel_ml
    long_mm, short_mm = diameters(shape, volume.geometry.affine[:3, 1:3])
    mean_hu = float(volume.voxels.reshape(-1)[where].mean())
    return Lesion(
        number=number,
        volume_ml=volume_ml,
        long_mm=long_mm,
        short_mm=short_mm,
        equivalent_mm=float(np.cbrt(6 * volume_ml * 1000 / np.pi)),
        centroid_index=(z, y, x),
        centroid_mm=volume.geometry.position_mm((z, y, x)),
        mean_hu=mean_hu,
        liver_hu=liver_hu,
        difference_hu=mean_hu - liver_hu,
        first_slice=int(start[0]),
        last_slice=int(start[0]) + areas.size - 1,
        slices=int(np.count_nonzero(areas)),
        may_be_cyst=may_be_cyst(where, volume, scan.liver.voxels, mean_hu, liver_hu, scan.spread_hu),
    )  # fmt: skip


def diameters(shape: NDArray[np.bool_], steps_mm: NDArray[np.float64]) -> tuple[float, float]:
    """Longest diameter of a flat shape, and its largest extent perpendicular to that."""
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist, squareform

    rows = np.flatnonzero(shape.any(axis=1))
    left = shape[rows].argmax(axis=1)
    right = shape.shape[1] - 1 - shape[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([rows, left], 1), np.stack([rows, right], 1)]).astype(float)
    edges = (ends[:, None] + 0.5 * np.array([[-1, 0], [1, 0], [0, -1], [0, 1]])).reshape(-1, 2)
    flat = edges @ np.linalg.qr(steps_mm)[1].T  # the plane of the slice, in mm
    hull = flat[ConvexHull(flat).vertices]
    apart = squareform(pdist(hull))
    first, last = np.unravel_index(apart.argmax(), apart.shape)
    along = (hull[last] - hull[first]) / apart[first, last]
    across = hull @ np.array([-along[1], along[0]])
    return float(apart[first, last]), float(np.ptp(across))
