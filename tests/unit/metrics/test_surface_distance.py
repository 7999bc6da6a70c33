"""Distances between surfaces, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_liver_anomaly.metrics.surface_distance import Surfaces, surface_of


def voxel(*places: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros((6, 6, 6), bool)
    for place in places:
        mask[place] = True
    return mask


def test_two_voxels_lie_as_far_apart_as_their_middles():
    found = Surfaces.of(voxel((1, 1, 1)), voxel((3, 1, 4)), (5.0, 1.0, 2.0))
    assert found.hausdorff_mm == pytest.approx(math.hypot(2 * 5, 3 * 2))
    assert found.mean_mm == found.hausdorff95_mm == found.hausdorff_mm


def test_a_mean_is_over_the_voxels_of_both():
    found = Surfaces.of(voxel((1, 1, 1)), voxel((1, 1, 1), (1, 1, 4)), (1.0, 1.0, 1.0))
    assert found.mean_mm == pytest.approx((0 + 0 + 3) / 3)
    assert found.dice_at(2.9) == pytest.approx(2 / 3)
    assert found.dice_at(3.0) == 1


def test_the_inside_is_no_surface():
    block = np.zeros((7, 7, 7), bool)
    block[1:6, 1:6, 1:6] = True
    assert np.count_nonzero(surface_of(block)) == 5**3 - 3**3


def test_the_95th_percentile_is_the_larger_of_both_sides():
    """Of the distances 0, 1 … 100 mm it is 95 mm, whichever side they are on."""
    far, near = np.arange(101.0), np.zeros(50)
    for surfaces in (Surfaces(far, near), Surfaces(near, far)):
        assert (surfaces.hausdorff95_mm, surfaces.hausdorff_mm) == (95, 100)


def test_a_mask_that_fills_its_box_has_a_surface():
    """Also where it touches the edge of the scan: all but the middle of 3 × 3 × 3 voxels."""
    inside = np.ones((3, 3, 3), bool)
    assert surface_of(inside).sum() == 26 and not surface_of(inside)[1, 1, 1]
    assert Surfaces.of(inside, inside, (2.0, 1.0, 1.0)).dice_at(0.0) == 1.0
