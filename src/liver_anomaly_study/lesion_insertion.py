"""The lesion-insertion check: a soft ball 60 HU darker than healthy liver, the easiest lesion there is; a model that cannot rank it finds nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Case

DARKER_HU, RADIUS_MM, EDGE_MM = 60.0, 12.0, 2.5


def insert_lesion(case: Case, change_hu: float = -DARKER_HU) -> tuple[Case, NDArray[np.bool_]] | None:
    """Insert the ball where healthy liver is deepest: a case whose truth is the ball alone, and the voxels to rank; None without healthy slices."""
    from scipy.ndimage import distance_transform_edt

    if not len(case.healthy):
        return None
    healthy = case.liver_mask & ~case.truth
    middles = np.unique(case.healthy[:, case.healthy.shape[1] // 2])
    depth = distance_transform_edt(healthy, sampling=case.spacing_mm)[middles]
    z, y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    centre = (middles[z], y, x)
    axes = [(np.arange(n) - c) * mm for n, c, mm in zip(case.liver_mask.shape, centre, case.spacing_mm, strict=True)]
    distance_mm = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2)
    weight = (np.clip((RADIUS_MM - distance_mm) / EDGE_MM + 0.5, 0, 1) * healthy).astype(np.float32)
    changed = np.clip(case.images + weight * np.float32(change_hu / case.hu_per_unit), 0.02, 1)  # 0 is background
    images = np.where(weight > 0, changed, case.images).astype(np.float32)
    ball = weight > 0.5
    ranked = healthy & ball.any(axis=(1, 2))[:, None, None]
    return replace(case, images=images, truth=ball), ranked


def inserted_auroc(score: Callable[[Case], NDArray[np.float32]], cases: Sequence[Case]) -> float | None:
    """Mean over cases of the area under the ROC curve of the inserted ball against the liver around it; None when no case has a healthy slice."""
    from napari_liver_anomaly.metrics import Ranking

    inserted = filter(None, map(insert_lesion, cases))
    found = [Ranking.of(score(changed), changed.truth, ranked).auroc() for changed, ranked in inserted]
    return round(float(np.mean(found)), 4) if found else None
