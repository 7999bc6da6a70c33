"""Scores of the slices of a case, by a trained model or by a rule without learning, and the threshold that goes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.models.rules import DarkRule, LocalZ
from napari_liver_anomaly.volume import Mask, Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Case

    Scores = tuple[NDArray[np.float32], NDArray[np.float32] | None]  # scores (n, H, W), 0…1, and restored images

BATCH = 16
HALF, LEAST = 0.5, 1 / 255  # the rules' own cut; the smallest cut that leaves anything out


def score_case(model: Any, case: Case) -> Scores:
    """Score all slices of a case by a trained model, or by a rule from :func:`rule_on_slices`."""
    if not hasattr(model, "predict"):
        return model(case), None
    scores, images = [], []
    reach = model.preprocess.neighbours
    for first in range(0, len(case.images), BATCH):
        batch = np.arange(first, min(first + BATCH, len(case.images)))
        seen = np.clip(batch[:, None] + np.arange(-reach, reach + 1), 0, len(case.images) - 1)
        found = model.predict(case.images[seen], case.liver_mask[batch])
        scores.append(found.score)
        images.append(found.restored)
    return np.concatenate(scores), None if images[0] is None else np.concatenate(images)


def rule_on_slices(key: str) -> Callable[[Case], NDArray[np.float32]]:
    """Give a rule, which is made for whole scans, as a function of a case's slices."""
    rule = DarkRule() if key == DarkRule.key else LocalZ()

    def score(case: Case) -> NDArray[np.float32]:
        z, y, x = case.spacing_mm
        hu = np.rint((case.images - np.float32(0.5)) * case.hu_per_unit + 100).astype(np.int16)
        geometry = Geometry((*hu.shape[:0:-1], hu.shape[0]), np.diag([-x, -y, z, 1.0]))
        volume = Volume(hu, geometry, case.name)
        grey = rule.score_volume(volume, Mask(case.liver_mask, geometry, volume.identity))
        return grey.astype(np.float32) / np.float32(255)

    return score


def threshold_of(synthetic: dict[str, Any], family: str = "held_out_family") -> float:
    """Choose a trained model's threshold without labels: the best one on synthetic anomalies of a family that it was not trained on."""
    return max(float(synthetic[family]["threshold"]), LEAST)


def change_hu(restored: NDArray[np.float32], case: Case) -> float:
    """Mean absolute change of healthy liver by a restorer, HU."""
    healthy = case.liver_mask & ~case.truth
    return float(np.abs(restored - case.images)[healthy].mean() * case.hu_per_unit)
