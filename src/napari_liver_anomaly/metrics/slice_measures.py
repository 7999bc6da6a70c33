"""Everything about one model on one case as plain numbers, small enough to store and enough to pool.

References
----------
The readings of Dice are those of Zhang, Deng, Li 2023 (pooled), Dey, Hong 2021 (slices) and Hu et al. 2023 (cases).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.metrics.histogram import BINS, count_bins, sparse
from napari_liver_anomaly.metrics.lesion_detection import THRESHOLDS, LesionsFound, find_lesions_each
from napari_liver_anomaly.metrics.means import plain
from napari_liver_anomaly.metrics.postprocessing import SIDE_PX, open_then_close_slices
from napari_liver_anomaly.metrics.reductions import Overlap
from napari_liver_anomaly.metrics.scores import WINDOW_PX, scan_scores, slice_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

EXACT = 17  # decimal places: rounding would make scores tie


def measure_slices(
    score: NDArray[np.float32],
    truth: Bools,
    liver_mask: Bools,
    spacing_mm: tuple[float, float, float],
    threshold: float = 0.5,
    *,
    window_px: int = WINDOW_PX,
    side_px: int = SIDE_PX,
) -> dict[str, Any]:
    """Measure one system on one case, inside the organ.

    Parameters
    ----------
    score : ndarray, (z, y, x) float32
        0 to 1, higher is more suspicious; what lies outside the organ is not looked at.
    truth, liver_mask : ndarray, (z, y, x) bool
        The lesions, and where was searched.
    spacing_mm : tuple of float
        Voxel size (z, y, x) in mm.
    threshold : float
        Smallest score that counts as lesion, above 0 to 1.
    window_px : int
        Side of the mean filter behind ``maximum_of_means``, see :func:`window_for`.
    side_px : int
        Side of the square that opens and closes the prediction.

    Returns
    -------
    dict
        Plain data for JSON, None where a figure has no meaning; :func:`pool` takes a list of them.
        ``dice`` of the case and ``counts``; ``missed_outside``, voxels of the truth outside the organ; ``slice_dice`` of slices with truth;
        ``empty_slices``, how many there are and how many the prediction left empty; ``slice_scores`` of four kinds, with ``slice_truths``;
        ``case_scores``; ``ranking``, voxels in 4096 bins of the score as pairs of bins and counts; ``lesions`` found, of how many, by size,
        and ``false`` ones of 50 mm³ and more; ``curve``, the same at thresholds from 0.1 to 0.9, see :func:`froc`; ``post_processed``, dice,
        counts and lesions of the prediction opened and closed.

    Raises
    ------
    TypeError
        For scores in float16.
    InvalidNumbers
        When a score inside the organ is NaN or infinite.
    """
    lesion, other = count_bins(score, truth, liver_mask)  # refuses what is no number
    outside = int(np.count_nonzero(truth & ~liver_mask))
    truth, prediction = truth & liver_mask, (score >= threshold) & liver_mask
    scores = slice_scores(score, liver_mask, window_px)
    planes = np.flatnonzero(liver_mask.any(axis=(1, 2)))
    tidy = open_then_close_slices(prediction, side_px) & liver_mask
    predictions = chain((prediction, tidy), ((score >= cut) & liver_mask for cut in THRESHOLDS))
    found, after, *at_cuts = find_lesions_each(predictions, truth, spacing_mm)
    made: dict[str, Any] = plain(
        {
            "voxels": int(np.count_nonzero(liver_mask)),
            "threshold": float(threshold),
            **_overlap(Overlap.of(prediction, truth, liver_mask)),
            "missed_outside": outside,
            "slice_truths": [int(plane.any()) for plane in truth[planes]],
            "slice_scores": {kind: values[planes].tolist() for kind, values in scores.items()},
            "case_scores": scan_scores(scores),
            "ranking": {"bins": BINS, "lesion": sparse(lesion), "other": sparse(other)},
            "lesions": _lesions(found),
            "curve": [_point(cut, one) for cut, one in zip(THRESHOLDS, at_cuts, strict=True)],
            "post_processed": {
                "side_px": side_px,
                **_overlap(Overlap.of(tidy, truth, liver_mask)),
                "lesions": _lesions(after),
            },
        },
        EXACT,
    )
    return made


def _overlap(overlap: Overlap) -> dict[str, Any]:
    empty = [filled for value, filled in zip(overlap.slices, overlap.filled, strict=True) if value != value]
    return {
        "dice": overlap.dice,
        "counts": {"tp": overlap.counts.hits, "fp": overlap.counts.false, "fn": overlap.counts.missed},
        "slice_dice": [value for value in overlap.slices if value == value],
        "empty_slices": {"quiet": int(sum(empty)), "of": len(empty)},
    }


def _point(threshold: float, found: LesionsFound) -> dict[str, Any]:
    return {"threshold": threshold, "found": _lesions(found)["found"], "false_lesions": found.false}


def _lesions(found: LesionsFound) -> dict[str, Any]:
    return {
        "found": {size: list(pair) for size, pair in found.by_size().items()},
        "specks": found.small_components,
        "false": found.false,
    }
