"""From an anomaly score to numbered lesions: the settings, and the one function ``cut``.

A run, the slider, its preview and the evaluation all call :func:`cut`, so that what is previewed is what one gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_liver_anomaly.lesions import drop_improbable, label_components
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_liver_anomaly.volume import Geometry


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentSettings(Settings):
    """How tumours are cut from the anomaly score."""

    threshold: float = setting(
        0.5, low=0, high=1, help="Smallest anomaly score that counts as tumour; giving it switches Auto off."
    )
    auto_threshold: bool = setting(False, help="Choose the threshold from the scan's own scores instead.")
    min_peak_score: float = setting(
        0.8, low=0, high=1, was="peak", help="A lesion is dropped when its score is nowhere as high as this."
    )
    min_lesion_mm3: float = setting(50.0, unit="mm3", low=0, high=100000, help="Smaller lesions are dropped.")
    min_liver_probability: float = setting(
        0.5,
        low=0,
        high=1,
        was="sure",
        help="In a found liver, a lesion is dropped when the mean of its score times the probability of liver is lower.",
    )
    batch: int = setting(8, unit="slices", low=1, high=256, help="Slices that the networks see at once.")


# What the panel and the command line begin with: the scan chooses its threshold until the user sets one.
AUTO_SETTINGS = SegmentSettings(auto_threshold=True)


def cut(
    score: NDArray[np.uint8], probability: NDArray[np.uint8] | None, geometry: Geometry, settings: SegmentSettings
) -> tuple[NDArray[np.uint16], int]:
    """Cut lesions from a score: the one way, whoever asks for it."""
    labels = label_components(score, settings.threshold, settings.min_lesion_mm3, geometry, settings.min_peak_score)
    return (labels, 0) if probability is None else drop_improbable(labels, score, probability, settings.min_liver_probability)
