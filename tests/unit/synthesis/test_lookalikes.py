"""Healthy tissue that looks like a lesion: in the liver only, by seed, and never a lesion."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.models.config import Schedule
from napari_liver_anomaly.preprocessing import HealthySlices
from napari_liver_anomaly.preprocessing.augmentation import vary_tissue
from napari_liver_anomaly.synthesis import Nodules
from napari_liver_anomaly.synthesis.lookalikes import KINDS, draw_lookalikes
from napari_liver_anomaly.training.training_set import make_batch

SPACING = (3.0, 1.5, 1.5)


def stack(planes=5):
    y, x = np.ogrid[:80, :96]
    liver_mask = np.broadcast_to(((y - 40) / 32) ** 2 + ((x - 48) / 40) ** 2 < 1, (planes, 80, 96)).copy()
    values = np.random.default_rng(3).normal(0.5, 0.03, liver_mask.shape)
    return np.where(liver_mask, values, 0).astype(np.float32), liver_mask


@pytest.mark.parametrize("planes", [1, 5])
def test_they_lie_in_the_liver_and_come_again_with_the_seed(planes):
    images, liver_mask = stack(planes)
    before = images.copy()
    made = [draw_lookalikes(images, liver_mask, 300, np.random.default_rng(seed), SPACING) for seed in (*range(20), 0)]
    assert (images == before).all() and (made[0] == made[-1]).all()
    assert len({one.tobytes() for one in made}) > 15
    for one in made:
        assert one.dtype == np.float32 and 0 <= one.min() <= one.max() <= 1
        assert (one[~liver_mask] == 0).all()
    nowhere = np.zeros_like(liver_mask)
    assert (draw_lookalikes(images, nowhere, 300, np.random.default_rng(0), SPACING) == images).all()


@pytest.mark.parametrize(
    ("kind", "darkest", "brightest"),
    [
        ("vessels", -61, 0),
        ("fat_in_a_fissure", -161, 0),
        ("perfusion", 0, 41),
        ("edge_shading", -41, 26),
        ("dome", -121, 0),
        ("streaks", -13, 13),
    ],
)
def test_each_kind_changes_hounsfield_units_by_what_it_should(kind, darkest, brightest):
    _, liver_mask = stack()
    draw = next(one for one in KINDS if one.__name__ == kind)
    made = [draw(liver_mask, np.random.default_rng(seed), SPACING) for seed in range(12)]
    assert all(one.shape == liver_mask.shape and one.dtype == np.float32 for one in made)
    assert darkest <= min(one.min() for one in made) and max(one.max() for one in made) <= brightest
    assert np.mean([np.abs(one[liver_mask]).max() > 3 for one in made]) > 0.7, "most of them can be seen"


def test_a_training_sample_with_lookalikes_has_no_lesion():
    images, liver_mask = stack()
    data = HealthySlices(list(images), list(liver_mask), 300, [(0, 1, 2, 3, 4)], SPACING)
    plain = Schedule(batch=8, crop_px=0, augment=False, jitter=False)
    shown = [
        make_batch(data, Nodules(p_empty=1), schedule, (0, 1), 0)
        for schedule in (plain, Schedule(batch=8, crop_px=0, augment=False, jitter=False, p_lookalike=1.0))
    ]
    changed = (shown[0].healthy != shown[1].healthy).flatten(1).any(dim=1)
    assert changed.float().mean() > 0.7 and not shown[1].mask.any()
    assert (shown[1].healthy[:, 0] == shown[1].anomalous[:, 2]).all(), "a restorer shall keep them"


def test_tissue_varies_by_seed_and_the_background_stays():
    images, liver_mask = stack()
    made = [vary_tissue(images, liver_mask, 300, np.random.default_rng(seed)) for seed in (*range(20), 0)]
    assert (made[0] == made[-1]).all() and len({one.tobytes() for one in made}) > 12
    for one in made:
        assert (one[~liver_mask] == 0).all() and one[liver_mask].min() >= 0.02 and one.max() <= 1
        assert abs(float(np.median(one[liver_mask])) - 0.5) * 300 < 15
