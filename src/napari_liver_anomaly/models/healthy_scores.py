"""Scores that only small shares of healthy liver reach: what a threshold can be held against without any tumour label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.thresholds import healthy_threshold

if TYPE_CHECKING:
    from napari_liver_anomaly.preprocessing import HealthySlices

SHARES = (0.01, 0.001, 0.0001)


def healthy_scores(model: Any, slices: HealthySlices) -> list[dict[str, float]]:
    """Measure which scores small shares of healthy liver reach.

    Parameters
    ----------
    model : Model or Ensemble
        Trained; it sees every slice as it sees one of a scan, as a whole.
    slices : HealthySlices
        Without anomalies, made with the model's preprocessing.

    Returns
    -------
    list of dict
        For one pixel in a hundred, in a thousand and in ten thousand: ``threshold``, 0 to 1, at which at most that share of the liver would be called
        tumour, and the share as ``false_positive_rate``.
    """
    scored = []
    for index in range(len(slices)):
        images, liver = slices.stack(index)
        middle = liver[len(liver) // 2]
        scored.append((np.rint(model.predict(images[None], middle[None]).score[0] * 255).astype(np.uint8), middle))
    return [{"threshold": round(healthy_threshold(scored, share), 3), "false_positive_rate": share} for share in SHARES]
