"""Results of one model pooled over many cases, from what was stored of each.

References
----------
C. Baur et al., "Autoencoders for unsupervised anomaly segmentation in brain MR images", Med. Image Anal. 69 (2021) 101952 (average precision and best
Dice over all voxels of a test set).
"""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.metrics.histogram import dense
from napari_liver_anomaly.metrics.lesion_detection import SIZES, froc
from napari_liver_anomaly.metrics.means import Mean, plain
from napari_liver_anomaly.metrics.overlap import Counts
from napari_liver_anomaly.metrics.ranking import Ranking
from napari_liver_anomaly.metrics.reductions import Overlap, reductions
from napari_liver_anomaly.metrics.scores import KINDS, ranks_of_slices

if TYPE_CHECKING:
    from collections.abc import Sequence


def pool(cases: Sequence[dict[str, Any]], not_measured: int = 0) -> dict[str, Any]:
    """Put the figures of many cases together.

    Parameters
    ----------
    cases : sequence of dict
        As given by :func:`measure_slices`, or read back from JSON, all with one number of bins.
    not_measured : int
        Cases of the same set that could not be; means over cases count them in their ``of``.

    Returns
    -------
    dict
        Plain data, None where a figure has no meaning: ``dice`` inside the organ, pooled, over slices and over cases with a lesion;
        ``dice_whole_scan``, where truth outside the organ counts as missed; ``best_dice`` (an oracle), ``average_precision`` with
        ``prevalence``, and ``auroc_in_liver`` over all voxels, each with the values ``between`` which the exact figure lies, for bins of
        width 1/4096; ``of_slices`` by each kind of score, and ``of_cases`` likewise; ``lesions``; ``froc``; ``post_processed``.
    """
    if not cases:
        return {"scans": 0, "not_measured": not_measured}
    lost = [math.nan] * not_measured
    rankings = [_ranking(case["ranking"]) for case in cases]
    ranking = reduce(add, rankings)
    best, threshold = ranking.best_dice()
    between = ranking.bounds()
    truths = [bool(mark) for case in cases for mark in case["slice_truths"]]
    scores = {kind: [value for case in cases for value in case["slice_scores"][kind]] for kind in KINDS}
    whole = reductions([_everywhere(case) for case in cases], not_measured)
    seen = [case for case in cases if case["voxels"]]
    of_cases = {kind: [case["case_scores"][kind] for case in seen] for kind in (*KINDS, "smoothed_average")}
    made: dict[str, Any] = plain({
        "scans": len(cases), "not_measured": not_measured, "scans_with_tumour": sum(_overlap(case).has_truth for case in cases),
        "dice": reductions([_overlap(case) for case in cases], not_measured),
        "dice_whole_scan": {key: whole[key] for key in ("pooled", "case_mean")},
        "best_dice": {
            "pooled": best, "threshold": threshold, "between": between["best_dice"], "oracle": True,
            "case_mean": Mean.over([one.best_dice()[0] for one in rankings] + lost),
        },
        "average_precision": {
            "pooled": ranking.average_precision(), "prevalence": ranking.prevalence, "between": between["average_precision"],
            "case_mean": Mean.over([one.average_precision() for one in rankings] + lost),
        },
        "auroc_in_liver": {
            "pooled": ranking.auroc(), "between": between["auroc"], "case_mean": Mean.over([one.auroc() for one in rankings] + lost),
        },
        "of_slices": ranks_of_slices(scores, truths),
        "of_cases": ranks_of_slices(of_cases, [_overlap(case).has_truth for case in seen]),
        "lesions": _lesions([case["lesions"] for case in cases], lost),
        "froc": froc([case["curve"] for case in cases]),
        "post_processed": {
            "dice": reductions([_overlap(case["post_processed"]) for case in cases], not_measured),
            "lesions": _lesions([case["post_processed"]["lesions"] for case in cases], lost),
        },
    })  # fmt: skip
    return made


def _overlap(stored: dict[str, Any]) -> Overlap:
    """Read back what a case keeps of its overlap; the order of its slices is not kept."""
    counts, empty, values = stored["counts"], stored["empty_slices"], stored["slice_dice"]
    quiet = [1.0] * empty["quiet"] + [0.0] * (empty["of"] - empty["quiet"])
    return Overlap(Counts(counts["tp"], counts["fp"], counts["fn"]), (*values, *[math.nan] * len(quiet)), (*values, *quiet))


def _everywhere(case: dict[str, Any]) -> Overlap:
    """Overlap in the whole scan: the truth outside the organ was missed; of slices nothing is kept."""
    return Overlap(_overlap(case).counts + Counts(missed=case["missed_outside"]), (), ())


def _ranking(stored: dict[str, Any]) -> Ranking:
    return Ranking.from_bins(dense(stored["lesion"], stored["bins"]), dense(stored["other"], stored["bins"]))


def _lesions(many: Sequence[dict[str, Any]], lost: list[float]) -> dict[str, Any]:
    """Lesions found, of how many, by size and in all, and false ones for each scan."""
    sizes = {
        size: {"found": sum(one["found"][size][0] for one in many), "of": sum(one["found"][size][1] for one in many)}
        for size in SIZES
    }
    shares = {
        size: {**pair, "sensitivity": pair["found"] / pair["of"] if pair["of"] else math.nan} for size, pair in sizes.items()
    }
    return {
        "found": sum(pair["found"] for pair in sizes.values()), "of": sum(pair["of"] for pair in sizes.values()), "by_size": shares,
        "specks": sum(one["specks"] for one in many), "false": sum(one["false"] for one in many),
        "false_per_scan": Mean.over([float(one["false"]) for one in many] + lost),
    }  # fmt: skip
