"""Tumours as a layer: the blend, its brightness, the texture of the other slice, and the shape."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.synthesis import Layers
from napari_liver_anomaly.synthesis.base import Donor

PLAIN = {"p_empty": 0, "move_px": 0, "blur_low_px": 0, "blur_high_px": 0}


def liver(seed=0, noise=0.05, level=0.5):
    y, x = np.ogrid[:96, :110]
    liver_mask = ((y - 48) / 38) ** 2 + ((x - 55) / 44) ** 2 < 1
    values = np.random.default_rng(seed).normal(level, noise, liver_mask.shape)
    return np.where(liver_mask, values, 0).astype(np.float32), liver_mask


def test_the_layers_blend_by_the_formula_and_only_inside_the_mask():
    image, liver_mask = liver(noise=0)
    recipe = Layers(**PLAIN, opacity_low=0.5, opacity_high=0.5, factor_low=0.6, factor_high=0.6)
    drawn = recipe.blend(image, liver_mask, Donor(*liver(noise=0, level=0.8)), 300, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.image[drawn.mask], 0.5 * 0.5 + 0.5 * 0.6 * 0.5, atol=1e-6)
    assert np.array_equal(drawn.image[~drawn.mask], image[~drawn.mask])


@pytest.mark.parametrize("level", [0.2, 0.7])
def test_brightness_follows_the_tissue_and_not_the_donor(level):
    image, liver_mask = liver()
    for seed in range(20):
        recipe = Layers(p_empty=0, opacity_low=0.8, opacity_high=0.8, factor_low=0.5, factor_high=0.5, radius_low=0.2)
        drawn = recipe.blend(image, liver_mask, Donor(*liver(4, level=level)), 300, np.random.default_rng(seed))
        assert drawn.image[drawn.mask].mean() == pytest.approx((0.2 + 0.8 * 0.5) * image[drawn.mask].mean(), abs=0.005)


def test_factors_and_opacities_reach_both_ends():
    image, liver_mask = liver(noise=0)
    share = []
    for seed in range(150):
        drawn = Layers(p_empty=0).draw(image, liver_mask, 300, np.random.default_rng(seed))
        share.append(drawn.image[drawn.mask].mean() / 0.5)
    assert 1 - 0.8 * 0.6 - 1e-3 <= min(share) < 0.62  # 0.52 is the darkest blend there is
    assert 0.93 < max(share) <= 1 - 0.2 * 0.1 + 1e-3


def test_the_texture_is_the_donors_deformed_and_blurred():
    image, liver_mask = liver(noise=0)
    donor = Donor(*liver(seed=5))
    opaque = {"opacity_low": 1.0, "opacity_high": 1.0, "factor_low": 1.0, "factor_high": 1.0, "radius_low": 0.39}
    alike, rough = {}, {}
    for name, change in (("plain", {}), ("moved", {"move_px": 4}), ("blurred", {"blur_low_px": 2, "blur_high_px": 2})):
        drawn = Layers(**{**PLAIN, **opaque, **change}).blend(image, liver_mask, donor, 300, np.random.default_rng(1))
        alike[name] = np.corrcoef(drawn.image[drawn.mask], donor.image[drawn.mask])[0, 1]
        rough[name] = drawn.image[drawn.mask].std()
    assert alike["plain"] > 0.999
    assert alike["moved"] < 0.5
    assert rough["blurred"] < 0.4 * rough["plain"]


def test_a_donor_without_liver_there_leaves_no_hole():
    image, liver_mask = liver(noise=0)
    other, _ = liver(seed=5)
    for there in (liver_mask & (np.arange(110) < 50), np.zeros_like(liver_mask)):
        donor = Donor(np.where(there, other, 0).astype(np.float32), there)
        for seed in range(10):
            drawn = Layers(**PLAIN, factor_low=0.9, factor_high=0.9).blend(
                image, liver_mask, donor, 300, np.random.default_rng(seed)
            )
            assert drawn.image[drawn.mask].min() > 0.25


def test_shapes_are_one_piece_lumpy_and_as_large_as_set():
    from scipy.ndimage import label

    ratios = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        shape = Layers(radius_low=0.3, radius_high=0.3).shape((160, 160), np.array([80, 80]), 80, rng)
        assert label(shape)[1] == 1
        ratios.append(shape.sum() / (np.pi * 24**2))
    assert np.median(ratios) == pytest.approx(1, abs=0.2)
    round_one = Layers(radius_low=0.3, radius_high=0.3, lumpy=0, axis_ratio=1).shape(
        (160, 160), np.array([80, 80]), 80, np.random.default_rng(0)
    )
    assert round_one.sum() == pytest.approx(np.pi * 24**2, rel=0.03)
    assert np.std(ratios) > 0.05


def test_share_left_healthy_is_the_setting_and_no_other_sample_is():
    image, liver_mask = liver()
    rng = np.random.default_rng(0)
    labels = [Layers(p_empty=0.3).draw(image, liver_mask, 300, rng).label for _ in range(120)]
    assert 0.18 < 1 - np.mean(labels) < 0.42
    speck = np.zeros_like(liver_mask)
    speck[40:43, 50] = True
    assert all(Layers(p_empty=0).draw(image, speck, 300, np.random.default_rng(seed)).label for seed in range(30))
