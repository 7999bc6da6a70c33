"""Ranking of scores: best achievable Dice, average precision and area under the ROC curve, exact with ties, or to within one bin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.metrics.histogram import BINS, bounds, count_bins, require_usable
from napari_liver_anomaly.metrics.overlap import Counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

MANY = 10**8  # voxels: more are ranked in bins


@dataclass(frozen=True, eq=False)
class Ranking:
    """Voxels sorted by score: how many lesion voxels and how many others hold each value. Exact, ties included, unless in bins.

    Attributes
    ----------
    levels : ndarray, (n,)
        The distinct scores, falling; or the lower edges of the bins.
    lesion, other : ndarray, (n,) int64
        Voxels of the truth, and others, that hold each score.
    width : float
        0 for exact rankings; else the width of the bins, by which the threshold of the best Dice can be off. See :meth:`bounds` for the figures.
    """

    levels: NDArray[np.generic]
    lesion: NDArray[np.int64]
    other: NDArray[np.int64]
    width: float = 0.0

    @classmethod
    def of(cls, score: NDArray[np.generic], truth: Bools, where: Bools | None = None) -> Ranking:
        """Rank scores.

        Parameters
        ----------
        score : ndarray, any shape, uint8, float32 or float64
            Higher is more suspicious. Scores of kind uint8 give rankings of 256 levels, which can be added up over cases. More than 10^8 other ones
            are ranked in 4096 bins between the lowest and the highest.
        truth : ndarray, same shape, bool
            The lesions.
        where : ndarray, same shape, bool, optional
            Only these voxels count, for example the liver.

        Returns
        -------
        Ranking
            The ranking.

        Raises
        ------
        InvalidNumbers
            When a score is NaN or infinite.
        TypeError
            For float16, whose ties and overflow distort every figure.
        """
        if score.dtype == np.uint8:
            lesion, other = count_bins(score, truth, where, 256, 0, 256)
            return cls(np.arange(255, -1, -1), lesion[::-1], other[::-1])
        if (score.size if where is None else np.count_nonzero(where)) > MANY:
            low, high = _limits(score, where)
            return cls.binned(score, truth, where, low=low, high=high)
        values, marks = (score, truth) if where is None else (score[where], truth[where])
        require_usable(values)
        (found, lesions), (rest, others) = (np.unique(values[side], return_counts=True) for side in (marks, ~marks))
        levels = np.union1d(found, rest)
        lesion, other = np.zeros(levels.size, np.int64), np.zeros(levels.size, np.int64)
        lesion[np.searchsorted(levels, found)], other[np.searchsorted(levels, rest)] = lesions, others
        return cls(levels[::-1], lesion[::-1], other[::-1])

    @classmethod
    def binned(
        cls,
        score: NDArray[np.generic],
        truth: Bools,
        where: Bools | None = None,
        *,
        bins: int = BINS,
        low: float = 0.0,
        high: float = 1.0,
    ) -> Ranking:
        """Rank scores in equal bins: for very many voxels, and for float scores whose rankings are to be added up over cases.

        Parameters
        ----------
        score : ndarray, any shape, float32 or float64
            Higher is more suspicious.
        truth : ndarray, same shape, bool
            The lesions.
        where : ndarray, same shape, bool, optional
            Only these voxels count, for example the liver.
        bins : int
            How many.
        low, high : float
            Where the first begins and the last ends; what lies outside falls into those two.

        Returns
        -------
        Ranking
            Exact for scores rounded down to the edge of their bin.
        """
        lesion, other = count_bins(score, truth, where, bins, low, high)
        return cls.from_bins(lesion, other, low, high)

    @classmethod
    def from_bins(cls, lesion: NDArray[np.int64], other: NDArray[np.int64], low: float = 0.0, high: float = 1.0) -> Ranking:
        """Make a ranking from counts.

        Parameters
        ----------
        lesion, other : ndarray, (bins,) int64
            Voxels of the truth, and others, in equal bins of rising score.
        low, high : float
            Where the first begins and the last ends.

        Returns
        -------
        Ranking
            In bins.
        """
        width = (high - low) / lesion.size
        return cls((low + width * np.arange(lesion.size))[::-1], lesion[::-1], other[::-1], width)

    def __add__(self, other: Ranking) -> Ranking:
        if not np.array_equal(self.levels, other.levels):
            raise ValueError("Only rankings of the same levels can be added: of uint8 scores, or in the same bins.")
        return Ranking(self.levels, self.lesion + other.lesion, self.other + other.other, self.width)

    def with_lowest(self, lesion: int, other: int) -> Ranking:
        """Add voxels that were not searched and so hold the lowest score.

        Parameters
        ----------
        lesion, other : int
            How many lie in the truth, and outside it.

        Returns
        -------
        Ranking
            Of all voxels together.
        """
        lowest = np.arange(self.levels.size) == self.levels.size - 1
        return Ranking(self.levels, self.lesion + lowest * lesion, self.other + lowest * other, self.width)

    @property
    def prevalence(self) -> float:
        """Share of lesion voxels, the average precision of a blind prediction; NaN without voxels."""
        everything = int(self.lesion.sum() + self.other.sum())
        return float(self.lesion.sum()) / everything if everything else math.nan

    def counts_at(self, level: float) -> Counts:
        """Count for the rule ``score >= level``.

        Parameters
        ----------
        level : float
            In the units of the scores.

        Returns
        -------
        Counts
            True positives, false positives, false negatives.
        """
        predicted = self.levels.astype(float) >= level
        hits = int(self.lesion[predicted].sum())
        return Counts(hits, int(self.other[predicted].sum()), int(self.lesion.sum()) - hits)

    def best_dice(self) -> tuple[float, float]:
        """Best Dice any threshold reaches, chosen by the truth: written [DICE], an oracle and never a product figure.

        Returns
        -------
        float
            Best Dice; NaN without truth.
        float
            Its threshold, rule ``score >= threshold``; the highest when several are equally good.

        References
        ----------
        C. Baur et al., "Autoencoders for unsupervised anomaly segmentation in brain MR images", Med. Image Anal. 69 (2021)
        101952.
        """
        truth = int(self.lesion.sum())
        if not truth:
            return math.nan, math.nan
        hits, predicted = np.cumsum(self.lesion), np.cumsum(self.lesion + self.other)
        values = 2 * hits / (predicted + truth)
        best = int(np.argmax(values))
        return float(values[best]), float(self.levels[best])

    def average_precision(self) -> float:
        """Area under the precision-recall steps, without interpolation.

        Returns
        -------
        float
            0 to 1; NaN without truth. To be read beside :attr:`prevalence`.
        """
        truth = int(self.lesion.sum())
        if not truth:
            return math.nan
        hits, predicted = np.cumsum(self.lesion), np.cumsum(self.lesion + self.other)
        return float((self.lesion * (hits / np.maximum(predicted, 1))).sum() / truth)

    def auroc(self) -> float:
        """Chance that a lesion voxel scores higher than another one; ties count half.

        Returns
        -------
        float
            0 to 1; NaN when there are no lesion voxels, or no others.
        """
        truth, rest = int(self.lesion.sum()), int(self.other.sum())
        if not truth or not rest:
            return math.nan
        below = rest - np.cumsum(self.other)
        return float((self.lesion * (below + 0.5 * self.other)).sum() / truth / rest)

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Tell between what values the exact figures lie.

        Returns
        -------
        dict
            ``best_dice``, ``average_precision`` and ``auroc``, each to a lowest and a highest value: the figure twice for an exact ranking, NaN where
            the figure has no meaning.
        """
        figures = {"best_dice": self.best_dice()[0], "average_precision": self.average_precision(), "auroc": self.auroc()}
        if not self.width or math.isnan(figures["auroc"]):
            return {name: (value, value) for name, value in figures.items()}
        return bounds(self.lesion, self.other)


def _limits(score: NDArray[np.generic], where: Bools | None) -> tuple[float, float]:
    """Lowest and highest score, without a copy of the scores."""
    chosen: Any = True if where is None else where
    low, high = float(np.min(score, where=chosen, initial=np.inf)), float(np.max(score, where=chosen, initial=-np.inf))
    require_usable(np.array([low, high]))
    return low, high if high > low else low + 1
