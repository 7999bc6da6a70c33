"""Dice agrees with hand counts and with scikit-learn, in every reading."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as judge

from napari_liver_anomaly.metrics import Counts, Mean, Overlap, dice, filled, reductions, slice_dice, slice_values


def masks(seed, shape=(5, 8, 9), share=0.3):
    rng = np.random.default_rng(seed)
    return rng.random(shape) < share, rng.random(shape) < share


def test_perfect_disjoint_and_empty():
    prediction, truth = masks(0)
    nothing = np.zeros_like(truth)
    assert dice(truth, truth) == 1
    assert dice(truth, ~truth) == 0
    assert dice(nothing, truth) == 0 and dice(truth, nothing) == 0
    assert math.isnan(dice(nothing, nothing))
    assert dice(prediction, truth) == pytest.approx(judge.f1_score(truth.ravel(), prediction.ravel()), abs=1e-12)


def test_only_the_liver_counts_when_asked():
    prediction, truth = masks(1)
    liver, _ = masks(2, share=0.5)
    assert dice(prediction, truth, liver) == pytest.approx(dice(prediction[liver], truth[liver]))
    assert dice(prediction, truth, liver) != dice(prediction, truth)


def test_pooled_adds_voxels_and_equals_the_case_when_there_is_one():
    cases = [masks(seed, share=share) for seed, share in ((3, 0.1), (4, 0.5))]
    pooled = sum((Counts.of(g, t) for g, t in cases), Counts())
    assert pooled.dice == pytest.approx(dice(np.stack([g for g, _ in cases]), np.stack([t for _, t in cases])))
    one = Counts.of(*cases[0])
    assert one.dice == Mean.over([one.dice]).mean
    assert pooled.dice != pytest.approx(Mean.over([Counts.of(g, t).dice for g, t in cases]).mean)


def test_slices_are_read_both_ways_and_every_slice_is_counted():
    truth = np.zeros((4, 3, 3), bool)
    prediction = truth.copy()
    truth[0, 0, :2] = prediction[0, 0, :1] = True  # 2/3
    truth[1, 1, 1] = True  # missed: 0
    prediction[2, 2, 2] = True  # invented: 0 when empty slices count
    with_truth, everything = slice_dice(prediction, truth)
    assert (with_truth.n, with_truth.of) == (2, 4) and with_truth.mean == pytest.approx(1 / 3)
    assert (everything.n, everything.of) == (4, 4) and everything.mean == pytest.approx((2 / 3 + 0 + 0 + 1) / 4)
    assert filled(prediction, slice_values(prediction, truth)) == pytest.approx([2 / 3, 0, 0, 1])


def test_three_readings_inside_the_liver_and_in_the_whole_scan():
    liver = np.zeros((3, 4, 4), bool)
    liver[:2] = True
    truth, prediction = np.zeros_like(liver), np.zeros_like(liver)
    truth[0, 0, :2] = prediction[0, 0, :1] = True  # 2 of 3
    truth[2, 0, 0] = True  # outside the liver
    large = np.zeros_like(liver)
    large[:2] = True  # a second case, found whole
    inside = reductions([Overlap.of(prediction, truth, liver), Overlap.of(large, large, liver)], not_measured=1)
    whole = reductions([Overlap.of(prediction, truth), Overlap.of(large, large)])
    assert inside["pooled"] == pytest.approx(2 * 33 / (2 * 33 + 1)) and whole["pooled"] == pytest.approx(2 * 33 / (2 * 33 + 2))
    assert inside["slice_mean"].mean == pytest.approx((2 / 3 + 1 + 1) / 3) and (
        inside["slice_mean"].n,
        inside["slice_mean"].of,
    ) == (3, 4)
    assert inside["slice_mean_with_empty"].mean == pytest.approx((2 / 3 + 1 + 1 + 1) / 4)
    assert whole["slice_mean"].mean == pytest.approx((2 / 3 + 0 + 1 + 1) / 4)
    assert whole["slice_mean_with_empty"].mean == pytest.approx((2 / 3 + 1 + 0 + 1 + 1 + 1) / 6)
    assert (inside["case_mean"].n, inside["case_mean"].of) == (2, 3)
    assert inside["case_mean"].mean == pytest.approx((2 / 3 + 1) / 2) and whole["case_mean"].mean == pytest.approx(
        (1 / 2 + 1) / 2
    )


def test_one_case_pooled_is_its_own_mean_and_a_healthy_one_has_none():
    prediction, truth = masks(6)
    one = reductions([Overlap.of(prediction, truth)])
    assert one["pooled"] == one["case_mean"].mean
    healthy = Overlap.of(prediction, np.zeros_like(truth))
    assert math.isnan(healthy.dice) and not healthy.has_truth
    both = reductions([Overlap.of(prediction, truth), healthy])
    assert (both["case_mean"].n, both["case_mean"].of) == (1, 2) and both["pooled"] < one["pooled"]
    assert reductions([healthy, Overlap.of(prediction, truth)])["pooled"] == both["pooled"]
