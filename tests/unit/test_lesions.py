"""Lesions are cut, numbered and measured as analytic bodies say."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from napari_liver_anomaly.errors import Refusal, WrongGrid, WrongSetting
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.lesions import box_of, diameters, level_of, measure
from napari_liver_anomaly.segmentation import SegmentSettings, cut
from napari_liver_anomaly.volume import Mask, Volume


def grid(shape, spacing=(2.0, 1.0, 1.0), turn_deg=0.0):
    """Canonical-first grid: source axes x, y, z with LPS-like signs, turned about x."""
    z, y, x = spacing
    a = math.radians(turn_deg)
    turn = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-x, -y, z])
    affine[:3, 3] = (50, 60, -70)
    return Geometry((shape[2], shape[1], shape[0]), affine)


def label_components(score, threshold, min_mm3, geometry):
    settings = SegmentSettings(threshold=threshold, min_lesion_mm3=min_mm3, min_peak_score=0.0)
    return cut(score, None, geometry, settings)[0]


def ellipsoid(shape, spacing, centre, radii_mm):
    mm = np.indices(shape, dtype=float)
    return sum(((mm[i] - centre[i]) * spacing[i] / radii_mm[i]) ** 2 for i in range(3)) <= 1


def test_the_level_is_the_smallest_score_that_counts():
    assert [level_of(t) for t in (0, 1 / 255, 0.5, 0.501, 1)] == [1, 1, 128, 128, 255]
    assert level_of(128 / 255) == 128
    for odd in (-0.1, 1.1, math.nan):
        with pytest.raises(WrongSetting):
            level_of(odd)


def test_touching_corners_are_one_lesion_and_specks_go():
    score = np.zeros((6, 8, 8), np.uint8)
    score[0, 0, 0] = score[1, 1, 1] = 200
    score[3:5, 4:6, 4:6] = 128
    score[5, 0, 7] = 255
    score[2, 7, 7] = 127
    geometry = grid(score.shape)
    labels = label_components(score, 0.5, 0, geometry)
    assert labels.dtype == np.uint16 and labels.max() == 3
    assert (labels == 1).sum() == 8 and labels[0, 0, 0] == labels[1, 1, 1] == 2 and labels[5, 0, 7] == 3
    assert labels[2, 7, 7] == 0
    assert label_components(score, 0.5, 4.0, geometry).max() == 2, "a piece of exactly the smallest volume stays"
    assert label_components(score, 0.5, 4.1, geometry).max() == 1
    assert label_components(score, 1.0, 0, geometry).astype(bool).sum() == 1


def test_a_piece_goes_where_score_and_liver_together_are_less_than_an_even_bet():
    score, share = np.zeros((3, 9, 9), np.uint8), np.full((3, 9, 9), 255, np.uint8)
    score[:, 0:3], score[:, 4:6], score[:, 7:8] = 230, 230, 140
    share[:, 4:6, 1:] = 128  # 0.9 in what is half a liver but for a column: 0.5 as a whole, just not enough

    def drop(score, least):
        settings = SegmentSettings(min_peak_score=0.0, min_lesion_mm3=0.0, min_liver_probability=least)
        return cut(score, share, grid(score.shape), settings)

    labels = label_components(score, 0.5, 0, grid(score.shape))
    left, dropped = drop(score, 0.51)
    assert dropped == 1 and left.dtype == np.uint16 and left.max() == 2
    assert (left[:, 0:3] == 1).all() and not left[:, 4:6].any() and (left[:, 7] == 2).all(), "the rest keep their order"
    assert drop(score, 0.0) == (pytest.approx(labels), 0)
    none, dropped = drop(np.zeros_like(score), 0.5)
    assert dropped == 0 and not none.any()


def test_an_empty_score_gives_no_lesion():
    geometry = grid((4, 5, 6))
    assert not label_components(np.zeros((4, 5, 6), np.uint8), 0.0, 0, geometry).any()


def test_numbers_never_run_over():
    score = np.zeros((82, 82, 82), np.uint8)
    score[::2, ::2, ::2] = 255
    with pytest.raises(Refusal) as refused:
        label_components(score, 0.5, 0, grid(score.shape))
    assert refused.value.finding.code == "too-many-lesions"


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 20))
def test_numbers_fall_with_volume_and_nothing_is_invented(seed, smallest):
    score = (np.random.default_rng(seed).random((6, 9, 10)) > 0.9).astype(np.uint8) * 255
    labels = label_components(score, 0.5, smallest, grid(score.shape))
    sizes = np.bincount(labels.ravel())[1:]
    assert (np.diff(sizes) <= 0).all() and (sizes > 0).all()
    assert not (labels.astype(bool) & (score == 0)).any()
    assert (sizes * 2.0 >= smallest - 1e-6).all()


@pytest.mark.parametrize("angle", [0, 15, 30, 45, 70, 90])
@pytest.mark.parametrize("spacing", [(0.5, 0.5), (1.0, 0.7)])
def test_diameters_of_an_ellipse(angle, spacing):
    a, b = 30.0, 14.0
    y, x = np.indices((160, 180), dtype=float)
    y, x = (y - 80.3) * spacing[0], (x - 90.6) * spacing[1]
    turn = math.radians(angle)
    along, across = x * math.cos(turn) + y * math.sin(turn), -x * math.sin(turn) + y * math.cos(turn)
    steps = np.array([[0, -spacing[1]], [-spacing[0], 0], [0, 0]])
    long_mm, short_mm = diameters((along / a) ** 2 + (across / b) ** 2 <= 1, steps)
    assert long_mm == pytest.approx(2 * a, rel=0.02)
    assert short_mm == pytest.approx(2 * b, abs=max(0.02 * 2 * b, max(spacing)))


def test_diameters_of_small_things():
    steps = np.array([[0, 1.0], [2.0, 0], [0, 0]])
    assert diameters(np.ones((1, 1), bool), steps) == (pytest.approx(2), pytest.approx(1))
    assert diameters(np.ones((1, 10), bool), steps) == (pytest.approx(10), pytest.approx(2))


@pytest.mark.parametrize("turn_deg", [0, 20])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (2.5, 1.4, 0.9)])
def test_an_ellipsoid_is_measured_in_the_units_of_the_patient(spacing, turn_deg):
    radii = (24.0, 12.0, 18.0)
    shape = tuple(int(70 / s) for s in spacing)
    centre = tuple((n - 1) / 2 + 0.2 for n in shape)
    body = ellipsoid(shape, spacing, centre, radii)
    geometry = grid(shape, spacing, turn_deg)
    hu = np.where(body, 60, 110).astype(np.int16)
    volume = Volume(hu, geometry)
    (lesion,) = measure(body.astype(np.uint16), volume, Mask(np.ones(shape, bool), geometry))
    assert lesion.volume_ml == pytest.approx(4 / 3 * math.pi * np.prod(radii) / 1000, rel=0.02)
    assert lesion.equivalent_mm == pytest.approx(2 * np.cbrt(np.prod(radii)), rel=0.01)
    assert lesion.long_mm == pytest.approx(36, abs=max(0.02 * 36, max(spacing[1:])))
    assert lesion.short_mm == pytest.approx(24, abs=1.05 * max(spacing[1:])), "the long one may lie a voxel askew"
    assert lesion.centroid_index == pytest.approx(centre, abs=0.3)
    assert lesion.centroid_mm == pytest.approx(geometry.position_mm(lesion.centroid_index))
    assert (lesion.mean_hu, lesion.liver_hu, lesion.difference_hu) == (60, 110, -50)
    used = np.flatnonzero(body.any(axis=(1, 2)))
    assert (lesion.first_slice, lesion.last_slice, lesion.slices) == (used[0], used[-1], used.size)


def test_gaps_in_the_numbers_and_a_liver_full_of_tumour():
    shape = (4, 6, 6)
    geometry = grid(shape)
    labels = np.zeros(shape, np.uint16)
    labels[1:3, 1:3, 1:3] = 7
    volume = Volume(np.full(shape, 50, np.int16), geometry)
    (lesion,) = measure(labels, volume, Mask(labels > 0, geometry))
    assert lesion.number == 7 and math.isnan(lesion.liver_hu) and math.isnan(lesion.difference_hu)
    assert measure(np.zeros(shape, np.uint16), volume, Mask(np.zeros(shape, bool), geometry)) == ()


def test_things_of_other_grids_are_refused():
    geometry = grid((4, 6, 6))
    volume = Volume(np.zeros((4, 6, 6), np.int16), geometry)
    with pytest.raises(WrongGrid):
        measure(np.zeros((4, 6, 5), np.uint16), volume, Mask(np.zeros((4, 6, 6), bool), geometry))
    with pytest.raises(WrongGrid):
        measure(np.zeros((4, 6, 6), np.uint16), volume, Mask(np.zeros((4, 6, 6), bool), grid((4, 6, 6), (2.0, 1.0, 1.1))))


def test_boxes():
    voxels = np.zeros((3, 5, 7), bool)
    assert box_of(voxels) is None
    voxels[1, 2, 3] = voxels[2, 2, 6] = True
    assert box_of(voxels) == (slice(1, 3), slice(2, 3), slice(3, 7))


@pytest.mark.benchmark
def test_forty_lesions_in_a_full_scan_take_less_than_a_second():
    shape = (100, 512, 512)
    score = np.zeros(shape, np.uint8)
    rng = np.random.default_rng(0)
    ball = ellipsoid((9, 41, 41), (1, 1, 1), (4, 20, 20), (4.2, 20, 15))
    for _ in range(40):
        z, y, x = (rng.integers(50, n - 50) if n > 200 else rng.integers(0, 90) for n in shape)
        score[z : z + 9, y : y + 41, x : x + 41][ball] = 200
    geometry = grid(shape, (2.5, 0.7, 0.7))
    liver = np.zeros(shape, bool)
    liver[:, 100:400, 60:300] = True
    volume = Volume(np.zeros(shape, np.int16), geometry)
    began = time.perf_counter()
    labels = label_components(score, 0.5, 50, geometry)
    found = measure(labels, volume, Mask(liver, geometry))
    spent = time.perf_counter() - began
    assert 10 < len(found) <= 40
    assert spent < 3, "about half a second on an idle core"
