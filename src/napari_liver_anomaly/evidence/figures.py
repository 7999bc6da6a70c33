"""The figures of one method on one scan, and of many scans together."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly import metrics
from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.metrics import SIZES, Counts, LesionsFound, Mean, Ranking

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.volume import Mask


@dataclass(frozen=True, eq=False, kw_only=True)
class Figures:
    """What one method did on one scan; everything that is needed to pool it with others.

    Attributes
    ----------
    counts, everywhere : Counts
        Voxels hit, false and missed: inside the liver mask, and in the whole scan.
    slices, slices_filled : tuple of float
        Dice of every slice with liver: NaN where there is no tumour; and with the rule for empty slices.
    ranking, whole : Ranking
        Scores inside the liver, and in the whole scan (where they are 0 outside the liver).
    lesions : LesionsFound
        Lesions found, missed and invented.
    slice_scores : tuple of float
        How suspicious every slice with liver is.
    slice_truths : tuple of bool
        Whether it has tumour on it.
    score : float
        How suspicious the scan is.
    false_ml : float
        Volume called tumour that is not.
    """

    counts: Counts
    everywhere: Counts
    slices: tuple[float, ...]
    slices_filled: tuple[float, ...]
    ranking: Ranking
    whole: Ranking
    lesions: LesionsFound
    slice_scores: tuple[float, ...]
    slice_truths: tuple[bool, ...]
    score: float
    false_ml: float

    @property
    def has_tumour(self) -> bool:
        """Whether the truth holds any tumour inside the liver."""
        return self.counts.hits + self.counts.missed > 0

    @property
    def dice(self) -> float:
        """Dice of the scan, NaN for a scan without tumour."""
        return self.counts.dice if self.has_tumour else math.nan


def figures_of(guess: NDArray[np.bool_], score: NDArray[np.uint8], tumours: Mask, liver: Mask) -> Figures:
    """Measure a guess on one scan.

    Parameters
    ----------
    guess : ndarray, (z, y, x) bool
        What was called tumour.
    score : ndarray, (z, y, x) uint8
        Anomaly score, 0 outside the liver.
    tumours, liver : Mask
        The truth, and where it was searched.

    Returns
    -------
    Figures
        Everything that is needed to report and to pool.
    """
    total = guess.size
    box = box_of(liver.voxels | tumours.voxels | guess) or (slice(0, 0),) * 3
    guess, score, truth, inside = guess[box], score[box], tumours.voxels[box], liver.voxels[box]
    counts, everywhere = Counts.of(guess, truth, inside), Counts.of(guess, truth)
    ranking = Ranking.of(score, truth, inside)
    outside = int(np.count_nonzero(truth & ~inside))
    planes = np.flatnonzero(inside.any(axis=(1, 2)))
    slices = metrics.slice_values(guess[planes], (truth & inside)[planes])
    return Figures(
        counts=counts,
        everywhere=everywhere,
        slices=tuple(slices),
        slices_filled=tuple(metrics.filled(guess[planes], slices)),
        ranking=ranking,
        whole=ranking.with_lowest(outside, total - int(np.count_nonzero(inside)) - outside),
        lesions=metrics.find_lesions(guess, truth, liver.geometry),
        slice_scores=tuple(float(s) for s in metrics.slice_score(score, inside)[planes]),
        slice_truths=tuple(bool(plane.any()) for plane in truth[planes]),
        score=metrics.volume_score(score, inside),
        false_ml=everywhere.false * liver.geometry.voxel_ml,
    )


def row(figures: Figures) -> dict[str, Any]:
    """Figures of one scan.

    Parameters
    ----------
    figures : Figures
        As given by :func:`figures_of`.

    Returns
    -------
    dict
        Plain data; None where a figure has no meaning.
    """
    best, threshold = figures.ranking.best_dice()
    found = figures.lesions
    made: dict[str, Any] = plain({
        "dice": figures.dice,
        "dice_whole_scan": figures.everywhere.dice if figures.has_tumour else math.nan,
        "slice_dice": Mean.over(figures.slices),
        "slice_dice_with_empty": Mean.over(figures.slices_filled),
        "best_dice": {"dice": best, "threshold": threshold / 255, "oracle": True},
        "average_precision": figures.ranking.average_precision(),
        "prevalence": figures.ranking.prevalence,
        "auroc_in_liver": figures.ranking.auroc(),
        "auroc_whole_scan": figures.whole.auroc(),
        "lesions": {
            "found": sum(found.found), "of": len(found.found), "by_size": _by_size([found]), "specks": found.specks,
            "false": found.false,
        },
        "false_ml": figures.false_ml,
        "score": figures.score,
    })  # fmt: skip
    return made


def summarise(many: Sequence[Figures], not_measured: int = 0) -> dict[str, Any]:
    """Figures of many scans together.

    Parameters
    ----------
    many : sequence of Figures
        One for each scan measured.
    not_measured : int
        Scans of the same set that could not be; every mean counts them in its ``of``.

    Returns
    -------
    dict
        Plain data; None where a figure has no meaning. ``pooled`` adds voxels, ``slice_mean`` is over slices, ``case_mean`` over
        scans with tumour.
    """
    if not many:
        return {"scans": 0, "not_measured": not_measured}
    lost = [math.nan] * not_measured
    ranking, whole = _sum(f.ranking for f in many), _sum(f.whole for f in many)
    best, threshold = ranking.best_dice()
    scores = np.array([value for f in many for value in f.slice_scores])
    truths = np.array([value for f in many for value in f.slice_truths], bool)
    tumour, healthy = [f for f in many if f.has_tumour], [f for f in many if not f.has_tumour]
    made: dict[str, Any] = plain({
        "scans": len(many), "not_measured": not_measured, "scans_with_tumour": len(tumour),
        "dice": {
            "pooled": sum((f.counts for f in many), Counts()).dice,
            "pooled_whole_scan": sum((f.everywhere for f in many), Counts()).dice,
            "slice_mean": Mean.over([value for f in many for value in f.slices]),
            "slice_mean_with_empty": Mean.over([value for f in many for value in f.slices_filled]),
            "case_mean": Mean.over([f.dice for f in many] + lost),
        },
        "best_dice": {
            "pooled": best, "threshold": threshold / 255, "case_mean": Mean.over([f.ranking.best_dice()[0] for f in many] + lost),
            "oracle": True,
        },
        "average_precision": {
            "pooled": ranking.average_precision(), "prevalence": ranking.prevalence,
            "case_mean": Mean.over([f.ranking.average_precision() for f in many] + lost),
            "prevalence_case_mean": Mean.over([f.ranking.prevalence if f.has_tumour else math.nan for f in many] + lost),
        },
        "auroc_in_liver": {"pooled": ranking.auroc(), "case_mean": Mean.over([f.ranking.auroc() for f in many] + lost)},
        "auroc_whole_scan": {"pooled": whole.auroc(), "case_mean": Mean.over([f.whole.auroc() for f in many] + lost)},
        "auroc_of_slices": Ranking.of(scores, truths).auroc(),
        "lesions": {
            "found": sum(sum(f.lesions.found) for f in many), "of": sum(len(f.lesions.found) for f in many),
            "by_size": _by_size([f.lesions for f in many]), "specks": sum(f.lesions.specks for f in many),
            "false": sum(f.lesions.false for f in many),
            "false_per_scan": Mean.over([float(f.lesions.false) for f in many] + lost),
        },
        "false_ml_in_scans_without_tumour": Mean.over([f.false_ml for f in healthy]),
    })  # fmt: skip
    return made


def plain(value: Any) -> Any:
    """Turn figures into what JSON holds.

    Parameters
    ----------
    value : any
        Dictionaries, lists, dataclasses, numbers, words.

    Returns
    -------
    any
        The same with dataclasses as dictionaries and None for NaN.
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value


def _sum(rankings: Iterable[Ranking]) -> Ranking:
    first, *others = rankings
    for other in others:
        first = first + other
    return first


def _by_size(many: Iterable[LesionsFound]) -> dict[str, dict[str, int]]:
    """Lesions found, of how many, in classes of diameter."""
    rows = [found.by_size() for found in many]
    return {name: {"found": sum(r[name][0] for r in rows), "of": sum(r[name][1] for r in rows)} for name in SIZES}
