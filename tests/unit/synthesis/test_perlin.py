"""Perlin noise, the textures made of it, and the anomalies that DRAEM makes of both."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.synthesis import Perlin
from napari_liver_anomaly.synthesis.textures import WAYS, perlin, texture, turned_noise

WHOLE = np.ones((128, 128), dtype=bool)
FLAT = np.full(WHOLE.shape, 0.5, dtype=np.float32)


def test_noise_lies_between_minus_one_and_one_and_uses_the_range():
    y, x = np.mgrid[0:16:0.05, 0:16:0.05]
    values = np.concatenate([perlin(y, x, (16, 16), np.random.default_rng(seed)).ravel() for seed in range(8)])
    assert np.abs(values).max() <= 1 + 1e-5
    assert values.max() > 0.8 and values.min() < -0.8
    assert values.mean() == pytest.approx(0, abs=0.05)


def test_noise_is_zero_on_the_lattice_and_outside_and_its_slope_is_one_direction_there():
    y, x = np.mgrid[:5, :9].astype(float)
    assert np.abs(perlin(y, x, (4, 8), np.random.default_rng(0))).max() == 0
    assert not perlin(y - 20, x, (4, 8), np.random.default_rng(0)).any()
    step = 1e-2
    slopes = [
        perlin(y + step * dy, x + step * dx, (4, 8), np.random.default_rng(0))[1:-1, 1:-1] / step for dy, dx in ((1, 0), (0, 1))
    ]
    assert np.allclose(np.hypot(*slopes), np.sqrt(2), atol=0.02)


@pytest.mark.parametrize("axis", [0, 1])
def test_noise_is_smooth_across_cells(axis):
    """Slope and curvature on the two sides of a line of the lattice come together as the step gets smaller; curvature would not with a cubic fade."""
    along, lines, jumps = np.linspace(0.02, 7.98, 300), np.arange(1, 8), {}
    for step in (0.04, 0.02):
        near = lines[:, None] + step * np.arange(-2, 3)[None]
        places = [near[:, :, None] + 0 * along, along + 0 * near[:, :, None]]
        values = perlin(*(places if axis == 0 else places[::-1]), (8, 8), np.random.default_rng(2)).astype(float)
        slopes, curvatures = np.diff(values, axis=1) / step, np.diff(values, 2, axis=1) / step**2
        jumps[step] = np.abs(slopes[:, 2] - slopes[:, 1]).mean(), np.abs(curvatures[:, 2] - curvatures[:, 0]).mean()
    assert jumps[0.02][0] < 0.7 * jumps[0.04][0] < 0.2
    assert jumps[0.02][1] < 0.7 * jumps[0.04][1]


def test_turning_is_by_up_to_a_right_angle_and_leaves_corners_empty():
    y, x = np.indices((96, 96))
    noise = [turned_noise(y, x, (96, 96), (1, 32), np.random.default_rng(seed)) for seed in range(40)]
    empty = np.array([np.mean(field[:20, :20] == 0) for field in noise])
    assert (empty > 0.4).any() and (empty < 0.05).any()
    steep = [np.abs(np.diff(field, axis=0)).mean() / np.abs(np.diff(field, axis=1)).mean() for field in noise]
    assert min(steep) < 0.4 and max(steep) > 2.5, "fine along either axis of the slice, by the turn"


def test_half_of_the_labels_are_0_and_with_no_second_draw_more():
    rng, liver_mask = np.random.default_rng(0), np.hypot(*np.ogrid[-64:64, -64:64]) < 20
    labels = [Perlin().shape(liver_mask, rng).any() for _ in range(400)]
    assert np.mean(labels) == pytest.approx(0.5, abs=0.08)
    assert all(Perlin(p_empty=0).shape(liver_mask, rng).any() for _ in range(60))
    assert np.mean([Perlin(again=False).shape(liver_mask, rng).any() for _ in range(400)]) < 0.42


def test_higher_thresholds_and_finer_noise_give_smaller_pieces():
    area = {cut: np.mean([Perlin(p_empty=0, threshold=cut).shape(WHOLE, np.random.default_rng(n)).mean() for n in range(60)])
            for cut in (0.3, 0.5, 0.7)}  # fmt: skip
    assert area[0.3] > 1.5 * area[0.5] > 3 * area[0.7] > 0
    assert 0.02 < area[0.5] < 0.15


def test_the_tissue_shines_through_by_one_share_of_at_most_the_setting():
    """Two slices, one seed: what is left of their difference inside the mask is the share kept, the same in every pixel."""
    other, shares = np.full_like(FLAT, 0.6), []
    for seed in range(80):
        one, two = (Perlin(p_empty=0).draw(image, WHOLE, 300, np.random.default_rng(seed)) for image in (FLAT, other))
        assert np.array_equal(one.mask, two.mask)
        assert np.array_equal(one.image[~one.mask], FLAT[~one.mask])
        left = (two.image - one.image)[one.mask] / 0.1
        assert np.ptp(left) < 1e-4
        shares.append(left.mean())
    assert min(shares) >= -1e-5 and max(shares) <= 0.8 + 1e-5
    assert np.mean(shares) == pytest.approx(0.4, abs=0.09)


def test_textures_fill_0_to_1_and_differ():
    drawn = [texture((70, 90), 5, np.random.default_rng(seed)) for seed in range(40)]
    assert all(field.shape == (70, 90) and field.dtype == np.float32 and 0 <= field.min() <= field.max() <= 1 for field in drawn)
    assert np.mean([field.std() > 0.05 for field in drawn]) > 0.9
    assert len({field.tobytes() for field in drawn}) == 40


def test_each_of_ten_alterations_alters():
    from napari_liver_anomaly.synthesis.textures import _stretched

    assert len(WAYS) == 10
    y, x = np.mgrid[0:4:0.05, 0:4:0.05]
    field = _stretched(perlin(y, x, (4, 4), np.random.default_rng(0)))
    for way in WAYS:
        found = [np.asarray(way(field.copy(), np.random.default_rng(seed))) for seed in range(5)]
        assert all(changed.shape == field.shape and np.isfinite(changed).all() for changed in found)
        assert max(np.abs(changed - field).max() for changed in found) > 0.01


@pytest.mark.parametrize("shape", [(1, 1), (2, 200), (33, 47)])
def test_any_size(shape):
    liver_mask = np.ones(shape, dtype=bool)
    image = np.full(shape, 0.5, dtype=np.float32)
    for seed in range(10):
        drawn = Perlin(p_empty=0, finest=7).draw(image, liver_mask, 300, np.random.default_rng(seed))
        assert drawn.image.shape == shape and np.isfinite(drawn.image).all()
