"""The way to the network's slices, and exactly back."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.preprocessing import PreprocessSettings, equalise, frame_of, liver_median, prepare

SPACING = (2.0, 0.8, 0.8)
ROBUST = PreprocessSettings(geometry="liver", intensity="robust", pixel_mm=1.5)
PAPER = PreprocessSettings(geometry="field", intensity="paper", size_px=64)


@pytest.fixture
def scan():
    rng = np.random.default_rng(0)
    hu = rng.normal(-100, 20, (6, 90, 120)).round().astype(np.int16)
    _, y, x = np.ogrid[:6, :90, :120]
    liver = ((y - 50) / 30) ** 2 + ((x - 60) / 45) ** 2 < 1
    liver = np.broadcast_to(liver, hu.shape).copy()
    liver[0] = False
    hu[liver] = rng.normal(105, 15, int(liver.sum())).round()
    return hu, liver


@pytest.mark.parametrize("settings", [ROBUST, PAPER])
def test_background_is_zero_and_no_liver_pixel_is(scan, settings):
    slices = prepare(*scan, SPACING, settings)
    assert (slices.images[~slices.liver_mask] == 0).all()
    assert slices.images[slices.liver_mask].min() > 0
    assert slices.images.max() <= 1


def test_robust_does_not_see_a_constant_offset(scan):
    hu, liver = scan
    wide = PreprocessSettings(geometry="liver", intensity="robust", window_low_hu=-1000, window_high_hu=1000)
    first = prepare(hu, liver, SPACING, wide).images
    second = prepare((hu + 37).astype(np.int16), liver, SPACING, wide).images
    np.testing.assert_allclose(first, second, atol=2e-6)


def test_hu_come_back_through_the_robust_intensity(scan):
    slices = prepare(*scan, SPACING, ROBUST)
    hu = slices.to_hu(slices.images)
    inside = hu[slices.liver_mask]
    assert abs(np.median(inside) - 105) < 2
    assert inside.std() < 16


def test_hu_come_back_through_the_paper_intensity_to_a_few_grey_levels(scan):
    """Equalisation merges neighbouring levels, most of all in the thin tails, so HU come back to within the merged levels."""
    slices = prepare(*scan, SPACING, PAPER)
    back = slices.to_hu(slices.images)
    low, step = PAPER.window_low_hu, PAPER.hu_per_unit / 255
    grey = slices.frame.to_network(scan[0], (PAPER.window_low_hu, PAPER.window_high_hu))
    level = np.rint((grey - low) / step) * step + low
    assert np.percentile(np.abs(back - level)[slices.liver_mask], 95) <= 2 * step
    assert np.abs(back - level)[slices.liver_mask].mean() <= step


@pytest.mark.parametrize("settings", [ROBUST, PAPER, PreprocessSettings(geometry="liver", pixel_mm=0.5)])
@pytest.mark.parametrize("place", [(20, 30), (47, 66), (70, 88)])
def test_a_spot_comes_back_to_its_own_place(settings, place):
    """A smooth spot's centre of mass moves by less than a tenth of a pixel there and back."""
    y, x = np.mgrid[:90, :120]
    spot = 100 * np.exp(-(((y - place[0]) ** 2 + (x - place[1]) ** 2) / (2 * 4.0**2)))
    hu = np.broadcast_to(spot, (3, 90, 120)).round().astype(np.int16)
    liver = np.ones(hu.shape, dtype=bool)
    frame = frame_of(liver, SPACING, settings)
    back = frame.to_scan(frame.to_network(hu, (0, 100)))[1]
    centre = [(back * axis).sum() / back.sum() for axis in (y, x)]
    truth = [(hu[1] * axis).sum() / hu[1].sum() for axis in (y, x)]
    np.testing.assert_allclose(centre, truth, atol=0.1)


def test_only_planes_with_liver_are_seen_and_others_stay_empty(scan):
    slices = prepare(*scan, SPACING, ROBUST)
    assert slices.frame.planes.tolist() == [1, 2, 3, 4, 5]
    back = slices.frame.to_scan(np.ones_like(slices.images))
    assert back.shape == scan[0].shape
    assert not back[0].any()


def test_liver_geometry_keeps_millimetres_whatever_the_spacing():
    """A lesion of 30 mm covers 20 pixels of 1.5 mm in every scan."""
    for mm in (0.6, 0.8, 3.0):
        side = round(150 / mm)
        liver = np.ones((1, side, side), dtype=bool)
        lesion = np.zeros((1, side, side), dtype=bool)
        lesion[:, : round(30 / mm)] = True
        frame = frame_of(liver, (2.0, mm, mm), ROBUST)
        assert frame.mask_to_network(lesion)[0, :, 5].sum() == pytest.approx(20, abs=1)


def test_oblong_fields_keep_their_shape_in_field_geometry():
    """The field is completed to a square, not squeezed: a round organ stays round."""
    y, x = np.mgrid[:60, :120]
    liver = ((y - 30) ** 2 + (x - 60) ** 2 < 20**2)[None]
    liver_mask = frame_of(liver, SPACING, PAPER).mask_to_network(liver)[0]
    height, width = (np.flatnonzero(liver_mask.any(axis=axis)).size for axis in (1, 0))
    assert abs(height - width) <= 1


def test_an_empty_liver_is_refused(scan):
    with pytest.raises(Refusal, match="liver mask is empty"):
        prepare(scan[0], np.zeros_like(scan[1]), SPACING, ROBUST)


def test_equalisation_keeps_background_order_and_distance_from_it():
    rng = np.random.default_rng(1)
    grey = np.clip(rng.normal(110, 15, (64, 64)), 1, 255).astype(np.uint8)
    grey[:20] = 0
    out, table = equalise(grey)
    assert (out[grey == 0] == 0).all()
    assert out[grey > 0].min() >= 30
    assert out.max() == 255
    assert (np.diff(table[1:].astype(int)) >= 0).all()


def test_equalisation_leaves_an_empty_slice_alone():
    out, _ = equalise(np.zeros((8, 8), dtype=np.uint8))
    assert not out.any()


@pytest.mark.parametrize("settings", [ROBUST, PAPER])
def test_masks_are_neither_grown_nor_shrunk(settings):
    """The paper's public code grows the truth: it resizes masks bicubically and keeps everything above 0.1."""
    y, x = np.mgrid[:90, :120]
    mask = ((y - 47) ** 2 + (x - 61) ** 2 < 26**2)[None]
    frame = frame_of(np.ones_like(mask), SPACING, settings)
    back = frame.to_scan(frame.mask_to_network(mask).astype(np.float32)) >= 0.5
    assert back.sum() / mask.sum() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("count", [1, 2, 999, 1000])
def test_liver_median_is_numpys(count):
    hu = np.random.default_rng(count).integers(-2000, 2000, (1, 40, 40)).astype(np.int16)
    liver = np.zeros(hu.shape, dtype=bool)
    liver.flat[:count] = True
    assert liver_median(hu, liver) == np.median(hu[liver])


def test_pixels_that_are_not_square_are_measured_along_their_own_axis():
    """A liver of 60 × 60 mm: 100 rows of 0.6 mm and 50 columns of 1.2 mm, and 8 mm around it."""
    liver = np.zeros((6, 150, 90), dtype=bool)
    liver[1:5, 25:125, 20:70] = True
    settings = PreprocessSettings(pixel_mm=1.5, around_mm=8, window_low_hu=-45, window_high_hu=160)
    frame = frame_of(liver, (2.5, 0.6, 1.2), settings)
    assert (frame.rows, frame.columns) == ((25 - 14, 125 + 14), (20 - 7, 70 + 7))  # 8 mm are 13.3 rows and 6.7 columns
    assert frame.size == (round(128 * 0.6 / 1.5), round(64 * 1.2 / 1.5)) == (51, 51)
    assert frame.mask_to_network(liver)[0].sum() == pytest.approx(60 * 60 / 1.5**2, rel=0.1)
