"""How lesions were cut before this was made local: plain and slow, and what ``segmentation.cut`` must equal bit by bit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.lesions import MOST, Lesion, box_of, diameters, level_of
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.geometry import Geometry
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.volume import Mask, Volume


def former_cut(
    score: NDArray[np.uint8], probability: NDArray[np.uint8] | None, geometry: Geometry, settings: SegmentSettings
) -> tuple[NDArray[np.uint16], int]:
    labels = label_components(score, settings.threshold, settings.min_lesion_mm3, geometry, settings.min_peak_score)
    return (labels, 0) if probability is None else drop_improbable(labels, score, probability, settings.min_liver_probability)


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


def former_measure(labels: NDArray[np.integer], volume: Volume, liver: Mask) -> tuple[Lesion, ...]:
    from scipy import ndimage

    box = box_of(liver.voxels)
    rest = volume.voxels[box][liver.voxels[box] & (labels[box] == 0)] if box is not None else np.empty(0)
    liver_hu = float(np.median(rest)) if rest.size else math.nan
    boxes = ndimage.find_objects(labels)
    return tuple(_one(n, labels, volume, box, liver_hu) for n, box in enumerate(boxes, start=1) if box is not None)


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
