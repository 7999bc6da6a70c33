"""Means over patients that say how many they were taken over, and paired comparisons that say when there are too few.

One rule for empty sets throughout: where a number has no meaning it is NaN, and a mean says over how many of how many it was
taken.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FEWEST_PAIRS = 6  # with five, the smallest p there can be is 0.0625


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods on the same patients.

    Attributes
    ----------
    n, differ, of : int
        Pairs in which both figures have a meaning, those of them that differ, and all pairs given.
    median_difference : float
        Median of first minus second over the ``n`` pairs; NaN when there are none.
    p : float
        Two-sided, of the Wilcoxon signed-rank test; NaN when there are too few pairs.
    words : str
        The same as a sentence, or why there is no p.
    """

    n: int
    differ: int
    of: int
    median_difference: float
    p: float
    words: str


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """Compare two methods patient by patient with the Wilcoxon signed-rank test, two-sided; pairs that are equal say nothing and are left out of it.

    Parameters
    ----------
    first, second : sequence of float, one length
        A figure of each patient, such as Dice; NaN where it has no meaning.

    Returns
    -------
    Comparison
        Without a p where fewer than 6 pairs differ.

    Raises
    ------
    ValueError
        When the two are not of one length, and so no pairs.

    References
    ----------
    F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945) 80-83.
    """
    if len(first) != len(second):
        raise ValueError("Only figures of the same patients can be compared.")
    difference = np.asarray(first, float) - np.asarray(second, float)
    kept = difference[~np.isnan(difference)]
    moved = kept[kept != 0]
    median = float(np.median(kept)) if kept.size else math.nan
    counts = int(kept.size), int(moved.size), int(difference.size)
    if moved.size < FEWEST_PAIRS:
        words = f"Only {moved.size} of {kept.size} pairs differ; a test needs {FEWEST_PAIRS}, so none was made."
        if kept.size < FEWEST_PAIRS:
            words = f"Only {kept.size} patients were measured both ways; a test needs {FEWEST_PAIRS}, so none was made."
        return Comparison(*counts, median, math.nan, words)
    from scipy.stats import wilcoxon

    p = float(wilcoxon(moved).pvalue)
    words = f"Over {kept.size} patients the median difference is {median:+.3g} (Wilcoxon signed-rank test, p = {p:.2g})."
    return Comparison(*counts, median, p, words)


def plain(value: Any, digits: int = 6) -> Any:
    """Turn figures into what JSON holds.

    Parameters
    ----------
    value : any
        Dictionaries, lists, dataclasses, numbers, words.
    digits : int
        Decimal places that numbers keep; 17 keeps them as they are.

    Returns
    -------
    any
        The same with dataclasses as dictionaries, and None for NaN and for what is infinite.
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: plain(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, digits) for item in value]
    if isinstance(value, float):
        return round(value, digits) if math.isfinite(value) else None
    return value
