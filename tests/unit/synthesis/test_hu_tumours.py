"""Handcrafted tumours: dark, soft, of the paper's sizes in millimetres, bodies in space; and the displacements that deform them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.synthesis import HuTumours
from napari_liver_anomaly.synthesis.elastic import between, displacement
from napari_liver_anomaly.synthesis.hu_tumours import _add_body, texture

SPACING = (3.0, 1.5, 1.5)


def stack(planes=3, height=120, width=150, noise=0.05):
    y, x = np.ogrid[:height, :width]
    liver_mask = ((y - height / 2) / (0.42 * height)) ** 2 + ((x - width / 2) / (0.42 * width)) ** 2 < 1
    liver_mask = np.broadcast_to(liver_mask, (planes, height, width)).copy()
    values = np.random.default_rng(3).normal(0.5, noise, liver_mask.shape)
    return np.where(liver_mask, values, 0).clip(0, 1).astype(np.float32), liver_mask


def draws(recipe, images, liver_mask, count, spacing=SPACING):
    return [recipe.draw_stack(images, liver_mask, 300, np.random.default_rng(seed), spacing) for seed in range(count)]


def test_tissue_only_gets_darker_and_stays_tissue():
    images, liver_mask = stack(noise=0.2)
    images[liver_mask] = images[liver_mask].clip(0.02, 1)
    for drawn in draws(HuTumours(p_empty=0, contrast_high_hu=300), images, liver_mask, 30):
        assert (drawn.image <= images).all()
        assert drawn.image[liver_mask].min() >= np.float32(0.02)
        inside = drawn.mask & (images > 0.03)
        assert (drawn.image < images)[inside].all()


def test_contrast_is_in_hounsfield_units_halved_by_the_texture_and_its_edge_is_soft():
    images, liver_mask = stack(noise=0)
    deep, beyond = [], []
    for drawn in draws(HuTumours(p_empty=0, contrast_low_hu=100, contrast_high_hu=100), images, liver_mask, 40):
        drop = (images - drawn.image) * 300
        assert drop.max() <= 100.1
        deep.append(drop[drop > 0.6 * drop.max()].mean())
        beyond.append(np.count_nonzero((drop > 0) & ~drawn.mask))
    assert np.mean(deep) == pytest.approx(52, abs=8)
    assert min(beyond) > 0


@pytest.mark.parametrize("planes", [1, 3])
def test_only_the_share_that_is_set_stays_healthy(planes):
    images, liver_mask = stack(planes, 60, 60)
    assert all(drawn.mask[planes // 2].any() for drawn in draws(HuTumours(p_empty=0), images, liver_mask, 60))
    labels = [drawn.label for drawn in draws(HuTumours(p_empty=0.4), images, liver_mask, 150)]
    assert np.mean(labels) == pytest.approx(0.6, abs=0.12)


def test_sizes_reach_from_tiny_to_large():
    """Radii of discs as large as the single spots: some below 4 mm, some above 25 mm; a fifth of the samples have tiny ones alone."""
    from scipy.ndimage import label

    images, liver_mask = stack(1, 160, 180, noise=0)
    largest = []
    for drawn in draws(HuTumours(p_empty=0), images, liver_mask, 120):
        numbered, count = label(drawn.mask[0])
        areas = np.bincount(numbered.ravel(), minlength=count + 1)[1:] * 1.5**2
        largest.append(np.sqrt(areas.max() / np.pi))
    assert np.mean(np.array(largest) < 6) == pytest.approx(0.2, abs=0.11)
    assert np.mean(np.array(largest) > 16) == pytest.approx(0.42, abs=0.15)
    assert max(largest) < 60


def test_a_tumour_is_a_body_in_space_of_a_size_in_millimetres():
    volumes = []
    for mm in (1.5, 0.75):
        bodies = np.zeros((24, int(48 / mm), int(48 / mm)), dtype=bool)
        axes, centre = np.array([8.0, 10.0, 6.0]), np.array([12.0, 24.0, 24.0])
        _add_body(bodies, axes, centre, 0.0, np.random.default_rng(0), (1.0, mm, mm))
        volumes.append(np.count_nonzero(bodies) * mm * mm)
        assert np.count_nonzero(bodies.any(axis=(0, 2))) * mm == pytest.approx(20, abs=2 * mm)
    assert volumes == pytest.approx([4 / 3 * np.pi * 8 * 10 * 6] * 2, rel=0.04)


def test_deformation_changes_the_outline_but_keeps_one_body():
    from scipy.ndimage import label

    shapes = []
    for seed in range(8):
        bodies = np.zeros((60, 60, 60), dtype=bool)
        _add_body(bodies, np.full(3, 16.0), np.full(3, 30.0), 4.0, np.random.default_rng(seed), (1.0, 1.0, 1.0))
        assert label(bodies)[1] == 1
        assert bodies.sum() == pytest.approx(4 / 3 * np.pi * 16**3, rel=0.6)
        away = np.argwhere(bodies) - np.argwhere(bodies).mean(axis=0)
        shapes.append(np.linalg.norm(np.cov(away.T) / (16**2 / 5) - np.eye(3)))  # 0 for a ball, wherever it lies
    assert min(shapes) > 0.05
    assert 0.15 < np.median(shapes) < 1.5


def test_texture_is_that_of_the_paper_at_one_millimetre():
    """The paper's recipe, step by step on 1 mm voxels, gives the same mean and spread."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    spread = []
    for coarse, fine in ((3, 4), (6, 4), (9, 7)):
        noise = gaussian_filter(rng.random((96, 96, 96), dtype=np.float32), coarse, mode="wrap")
        noise = 0.5 + (noise - noise.mean()) / (10 * noise.std())  # what is 0 to 1 in a volume fifty times as large
        sampled = rng.random(noise.shape, dtype=np.float32) < 0.05 + 0.2 * noise
        smooth = gaussian_filter(sampled.astype(np.float32), fine, mode="wrap")
        spread.append((smooth * 0.525 / smooth[smooth > 0.12].mean()).std())
    ours = [texture((20, 60, 60), SPACING, np.random.default_rng(seed)) for seed in range(30)]
    assert np.mean(ours) == pytest.approx(0.52, abs=0.03)
    assert np.mean([one.std() for one in ours]) == pytest.approx(np.mean(spread), rel=0.35)


def test_displacements_are_smooth_bounded_and_those_of_their_control_points():
    places = [np.linspace(0, 6, 61), np.linspace(0, 6, 61)]
    moved = displacement(places, 7, 2.0, np.random.default_rng(0))
    points = moved[:, ::10, ::10]
    assert moved.shape == (2, 61, 61)
    assert np.abs(points).max() <= 4.001
    assert points.std() == pytest.approx(1.9, abs=0.4)
    assert np.abs(np.diff(moved, axis=1)).max() < 1.6
    np.testing.assert_allclose(points, displacement([np.arange(7)] * 2, 7, 2.0, np.random.default_rng(0)), atol=1e-5)


def test_interpolation_is_exact_for_a_plane_and_stops_at_the_border():
    y, x = np.arange(5.0), np.arange(4.0)
    coarse = 2 * y[:, None] + 3 * x[None, :]
    fine = between(coarse, (np.array([-3, 0.5, 2.25, 9]), np.array([0, 1.5, 3])))
    np.testing.assert_allclose(fine, 2 * np.array([0, 0.5, 2.25, 4])[:, None] + 3 * np.array([0, 1.5, 3]), atol=1e-5)
