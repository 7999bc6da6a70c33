"""Lesions of several kinds: large ones push the liver, those at the capsule bulge out of it, and the training set keeps what it should see."""

from __future__ import annotations

import numpy as np

from napari_liver_anomaly.models.config import Schedule
from napari_liver_anomaly.preprocessing import HealthySlices
from napari_liver_anomaly.synthesis import VariedNodules
from napari_liver_anomaly.training.training_set import make_batch

SPACING = (3.0, 1.5, 1.5)
PLAIN = {"p_empty": 0, "p_many": 0, "p_small": 0, "p_faint": 0, "p_cyst": 0, "p_large": 0, "p_capsule": 0}


def stack(around=0.08):
    """A liver of 100 HU in tissue of another value."""
    y, x = np.ogrid[:96, :96]
    liver_mask = np.broadcast_to(((y - 48) / 34) ** 2 + ((x - 48) / 34) ** 2 < 1, (5, 96, 96)).copy()
    noise = np.random.default_rng(3).normal(0, 0.02, liver_mask.shape)
    return (np.where(liver_mask, 0.5, around) + noise).clip(0.02, 1).astype(np.float32), liver_mask


def draw(recipe, seed, images, liver_mask):
    return recipe.draw_stack(images, liver_mask, 300, np.random.default_rng(seed), SPACING)


def test_lesions_at_the_capsule_bulge_and_the_liver_grows_with_them():
    images, liver_mask = stack()
    grown = [draw(VariedNodules(**PLAIN | {"p_capsule": 1}), seed, images, liver_mask) for seed in range(30)]
    bulging = [made for made in grown if made.liver is not None]
    assert len(bulging) > 20
    for made in bulging:
        assert (made.liver == liver_mask | made.mask).all() and (made.mask & ~liver_mask).any()
    outside = [float(made.image[made.mask & ~liver_mask].mean()) for made in bulging]
    assert np.median(outside) > 0.3, "what bulges is lesion and no longer fat"
    assert all(draw(VariedNodules(**PLAIN), seed, images, liver_mask).liver is None for seed in range(10))


def test_nothing_bulges_where_nothing_is_in_sight():
    images, liver_mask = stack()
    images[~liver_mask] = 0
    made = [draw(VariedNodules(**PLAIN | {"p_capsule": 1}), seed, images, liver_mask) for seed in range(10)]
    assert all(one.liver is None and not one.image[~liver_mask].any() for one in made)


def test_large_lesions_push_healthy_tissue_and_take_half_of_the_slice_at_most():
    images, liver_mask = stack()
    images[:, :, 20:76:8] = np.where(liver_mask[:, :, 20:76:8], 0.62, images[:, :, 20:76:8])  # vessels
    pushed = []
    for seed in range(12):
        made = draw(VariedNodules(**PLAIN | {"p_large": 1, "p_satellites": 0}), seed, images, liver_mask)
        change = np.abs(made.image - images) > 0.05
        pushed.append((change & ~made.mask & liver_mask).sum())
        assert made.mask[2].sum() < 0.8 * liver_mask[2].sum()
        assert (made.image[~liver_mask] == images[~liver_mask]).all()
    assert np.median(pushed) > 50


def test_small_and_faint_lesions_are_small_and_faint():
    images, liver_mask = stack()
    for kind, most_mm, most_hu in (("p_small", 16, 110), ("p_faint", 110, 40)):
        for seed in range(15):
            made = draw(VariedNodules(**PLAIN | {kind: 1}), seed, images, liver_mask)
            if made.mask.any():
                from scipy.ndimage import label

                labels, count = label(made.mask)
                areas = np.bincount(labels.ravel())[1:] * 3 * 1.5**2
                assert np.cbrt(6 * areas.min() / np.pi) < most_mm and count
                inner = (made.image - images)[made.mask] * 300
                assert abs(np.median(inner)) < most_hu


def test_a_sample_shows_no_more_around_a_bulging_liver_than_a_network_will_see():
    images, liver_mask = stack()
    data = HealthySlices(list(images), list(liver_mask), 300, [(0, 1, 2, 3, 4)], SPACING, around_mm=8)
    schedule = Schedule(batch=4, crop_px=0, augment=False, jitter=False)
    from scipy.ndimage import distance_transform_edt

    for bulging in (0, 1):
        batch = make_batch(data, VariedNodules(**PLAIN | {"p_capsule": bulging}), schedule, (0, 1), 0)
        for shown, liver in zip(batch.anomalous.numpy()[:, 2], batch.liver_mask.numpy(), strict=True):
            far = distance_transform_edt(~liver, sampling=1.5)
            assert (shown[far < 8] > 0).all() and (bulging or not shown[far > 8].any())
        assert (batch.liver_mask.numpy() & ~liver_mask[2]).any() == bool(bulging)
