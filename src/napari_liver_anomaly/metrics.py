"""How well a guess agrees with the truth: Dice in every customary reading, ranking of scores, and lesions found.

One rule for empty sets throughout: where a number has no meaning it is NaN, and a mean says over how many of how many it was
taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import InvalidNumbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_liver_anomaly.volume import Geometry

    Bools = NDArray[np.bool_]

SIZES = ("under_10_mm", "10_to_20_mm", "over_20_mm")


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
    def of(cls, guess: Bools, truth: Bools, where: Bools | None = None) -> Counts:
        """Count.

        Parameters
        ----------
        guess, truth : ndarray, any one shape, bool
            The masks.
        where : ndarray, same shape, bool, optional
            Only these voxels count, for example the liver.

        Returns
        -------
        Counts
            The three numbers.
        """
        if where is not None:
            guess, truth = guess & where, truth & where
        hits = int(np.count_nonzero(guess & truth))
        return cls(hits, int(np.count_nonzero(guess)) - hits, int(np.count_nonzero(truth)) - hits)

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.hits + other.hits, self.false + other.false, self.missed + other.missed)

    @property
    def dice(self) -> float:
        """``2 TP / (2 TP + FP + FN)``; NaN when guess and truth are both empty."""
        size = 2 * self.hits + self.false + self.missed
        return 2 * self.hits / size if size else math.nan


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean that says what it was taken over.

    Attributes
    ----------
    mean, sd : float
        Mean and sample standard deviation (n - 1) of the values that have a meaning; NaN when there are none, or one for ``sd``.
    n, of : int
        How many values had a meaning, of how many.
    """

    mean: float
    sd: float
    n: int
    of: int

    @classmethod
    def over(cls, values: Iterable[float]) -> Mean:
        """Take the mean of the values that are not NaN.

        Parameters
        ----------
        values : iterable of float
            NaN where a value has no meaning.

        Returns
        -------
        Mean
            With the number left out told by ``of - n``.
        """
        everything = np.asarray(list(values), float)
        kept = everything[~np.isnan(everything)]
        mean = float(kept.mean()) if kept.size else math.nan
        return cls(mean, float(kept.std(ddof=1)) if kept.size > 1 else math.nan, int(kept.size), int(everything.size))


def dice(guess: Bools, truth: Bools, where: Bools | None = None) -> float:
    """Dice of one case, or pooled over everything given.

    Parameters
    ----------
    guess, truth : ndarray, any one shape, bool
        The masks.
    where : ndarray, same shape, bool, optional
        Only these voxels count.

    Returns
    -------
    float
        0 to 1; NaN when both are empty.

    References
    ----------
    L. R. Dice, "Measures of the amount of ecologic association between species", Ecology 26 (1945) 297-302.
    """
    return Counts.of(guess, truth, where).dice


def slice_dice(guess: Bools, truth: Bools) -> tuple[Mean, Mean]:
    """Mean Dice over axial slices, in its two customary readings.

    Parameters
    ----------
    guess, truth : ndarray, (z, y, x) bool
        The masks.

    Returns
    -------
    Mean
        Over the slices that have truth on them; the others count in ``of`` only.
    Mean
        Over all slices; where both are empty a slice counts 1, where only the truth is empty it counts 0.
    """
    values = slice_values(guess, truth)
    return Mean.over(values), Mean.over(filled(guess, values))


def slice_values(guess: Bools, truth: Bools) -> list[float]:
    """Dice of every axial slice.

    Parameters
    ----------
    guess, truth : ndarray, (z, y, x) bool
        The masks.

    Returns
    -------
    list of float
        One per slice; NaN where the truth is empty.
    """
    return [dice(g, t) if t.any() else math.nan for g, t in zip(guess, truth, strict=True)]


def filled(guess: Bools, values: Iterable[float]) -> list[float]:
    """Give slices without truth a value: 1 when nothing was guessed there, else 0.

    Parameters
    ----------
    guess : ndarray, (z, y, x) bool
        The guess.
    values : iterable of float
        As given by :func:`slice_values`.

    Returns
    -------
    list of float
        Without NaN.
    """
    return [float(not g.any()) if math.isnan(value) else value for g, value in zip(guess, values, strict=True)]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Voxels sorted by score: how many lesion voxels and how many others hold each value. Exact, ties included.

    Attributes
    ----------
    levels : ndarray, (n,)
        The distinct scores, falling.
    lesion, other : ndarray, (n,) int64
        Voxels of the truth, and others, that hold each score.
    """

    levels: NDArray[np.generic]
    lesion: NDArray[np.int64]
    other: NDArray[np.int64]

    @classmethod
    def of(cls, score: NDArray[np.generic], truth: Bools, where: Bools | None = None) -> Ranking:
        """Rank scores.

        Parameters
        ----------
        score : ndarray, any shape, uint8, float32 or float64
            Higher is more suspicious. Scores of kind uint8 give rankings of 256 levels, which can be added up over cases.
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
            For float16, whose ties and overflow distort every number below.
        """
        if score.dtype == np.float16:
            raise TypeError("Scores in float16 tie and overflow; give float32 or uint8.")
        score, truth = (score[where], truth[where]) if where is not None else (score.ravel(), truth.ravel())
        if score.dtype == np.uint8:
            lesion = np.bincount(score[truth], minlength=256)
            everything = np.bincount(score, minlength=256)
            return cls(np.arange(255, -1, -1), lesion[::-1], (everything - lesion)[::-1])
        if not np.isfinite(score.astype(float)).all():
            raise InvalidNumbers(
                "score-not-finite", "Some scores are not numbers.", "No ranking can be made of them.",
                "Check the model that made them.",
            )  # fmt: skip
        levels, group = np.unique(score, return_inverse=True)
        lesion = np.bincount(group[truth], minlength=levels.size)
        everything = np.bincount(group, minlength=levels.size)
        return cls(levels[::-1], lesion[::-1], (everything - lesion)[::-1])

    def __add__(self, other: Ranking) -> Ranking:
        if not np.array_equal(self.levels, other.levels):
            raise ValueError("Only rankings of uint8 scores can be added.")
        return Ranking(self.levels, self.lesion + other.lesion, self.other + other.other)

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
        return Ranking(self.levels, self.lesion + lowest * lesion, self.other + lowest * other)

    @property
    def prevalence(self) -> float:
        """Share of lesion voxels, the average precision of a blind guess; NaN without voxels."""
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
        called = self.levels.astype(float) >= level
        hits = int(self.lesion[called].sum())
        return Counts(hits, int(self.other[called].sum()), int(self.lesion.sum()) - hits)

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
        hits, called = np.cumsum(self.lesion), np.cumsum(self.lesion + self.other)
        values = 2 * hits / (called + truth)
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
        hits, called = np.cumsum(self.lesion), np.cumsum(self.lesion + self.other)
        return float((self.lesion * (hits / np.maximum(called, 1))).sum() / truth)

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


@dataclass(frozen=True, slots=True)
class LesionsFound:
    """Lesions counted one by one.

    Attributes
    ----------
    sizes_mm : tuple of float
        Diameter of the sphere of equal volume, for every lesion of the truth.
    found : tuple of bool
        Whether the guess touches it.
    specks : int
        Pieces of the truth too small to count.
    false : int
        Lesions of the guess that touch no truth at all.
    """

    sizes_mm: tuple[float, ...]
    found: tuple[bool, ...]
    specks: int
    false: int

    def by_size(self) -> dict[str, tuple[int, int]]:
        """Lesions found, of how many, in three classes of diameter.

        Returns
        -------
        dict
            ``under_10_mm``, ``10_to_20_mm`` (both included) and ``over_20_mm`` to (found, of).
        """
        classes = [SIZES[(size >= 10) + (size > 20)] for size in self.sizes_mm]
        return {
            name: (sum(f for f, c in zip(self.found, classes, strict=True) if c == name), classes.count(name)) for name in SIZES
        }  # fmt: skip


def find_lesions(guess: Bools, truth: Bools, geometry: Geometry, smallest_mm3: float = 50.0) -> LesionsFound:
    """Count lesions found, missed and invented.

    Parameters
    ----------
    guess, truth : ndarray, (z, y, x) bool
        The masks; 26-connected pieces are lesions.
    geometry : Geometry
        Their grid.
    smallest_mm3 : float
        Smaller pieces are no lesions, neither of the truth nor of the guess.

    Returns
    -------
    LesionsFound
        A lesion of the truth is found when at least one voxel of the guess lies on it; a lesion of the guess is false when none
        of its voxels lies on any truth, specks included.
    """
    sizes, touched = _pieces(truth, guess, geometry)
    real = sizes >= smallest_mm3 - 1e-9
    false_sizes, on_truth = _pieces(guess, truth, geometry)
    invented = (false_sizes >= smallest_mm3 - 1e-9) & ~on_truth
    return LesionsFound(
        tuple(float(d) for d in np.cbrt(6 * sizes[real] / np.pi)),
        tuple(bool(t) for t in touched[real]),
        int(np.count_nonzero(~real)),
        int(np.count_nonzero(invented)),
    )


def _pieces(mask: Bools, other: Bools, geometry: Geometry) -> tuple[NDArray[np.float64], Bools]:
    """Volume in mm³ of every piece of a mask, and whether another mask touches it."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3), bool))
    sizes = np.asarray(np.bincount(labels.ravel(), minlength=count + 1)[1:] * (geometry.voxel_ml * 1000), np.float64)
    touched = np.bincount(labels[other & mask], minlength=count + 1)[1:] > 0
    return sizes, touched


def slice_score(score: NDArray[np.uint8], liver: Bools) -> NDArray[np.float64]:
    """How suspicious every axial slice is: the mean of the highest hundredth of its liver voxels.

    Parameters
    ----------
    score : ndarray, (z, y, x) uint8
        0 to 255, standing for 0 to 1.
    liver : ndarray, (z, y, x) bool
        The liver.

    Returns
    -------
    ndarray, (z,) float64
        0 to 1; NaN for a slice without liver.
    """
    found = np.full(len(score), math.nan)
    for z in np.flatnonzero(liver.any(axis=(1, 2))):
        values = np.sort(score[z][liver[z]])
        found[z] = values[-max(1, round(values.size / 100)) :].mean() / 255
    return found


def volume_score(score: NDArray[np.uint8], liver: Bools) -> float:
    """How suspicious a scan is: the mean of the highest quarter of its slices' scores.

    Parameters
    ----------
    score : ndarray, (z, y, x) uint8
        0 to 255, standing for 0 to 1.
    liver : ndarray, (z, y, x) bool
        The liver.

    Returns
    -------
    float
        0 to 1; NaN without liver.
    """
    values = slice_score(score, liver)
    values = np.sort(values[~np.isnan(values)])
    return float(values[-max(1, round(values.size / 4)) :].mean()) if values.size else math.nan
