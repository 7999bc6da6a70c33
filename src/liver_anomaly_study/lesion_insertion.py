"""The easiest lesion there is, a soft ball 60 HU darker than the liver amid healthy tissue: a system that cannot rank it finds nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Liver

DARKER_HU, RADIUS_MM, EDGE_MM = 60.0, 12.0, 2.5


def planted(liver: Liver) -> tuple[Liver, NDArray[np.bool_]] | None:
    """Plant the ball where healthy liver is deepest.

    Parameters
    ----------
    liver : Liver
        With or without tumours of its own.

    Returns
    -------
    tuple of Liver and ndarray, or None
        The changed liver, whose truth is the ball alone, and the voxels (n, H, W) to be ranked: liver without its own tumours on the slices that
        hold the ball. None when there is no healthy slice.
    """
    from scipy.ndimage import distance_transform_edt

    if not len(liver.healthy):
        return None
    healthy = liver.liver_mask & ~liver.truth
    middles = np.unique(liver.healthy[:, liver.healthy.shape[1] // 2])
    depth = distance_transform_edt(healthy, sampling=liver.spacing_mm)[middles]
    z, y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    centre = (middles[z], y, x)
    axes = [(np.arange(n) - c) * mm for n, c, mm in zip(liver.liver_mask.shape, centre, liver.spacing_mm, strict=True)]
    away = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2)
    weight = (np.clip((RADIUS_MM - away) / EDGE_MM + 0.5, 0, 1) * healthy).astype(np.float32)
    images = np.where(
        weight > 0, np.maximum(liver.images - weight * np.float32(DARKER_HU / liver.hu_per_unit), 0.02), liver.images
    )
    ball = weight > 0.5
    ranked = healthy & ball.any(axis=(1, 2))[:, None, None]
    return replace(liver, images=images.astype(np.float32), truth=ball), ranked


def inserted_auroc(score: Callable[[Liver], NDArray[np.float32]], livers: Sequence[Liver]) -> float | None:
    """Tell how well a system ranks planted balls above the liver around them.

    Parameters
    ----------
    score : callable
        From a liver to its scores (n, H, W).
    livers : sequence of Liver
        None that the system learned from.

    Returns
    -------
    float or None
        Mean over livers of the area under the ROC curve, 0.5 by chance; None when no liver has a healthy slice.
    """
    from napari_liver_anomaly.metrics import Ranking

    found = []
    for liver in livers:
        made = planted(liver)
        if made is not None:
            changed, ranked = made
            found.append(Ranking.of(score(changed), changed.truth, ranked).auroc())
    return round(float(np.mean(found)), 4) if found else None
