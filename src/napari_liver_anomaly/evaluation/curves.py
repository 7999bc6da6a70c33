"""Counts of one scan at many thresholds, from which FROC, sensitivity and calibration curves are drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.metrics import THRESHOLDS, Counts, LesionsFound, find_lesions, find_lesions_each
from napari_liver_anomaly.segmentation import cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.volume import Mask

BINS = 20
# Lowest peak scores at which lesions are counted, outlined at the threshold of the settings: the way to rank lesions by how sure they are.
PEAKS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 1.0)


def curve_of(score: NDArray[np.uint8], tumours: Mask, liver: Mask, settings: SegmentSettings) -> dict[str, Any]:
    """Count voxels and lesions at many thresholds."""
    inside = liver.voxels
    box = box_of(inside | tumours.voxels) or (slice(0, 0),) * 3
    truth, part = tumours.voxels[box], score[box]
    probability = None if liver.probability is None else liver.probability[box]
    points = []
    for threshold in THRESHOLDS:
        prediction = cut(part, probability, liver.geometry, replace(settings, threshold=threshold))[0] > 0
        counts = Counts.of(prediction, truth)
        points.append(
            _point(threshold, find_lesions(prediction, truth, liver.geometry))
            | {"hits": counts.hits, "false": counts.false, "missed": counts.missed}
        )
    cuts = (cut(part, probability, liver.geometry, replace(settings, min_peak_score=peak))[0] > 0 for peak in PEAKS)
    peaks = [_point(peak, found) for peak, found in zip(PEAKS, find_lesions_each(cuts, truth, liver.geometry), strict=True)]
    place = np.minimum(part.astype(np.int64) * BINS // 255, BINS - 1)
    voxels = np.bincount(place[inside[box]], minlength=BINS)
    hits = np.bincount(place[inside[box] & truth], minlength=BINS)
    return {"thresholds": points, "peaks": peaks, "bins": {"voxels": voxels.tolist(), "tumour": hits.tolist()}}


def _point(level: float, found: LesionsFound) -> dict[str, Any]:
    """One point of a free-response curve."""
    sizes = {name: list(pair) for name, pair in found.by_size().items()}
    return {"threshold": level, "found": sizes, "false_lesions": found.false}
