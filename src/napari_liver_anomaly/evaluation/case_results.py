"""Results of one method on one scan, and pooled over many scans."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.metrics import (
    SIZES,
    Counts,
    LesionsFound,
    Mean,
    Overlap,
    Ranking,
    find_lesions,
    plain,
    scan_scores,
    slice_scores,
)
from napari_liver_anomaly.metrics.pooling import pool_figures, pool_lesions
from napari_liver_anomaly.metrics.surface_distance import Surfaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.volume import Mask

TOLERANCE_MM = 2.0  # of the surface Dice: about what two readers differ by
HALF = 0.5  # of a lesion, which a reader would call found
PRODUCT = "top_hundredth"  # the reading of a slice's score that the product uses


@dataclass(frozen=True, eq=False, kw_only=True)
class Figures:
    """What one method did on one scan; everything that is needed to pool it with others.

    Attributes
    ----------
    inside, everywhere : Overlap
        Inside the liver mask, over the slices that have liver; and in the whole scan, over those with liver, truth or prediction.
    ranking, whole : Ranking
        Scores inside the liver, and in the whole scan (where they are 0 outside the liver).
    lesions : LesionsFound
        Lesions found, missed and invented.
    distances : dict of str to float
        ``mean_mm``, ``hausdorff95_mm`` and ``dice`` of the surfaces, see :func:`distances_of`.
    slice_scores : dict of str to tuple of float
        How suspicious every slice with liver is, by each kind of score.
    slice_truths : tuple of bool
        Whether it has tumour on it.
    scores : dict of str to float
        How suspicious the scan is, by each kind of score.
    false_ml : float
        Volume called tumour that is not.
    """

    inside: Overlap
    everywhere: Overlap
    ranking: Ranking
    whole: Ranking
    lesions: LesionsFound
    distances: dict[str, float]
    slice_scores: dict[str, tuple[float, ...]]
    slice_truths: tuple[bool, ...]
    scores: dict[str, float]
    false_ml: float

    @property
    def counts(self) -> Counts:
        """Voxels hit, false and missed inside the liver."""
        return self.inside.counts

    @property
    def has_tumour(self) -> bool:
        """Whether the truth holds any tumour inside the liver."""
        return self.inside.has_truth

    @property
    def dice(self) -> float:
        """Dice of the scan, NaN for a scan without tumour."""
        return self.inside.dice


def figures_of(prediction: NDArray[np.bool_], score: NDArray[np.uint8], tumours: Mask, liver: Mask) -> Figures:
    """Measure a prediction on one scan."""
    total = prediction.size
    box = box_of(liver.voxels | tumours.voxels | prediction) or (slice(0, 0),) * 3
    prediction, score, truth, inside = prediction[box], score[box], tumours.voxels[box], liver.voxels[box]
    ranking = Ranking.of(score, truth, inside)
    outside = int(np.count_nonzero(truth & ~inside))
    planes = np.flatnonzero(inside.any(axis=(1, 2)))
    busy = np.flatnonzero((inside | truth | prediction).any(axis=(1, 2)))
    everywhere = Overlap.of(prediction[busy], truth[busy])
    scores = slice_scores(score, inside)
    return Figures(
        inside=Overlap.of(prediction, truth, inside),
        everywhere=everywhere,
        ranking=ranking,
        whole=ranking.with_lowest(outside, total - int(np.count_nonzero(inside)) - outside),
        lesions=find_lesions(prediction, truth, liver.geometry),
        distances=distances_of(prediction, truth, liver.geometry.spacing_mm),
        slice_scores={kind: tuple(values[planes].tolist()) for kind, values in scores.items()},
        slice_truths=tuple(bool(plane.any()) for plane in truth[planes]),
        scores=scan_scores(scores),
        false_ml=everywhere.counts.false * liver.geometry.voxel_ml,
    )


def distances_of(
    prediction: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> dict[str, float]:
    """Measure how far the outline of a prediction lies from that of the truth."""
    if not truth.any():
        return {"mean_mm": math.nan, "hausdorff95_mm": math.nan, "dice": math.nan}
    if not prediction.any():
        return {"mean_mm": math.nan, "hausdorff95_mm": math.nan, "dice": 0.0}
    apart = Surfaces.of(prediction, truth, spacing_mm)
    return {"mean_mm": apart.mean_mm, "hausdorff95_mm": apart.hausdorff95_mm, "dice": apart.dice_at(TOLERANCE_MM)}


def row(figures: Figures) -> dict[str, Any]:
    """Figures of one scan."""
    best, threshold = figures.ranking.best_dice()
    found = figures.lesions
    made: dict[str, Any] = plain({
        "dice": figures.dice,
        "dice_whole_scan": figures.everywhere.dice,
        "slice_dice": Mean.over(figures.inside.slices),
        "slice_dice_with_empty": Mean.over(figures.inside.filled),
        "surface": figures.distances | {"tolerance_mm": TOLERANCE_MM},
        "best_dice": {"dice": best, "threshold": threshold / 255, "oracle": True},
        "average_precision": figures.ranking.average_precision(),
        "prevalence": figures.ranking.prevalence,
        "auroc_in_liver": figures.ranking.auroc(),
        "auroc_whole_scan": figures.whole.auroc(),
        "lesions": {
            "found": sum(found.found), "of": len(found.found), "by_size": pool_lesions([found])["by_size"], "specks": found.small_components,
            "false": found.false, "half_covered_by_size": half_covered([found]),
        },
        "false_ml": figures.false_ml,
        "score": figures.scores[PRODUCT],
        "scores": figures.scores,
    })  # fmt: skip
    return made


def half_covered(many: Sequence[LesionsFound]) -> dict[str, dict[str, int]]:
    """Count lesions of which at least half is predicted, by size."""
    rows = [one.by_size(HALF) for one in many]
    return {size: {"found": sum(row[size][0] for row in rows), "of": sum(row[size][1] for row in rows)} for size in SIZES}


def summarise(many: Sequence[Figures], not_measured: int = 0) -> dict[str, Any]:
    """Figures of many scans together."""
    if not many:
        return {"scans": 0, "not_measured": not_measured}
    lost = [math.nan] * not_measured
    made = pool_figures(many, not_measured)
    made["dice"] |= {f"{name}_whole_scan": value for name, value in made.pop("dice_whole_scan").items()}
    made["best_dice"]["threshold"] /= 255
    made["lesions"]["half_covered_by_size"] = half_covered([f.lesions for f in many])
    prevalences = [f.ranking.prevalence if f.has_tumour else math.nan for f in many]
    made["average_precision"]["prevalence_case_mean"] = Mean.over(prevalences + lost)
    whole = reduce(add, (f.whole for f in many))
    made |= {
        "surface": {"tolerance_mm": TOLERANCE_MM}
        | {k: Mean.over([f.distances[k] for f in many] + lost) for k in many[0].distances},
        "auroc_whole_scan": {"pooled": whole.auroc(), "case_mean": Mean.over([f.whole.auroc() for f in many] + lost)},
        "auroc_of_slices": made["of_slices"][PRODUCT]["auroc"],
        "false_ml_in_scans_without_tumour": Mean.over([f.false_ml for f in many if not f.has_tumour]),
    }
    found: dict[str, Any] = plain(made)
    return found
