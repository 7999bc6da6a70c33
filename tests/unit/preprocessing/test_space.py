"""Slices at a fixed distance, with neighbours and the tissue around the liver: there and back."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.preprocessing import PreprocessSettings, prepare
from napari_liver_anomaly.training.training_file import pack_case
from napari_liver_anomaly.training.training_set import slices_of

SETTINGS = PreprocessSettings(pixel_mm=1.5, plane_mm=3, neighbours=2, around_mm=8, window_low_hu=-45, window_high_hu=160)


def scan(spacing, seed=0):
    """A liver of 120 × 90 × 150 mm with a dark ball of 12 mm radius at its middle, in a body as bright as the liver, on any grid."""
    shape = tuple(int(mm / step) for mm, step in zip((160, 170, 230), spacing, strict=True))
    z, y, x = (np.arange(n) * step - n * step / 2 for n, step in zip(shape, spacing, strict=True))
    far = (z[:, None, None] / 60) ** 2 + (y[None, :, None] / 45) ** 2 + (x[None, None] / 75) ** 2
    liver = far < 1
    ball = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None] ** 2 < 12**2
    hu = np.where(ball, 40, 100) + np.random.default_rng(seed).normal(0, 5, shape)
    return hu.round().astype(np.int16), liver, ball


@pytest.mark.parametrize("spacing", [(0.7, 1.4, 1.4), (1.6, 0.9, 0.8), (3.0, 1.5, 1.5), (8.0, 1.1, 1.1)])
def test_the_same_picture_at_any_spacing(spacing):
    hu, liver, _ = scan(spacing)
    slices = prepare(hu, liver, spacing, SETTINGS)
    depth = slices.liver_mask.any(axis=(1, 2)).sum() * 3.0
    assert depth == pytest.approx(120, abs=12)
    dark = (slices.images < 0.42) & slices.liver_mask
    assert dark.sum() * 3 * 1.5 * 1.5 == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.35)
    assert np.median(slices.images[slices.liver_mask]) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("spacing", [(0.7, 1.4, 1.4), (1.6, 0.9, 0.8), (8.0, 1.1, 1.1)])
def test_back_to_the_same_place(spacing):
    """A ball marked on the network's grid comes back to the ball in the scan."""
    hu, liver, ball = scan(spacing)
    slices = prepare(hu, liver, spacing, SETTINGS)
    marked = ((slices.images < 0.42) & slices.liver_mask).astype(np.float32)
    back = slices.frame.to_scan(marked)
    assert back.shape == hu.shape
    found = back > 0.5
    overlap = 2 * (found & ball).sum() / (found.sum() + ball.sum())
    assert overlap > (0.75 if spacing[0] > 4 else 0.88)
    middle = [np.argwhere(mask).mean(axis=0) * spacing for mask in (found, ball)]
    assert np.abs(middle[0] - middle[1]).max() < 0.8


def test_tissue_around_is_kept_and_what_lies_farther_is_black():
    spacing = (3.0, 1.5, 1.5)
    hu, liver, _ = scan(spacing)
    slices = prepare(hu, liver, spacing, SETTINGS)
    from scipy.ndimage import distance_transform_edt

    far = distance_transform_edt(~slices.liver_mask, sampling=(3.0, 1.5, 1.5))
    near = (far > 0) & (far <= 8)
    assert (slices.images[near] > 0).all()
    assert not slices.images[far > 8].any()


def test_stack_repeats_at_the_ends():
    hu, liver, _ = scan((3.0, 1.5, 1.5))
    slices = prepare(hu, liver, (3.0, 1.5, 1.5), SETTINGS)
    last = len(slices.images) - 1
    stacks = slices.stack(np.array([0, 5, last]))
    assert stacks.shape == (3, 5, *slices.images.shape[1:])
    assert np.array_equal(stacks[0, 0], slices.images[0])
    assert np.array_equal(stacks[1, 4], slices.images[7])
    assert np.array_equal(stacks[2, 4], slices.images[last])


def test_training_sees_what_inference_sees():
    spacing = (1.6, 0.9, 0.9)
    hu, liver, _ball = scan(spacing)
    packed = slices_of([pack_case(hu, liver, None, spacing, scan="a")], SETTINGS)
    direct = prepare(hu, liver, spacing, SETTINGS)
    assert len(packed.images) == len(direct.images)
    for ours, theirs in zip(packed.images, direct.images, strict=True):
        assert np.abs(ours - theirs).max() <= 2.5 / SETTINGS.hu_per_unit
    assert packed.spacing_mm == (3, 1.5, 1.5)


def test_a_slice_is_healthy_only_with_all_it_is_seen_with():
    spacing = (1.5, 1.5, 1.5)
    hu, liver, ball = scan(spacing)
    healthy = slices_of([pack_case(hu, liver, ball, spacing, scan="a")], SETTINGS)
    direct = prepare(hu, liver, spacing, SETTINGS)
    marks = direct.frame.mask_to_network(ball)
    for stack in healthy.stacks:
        assert not marks[list(stack)].any()
    assert 0 < len(healthy) < direct.liver_mask.any(axis=(1, 2)).sum()
    assert len(healthy.areas) == len(healthy)
    assert set(healthy.stacks) < set(healthy.unlabelled), "every slice with liver, tumours included"
    assert any(marks[list(stack)].any() for stack in healthy.unlabelled)
