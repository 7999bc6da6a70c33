"""Cuts through ASC-Net's reconstruction: counted once, for every threshold."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from liver_anomaly_study.figures.cuts import counted, dice_by_cut, peaks
from liver_anomaly_study.long_cycles import CYCLES, cycles_config, sum_cycles
from napari_liver_anomaly.metrics import dice
from napari_liver_anomaly.models.registry import config_of


def made(seed):
    rng = np.random.default_rng(seed)
    liver_mask = rng.random((3, 8, 8)) < 0.7
    truth = liver_mask & (rng.random((3, 8, 8)) < 0.2)
    whole = np.where(truth, 0.1, 0.8) + 0.004 * rng.standard_normal(liver_mask.shape)
    return (np.rint(whole * 255) / 255).astype(np.float32), SimpleNamespace(liver_mask=liver_mask, truth=truth)


def test_the_curve_is_the_dice_of_every_cut_through_the_inverted_reconstruction():
    wholes, cases = zip(*(made(seed) for seed in range(2)), strict=True)
    curve = dice_by_cut(counted(list(wholes), list(cases)))
    inside = np.concatenate([one.liver_mask.ravel() for one in cases])
    truth = np.concatenate([one.truth.ravel() for one in cases])
    inverted = np.rint(255 * (1 - np.concatenate([whole.ravel() for whole in wholes])))
    for cut in (0, 30, 60, 128, 220, 230, 240):
        assert np.isclose(curve[cut], dice((inverted >= cut) & inside, truth)), cut


def test_folds_of_a_cycle_are_added_up():
    folds = [{"cycle": 2, **counted([whole], [one])} for whole, one in (made(0), made(1))]
    wholes, cases = zip(*(made(seed) for seed in range(2)), strict=True)
    together = sum_cycles(folds)
    count = counted(list(wholes), list(cases))
    assert together["histogram"] == count["histogram"].tolist()
    assert together["best_dice"] == dice_by_cut(count).max()
    assert (together["cycle"], together["peaks"]) == (2, 2)


def test_cycles_of_the_longer_training_are_as_long_as_normal_ones():
    normal, longer = config_of("asc-net", 300), cycles_config(300)
    cycles = normal.options.cycles_one + normal.options.cycles_two
    assert longer.options.cycles_one == normal.options.cycles_one
    assert longer.options.cycles_one + longer.options.cycles_two == CYCLES
    assert longer.steps / CYCLES == normal.steps / cycles


def test_peaks_of_a_histogram():
    rng = np.random.default_rng(0)
    parts = [rng.normal(centre, 0.02, count) for centre, count in ((0.2, 500), (0.5, 5000), (0.8, 800))]
    values = np.clip(np.concatenate([*parts, np.zeros(300), np.ones(300)]), 0, 1).astype(np.float32)
    np.testing.assert_allclose(peaks(values), [0, 0.2, 0.5, 0.8, 1], atol=0.02)
    assert peaks(np.zeros(0, np.float32)).size == 0
