"""Thresholds without a label."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.thresholds import DEFAULT, auto_threshold, healthy_threshold


def calibrated(seed, high_share=0.05, size=40000):
    """Scores that are true probabilities, and a truth drawn from them."""
    rng = np.random.default_rng(seed)
    score = np.where(rng.random(size) < high_share, rng.beta(4, 2, size), rng.beta(1, 12, size))
    grey = np.rint(score * 255).astype(np.uint8)
    return grey, rng.random(size) < grey / 255


@pytest.mark.parametrize("seed", range(4))
def test_auto_is_close_to_the_best_dice_where_scores_are_probabilities(seed):
    score, truth = calibrated(seed)

    def dice(threshold):
        called = score >= np.ceil(threshold * 255 - 1e-6)
        return 2 * (called & truth).sum() / (called.sum() + truth.sum())

    chosen = auto_threshold(score, np.ones(score.shape, bool))
    best = max(dice(t) for t in np.arange(0.2, 0.81, 0.01))
    assert dice(chosen) > best - 0.01
    assert dice(chosen) > dice(0.8) + 0.02


def test_only_the_liver_counts():
    score = np.zeros((2, 50), np.uint8)
    score[0] = 200
    liver = np.zeros(score.shape, bool)
    liver[1] = True
    assert auto_threshold(score, liver) == DEFAULT
    assert auto_threshold(score, ~liver) != DEFAULT or score[0, 0] >= 128


def test_nothing_suspicious_leaves_the_default():
    assert auto_threshold(np.full((3, 3), 20, np.uint8), np.ones((3, 3), bool)) == 0.5
    assert auto_threshold(np.full((3, 3), 20, np.uint8), np.zeros((3, 3), bool)) == 0.5


def test_range_and_step():
    for seed in range(3):
        score, _ = calibrated(seed, 0.5)
        value = auto_threshold(score, np.ones(score.shape, bool))
        assert 0.2 <= value <= 0.8
        assert value == round(value, 2)


def test_healthy_quantile_calls_at_most_that_share():
    rng = np.random.default_rng(0)
    scores = [np.rint(rng.beta(1, 20, (20, 30, 30)) * 255).astype(np.uint8) for _ in range(3)]
    liver = np.ones((20, 30, 30), bool)
    threshold = healthy_threshold([(s, liver) for s in scores], 0.01)
    share = np.mean([s >= round(threshold * 255) for s in scores])
    assert 0.003 < share <= 0.01
    below = np.mean([s >= round(threshold * 255) - 1 for s in scores])
    assert below > 0.01


def test_no_threshold_is_strict_enough():
    assert healthy_threshold([(np.full((4, 4), 255, np.uint8), np.ones((4, 4), bool))], 0.01) == 1.0
