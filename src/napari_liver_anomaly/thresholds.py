"""Thresholds without labels: from the scan's own scores, or from healthy livers.

References
----------
Z. Lipton, C. Elkan, B. Naryanaswamy, "Optimal thresholding of classifiers to maximize F1 measure", ECML PKDD 2014: where scores are
probabilities, the best cut for the expected Dice follows from the scores alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

LOWEST, HIGHEST = 0.2, 0.8
DEFAULT = 0.5


def auto_threshold(score: NDArray[np.uint8], liver: NDArray[np.bool_]) -> float:
    """Choose the threshold of one scan so that the Dice expected from its own scores, read as probabilities, is largest."""
    return threshold_from(score_counts(score, liver))


def score_counts(score: NDArray[np.uint8], liver: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the voxels of the liver that have each of the 256 scores."""
    return np.bincount(score[liver].ravel(), minlength=256)


def threshold_from(score_counts: NDArray[np.int64]) -> float:
    """Choose the threshold of one scan from how many voxels of its liver have each score."""
    counts = score_counts.astype(np.float64)
    levels = np.arange(256) / 255
    predicted = counts[::-1].cumsum()[::-1]  # voxels at least as suspicious as each level
    hits = (counts * levels)[::-1].cumsum()[::-1]  # of which this many are expected to be tumour
    expected = 2 * hits / np.maximum(predicted + hits[0], 1e-9)
    allowed = np.flatnonzero((levels >= LOWEST) & (levels <= HIGHEST))
    if not predicted[allowed[0]]:
        return DEFAULT
    return float(round(float(levels[allowed[int(expected[allowed].argmax())]]), 2))


def healthy_threshold(scores: Iterable[tuple[NDArray[np.uint8], NDArray[np.bool_]]], false_positive_rate: float = 0.001) -> float:
    """Choose the threshold that calls at most a given share of healthy liver tumour."""
    counts = np.zeros(256)
    for score, liver in scores:
        counts += np.bincount(score[liver].ravel(), minlength=256)
    above = counts[::-1].cumsum()[::-1] / max(counts.sum(), 1)
    fits = np.flatnonzero(above <= false_positive_rate)
    return float(max(int(fits[0]), 1) / 255) if fits.size else 1.0
