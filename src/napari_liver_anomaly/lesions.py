"""From scores to lesions: label connected components, drop improbable ones, and measure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.volume import MASK_FROM, VOLUME_FROM, Mask, Volume, require_kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.volume import Geometry

MOST = np.iinfo(np.uint16).max


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


def label_components(
    score: NDArray[np.uint8], threshold: float, min_volume_mm3: float, geometry: Geometry, min_peak_score: float = 0.0
) -> NDArray[np.uint16]:
    """Cut scores at a threshold, drop components that are small or nowhere convincing, and number what is left.

    From Canny, "A computational approach to edge detection", IEEE PAMI 1986 (two thresholds).
    """
    from scipy import ndimage

    tumour = score >= level_of(threshold)
    labels = np.zeros(score.shape, np.uint16)
    box = box_of(tumour)
    if box is None:
        return labels
    pieces, count = ndimage.label(tumour[box], structure=np.ones((3, 3, 3), bool))
    voxels = np.bincount(pieces.ravel(), minlength=count + 1)
    voxels[0] = 0
    large = (voxels > 0) & (voxels * geometry.voxel_ml * 1000 >= min_volume_mm3 - 1e-9)
    convincing = np.zeros(count + 1, bool)
    convincing[np.unique(pieces[score[box] >= level_of(min_peak_score)])] = True
    kept = np.flatnonzero(large & convincing)
    if kept.size > MOST:
        raise make_refusal("too-many-lesions", most=MOST)
    numbers = np.zeros(count + 1, np.uint16)
    numbers[kept[np.argsort(-voxels[kept], kind="stable")]] = np.arange(1, kept.size + 1)
    labels[box] = numbers[pieces]
    return labels


def drop_improbable(
    labels: NDArray[np.uint16], score: NDArray[np.uint8], probability: NDArray[np.uint8], least: float
) -> tuple[NDArray[np.uint16], int]:
    """Drop lesions that are, as a whole, less likely tumour in the liver than a given probability.

    A found liver takes in bits of gallbladder, bowel, heart and fat; such a bit differs from liver, so it is predicted tumour.
    What the finder says of each voxel is weighed in: the mean of score times that is the part of the piece expected to be tumour *and* liver.
    """
    box = box_of(labels > 0)
    if box is None:
        return labels, 0
    numbers = labels[box]
    predicted = numbers > 0
    count = int(numbers.max())
    weights = score[box][predicted].astype(np.float64) * probability[box][predicted] / 255**2
    means = np.bincount(numbers[predicted], weights, count + 1) / np.maximum(
        np.bincount(numbers[predicted], minlength=count + 1), 1
    )
    kept = means >= least
    kept[0] = False
    if kept[1:].all():
        return labels, 0
    left = np.zeros_like(labels)
    left[box] = np.where(kept, np.cumsum(kept), 0).astype(np.uint16)[numbers]
    return left, count - int(np.count_nonzero(kept))


def measure(labels: NDArray[np.integer] | Mask, volume: Volume, liver: Mask) -> tuple[Lesion, ...]:
    """Measure every lesion of a scan.

    Parameters
    ----------
    labels : ndarray, (z, y, x) integer; or Mask
        Lesion numbers as given by :func:`label_components`, 0 outside; numbers may be missing, as after editing by hand. A mask is one lesion, and
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
    from scipy import ndimage

    require_kind(volume, Volume, "measure", VOLUME_FROM)
    require_kind(liver, Mask, "measure", MASK_FROM)
    liver = liver.of(volume, "liver mask")
    if not isinstance(labels, np.ndarray):
        require_kind(labels, Mask, "measure", "give the labels of a result, or a Mask")
        labels = labels.of(volume, "tumour mask").voxels.astype(np.uint8)
    if labels.shape != volume.geometry.shape:
        raise make_refusal("shape-differs", what="An image of lesions", shape=labels.shape, wanted=volume.geometry.shape)
    box = box_of(liver.voxels)
    rest = volume.voxels[box][liver.voxels[box] & (labels[box] == 0)] if box is not None else np.empty(0)
    liver_hu = float(np.median(rest)) if rest.size else math.nan
    boxes = ndimage.find_objects(labels)
    return tuple(_one(n, labels, volume, box, liver_hu) for n, box in enumerate(boxes, start=1) if box is not None)


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


def _one(number: int, labels: NDArray[np.integer], volume: Volume, box: tuple[slice, ...], liver_hu: float) -> Lesion:
    """Measure one lesion inside its box."""
    inside = labels[box] == number
    voxels = int(np.count_nonzero(inside))
    areas = inside.sum(axis=(1, 2))
    start = np.array([part.start for part in box])
    z, y, x = (float(c) for c in np.argwhere(inside).mean(axis=0) + start)
    volume_ml = voxels * volume.geometry.voxel_ml
    long_mm, short_mm = diameters(inside[int(areas.argmax())], volume.geometry.affine[:3, 1:3])
    mean_hu = float(volume.voxels[box][inside].mean())
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
        first_slice=box[0].start,
        last_slice=box[0].stop - 1,
        slices=int(np.count_nonzero(areas)),
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
