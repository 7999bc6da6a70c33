"""Means say what they leave out, and comparisons when there are too few."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from napari_liver_anomaly.metrics import Mean, compare


def test_a_mean_says_what_it_left_out():
    mean = Mean.over([0.2, math.nan, 0.6])
    assert (mean.mean, mean.sd, mean.n, mean.of) == (pytest.approx(0.4), pytest.approx(np.std([0.2, 0.6], ddof=1)), 2, 3)
    nothing = Mean.over([math.nan])
    assert math.isnan(nothing.mean) and math.isnan(nothing.sd) and (nothing.n, nothing.of) == (0, 1)
    assert math.isnan(Mean.over([0.5]).sd)


def test_a_paired_comparison_is_that_of_scipy():
    rng = np.random.default_rng(0)
    one = rng.random(20)
    other = one - rng.normal(0.1, 0.1, 20)
    found = compare(one, other)
    assert found.p == pytest.approx(wilcoxon(one, other).pvalue) and found.p < 0.05
    assert found.median_difference == pytest.approx(np.median(one - other))
    assert (found.n, found.differ, found.of) == (20, 20, 20) and "20 patients" in found.words and "p = " in found.words
    turned = compare(other, one)
    assert turned.p == pytest.approx(found.p) and turned.median_difference == -found.median_difference


def test_six_pairs_all_one_way_give_the_smallest_p_there_is():
    assert compare([0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [0.0, 0.01, 0.02, 0.03, 0.04, 0.05]).p == pytest.approx(2 / 2**6)


def test_pairs_without_a_figure_or_a_difference_are_told():
    missed, found = [0.0] * 8, [0.0, 0.0, 0.3, 0.4, 0.5, 0.6, 0.75, 0.82]
    tied = compare([*found, math.nan], [*missed, 0.5])
    assert (tied.n, tied.differ, tied.of) == (8, 6, 9) and tied.p == pytest.approx(2 / 2**6)


def test_too_few_pairs_are_refused_in_words():
    few = compare([0.5] * 5 + [math.nan] * 9, [0.1, 0.2, 0.3, 0.4, 0.45] + [0.1] * 9)
    assert math.isnan(few.p) and few.words == "Only 5 patients were measured both ways; a test needs 6, so none was made."
    assert few.median_difference == pytest.approx(0.2)
    same = compare([0.5] * 30, [0.5] * 30)
    assert math.isnan(same.p) and same.words.startswith("Only 0 of 30 pairs differ") and same.median_difference == 0
    nothing = compare([], [])
    assert math.isnan(nothing.p) and math.isnan(nothing.median_difference)
    with pytest.raises(ValueError, match="same patients"):
        compare([0.1], [0.1, 0.2])
