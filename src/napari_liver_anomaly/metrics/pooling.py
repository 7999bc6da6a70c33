"""Results of one model pooled over many cases, from what was stored of each.

References
----------
C. Baur et al., "Autoencoders for unsupervised anomaly segmentation in brain MR images", Med. Image Anal. 69 (2021) 101952 (average precision and best
Dice over all voxels of a test set).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import TYPE_CHECKING, Any, Protocol

from napari_liver_anomaly.metrics.histogram import dense
from napari_liver_anomaly.metrics.lesion_detection import SIZES, froc
from napari_liver_anomaly.metrics.means import Mean, plain
from napari_liver_anomaly.metrics.overlap import Counts
from napari_liver_anomaly.metrics.ranking import Ranking
from napari_liver_anomaly.metrics.reductions import Overlap, reductions
from napari_liver_anomaly.metrics.scores import KINDS, ranks_of_slices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Detections(Protocol):
    """Lesions of one case: detected, missed and false."""

    @property
    def small_components(self) -> int:
        """Components of the prediction too small to count."""

    @property
    def false(self) -> int:
        """False lesions."""

    def by_size(self) -> Mapping[str, tuple[int, int]]:
        """Count detected lesions, and lesions in all, for each class of diameter."""


class CaseFigures(Protocol):
    """What pooling needs of one case, measured just now or read back."""

    @property
    def inside(self) -> Overlap:
        """Overlap inside the liver."""

    @property
    def everywhere(self) -> Overlap:
        """Overlap in the whole scan."""

    @property
    def ranking(self) -> Ranking:
        """Scores inside the liver."""

    @property
    def slice_scores(self) -> Mapping[str, Sequence[float]]:
        """For each kind of score, one number per slice with liver."""

    @property
    def slice_truths(self) -> Sequence[bool]:
        """Whether such a slice has a lesion."""

    @property
    def lesions(self) -> Detections:
        """Lesions of the case."""


def pool_figures(cases: Sequence[CaseFigures], not_measured: int = 0) -> dict[str, Any]:
    """Pool the figures that every report has: the one place where cases are added up.

    Parameters
    ----------
    cases : sequence of CaseFigures
        At least one.
    not_measured : int
        Cases of the same set that could not be; means over cases count them in their ``of``.

    Returns
    -------
    dict
        ``dice`` inside the liver in every reading; ``dice_whole_scan`` likewise; ``best_dice`` (an oracle; its threshold as the rankings count
        it), ``average_precision`` with ``prevalence``, and ``auroc_in_liver`` over all voxels; ``of_slices`` by each kind of score; ``lesions``.
    """
    lost = [math.nan] * not_measured
    rankings = [case.ranking for case in cases]
    ranking = reduce(add, rankings)
    best, threshold = ranking.best_dice()
    scores = {kind: [value for case in cases for value in case.slice_scores[kind]] for kind in cases[0].slice_scores}
    return {
        "scans": len(cases), "not_measured": not_measured, "scans_with_tumour": sum(case.inside.has_truth for case in cases),
        "dice": reductions([case.inside for case in cases], not_measured),
        "dice_whole_scan": reductions([case.everywhere for case in cases], not_measured),
        "best_dice": {
            "pooled": best, "threshold": threshold, "case_mean": Mean.over([one.best_dice()[0] for one in rankings] + lost),
            "oracle": True,
        },
        "average_precision": {
            "pooled": ranking.average_precision(), "prevalence": ranking.prevalence,
            "case_mean": Mean.over([one.average_precision() for one in rankings] + lost),
        },
        "auroc_in_liver": {"pooled": ranking.auroc(), "case_mean": Mean.over([one.auroc() for one in rankings] + lost)},
        "of_slices": ranks_of_slices(scores, [bool(mark) for case in cases for mark in case.slice_truths]),
        "lesions": pool_lesions([case.lesions for case in cases], not_measured),
    }  # fmt: skip


def pool_lesions(many: Sequence[Detections], not_measured: int = 0) -> dict[str, Any]:
    """Count the lesions of many cases.

    Parameters
    ----------
    many : sequence of Detections
        One for each case.
    not_measured : int
        Cases that could not be.

    Returns
    -------
    dict
        ``found`` and ``of``, in all and ``by_size``; ``specks``, small components that do not count; ``false``, in all and for each scan.
    """
    rows = [one.by_size() for one in many]
    sizes = {size: {"found": sum(row[size][0] for row in rows), "of": sum(row[size][1] for row in rows)} for size in SIZES}
    return {
        "found": sum(pair["found"] for pair in sizes.values()), "of": sum(pair["of"] for pair in sizes.values()), "by_size": sizes,
        "specks": sum(one.small_components for one in many), "false": sum(one.false for one in many),
        "false_per_scan": Mean.over([float(one.false) for one in many] + [math.nan] * not_measured),
    }  # fmt: skip


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
    read = [StoredCase(case) for case in cases]
    between = reduce(add, (case.ranking for case in read)).bounds()
    seen = [case for case in cases if case["voxels"]]
    of_cases = {kind: [case["case_scores"][kind] for case in seen] for kind in (*KINDS, "smoothed_average")}
    made = pool_figures(read, not_measured)
    made["dice_whole_scan"] = {key: made["dice_whole_scan"][key] for key in ("pooled", "case_mean")}
    for figure, key in (("best_dice", "best_dice"), ("average_precision", "average_precision"), ("auroc_in_liver", "auroc")):
        made[figure]["between"] = between[key]
    after = [StoredCase(case["post_processed"]) for case in cases]
    made |= {
        "of_cases": ranks_of_slices(of_cases, [StoredCase(case).inside.has_truth for case in seen]),
        "lesions": _with_sensitivity(made["lesions"]),
        "froc": froc([case["curve"] for case in cases]),
        "post_processed": {
            "dice": reductions([case.inside for case in after], not_measured),
            "lesions": _with_sensitivity(pool_lesions([case.lesions for case in after], not_measured)),
        },
    }
    found: dict[str, Any] = plain(made)
    return found


@dataclass(frozen=True, eq=False)
class StoredLesions:
    """Lesions of a case as they were stored."""

    stored: dict[str, Any]

    @property
    def small_components(self) -> int:
        """Components of the prediction too small to count."""
        return int(self.stored["specks"])

    @property
    def false(self) -> int:
        """False lesions."""
        return int(self.stored["false"])

    def by_size(self) -> Mapping[str, tuple[int, int]]:
        """Give what was stored."""
        return {size: (pair[0], pair[1]) for size, pair in self.stored["found"].items()}


@dataclass(frozen=True, eq=False)
class StoredCase:
    """A case read back from what :func:`measure_slices` keeps of it."""

    stored: dict[str, Any]

    @cached_property
    def inside(self) -> Overlap:
        """Overlap inside the liver; the order of its slices is not kept."""
        counts, empty, values = self.stored["counts"], self.stored["empty_slices"], self.stored["slice_dice"]
        quiet = [1.0] * empty["quiet"] + [0.0] * (empty["of"] - empty["quiet"])
        return Overlap(Counts(counts["tp"], counts["fp"], counts["fn"]), (*values, *[math.nan] * len(quiet)), (*values, *quiet))

    @property
    def everywhere(self) -> Overlap:
        """Overlap in the whole scan: the truth outside the liver was missed; of slices nothing is kept."""
        return Overlap(self.inside.counts + Counts(missed=self.stored["missed_outside"]), (), ())

    @cached_property
    def ranking(self) -> Ranking:
        """Scores inside the liver."""
        kept = self.stored["ranking"]
        return Ranking.from_bins(dense(kept["lesion"], kept["bins"]), dense(kept["other"], kept["bins"]))

    @property
    def slice_scores(self) -> Mapping[str, Sequence[float]]:
        """Scores of slices."""
        return {kind: self.stored["slice_scores"][kind] for kind in KINDS}

    @property
    def slice_truths(self) -> Sequence[bool]:
        """Whether a slice has a lesion."""
        return [bool(mark) for mark in self.stored["slice_truths"]]

    @property
    def lesions(self) -> StoredLesions:
        """Lesions of the case."""
        return StoredLesions(self.stored["lesions"])


def _with_sensitivity(lesions: dict[str, Any]) -> dict[str, Any]:
    """Add the part of the lesions that was detected to each class of diameter."""
    sizes = {
        size: {**pair, "sensitivity": pair["found"] / pair["of"] if pair["of"] else math.nan}
        for size, pair in lesions["by_size"].items()
    }
    return lesions | {"by_size": sizes}
