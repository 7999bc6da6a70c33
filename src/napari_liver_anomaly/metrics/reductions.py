"""Dice of many cases in its three common conventions, inside the liver or in the whole scan.

References
----------
Pooled: Zhang, Deng, Li 2023. Slice mean: Dey, Hong 2021. Case mean: Hu et al. 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.metrics.means import Mean
from napari_liver_anomaly.metrics.overlap import Counts, filled, slice_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Prediction and truth of one case, ready for all three readings of Dice.

    Attributes
    ----------
    counts : Counts
        Of the case as one volume.
    slices : tuple of float
        Dice of every slice that counts; NaN where there is no truth.
    filled : tuple of float
        The same, and where there is no truth 1 when nothing was guessed, else 0.
    """

    counts: Counts
    slices: tuple[float, ...]
    filled: tuple[float, ...]

    @classmethod
    def of(cls, prediction: Bools, truth: Bools, where: Bools | None = None) -> Overlap:
        """Measure.

        Parameters
        ----------
        prediction, truth : ndarray, (z, y, x) bool
            The masks.
        where : ndarray, same shape, bool, optional
            Only these voxels count, and only the slices that have any; without it, all slices count.

        Returns
        -------
        Overlap
            Of the case.
        """
        if where is not None:
            planes = np.flatnonzero(where.any(axis=(1, 2)))
            prediction, truth = (prediction & where)[planes], (truth & where)[planes]
        values = slice_values(prediction, truth)
        return cls(Counts.of(prediction, truth), tuple(values), tuple(filled(prediction, values)))

    @property
    def has_truth(self) -> bool:
        """Whether there was anything to find."""
        return self.counts.hits + self.counts.missed > 0

    @property
    def dice(self) -> float:
        """Dice of the case, NaN without truth."""
        return self.counts.dice if self.has_truth else math.nan


def reductions(cases: Sequence[Overlap], not_measured: int = 0) -> dict[str, float | Mean]:
    """Read the Dice of many cases in every customary way; the readings are not interchangeable.

    Parameters
    ----------
    cases : sequence of Overlap
        One for each case.
    not_measured : int
        Cases of the same set that could not be; ``case_mean`` counts them in its ``of``.

    Returns
    -------
    dict
        ``pooled``: all voxels of all cases counted together. ``slice_mean``: over slices with truth. ``slice_mean_with_empty``: over all slices, an
        empty one counting 1 when nothing is guessed there, else 0. ``case_mean``: over cases with truth, each as one volume.
    """
    return {
        "pooled": sum((case.counts for case in cases), Counts()).dice,
        "slice_mean": Mean.over(value for case in cases for value in case.slices),
        "slice_mean_with_empty": Mean.over(value for case in cases for value in case.filled),
        "case_mean": Mean.over([case.dice for case in cases] + [math.nan] * not_measured),
    }
