"""The rules without learning cut exactly where they say, and do on real scans what they are known to do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_liver_anomaly.errors import Refusal, WrongSetting
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.cases import find_cases
from napari_liver_anomaly.metrics import Ranking, dice
from napari_liver_anomaly.models.rules import BASELINES, DarkRule, LocalZ
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.volume import Mask, Volume

GRID = Geometry((48, 40, 12), np.diag([-1.0, -1.0, 2.5, 1.0]))


def liver_with(hu, where, outside=-1000):
    """A block of liver of 100 HU in air (or bone) with something in it."""
    voxels = np.full(GRID.shape, outside, np.int16)
    liver = np.zeros(GRID.shape, bool)
    liver[1:-1, 5:-5, 5:-5] = True
    voxels[liver] = 100
    voxels[where] = hu
    volume = Volume(voxels, GRID)
    return volume, Mask(liver, GRID, judged=True)


@pytest.mark.parametrize("outside", [-1000, 1000])
def test_what_lies_outside_the_liver_has_no_weight(outside):
    volume, liver = liver_with(100, (slice(0, 0),), outside)
    score = DarkRule().score_volume(volume, liver)
    assert score.dtype == np.uint8 and not score[~liver.voxels].any()
    assert set(score[liver.voxels].tolist()) <= {69, 70}, "128 - 2 x 29 everywhere, at the edge too"


def test_half_sits_exactly_at_the_cut():
    rng = np.random.default_rng(0)
    volume, liver = liver_with(100, (slice(0, 0),))
    hu = np.where(liver.voxels, rng.integers(0, 160, GRID.shape), -1000).astype(np.int16)
    volume = Volume(hu, GRID)
    rule = DarkRule(sigma_mm=1.5, threshold_hu=8)
    sigmas = [1.5 / mm for mm in GRID.spacing_mm]
    weight = ndimage.gaussian_filter(liver.voxels.astype(float), sigmas, mode="constant")
    smooth = ndimage.gaussian_filter(hu * liver.voxels.astype(float), sigmas, mode="constant") / np.maximum(weight, 1e-9)
    darkness = np.median(hu[liver.voxels]) - smooth
    clear = liver.voxels & (np.abs(darkness - 8) > 1e-3)
    called = rule.score_volume(volume, liver) >= 128
    assert 0.02 < called[liver.voxels].mean() < 0.4
    assert np.array_equal(called[clear], (darkness >= 8)[clear])


def test_darker_never_scores_lower():
    volume, liver = liver_with(100, (slice(0, 0),))
    scores = []
    for hu in (160, 100, 80, 71, 60, 20, -80):
        voxels = volume.voxels.copy()
        voxels[3:9, 12:28, 12:28] = hu
        scores.append(int(DarkRule().score_volume(Volume(voxels, GRID), liver)[6, 20, 20]))
    assert scores == sorted(scores) and scores[0] < 128 < scores[-1]


@pytest.mark.parametrize("rule", [kind() for kind in BASELINES], ids=lambda rule: rule.name)
def test_rules_find_dark_lesions_of_the_phantom_and_are_methods(rule):
    sample = make_phantom(PhantomSettings(slices=32, size_px=160, seed=1))
    result = segment(sample.volume, sample.liver, rule, SegmentSettings())
    ranking = Ranking.of(result.score, sample.tumours.voxels, sample.liver.voxels)
    assert ranking.average_precision() > 5 * ranking.prevalence
    assert result.model == rule.name == rule.key and result.restored is None
    assert not result.score[~sample.liver.voxels].any()
    assert np.array_equal(result.score, rule.score_volume(sample.volume, sample.liver)), "same input, same answer"


def test_a_slow_slope_is_no_lesion_for_the_local_rule():
    """A liver that darkens smoothly by 80 HU across: one rule calls a fifth of it tumour, the other nothing."""
    geometry = Geometry((120, 120, 24), np.diag([-2.0, -2.0, 5.0, 1.0]))
    rng = np.random.default_rng(0)
    slope = np.broadcast_to(np.linspace(130, 50, 120), geometry.shape) + rng.normal(0, 12, geometry.shape)
    volume = Volume(slope.astype(np.int16), geometry)
    liver = Mask(np.ones(geometry.shape, bool), geometry)
    inner = (slice(4, -4), slice(20, -20), slice(20, -20))
    assert (DarkRule(threshold_hu=20).score_volume(volume, liver) >= 128).mean() > 0.2
    assert (LocalZ(threshold_z=3.0).score_volume(volume, liver)[inner] >= 128).mean() < 0.01


def test_no_liver_no_score():
    volume, liver = liver_with(100, (slice(0, 0),))
    empty = Mask(np.zeros_like(liver.voxels), GRID)
    for kind in BASELINES:
        assert not kind().score_volume(volume, empty).any()


@pytest.mark.parametrize("rate", [0.2, 0.01, 0.004])
def test_the_cut_can_be_set_without_tumour_labels(rate):
    samples = [make_phantom(PhantomSettings(slices=12, size_px=96, seed=seed, tumours=False)) for seed in (1, 2)]
    rule = DarkRule().calibrated([(s.volume, s.liver) for s in samples], rate)
    called = [rule.score_volume(s.volume, s.liver)[s.liver.voxels] >= 128 for s in samples]
    share = np.concatenate(called).mean()
    assert 0.7 * rate < share <= 1.05 * rate
    with pytest.raises(Refusal):
        DarkRule().calibrated([], rate)


def test_settings_have_ranges():
    with pytest.raises(WrongSetting):
        DarkRule(sigma_mm=0)
    assert DarkRule.from_dict(DarkRule(threshold_hu=31).to_dict()) == DarkRule(threshold_hu=31)


@pytest.mark.slow
def test_on_real_scans_the_rule_does_as_it_is_known_to(data_dir):
    """Mean Dice 0.29 and mean AUROC 0.87 over the scans with tumours."""
    values, areas = [], []
    for case in find_cases(data_dir):
        if case.tumours is None:
            continue
        volume = read(case.ct)
        tumours = read_mask(case.tumours, volume, may_be_empty=True).voxels
        if not tumours.any():
            continue
        liver = read_mask(case.liver, volume)
        score = DarkRule().score_volume(volume, liver)
        values.append(dice(score >= 128, tumours, liver.voxels))
        areas.append(Ranking.of(score, tumours, liver.voxels).auroc())
    assert len(values) == 12
    assert np.mean(values) == pytest.approx(0.29, abs=0.015)
    assert np.mean(areas) == pytest.approx(0.87, abs=0.015)
