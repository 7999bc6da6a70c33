"""Validation on held-out synthesis: thresholds without labels, and the quality of the restoration.

References
----------
M. Baugh et al., "Many tasks make light work", MICCAI 2023: measure by a held-out family of anomalies, never by the family that was trained on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.metrics import Ranking
from napari_liver_anomaly.synthesis import Blobs
from napari_liver_anomaly.thresholds import healthy_threshold
from napari_liver_anomaly.training.training_set import make_batch

if TYPE_CHECKING:
    from napari_liver_anomaly.models.config import Schedule
    from napari_liver_anomaly.preprocessing import HealthySlices
    from napari_liver_anomaly.synthesis import Recipe

BATCHES = 24
STAGE = 77  # no stage of a training, so these batches are never those that were trained on
HELD_OUT = Blobs(p_empty=0.3, dark_high_hu=110)


def validate_on_synthesis(
    model: Any, data: HealthySlices, schedule: Schedule, *, seed: int = 0, recipe: Recipe = HELD_OUT
) -> dict[str, Any]:
    """Measure a model on synthetic anomalies of a family that it was not trained on."""
    schedule = replace(schedule, unlabelled=False)  # only of synthetic ones is known where they are
    ranking = Ranking.of(np.zeros(0, np.uint8), np.zeros(0, bool))
    clean: list[tuple[Any, Any]] = []
    changes = np.zeros((3, 2))  # sum and number of pixels: healthy, in anomalies, in anomalies before
    for step in range(BATCHES):
        batch = make_batch(data, recipe, schedule, (seed, STAGE), step)
        liver_mask, mask, healthy = batch.liver_mask.numpy(), batch.mask.numpy(), batch.healthy.numpy()[:, 0]
        found = model.predict(batch.anomalous.numpy(), liver_mask)
        grey = np.rint(found.score * 255).astype(np.uint8)
        ranking = ranking + Ranking.of(grey, mask, liver_mask)
        still = np.asarray(~mask.any(axis=(1, 2)))
        clean.append((grey[still], liver_mask[still]))
        if found.restored is not None:
            error = np.abs(found.restored - healthy)
            before = np.abs(batch.anomalous.numpy()[:, batch.anomalous.shape[1] // 2] - healthy)
            untouched = liver_mask & still[:, None, None]
            inside = mask & liver_mask
            changes += [
                [error[untouched].sum(), untouched.sum()],
                [error[inside].sum(), inside.sum()],
                [before[inside].sum(), inside.sum()],
            ]
    best, level = ranking.best_dice()
    made: dict[str, Any] = {
        "held_out_family": {"threshold": round(level / 255, 3), "dice": round(best, 4)},
        "healthy": {"threshold": round(healthy_threshold(clean), 3), "false_positive_rate": 0.001},
    }
    if changes[0, 1]:
        mean = changes[:, 0] / np.maximum(changes[:, 1], 1) * data.hu_per_unit
        made["restoration"] = dict(
            zip(("healthy_hu", "anomaly_hu", "before_hu"), (round(float(hu), 2) for hu in mean), strict=True)
        )
    return made
