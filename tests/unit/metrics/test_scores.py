"""Scores of slices and scans, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics as judge

from napari_liver_anomaly.metrics import (
    ranks_of_slices,
    slice_score,
    slice_scores,
    subject_score,
    top_quarter,
    volume_score,
    window_for,
)


def test_scores_of_slices_and_scans():
    score, liver = np.zeros((8, 20, 20), np.uint8), np.ones((8, 20, 20), bool)
    score[2, 0, :4] = 255  # exactly a hundredth of the slice
    liver[7] = False
    score[7] = 255
    assert slice_score(score, liver)[[0, 2]].tolist() == [0, 1] and math.isnan(slice_score(score, liver)[7])
    assert volume_score(score, liver) == pytest.approx(0.5), "the highest two of seven slices"
    assert math.isnan(volume_score(score, np.zeros_like(liver)))


def test_a_slice_is_read_in_four_ways():
    score, liver = np.zeros((3, 60, 60), np.float32), np.zeros((3, 60, 60), bool)
    liver[:2, 10:50, 10:50] = True  # 1600 voxels
    score[0, 20:24, 20:24] = 0.5
    score[0, 30, 30] = 0.9
    score[:, :5] = 1.0  # outside the liver: not looked at
    made = slice_scores(score, liver)
    assert made["maximum"][0] == pytest.approx(0.9)
    assert made["average"][0] == pytest.approx((16 * 0.5 + 0.9) / 1600)
    assert made["maximum_of_means"][0] == pytest.approx((16 * 0.5 + 0.9) / 21**2), "both lie in one window"
    assert made["top_hundredth"][0] == pytest.approx((0.9 + 15 * 0.5) / 16)
    for values in made.values():
        assert values[1] == 0 and math.isnan(values[2])
    assert slice_scores(score, liver, window_px=3)["maximum_of_means"][0] == pytest.approx(0.5)


def test_cutting_a_scan_to_its_liver_and_grey_levels_change_nothing():
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (4, 50, 60), dtype=np.uint8)
    liver = np.zeros(grey.shape, bool)
    liver[:, 10:40, 5:45] = rng.random((4, 30, 40)) < 0.7
    whole, cut = slice_scores(grey, liver), slice_scores(grey[:, 10:40, 5:45] / 255, liver[:, 10:40, 5:45])
    for kind, values in whole.items():
        assert values == pytest.approx(cut[kind], abs=1e-12), kind


def test_the_window_follows_the_size_of_the_image():
    assert [window_for(side) for side in (256, 512, 128, 8)] == [21, 41, 11, 3]
    assert all(window_for(side) % 2 for side in range(1, 600))


def test_the_highest_quarter_leaves_out_slices_without_liver():
    assert top_quarter(np.array([0.1, 0.9, math.nan, 0.2, 0.7, 0.3, 0.4, 0.5, 0.6])) == pytest.approx(0.8)
    assert top_quarter(np.array([0.4])) == 0.4 and math.isnan(top_quarter(np.array([math.nan])))


def test_a_scan_is_smoothed_over_a_tenth_of_its_slices():
    cubic = np.polynomial.Polynomial([0.1, 0.02, -1e-3, 1e-5])(np.arange(80.0))
    assert subject_score(cubic) == pytest.approx(top_quarter(cubic)), "a cubic filter leaves a cubic as it is"
    spike = np.zeros(200)
    spike[100] = 1.0
    window = 21  # a tenth, odd
    sums = np.array([np.sum(np.arange(-10, 11.0) ** power) for power in (0, 2, 4)])
    peak = sums[2] / (sums[0] * sums[2] - sums[1] ** 2)  # of the fitted cubic at the middle of its window
    smooth = np.array([peak * (1 - sums[1] / sums[2] * step**2) for step in range(-10, 11)])
    expected = np.sort(np.concatenate([smooth, np.zeros(200 - window)]))[-50:].mean()
    assert subject_score(spike) == pytest.approx(expected) and expected != pytest.approx(1 / 50)
    assert subject_score(np.array([0.1, 0.9, 0.2])) == 0.9 and math.isnan(subject_score(np.array([math.nan])))


def test_slices_are_ranked_by_each_score():
    rng = np.random.default_rng(3)
    truth = rng.random(50) < 0.4
    scores = {"one": rng.random(50).tolist(), "other": (truth + rng.normal(0, 0.7, 50)).tolist()}
    made = ranks_of_slices(scores, truth.tolist())
    assert made["prevalence"] == truth.mean()
    for kind, values in scores.items():
        assert made[kind]["auroc"] == pytest.approx(judge.roc_auc_score(truth, values), abs=1e-9)
        assert made[kind]["average_precision"] == pytest.approx(judge.average_precision_score(truth, values), abs=1e-9)
    none = ranks_of_slices({"one": []}, [])
    assert math.isnan(none["prevalence"]) and math.isnan(none["one"]["auroc"])
