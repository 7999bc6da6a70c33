"""Rankings agree with scikit-learn, with the definition, and are never beaten by the published search."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn import metrics as judge

from napari_liver_anomaly.errors import InvalidNumbers
from napari_liver_anomaly.metrics import Counts, Ranking, dice, histogram, ranking


def scored(seed, kind, n=600):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.15
    score = np.clip(rng.normal(0.4 + 0.25 * truth, 0.2), 0, 1)
    return (np.rint(score * 255).astype(np.uint8) if kind == "uint8" else score.astype(kind)), truth


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("seed", range(4))
def test_rankings_agree_with_scikit_learn(kind, seed):
    score, truth = scored(seed, kind)
    ranking = Ranking.of(score, truth)
    assert ranking.average_precision() == pytest.approx(judge.average_precision_score(truth, score), abs=1e-9)
    assert ranking.auroc() == pytest.approx(judge.roc_auc_score(truth, score), abs=1e-9)
    assert ranking.prevalence == truth.mean()
    every = {float(level): dice(score >= level, truth) for level in np.unique(score)}
    best, level = ranking.best_dice()
    assert best == pytest.approx(max(every.values()), abs=1e-12)
    assert every[level] == pytest.approx(best)


def test_best_dice_knows_ties():
    """Cutting inside a tie would reach 1; no threshold can."""
    score = np.array([9, 5, 5, 5, 1], np.uint8)
    truth = np.array([True, True, False, False, False])
    best, level = Ranking.of(score, truth).best_dice()
    assert best == pytest.approx(2 / 3) and level == 9


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["uint8", "float32"]))
def test_order_never_matters_and_best_dice_is_never_beaten(seed, kind):
    score, truth = scored(seed, kind, 80)
    truth[0] = True
    ranking = Ranking.of(score, truth)
    shuffle = np.random.default_rng(seed).permutation(truth.size)
    again = Ranking.of(score[shuffle], truth[shuffle])
    assert ranking.best_dice() == again.best_dice()
    assert ranking.average_precision() == again.average_precision() and ranking.auroc() == again.auroc()
    best = ranking.best_dice()[0]
    for level in np.random.default_rng(seed).choice(score, 5):
        assert best >= dice(score >= level, truth) - 1e-12
        assert ranking.counts_at(level) == Counts.of(score >= level, truth)
    worst = Ranking.of(score.max() - truth.astype(kind), truth)
    assert worst.average_precision() <= ranking.prevalence + 0.05 and worst.auroc() == 0
    assert ranking.average_precision() <= 1


def test_constant_scores_tell_nothing():
    truth = np.array([True, False, False, False])
    ranking = Ranking.of(np.full(4, 7, np.uint8), truth)
    assert ranking.average_precision() == ranking.prevalence == 0.25 and ranking.auroc() == 0.5


def test_the_liver_alone_and_rankings_that_add_up():
    score, truth = scored(8, "uint8")
    liver = np.random.default_rng(0).random(truth.size) < 0.6
    inside = Ranking.of(score, truth, liver)
    assert inside.auroc() == pytest.approx(judge.roc_auc_score(truth[liver], score[liver]), abs=1e-9)
    both = inside + Ranking.of(score, truth, ~liver)
    assert both.average_precision() == pytest.approx(judge.average_precision_score(truth, score), abs=1e-9)
    with pytest.raises(ValueError, match="uint8"):
        Ranking.of(score.astype(float), truth) + Ranking.of(score[:9].astype(float), truth[:9])


def test_voxels_that_were_not_searched_rank_lowest():
    score, truth = scored(9, "uint8")
    liver = np.random.default_rng(1).random(truth.size) < 0.5
    score[~liver] = 0
    outside = truth[~liver]
    whole = Ranking.of(score, truth, liver).with_lowest(int(outside.sum()), int((~outside).sum()))
    assert whole.auroc() == pytest.approx(judge.roc_auc_score(truth, score), abs=1e-9)
    assert whole.average_precision() == pytest.approx(judge.average_precision_score(truth, score), abs=1e-9)


def test_what_has_no_meaning_is_not_a_number():
    score, _ = scored(1, "uint8")
    empty = Ranking.of(score, np.zeros(score.size, bool))
    assert all(math.isnan(value) for value in (*empty.best_dice(), empty.average_precision(), empty.auroc()))
    full = Ranking.of(score, np.ones(score.size, bool))
    assert math.isnan(full.auroc()) and full.average_precision() == 1
    assert math.isnan(Ranking.of(score[:0], np.zeros(0, bool)).prevalence)


def test_bad_scores_are_refused():
    truth = np.array([True, False])
    with pytest.raises(InvalidNumbers):
        Ranking.of(np.array([0.5, np.nan], np.float32), truth)
    with pytest.raises(TypeError):
        Ranking.of(np.array([0.5, 0.4], np.float16), truth)


def greedy(score, truth):
    """The published search: up in steps of 0.1 until Dice drops; then around that place in steps a tenth as large, down to 1e-10."""
    start, stop, step, best = 0.0, 1.0, 0.1, 0.0
    while step >= 1e-10:
        last, peak = -1.0, start
        for level in np.arange(start, stop + step / 2, step):
            value = dice(score >= level, truth)
            if value < last:
                break
            last, peak = value, level
        best = max(best, last)
        start, stop, step = peak - step, peak + step, step / 10
    return best


@hypothesis_settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["float32", "float64"]), st.sampled_from([0, 3, 40]))
def test_the_published_search_never_finds_more(seed, kind, ties):
    score, truth = scored(seed, kind, 120)
    truth[0] = True
    score = np.round(score * ties) / ties if ties else score
    assert Ranking.of(score, truth).best_dice()[0] >= greedy(score, truth) - 1e-12


def test_the_published_search_stops_at_the_first_drop():
    score = np.repeat([0.95, 0.25, 0.15, 0.05], [30, 100, 10, 5])
    truth = np.repeat([True, False, True, False], [30, 100, 10, 5])
    best, level = Ranking.of(score, truth).best_dice()
    assert greedy(score, truth) == pytest.approx(2 * 40 / (140 + 40))
    assert best == pytest.approx(2 * 30 / (30 + 40)) and level == 0.95


@pytest.mark.parametrize(
    "score",
    [
        np.array([-3.5, 2e8, 7.0, 7.0, -1e-9, 0.0]), np.full(6, 0.25, np.float32), np.array([0, 1, 1, 0, 1, 0], np.float32),
        np.array([0, 255, 7, 7, 0, 9], np.uint8), np.array([5, 4, 3, 2, 1, 0], np.int64),
    ],
)  # fmt: skip
@pytest.mark.parametrize("marks", [0b000001, 0b100110, 0b011111, 0b111111])
def test_degenerate_scores_agree_with_scikit_learn(score, marks):
    truth = np.array([bool(marks >> bit & 1) for bit in range(6)])
    ranking = Ranking.of(score, truth)
    assert ranking.average_precision() == pytest.approx(judge.average_precision_score(truth, score), abs=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn says of one class only that there is no curve
        assert ranking.auroc() == pytest.approx(judge.roc_auc_score(truth, score), abs=1e-9, nan_ok=True)
    assert ranking.best_dice()[0] == pytest.approx(max(dice(score >= level, truth) for level in score))


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 64, 4096]))
def test_bins_hide_no_more_than_they_say(seed, bins):
    score, truth = scored(seed, "float64", 300)
    truth[:2] = True, False
    exact, rough = Ranking.of(score, truth), Ranking.binned(score, truth, bins=bins)
    assert rough.width == 1 / bins and exact.width == 0
    bounds = rough.bounds()
    for name, value in (
        ("best_dice", exact.best_dice()[0]), ("average_precision", exact.average_precision()), ("auroc", exact.auroc()),
    ):  # fmt: skip
        low, high = bounds[name]
        assert low - 1e-12 <= value <= high + 1e-12, name
        assert exact.bounds()[name] == (value, value)
    assert bounds["best_dice"][0] == rough.best_dice()[0] >= dice(score >= 0, truth)
    rounded = np.floor(np.minimum(score * bins, bins - 1)) / bins
    assert rough.average_precision() == pytest.approx(judge.average_precision_score(truth, rounded), abs=1e-9)
    assert rough.auroc() == pytest.approx(judge.roc_auc_score(truth, rounded), abs=1e-9)


def test_very_many_voxels_are_ranked_in_bins_and_in_pieces(monkeypatch):
    score, truth = scored(5, "float32", 5000)
    liver = np.random.default_rng(0).random(5000) < 0.7
    exact = Ranking.of(score * 40 - 7, truth, liver)
    monkeypatch.setattr(ranking, "MANY", 1000)
    monkeypatch.setattr(histogram, "CHUNK", 777)
    rough = Ranking.of(score * 40 - 7, truth, liver)
    assert rough.levels.size == 4096 and rough.lesion.sum() == exact.lesion.sum() and rough.other.sum() == exact.other.sum()
    assert rough.width == pytest.approx(40 / 4096, rel=0.01)
    assert rough.auroc() == pytest.approx(exact.auroc(), abs=1e-3)
    best, level = rough.best_dice()
    assert exact.best_dice()[0] - 5e-3 <= best <= exact.best_dice()[0]
    assert best <= rough.bounds()["best_dice"][1] and best == pytest.approx(exact.counts_at(level).dice, abs=2e-3)
    grey = (score * 255).astype(np.uint8)
    assert np.array_equal(Ranking.of(grey, truth).lesion, np.bincount(grey[truth], minlength=256)[::-1])
    constant = Ranking.of(np.full(2000, 3.0), np.arange(2000) < 5)
    assert constant.auroc() == 0.5 and constant.best_dice()[0] == pytest.approx(10 / 2005)
    with pytest.raises(InvalidNumbers):
        Ranking.of(np.append(score, np.nan), np.append(truth, True))


def test_an_edge_belongs_to_the_bin_above():
    score = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(0)), 1.0, 0.0], np.float32)
    rough = Ranking.binned(score, score >= 0.5)
    assert rough.counts_at(0.5) == Counts(2, 0, 0), "so that the usual threshold is exact"
    with pytest.raises(TypeError):
        Ranking.binned(score.astype(np.float16), score >= 0.5)


def test_counts_are_kept_sparse():
    counts = np.zeros(4096, np.int64)
    counts[[0, 17, 4095]] = 5, 1, 10**9
    assert histogram.sparse(counts) == [[0, 17, 4095], [5, 1, 10**9]]
    assert np.array_equal(histogram.dense(histogram.sparse(counts)), counts)
    assert np.array_equal(histogram.dense([[], []], 8), np.zeros(8))
