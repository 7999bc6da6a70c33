"""Overlap of prediction and truth: Dice of a case and of its slices.

References
----------
L. R. Dice, "Measures of the amount of ecologic association between species", Ecology 26 (1945) 297-302.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.metrics.means import Mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Counts:
    """Voxels guessed rightly, guessed wrongly and missed; counts of several cases add up.

    Attributes
    ----------
    hits, false, missed : int
        True positives, false positives, false negatives.
    """

    hits: int = 0
    false: int = 0
    missed: int = 0

    @classmethod
    def of(cls, prediction: Bools, truth: Bools, where: Bools | None = None) -> Counts:
        """Count.

        Parameters
        ----------
        prediction, truth : ndarray, any one shape, bool
            The masks.
        where : ndarray, same shape, bool, optional
            Only these voxels count, for example the liver.

        Returns
        -------
        Counts
            The three numbers.
        """
        if where is not None:
            prediction, truth = prediction & where, truth & where
        hits = int(np.count_nonzero(prediction & truth))
        return cls(hits, int(np.count_nonzero(prediction)) - hits, int(np.count_nonzero(truth)) - hits)

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.hits + other.hits, self.false + other.false, self.missed + other.missed)

    @property
    def dice(self) -> float:
        """``2 TP / (2 TP + FP + FN)``; NaN when prediction and truth are both empty."""
        size = 2 * self.hits + self.false + self.missed
        return 2 * self.hits / size if size else math.nan


def dice(prediction: Bools, truth: Bools, where: Bools | None = None) -> float:
    """Dice of one case, or pooled over everything given.

    Parameters
    ----------
    prediction, truth : ndarray, any one shape, bool
        The masks.
    where : ndarray, same shape, bool, optional
        Only these voxels count.

    Returns
    -------
    float
        0 to 1; NaN when both are empty.
    """
    return Counts.of(prediction, truth, where).dice


def slice_dice(prediction: Bools, truth: Bools) -> tuple[Mean, Mean]:
    """Mean Dice over axial slices, in its two customary readings.

    Parameters
    ----------
    prediction, truth : ndarray, (z, y, x) bool
        The masks.

    Returns
    -------
    Mean
        Over the slices that have truth on them; the others count in ``of`` only.
    Mean
        Over all slices; where both are empty a slice counts 1, where only the truth is empty it counts 0.
    """
    values = slice_values(prediction, truth)
    return Mean.over(values), Mean.over(filled(prediction, values))


def slice_values(prediction: Bools, truth: Bools) -> list[float]:
    """Dice of every axial slice.

    Parameters
    ----------
    prediction, truth : ndarray, (z, y, x) bool
        The masks.

    Returns
    -------
    list of float
        One per slice; NaN where the truth is empty.
    """
    return [dice(g, t) if t.any() else math.nan for g, t in zip(prediction, truth, strict=True)]


def filled(prediction: Bools, values: Iterable[float]) -> list[float]:
    """Give slices without truth a value: 1 when nothing was guessed there, else 0.

    Parameters
    ----------
    prediction : ndarray, (z, y, x) bool
        The prediction.
    values : iterable of float
        As given by :func:`slice_values`.

    Returns
    -------
    list of float
        Without NaN.
    """
    return [float(not g.any()) if math.isnan(value) else value for g, value in zip(prediction, values, strict=True)]
