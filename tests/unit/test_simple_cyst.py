"""What is as dark and even as water, with a sharp edge, is told from what only is dark."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.gui.lesion_model import NAMES, cells, sort_keys
from napari_liver_anomaly.gui.lesion_rows import LesionRow, features_of
from napari_liver_anomaly.lesions import LiverScan, measure
from napari_liver_anomaly.volume import Mask, Volume

SHAPE, SPACING, CENTRE = (31, 96, 96), (2.0, 0.8, 0.8), (15, 48, 48)
LIVER_HU, NOISE_HU = 100, 12
PLACE = Geometry(SHAPE[::-1], np.diag([-SPACING[2], -SPACING[1], SPACING[0], 1.0]))


def away_mm():
    """Distance to the centre in mm."""
    return np.sqrt(sum(((place - c) * mm) ** 2 for place, c, mm in zip(np.indices(SHAPE), CENTRE, SPACING, strict=True)))


def measured(hu, lesion, noise=NOISE_HU):
    """Measure one lesion in a liver that fills the scan."""
    noisy = hu + np.random.default_rng(0).normal(0, noise, SHAPE)
    volume = Volume(np.rint(noisy).astype(np.int16), PLACE, "scan")
    liver = Mask(np.ones(SHAPE, bool), volume.geometry, volume.identity)
    return measure(lesion.astype(np.uint8), volume, liver)[0]


def ball(level, radius_mm=12.0, blur_mm=0.8):
    """A ball in the liver, and its outline."""
    body = away_mm() <= radius_mm
    soft = gaussian_filter(body.astype(float), [blur_mm / mm for mm in SPACING])
    return LIVER_HU + (level - LIVER_HU) * soft, body


@pytest.mark.parametrize("level", [-10, 0, 8, 18])
def test_a_sharp_even_ball_of_water_may_be_a_cyst(level):
    assert measured(*ball(level)).may_be_cyst is True


@pytest.mark.parametrize(
    ("level", "why"), [(-60, "fat"), (30, "thicker than water"), (55, "a usual metastasis"), (140, "bright")]
)
def test_what_is_not_water_is_no_cyst(level, why):
    assert measured(*ball(level)).may_be_cyst is False, why


def test_a_soft_edge_is_none():
    assert measured(*ball(-5, blur_mm=6.0)).may_be_cyst is False


def test_an_uneven_inside_is_none():
    hu, body = ball(8)
    stripes = np.where((np.arange(SHAPE[2]) // 5) % 2, 30, -30)
    assert measured(np.where(body, hu + stripes, hu), body).may_be_cyst is False


def test_a_wall_is_none():
    away = away_mm()
    hu = np.where(away <= 14, 60, np.where(away <= 18, 60, LIVER_HU))
    assert measured(np.where(away <= 9, 8, hu), away <= 10).may_be_cyst is False, "tissue as dark as tumour lies around it"


def test_what_is_too_small_to_say_is_none():
    assert measured(*ball(8, radius_mm=3.5)).may_be_cyst is False


def test_a_liver_without_the_rest_of_it_says_nothing():
    hu, body = ball(8)
    volume = Volume(np.rint(hu).astype(np.int16), PLACE, "scan")
    liver = Mask(body, volume.geometry, volume.identity)
    assert measure(body.astype(np.uint8), volume, liver)[0].may_be_cyst is False


def test_the_spread_of_a_liver_is_that_of_its_noise_whatever_the_vessels():
    rng = np.random.default_rng(1)
    voxels = np.rint(rng.normal(LIVER_HU, 20, SHAPE)).astype(np.int16)
    voxels[:3] = 250
    volume = Volume(voxels, PLACE, "scan")
    scan = LiverScan(volume, Mask(np.ones(SHAPE, bool), volume.geometry, volume.identity))
    assert scan.spread_hu == pytest.approx(20, rel=0.15)


def test_the_table_marks_it_and_still_sorts_by_number():
    cyst, other = (LesionRow(measured(*ball(level)), 3) for level in (8, 55))
    column = NAMES.index("HU")
    assert cells(cyst)[column] == f"{cyst.lesion.mean_hu:.0f} cyst?" and "cyst" not in cells(other)[column]
    assert sort_keys(cyst)[column] == cyst.lesion.mean_hu
    assert list(features_of([cyst, other])["may be a cyst"][1:]) == [True, False]
