"""The way to the grids of the finder and back loses next to nothing."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.liver.grid import FINE_MM, mixing, resample, shape_for, spread, unit


@pytest.mark.parametrize(("count", "spacing", "wanted", "step"), [(100, 0.7, 28, 2.5), (10, 8.0, 20, 4.0), (1, 5.0, 1, 4.0)])
def test_every_new_voxel_is_an_average(count, spacing, wanted, step) -> None:
    weights = mixing(count, spacing, wanted, step, step)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert np.abs(weights @ ((np.arange(count) + 0.5) * spacing) - (np.arange(wanted) + 0.5) * step)[2:-2].max(initial=0) < 0.2


@pytest.mark.parametrize("spacing", [(0.8, 0.6, 0.6), (3.0, 3.0, 3.0), (8.0, 0.9, 0.9)])
def test_a_ball_comes_back(spacing) -> None:
    shape = tuple(int(200 / s) for s in spacing)
    z, y, x = np.ogrid[tuple(slice(n) for n in shape)]
    ball = sum((((a + 0.5) * s - 100) / 60) ** 2 for a, s in zip((z, y, x), spacing, strict=True)) < 1
    fine = resample(ball, spacing, FINE_MM, FINE_MM)
    assert fine.shape == shape_for(shape, spacing, FINE_MM)
    start = (8, 14, 14)
    part = fine[start[0] : 42, start[1] : 66, start[2] : 66]
    back, grey = spread(part, start, FINE_MM, shape, spacing)
    assert 2 * (back & ball).sum() / (back.sum() + ball.sum()) > 0.98
    np.testing.assert_array_equal(back, grey >= 128)  # one half is between 127 and 128


def test_hu_become_shares_of_the_window() -> None:
    np.testing.assert_allclose(unit(np.array([-1000, -45, 57.5, 160, 3000])), [0, 0, 0.5, 1, 1])
