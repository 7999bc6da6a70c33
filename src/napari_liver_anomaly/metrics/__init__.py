"""Metrics: overlap, ranking of scores, lesion detection, scores of slices and scans, all of them pooled over cases.

One rule for empty sets throughout: where a number has no meaning it is NaN, and a mean says over how many of how many it was
taken.
"""

from napari_liver_anomaly.metrics.lesion_detection import (
    SIZES,
    THRESHOLDS,
    LesionsFound,
    find_lesions,
    find_lesions_each,
    froc,
    operating_points,
    sensitivity_at,
)
from napari_liver_anomaly.metrics.means import Comparison, Mean, compare, plain
from napari_liver_anomaly.metrics.overlap import Counts, dice, filled, slice_dice, slice_values
from napari_liver_anomaly.metrics.pooling import pool
from napari_liver_anomaly.metrics.postprocessing import Cleaning, clean_in_space, open_then_close_slices
from napari_liver_anomaly.metrics.ranking import Ranking
from napari_liver_anomaly.metrics.reductions import Overlap, reductions
from napari_liver_anomaly.metrics.scores import (
    ranks_of_slices,
    scan_scores,
    slice_score,
    slice_scores,
    subject_score,
    top_quarter,
    volume_score,
    window_for,
)
from napari_liver_anomaly.metrics.slice_measures import measure_slices

__all__ = [
    "SIZES", "THRESHOLDS", "Cleaning", "Comparison", "Counts", "LesionsFound", "Mean", "Overlap", "Ranking", "clean_in_space", "compare", "dice",
    "filled", "find_lesions", "find_lesions_each", "froc", "measure_slices", "open_then_close_slices", "operating_points", "plain", "pool",
    "ranks_of_slices", "reductions", "scan_scores", "sensitivity_at", "slice_dice", "slice_score", "slice_scores", "slice_values", "subject_score",
    "top_quarter", "volume_score", "window_for",
]  # fmt: skip
