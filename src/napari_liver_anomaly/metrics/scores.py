"""Anomaly scores of slices and scans, in the conventions of the methods; every result names the one it used.

References
----------
Maximum: Zhang, Deng, Li 2023. Mean: the scorer trained on random shapes, EMBC 2022. Maximum after a 21 × 21 mean filter: V. Zavrtanik,
M. Kristan, D. Skočaj, "DRAEM", ICCV 2021. Filtered over slices: J. Tan et al., "Detecting outliers with foreign patch interpolation", MELBA 2022.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.metrics.ranking import Ranking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]

KINDS = ("maximum", "average", "maximum_of_means", "top_hundredth")
WINDOW_PX, SIDE_PX = 21, 256  # the filter, and the side of the images that it was made for


def window_for(side_px: int) -> int:
    """Scale the window of the mean filter to images of another size.

    Parameters
    ----------
    side_px : int
        Side of the images in pixels.

    Returns
    -------
    int
        Odd, 21 for 256 pixels, at least 3.
    """
    return max(3, 2 * round((WINDOW_PX * side_px / SIDE_PX - 1) / 2) + 1)


def slice_scores(score: NDArray[np.generic], liver: Bools, window_px: int = WINDOW_PX) -> dict[str, Floats]:
    """Read the scores of every axial slice in four ways, from its liver voxels alone.

    Parameters
    ----------
    score : ndarray, (z, y, x) uint8, or float in 0 to 1
        Whole numbers 0 to 255 stand for 0 to 1. Taken as 0 outside the liver, so that cutting the scan to its liver changes nothing.
    liver : ndarray, (z, y, x) bool
        The liver.
    window_px : int
        Side of the mean filter.

    Returns
    -------
    dict of str to ndarray, (z,) float64
        ``maximum``; ``average``; ``maximum_of_means``, after a mean filter; ``top_hundredth``, the mean of the highest hundredth. 0 to 1; NaN for a
        slice without liver.
    """
    from scipy.ndimage import uniform_filter1d

    made = {kind: np.full(len(score), math.nan) for kind in KINDS}
    scale = 255.0 if score.dtype == np.uint8 else 1.0
    for z in np.flatnonzero(liver.any(axis=(1, 2))):
        values = score[z][liver[z]].astype(np.float64) / scale
        top = max(1, round(values.size / 100))
        plane = np.where(liver[z], score[z], 0).astype(np.float64) / scale
        for axis in (0, 1):
            plane = uniform_filter1d(plane, window_px, axis=axis, mode="constant")
        made["maximum"][z], made["average"][z] = values.max(), values.mean()
        made["maximum_of_means"][z] = plane.max()
        made["top_hundredth"][z] = np.partition(values, -top)[-top:].mean()
    return made


def slice_score(score: NDArray[np.generic], liver: Bools) -> Floats:
    """How suspicious every axial slice is: the mean of the highest hundredth of its liver voxels.

    Parameters
    ----------
    score : ndarray, (z, y, x) uint8, or float in 0 to 1
        Whole numbers 0 to 255 stand for 0 to 1.
    liver : ndarray, (z, y, x) bool
        The liver.

    Returns
    -------
    ndarray, (z,) float64
        0 to 1; NaN for a slice without liver.
    """
    return slice_scores(score, liver)["top_hundredth"]


def volume_score(score: NDArray[np.generic], liver: Bools) -> float:
    """How suspicious a scan is: the mean of the highest quarter of its slices' scores.

    Parameters
    ----------
    score : ndarray, (z, y, x) uint8, or float in 0 to 1
        Whole numbers 0 to 255 stand for 0 to 1.
    liver : ndarray, (z, y, x) bool
        The liver.

    Returns
    -------
    float
        0 to 1; NaN without liver.
    """
    return top_quarter(slice_score(score, liver))


def top_quarter(values: Floats) -> float:
    """Mean of the highest quarter.

    Parameters
    ----------
    values : ndarray, (n,)
        Scores of slices; NaN where a slice has none.

    Returns
    -------
    float
        NaN when there are none.
    """
    kept = np.sort(values[~np.isnan(values)])
    return float(kept[-max(1, round(kept.size / 4)) :].mean()) if kept.size else math.nan


def subject_score(means: Floats) -> float:
    """How suspicious a scan is by the mean score of each slice, smoothed from slice to slice before the highest quarter is taken.

    Parameters
    ----------
    means : ndarray, (z,)
        Mean score of each slice, in their order; NaN where a slice has none.

    Returns
    -------
    float
        NaN when there are none. Cubic Savitzky-Golay filter over a tenth of the slices; a cubic needs five, so fewer
        are not smoothed.

    References
    ----------
    A. Savitzky, M. Golay, "Smoothing and differentiation of data by simplified least squares procedures", Analytical Chemistry 36 (1964) 1627-1639.
    """
    from scipy.signal import savgol_filter

    kept = means[~np.isnan(means)]
    window = max(5, 2 * (round(kept.size / 10) // 2) + 1)
    return top_quarter(savgol_filter(kept, window, 3) if kept.size >= window else kept)


def scan_scores(scores: Mapping[str, Floats]) -> dict[str, float]:
    """How suspicious a scan is, in every way.

    Parameters
    ----------
    scores : mapping of str to ndarray, (z,)
        As given by :func:`slice_scores`.

    Returns
    -------
    dict of str to float
        For each kind the mean of the highest quarter of the slices; and ``smoothed_average``, see :func:`subject_score`. NaN without liver.
    """
    return {kind: top_quarter(values) for kind, values in scores.items()} | {"smoothed_average": subject_score(scores["average"])}


def ranks_of_slices(scores: Mapping[str, Sequence[float]], truths: Sequence[bool]) -> dict[str, Any]:
    """How well the scores of slices tell those with a lesion from the others.

    Parameters
    ----------
    scores : mapping of str to sequence of float
        For each kind of score one number per slice, without NaN.
    truths : sequence of bool
        Whether the slice has a lesion.

    Returns
    -------
    dict
        ``prevalence``, the share of slices with a lesion; and for each kind ``auroc`` and ``average_precision``. NaN where there is no meaning.
    """
    marks = np.asarray(truths, bool)
    made: dict[str, Any] = {"prevalence": float(marks.mean()) if marks.size else math.nan}
    for kind, values in scores.items():
        ranking = Ranking.of(np.asarray(values, np.float64), marks)
        made[kind] = {"auroc": ranking.auroc(), "average_precision": ranking.average_precision()}
    return made
