"""Lesions in space: what they replace, how they go through slices, and when they are not drawn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_liver_anomaly.synthesis import RECIPES, Nodules

SPACING = (3.0, 1.5, 1.5)
NO_FRILLS = {"p_empty": 0, "p_many": 0, "p_bright": 0, "p_isodense": 0, "p_core": 0, "p_rim": 0, "texture": 0}


def stack(planes=5, height=80, width=96, noise=0.05, seed=3):
    y, x = np.ogrid[:height, :width]
    liver_mask = ((y - height / 2) / (0.42 * height)) ** 2 + ((x - width / 2) / (0.42 * width)) ** 2 < 1
    liver_mask = np.broadcast_to(liver_mask, (planes, height, width)).copy()
    values = np.random.default_rng(seed).normal(0.5, noise, liver_mask.shape)
    return np.where(liver_mask, values, 0).clip(0, 1).astype(np.float32), liver_mask


@pytest.mark.parametrize("name", RECIPES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), planes=st.sampled_from([1, 3, 5]), height=st.integers(33, 90))
def test_contract_of_stacks(name, seed, planes, height):
    images, liver_mask = stack(planes, height)
    before = images.copy()
    first = RECIPES[name]().draw_stack(images, liver_mask, 300, np.random.default_rng(seed), SPACING)
    second = RECIPES[name]().draw_stack(images, liver_mask, 300, np.random.default_rng(seed), SPACING)
    assert np.array_equal(images, before)
    assert first.image.shape == first.mask.shape == images.shape
    assert first.image.dtype == np.float32
    assert not (first.mask & ~liver_mask).any()
    assert np.array_equal(first.image[~liver_mask], images[~liver_mask])
    assert 0 <= first.image.min() <= first.image.max() <= 1
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)


def test_a_lesion_is_a_body_in_space():
    """Neighbouring slices show neighbouring cuts of one body: their masks overlap much more than those of two draws."""
    images, liver_mask = stack()
    inside, chance = [], []
    masks = [
        Nodules(**NO_FRILLS, radius_low_mm=12, radius_high_mm=14)
        .draw_stack(images, liver_mask, 300, np.random.default_rng(s), SPACING)
        .mask
        for s in range(30)
    ]
    for one, other in itertools.pairwise(masks):
        inside.append((one[1] & one[2]).sum() / max((one[1] | one[2]).sum(), 1))
        chance.append((one[2] & other[2]).sum() / max((one[2] | other[2]).sum(), 1))
    assert np.mean(inside) > 0.6 > 3 * np.mean(chance)


def test_half_of_the_lesions_are_drawn_small(monkeypatch):
    """4 to 12 mm wide and 15 to 60 HU dark, in samples of many lesions, too; the other half are those of the recipe."""
    images, liver_mask = stack()
    drawn, recipe = [], Nodules(p_empty=0, p_small=0.5)
    monkeypatch.setattr(Nodules, "put", lambda kind, *where: drawn.append((kind, where[4])))
    for seed in range(200):
        recipe.draw_stack(images, liver_mask, 300, np.random.default_rng(seed), SPACING)
    small, usual = ([one for one in drawn if (one[0] == recipe) is whole] for whole in (False, True))
    assert len(small) / len(drawn) == pytest.approx(0.5, abs=0.05)
    assert {(kind.dark_low_hu, kind.dark_high_hu, kind.p_bright, kind.p_isodense) for kind, _ in small} == {(15, 60, 0, 0)}
    assert 2 <= min(radius for _, radius in small) < 2.1 and 5.9 < max(radius for _, radius in small) <= 6
    assert max(radius for _, radius in usual) > 30
    drawn.clear()
    Nodules(p_empty=0).draw_stack(images, liver_mask, 300, np.random.default_rng(0), SPACING)
    assert {kind for kind, _ in drawn} == {Nodules(p_empty=0)}


def test_size_is_in_millimetres():
    """Half the pixel size gives four times the pixels."""
    recipe = Nodules(**NO_FRILLS, radius_low_mm=10, radius_high_mm=10.01, lumpy=0)
    images, liver_mask = stack(1, 160, 160)
    areas = []
    for mm in (1.5, 0.75):
        drawn = [
            recipe.draw_stack(images, liver_mask, 300, np.random.default_rng(s), (3.0, mm, mm)).mask.sum() for s in range(60)
        ]
        areas.append(np.median(drawn))
    assert areas[1] / areas[0] == pytest.approx(4, rel=0.25)


def test_vessels_are_replaced():
    """A bright vessel is gone inside a lesion that replaces tissue, and still there in one that only shifts it."""
    images, liver_mask = stack(noise=0.01)
    vessel = np.zeros_like(liver_mask)
    vessel[:, 38:42, :] = True
    images = np.where(vessel & liver_mask, np.float32(0.75), images)
    contrast = {}
    for share in (0.0, 1.0):
        recipe = Nodules(**NO_FRILLS, p_replace=share, radius_low_mm=18, radius_high_mm=20, dark_low_hu=30, dark_high_hu=31)
        left = []
        for seed in range(40):
            drawn = recipe.draw_stack(images, liver_mask, 300, np.random.default_rng(seed), SPACING)
            deep = drawn.mask[2]
            if (deep & vessel[2]).sum() > 20 and (deep & ~vessel[2]).sum() > 20:
                left.append(drawn.image[2][deep & vessel[2]].mean() - drawn.image[2][deep & ~vessel[2]].mean())
        contrast[share] = np.mean(left)
    assert contrast[0.0] > 0.15
    assert contrast[1.0] < 0.6 * contrast[0.0]


def test_what_noise_hides_is_not_drawn():
    recipe = Nodules(**NO_FRILLS, radius_low_mm=2.5, radius_high_mm=3, dark_low_hu=10, dark_high_hu=12)
    quiet, liver_mask = stack(noise=0.005)
    noisy, _ = stack(noise=0.15)
    drawn = {
        name: sum(recipe.draw_stack(image, liver_mask, 300, np.random.default_rng(s), SPACING).label for s in range(30))
        for name, image in (("quiet", quiet), ("noisy", noisy))
    }
    assert drawn["quiet"] > 20
    assert drawn["noisy"] == 0


def test_dark_bright_and_isodense_occur_as_often_as_set():
    recipe = Nodules(p_bright=0.3, p_isodense=0.2)
    rng = np.random.default_rng(0)
    drawn = np.array([recipe._contrast_hu(rng)[0] for _ in range(600)])
    assert np.mean(drawn < -9.9) == pytest.approx(0.5, abs=0.07)
    assert np.mean(drawn > 9.9) == pytest.approx(0.3, abs=0.07)
    assert drawn.min() >= -110
