"""Whether values look like Hounsfield units, and air where a scanner wrote padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Answer
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding

    Voxels = NDArray[np.int16]

AIR_HU = -1024
BELOW_AIR_HU = -1200  # noise and ringing reach a little below air; padding lies far below
SAMPLE = 2_000_000
SOFT_TISSUE_HU = (-150, 300)
LEAST_SOFT_TISSUE = 0.01
DENSE_HU, MOST_DENSE = 500, 0.25  # bone and metal never fill a quarter of a scan
NO_AIR_HU = -500
FAT_HU, LEAST_FAT = -30, 0.001  # a CT that shows bone shows fat; an MR with a little ringing below zero does not
ORGAN_HU, ORGAN_SPREAD_HU = (20, 200), 100  # a crop that holds little but liver
PILE, PILED, NEAR_HU = 0.001, 5.0, 10  # clipping: a pile on the highest value, far above the values just below it
FEW_VALUES = 20
TAKE_AS_HOUNSFIELD = Answer(words="Take them as Hounsfield units", option="values", value="hounsfield")


def air_for_padding(hounsfield: Voxels) -> Finding | None:
    """Put air where the scanner wrote padding (-2000, -3024, -32768), in place."""
    if hounsfield.min() >= BELOW_AIR_HU:
        return None
    below = hounsfield < BELOW_AIR_HU
    share = 100 * np.count_nonzero(below) / below.size
    hounsfield[below] = AIR_HU
    return make_finding("padding", percent=share)


def plausible(hounsfield: Voxels, answer: str = "ask") -> tuple[Finding, ...]:
    """Judge whether values look like Hounsfield units."""
    low, high = int(hounsfield.min()), int(hounsfield.max())
    step = max(1, round((hounsfield.size / SAMPLE) ** (1 / 3)))
    sample = hounsfield[::step, ::step, ::step]
    soft = np.count_nonzero((sample > SOFT_TISSUE_HU[0]) & (sample < SOFT_TISSUE_HU[1])) / sample.size
    dense = np.count_nonzero(sample > DENSE_HU) / sample.size
    positive = low >= 0 and not _one_organ(sample, low)
    no_fat = low > NO_AIR_HU and high > DENSE_HU and np.count_nonzero(sample < FAT_HU) < LEAST_FAT * sample.size
    if positive or no_fat or high - low < FEW_VALUES or soft < LEAST_SOFT_TISSUE or dense > MOST_DENSE:
        return (taken_as_hounsfield() if answer == "hounsfield" else _unlike(low, high),)
    on_top = np.count_nonzero(sample == high)
    piled = (
        on_top > PILE * sample.size and on_top > PILED * np.count_nonzero((sample < high) & (sample >= high - NEAR_HU)) / NEAR_HU
    )
    return (_clipped(low, high, bool(piled)),) if low > NO_AIR_HU or piled else ()


def _one_organ(sample: Voxels, low: int) -> bool:
    """Whether values without any below zero may be a crop of the liver alone; a picture of another kind begins at 0."""
    first, middle, last = np.percentile(sample, (5, 50, 95))
    return bool(low > 0 and ORGAN_HU[0] <= middle <= ORGAN_HU[1] and last - first <= ORGAN_SPREAD_HU)


def _unlike(low: int, high: int) -> Finding:
    mask = low >= 0 and high < FEW_VALUES
    meaning = "It may be a mask." if mask else "It may be another kind of picture, or a CT whose values were changed."
    return make_finding("values-not-hu", TAKE_AS_HOUNSFIELD, low=low, high=high, meaning=meaning)


def taken_as_hounsfield() -> Finding:
    """State that the user takes unlikely values for Hounsfield units."""
    return make_finding("values-taken-as-hu")


def _clipped(low: int, high: int, piled: bool) -> Finding:
    if piled:
        return make_finding("values-clipped", low=low, high=high)
    return make_finding("no-air", low=low, high=high)
