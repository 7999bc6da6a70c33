"""Metrics agree with hand counts, with scikit-learn, and with their own definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn import metrics as judge

from napari_liver_anomaly.errors import InvalidNumbers
from napari_liver_anomaly.metrics import (
    Counts,
    Mean,
    Ranking,
    dice,
    filled,
    find_lesions,
    slice_dice,
    slice_score,
    slice_values,
    volume_score,
)
from napari_liver_anomaly.volume import Geometry


def masks(seed, shape=(5, 8, 9), share=0.3):
    rng = np.random.default_rng(seed)
    return rng.random(shape) < share, rng.random(shape) < share


def scored(seed, kind, n=600):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.15
    score = np.clip(rng.normal(0.4 + 0.25 * truth, 0.2), 0, 1)
    return (np.rint(score * 255).astype(np.uint8) if kind == "uint8" else score.astype(kind)), truth


def test_perfect_disjoint_and_empty():
    guess, truth = masks(0)
    nothing = np.zeros_like(truth)
    assert dice(truth, truth) == 1
    assert dice(truth, ~truth) == 0
    assert dice(nothing, truth) == 0 and dice(truth, nothing) == 0
    assert math.isnan(dice(nothing, nothing))
    assert dice(guess, truth) == pytest.approx(judge.f1_score(truth.ravel(), guess.ravel()), abs=1e-12)


def test_only_the_liver_counts_when_asked():
    guess, truth = masks(1)
    liver, _ = masks(2, share=0.5)
    assert dice(guess, truth, liver) == pytest.approx(dice(guess[liver], truth[liver]))
    assert dice(guess, truth, liver) != dice(guess, truth)


def test_pooled_adds_voxels_and_equals_the_case_when_there_is_one():
    cases = [masks(seed, share=share) for seed, share in ((3, 0.1), (4, 0.5))]
    pooled = sum((Counts.of(g, t) for g, t in cases), Counts())
    assert pooled.dice == pytest.approx(dice(np.stack([g for g, _ in cases]), np.stack([t for _, t in cases])))
    one = Counts.of(*cases[0])
    assert one.dice == Mean.over([one.dice]).mean
    assert pooled.dice != pytest.approx(Mean.over([Counts.of(g, t).dice for g, t in cases]).mean)


def test_slices_are_read_both_ways_and_every_slice_is_counted():
    truth = np.zeros((4, 3, 3), bool)
    guess = truth.copy()
    truth[0, 0, :2] = guess[0, 0, :1] = True  # 2/3
    truth[1, 1, 1] = True  # missed: 0
    guess[2, 2, 2] = True  # invented: 0 when empty slices count
    with_truth, everything = slice_dice(guess, truth)
    assert (with_truth.n, with_truth.of) == (2, 4) and with_truth.mean == pytest.approx(1 / 3)
    assert (everything.n, everything.of) == (4, 4) and everything.mean == pytest.approx((2 / 3 + 0 + 0 + 1) / 4)
    assert filled(guess, slice_values(guess, truth)) == pytest.approx([2 / 3, 0, 0, 1])


def test_a_mean_says_what_it_left_out():
    mean = Mean.over([0.2, math.nan, 0.6])
    assert (mean.mean, mean.sd, mean.n, mean.of) == (pytest.approx(0.4), pytest.approx(np.std([0.2, 0.6], ddof=1)), 2, 3)
    nothing = Mean.over([math.nan])
    assert math.isnan(nothing.mean) and math.isnan(nothing.sd) and (nothing.n, nothing.of) == (0, 1)
    assert math.isnan(Mean.over([0.5]).sd)


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


def blob(mask, centre, radius_mm, spacing):
    index = np.indices(mask.shape, dtype=float)
    mask |= sum(((index[i] - centre[i]) * spacing[i]) ** 2 for i in range(3)) <= radius_mm**2


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7), (5.0, 1.0, 1.0)])
def test_lesions_are_counted_in_mm(spacing):
    shape = tuple(round(90 / s) for s in spacing)
    geometry = Geometry(shape[::-1], np.diag([-spacing[2], -spacing[1], spacing[0], 1]))
    truth, guess = np.zeros(shape, bool), np.zeros(shape, bool)

    def at(z, y, x):
        return tuple(round(mm / s) for mm, s in zip((z, y, x), spacing, strict=True))

    blob(truth, at(20, 20, 20), 4, spacing)  # 8 mm, missed
    blob(truth, at(20, 20, 60), 7.5, spacing)  # 15 mm, found
    blob(truth, at(60, 60, 30), 14, spacing)  # 28 mm, found
    truth[at(80, 5, 80)] = True  # a speck
    blob(guess, at(22, 20, 62), 5, spacing)
    guess[at(60, 60, 30)] = True  # one voxel is enough
    blob(guess, at(70, 20, 70), 5, spacing)  # false
    guess[at(5, 85, 5)] = True  # too small to be a lesion
    found = find_lesions(guess, truth, geometry)
    assert found.by_size() == {"under_10_mm": (0, 1), "10_to_20_mm": (1, 1), "over_20_mm": (1, 1)}
    assert found.specks == 1 and found.false == 1
    assert sorted(found.sizes_mm) == pytest.approx([8, 15, 28], rel=0.08)


def test_no_lesion_at_all():
    nothing = np.zeros((3, 4, 5), bool)
    found = find_lesions(nothing, nothing, Geometry((5, 4, 3), np.eye(4)))
    assert found.sizes_mm == () and found.false == found.specks == 0
    assert set(found.by_size().values()) == {(0, 0)}


def test_scores_of_slices_and_scans():
    score, liver = np.zeros((8, 20, 20), np.uint8), np.ones((8, 20, 20), bool)
    score[2, 0, :4] = 255  # exactly a hundredth of the slice
    liver[7] = False
    score[7] = 255
    assert slice_score(score, liver)[[0, 2]].tolist() == [0, 1] and math.isnan(slice_score(score, liver)[7])
    assert volume_score(score, liver) == pytest.approx(0.5), "the highest two of seven slices"
    assert math.isnan(volume_score(score, np.zeros_like(liver)))
