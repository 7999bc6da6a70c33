"""From an anomaly score to numbered lesions: the settings, and the one function ``cut``.

A run, the slider, its preview and the evaluation all call :func:`cut`, so that what is previewed is what one gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.lesions import MOST, level_of
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.score_voxels import ScoreVoxels
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.geometry import Geometry


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentSettings(Settings):
    """How tumours are cut from the anomaly score."""

    threshold: float = setting(
        0.5, low=0, high=1, title="Threshold", help="Smallest anomaly score that counts as tumour; giving it switches Auto off."
    )
    auto_threshold: bool = setting(
        False, title="Automatic threshold", help="Choose the threshold from the scan's own scores instead."
    )
    min_peak_score: float = setting(
        0.8,
        low=0,
        high=1,
        title="Score to reach",
        was="peak",
        help="A lesion is dropped when its score is nowhere as high as this.",
    )
    min_lesion_mm3: float = setting(
        50.0, unit="mm3", low=0, high=100000, title="Smallest lesion", help="Smaller lesions are dropped."
    )
    min_liver_probability: float = setting(
        0.5,
        low=0,
        high=1,
        title="Probability of liver",
        was="sure",
        help="In a found liver, a lesion is dropped when the mean of its score times the probability of liver is lower.",
    )
    batch: int = setting(8, unit="slices", low=1, high=256, title="Slices at once", help="Slices that the networks see at once.")


# What the panel and the command line begin with: the scan chooses its threshold until the user sets one.
AUTO_SETTINGS = SegmentSettings(auto_threshold=True)


def cut(
    score: NDArray[np.uint8], probability: NDArray[np.uint8] | None, geometry: Geometry, settings: SegmentSettings
) -> tuple[NDArray[np.uint16], int]:
    """Cut lesions from a score: the one way, whoever asks for it. Gives labels, and how many pieces a found liver left out."""
    labels, left_out = cut_voxels(ScoreVoxels.of(score, probability, level_of(settings.threshold)), geometry, settings)
    return labels.dense(), left_out


def cut_voxels(voxels: ScoreVoxels, geometry: Geometry, settings: SegmentSettings) -> tuple[SparseLabels, int]:
    """Cut lesions from the voxels of a score, listed once for many thresholds.

    From Canny, "A computational approach to edge detection", IEEE PAMI 1986 (two thresholds).
    """
    pieces = voxels.pieces(level_of(settings.threshold))
    sizes = pieces.voxels()
    large = sizes * geometry.voxel_ml * 1000 >= settings.min_lesion_mm3 - 1e-9
    kept = np.flatnonzero(large & pieces.reaching(level_of(settings.min_peak_score)))
    if kept.size > MOST:
        raise make_refusal("too-many-lesions", most=MOST)
    numbers = np.zeros(sizes.size, np.uint16)
    numbers[kept[np.argsort(-sizes[kept], kind="stable")]] = np.arange(1, kept.size + 1)
    values = pieces.numbered(numbers)
    left_out = 0
    if voxels.probability is not None:
        weights = pieces.scores[values > 0].astype(np.float64) * voxels.probability[pieces.taken[values > 0]] / 255**2
        values, left_out = _without_improbable(values, weights, kept.size, settings.min_liver_probability)
    return SparseLabels(voxels.shape, voxels.where[pieces.taken[values > 0]], values[values > 0]), left_out


def _without_improbable(
    values: NDArray[np.uint16], weights: NDArray[np.float64], count: int, least: float
) -> tuple[NDArray[np.uint16], int]:
    """Drop lesions that are, as a whole, less likely tumour in the liver than a given probability.

    A found liver takes in bits of gallbladder, bowel, heart and fat; such a bit differs from liver, so it is predicted tumour.
    What the finder says of each voxel is weighed in: the mean of score times that is the part of the piece expected to be tumour *and* liver.
    """
    own = values[values > 0]
    kept = np.bincount(own, weights, count + 1) / np.maximum(np.bincount(own, minlength=count + 1), 1) >= least
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0).astype(np.uint16)[values], count - int(np.count_nonzero(kept))
