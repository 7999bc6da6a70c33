"""The second held-out family: what it draws, and that it shares nothing with a family that is trained on."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np

from builders import healthy_slices
from liver_anomaly_study import outlines
from liver_anomaly_study.outlines import Outlines

ALWAYS = Outlines(p_empty=0)


def drawn(seed: int, recipe: Outlines = ALWAYS):
    data = healthy_slices(1)
    image, liver_mask = data.images[0], data.liver_masks[0]
    return image, liver_mask, recipe.draw(image, liver_mask, data.hu_per_unit, np.random.default_rng(seed))


def test_the_contract_of_a_recipe():
    for seed in range(20):
        image, liver_mask, sample = drawn(seed)
        before = healthy_slices(1).images[0]
        assert np.array_equal(image, before) and np.array_equal(sample.image, drawn(seed)[2].image)
        assert sample.image.dtype == np.float32 and sample.image.min() >= 0 and sample.image.max() <= 1
        assert not (sample.mask & ~liver_mask).any() and np.array_equal(sample.image[~liver_mask], image[~liver_mask])
        assert (sample.image != image)[sample.mask].mean() > 0.5
    assert not Outlines(p_empty=0).draw(before * 0, liver_mask & False, 300, np.random.default_rng(0)).mask.any()


def test_contrasts_signs_and_sizes():
    changes, areas = [], []
    for seed in range(200):
        image, _, sample = drawn(seed)
        if (core := sample.mask & (np.abs(sample.image - 0.02) > 1e-4) & (sample.image < 1)).sum() > 8:
            changes.append(float(np.median((sample.image - image)[core])) * 300)
        areas.append(int(sample.mask.sum()))
    dark = [change for change in changes if change < 0]
    assert 0.7 < len(dark) / len(changes) < 0.9
    assert -112 < min(dark) and max(changes) < 82 and min(map(abs, changes)) > 10
    assert max(areas) > 250 and min(areas) < 60
    empty = [drawn(seed, Outlines())[2].label for seed in range(200)]
    assert 0.6 < np.mean(empty) < 0.8


def test_outlines_are_wavy_and_discs_without_waves():
    whole, rng = np.ones((64, 64), bool), np.random.default_rng
    disc = replace(Outlines(), waviness=0.0, radius_low_px=10, radius_high_px=10)
    y, x = np.ogrid[:64, :64]
    for seed in range(40):
        shapes = [recipe.weight(whole, rng(seed)) > 0.5 for recipe in (disc, replace(disc, waviness=0.3))]
        cy, cx = rng(seed).choice(np.argwhere(whole))
        if 12 < cy < 52 and 12 < cx < 52:
            assert np.array_equal(shapes[0], np.hypot(y - cy, x - cx) < 10)
            assert (shapes[0] != shapes[1]).sum() > 20


def test_it_is_made_of_nothing_that_others_are_made_of():
    tree = ast.parse(Path(outlines.__file__).read_text(encoding="utf-8"))
    taken = {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and "liver_anomaly" in (node.module or "")
    }
    assert taken == {"napari_liver_anomaly.settings", "napari_liver_anomaly.synthesis.base"}
