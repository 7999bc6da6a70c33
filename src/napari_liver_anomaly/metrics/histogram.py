"""Histograms of scores, chunk by chunk, for rankings of very many voxels, with bounds of the error that the bins make.

References
----------
T. Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006) 861-874: scores that tie, as all of one bin do, are one step
of the curve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Numbers = NDArray[np.int64]

BINS = 4096
CHUNK = 2**22  # voxels at a time: some 100 MB of working memory, however large the scores are


def count_bins(
    score: NDArray[Any], truth: Bools, where: Bools | None = None, bins: int = BINS, low: float = 0.0, high: float = 1.0
) -> tuple[Numbers, Numbers]:
    """Count lesion voxels and others in equal bins of the score."""
    lesion, every = np.zeros(bins, np.int64), np.zeros(bins, np.int64)
    flat, marks, inside = score.ravel(), truth.ravel(), None if where is None else where.ravel()
    for start in range(0, flat.size, CHUNK):
        part = slice(start, start + CHUNK)
        values, found = (flat[part], marks[part]) if inside is None else (flat[part][inside[part]], marks[part][inside[part]])
        require_usable(values)
        if flat.dtype != np.uint8 or (low, high) != (0, bins):  # grey levels are their own bins
            values = np.floor(np.clip((values - low) * (bins / (high - low)), 0, bins - 1)).astype(np.int32)
        lesion += np.bincount(values[found], minlength=bins)
        every += np.bincount(values, minlength=bins)
    return lesion, every - lesion


def require_usable(score: NDArray[np.generic]) -> None:
    """Refuse scores that cannot be ranked."""
    if score.dtype == np.float16:
        raise TypeError("Scores in float16 tie and overflow; give float32 or uint8.")
    if np.issubdtype(score.dtype, np.inexact) and not np.isfinite(score).all():
        raise make_refusal("score-not-finite")


def bounds(lesion: Numbers, other: Numbers) -> dict[str, tuple[float, float]]:
    """Tell between what values the exact figures lie, when the order inside each bin is not known."""
    hits, predicted = np.cumsum(lesion), np.cumsum(lesion + other)
    truth, rest = int(hits[-1]), int(predicted[-1] - hits[-1])
    before, ahead = hits - lesion, predicted - lesion - other  # lesion voxels, and all voxels, of higher bins
    dice = 2 * hits / (predicted + truth), 2 * hits / (ahead + lesion + truth)
    precise = (before + 1) / (predicted - lesion + 1), hits / np.maximum(ahead + lesion, 1)
    below = rest - np.cumsum(other)
    area = below, below + other
    return {
        "best_dice": (float(dice[0].max()), float(dice[1].max())),
        "average_precision": (float((lesion * precise[0]).sum() / truth), float((lesion * precise[1]).sum() / truth)),
        "auroc": (float((lesion * area[0] / rest).sum() / truth), float((lesion * area[1] / rest).sum() / truth)),
    }


def sparse(counts: Numbers) -> list[list[int]]:
    """Write counts as JSON holds them, without the bins that are empty."""
    filled = np.flatnonzero(counts)
    return [filled.tolist(), counts[filled].tolist()]


def dense(stored: Sequence[Sequence[int]], bins: int = BINS) -> Numbers:
    """Read what :func:`sparse` wrote."""
    counts = np.zeros(bins, np.int64)
    counts[np.asarray(stored[0], np.int64)] = stored[1]
    return counts
