"""Counts of one scan at many thresholds, from which FROC, sensitivity and calibration curves are drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.metrics import THRESHOLDS, Counts, find_lesions
from napari_liver_anomaly.segmentation import cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.volume import Mask

BINS = 20


def curve_of(score: NDArray[np.uint8], tumours: Mask, liver: Mask, settings: SegmentSettings) -> dict[str, Any]:
    """Count voxels and lesions at many thresholds."""
    inside = liver.voxels
    box = box_of(inside | tumours.voxels) or (slice(0, 0),) * 3
    truth, part = tumours.voxels[box], score[box]
    probability = None if liver.probability is None else liver.probability[box]
    points = []
    for threshold in THRESHOLDS:
        prediction = cut(part, probability, liver.geometry, replace(settings, threshold=threshold))[0] > 0
        counts, found = Counts.of(prediction, truth), find_lesions(prediction, truth, liver.geometry)
        points.append({
            "threshold": threshold, "hits": counts.hits, "false": counts.false, "missed": counts.missed,
            "found": {name: list(pair) for name, pair in found.by_size().items()}, "false_lesions": found.false,
        })  # fmt: skip
    place = np.minimum(part.astype(np.int64) * BINS // 255, BINS - 1)
    voxels = np.bincount(place[inside[box]], minlength=BINS)
    hits = np.bincount(place[inside[box] & truth], minlength=BINS)
    return {"thresholds": points, "bins": {"voxels": voxels.tolist(), "tumour": hits.tolist()}}
