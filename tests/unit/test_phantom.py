"""The phantom is a person with a liver: the same for the same seed, with exact truth."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage

from napari_liver_anomaly.errors import WrongSetting
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.phantom.ct_noise import ct_noise
from napari_liver_anomaly.phantom.space import Space
from napari_liver_anomaly.phantom.vessels import grow

SMALL = {"slices": 24, "size_px": 128}


@pytest.fixture(scope="module")
def sample():
    return make_phantom(PhantomSettings(**SMALL))


@pytest.fixture(scope="module")
def healthy():
    return make_phantom(PhantomSettings(**SMALL, tumours=False))


def test_the_default_is_a_whole_liver_in_a_few_seconds():
    began = time.process_time()
    sample = make_phantom()
    assert time.process_time() - began < 12, "about three seconds on an idle core"
    assert sample.volume.voxels.shape == (48, 256, 256)
    assert sample.volume.geometry.spacing_mm == pytest.approx((4, 1.40625, 1.40625))
    assert 1100 < sample.liver.ml < 1700
    edges = [sample.liver.voxels[edge] for edge in (0, -1)] + [sample.liver.voxels[:, :, edge] for edge in (0, -1)]
    assert not any(edge.any() for edge in edges)
    pieces, _ = ndimage.label(sample.liver.voxels)
    assert np.bincount(pieces.ravel())[1:].max() > 0.97 * np.count_nonzero(pieces)


@pytest.mark.parametrize("seed", [2, 3, 4, 5, 6])
def test_every_person_has_a_believable_liver(seed):
    sample = make_phantom(PhantomSettings(**SMALL, seed=seed))
    hu, rest = sample.volume.voxels, sample.liver.voxels & ~sample.tumours.voxels
    assert 1100 < sample.liver.ml < 1800
    assert not sample.liver.voxels[[0, -1]].any()
    assert 85 < np.median(hu[rest]) < 125
    assert 0.5 < sample.tumours.ml < 0.3 * sample.liver.ml
    assert (sample.liver.voxels | ~sample.tumours.voxels).all(), "tumours lie in the liver"


def test_left_and_right_front_and_back_are_where_they_belong(healthy):
    hu, (_, ny, nx) = healthy.volume.voxels, healthy.volume.voxels.shape
    geometry = healthy.volume.geometry
    z, y, x = np.argwhere(healthy.liver.voxels).mean(axis=0)
    assert x < nx / 2, "the liver lies on the patient's right, shown on the left"
    assert geometry.position_mm((z, y, x))[0] > 0
    bone = np.argwhere((hu > 300)[:, :, nx // 2 - 12 : nx // 2 + 12])
    assert bone[:, 1].mean() > ny / 2, "the spine lies behind"
    lung = (hu[0] < -600) & ndimage.binary_erosion(ndimage.binary_fill_holes(hu[0] > -300), iterations=3)
    bottom = (hu[-1] < -600) & ndimage.binary_erosion(ndimage.binary_fill_holes(hu[-1] > -300), iterations=3)
    assert lung.sum() > 5 * max(bottom.sum(), 1), "lungs lie at the head"
    assert geometry.position_mm((0, 0, 0))[2] > geometry.position_mm((5, 0, 0))[2]


def test_the_organs_have_their_hounsfield_units(healthy):
    hu = ndimage.gaussian_filter(healthy.volume.voxels.astype(float), 1)
    assert hu[:, 0].max() < -900, "air in front of the patient"
    assert (healthy.volume.voxels > 300).sum() > 300, "bone"
    body = ndimage.binary_fill_holes(hu[12] > -300)
    fat = (hu[12] > -125) & (hu[12] < -80)
    assert 0.1 < (fat & body).sum() / body.sum() < 0.6
    veins = hu[healthy.liver.voxels] > np.median(hu[healthy.liver.voxels]) + 20
    assert 0.005 < veins.mean() < 0.15


def test_same_seed_same_voxels_other_seed_other_person(sample):
    again = make_phantom(PhantomSettings(**SMALL))
    assert np.array_equal(sample.volume.voxels, again.volume.voxels)
    assert np.array_equal(sample.tumours.voxels, again.tumours.voxels)
    assert sample.volume.identity == again.volume.identity == sample.liver.scan == sample.tumours.scan
    other = make_phantom(PhantomSettings(**SMALL, seed=7))
    overlap = np.count_nonzero(other.liver.voxels & sample.liver.voxels)
    assert overlap < 0.97 * np.count_nonzero(other.liver.voxels)


def test_with_and_without_tumours_it_is_the_same_person(sample, healthy):
    assert not healthy.tumours.voxels.any()
    assert np.count_nonzero(sample.liver.voxels ^ healthy.liver.voxels) <= 2
    far = ~ndimage.binary_dilation(sample.tumours.voxels, iterations=4)
    changed = sample.volume.voxels != healthy.volume.voxels
    assert not changed[far].any()
    assert changed[sample.tumours.voxels].mean() > 0.8


def test_tumours_differ_from_liver_and_are_mostly_dark(sample):
    differences = []
    for seed in range(1, 7):
        made = make_phantom(PhantomSettings(**SMALL, seed=seed, noise_hu=0))
        plain = make_phantom(PhantomSettings(**SMALL, seed=seed, noise_hu=0, tumours=False))
        labels, count = ndimage.label(made.tumours.voxels, np.ones((3, 3, 3)))
        change = made.volume.voxels.astype(float) - plain.volume.voxels
        differences += [change[labels == n].mean() for n in range(1, count + 1) if (labels == n).sum() > 20]
    differences = np.array(differences)
    assert len(differences) >= 10
    assert (np.abs(differences) > 5).all() and np.abs(differences).max() < 110
    assert 0.55 < (differences < 0).mean() < 1


def test_noise_has_the_grain_of_ct():
    noise = ct_noise((6, 256, 256), (4.0, 0.7, 0.7), np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, abs=0.01) and abs(noise.mean()) < 0.02
    beside = [float((noise[:, :, step:] * noise[:, :, : 256 - step]).mean()) for step in (1, 2, 12)]
    assert beside[0] > 0.6 and beside[0] > beside[1] and abs(beside[2]) < 0.15
    power = np.abs(np.fft.fft2(noise)) ** 2
    assert power[:, 4, 0].mean() < 0.5 * power[:, 20, 0].mean(), "weaker at the coarsest scale than at the middle one"
    thin = ct_noise((6, 64, 64), (1.0, 1.4, 1.4), np.random.default_rng(0))
    assert (thin[1:] * thin[:-1]).mean() > 0.5 > abs((noise[1:] * noise[:-1]).mean())


def test_no_noise_on_request():
    still = make_phantom(PhantomSettings(slices=8, size_px=64, noise_hu=0)).volume.voxels
    assert still[:, 0].std() == 0


def test_vessels_grow_thinner_and_stay_connected():
    rng = np.random.default_rng(3)
    pieces = grow(np.zeros(3), rng.uniform(20, 80, (300, 3)), 6.0, rng)
    starts, ends = [piece[0] for piece in pieces], [piece[1] for piece in pieces]
    known = {(0.0, 0.0, 0.0), *(tuple(end) for end in ends)}
    assert all(tuple(start) in known for start in starts)
    assert all(first >= last for *_, first, last in pieces) and len(pieces) > 40


def test_distances_are_in_mm():
    space = Space(40, 120, 200.0, np.random.default_rng(0))
    places = [(np.arange(n) + 0.5) * step - o for n, step, o in zip(space.shape, space.steps_mm, (0, 180, 180), strict=True)]
    space.z, space.y, space.x = (c.astype(np.float32) for c in np.meshgrid(*places, indexing="ij"))  # no warp
    ball = space.ellipsoid(space.whole, (10, -5, 90), (30, 30, 30))
    exact = np.sqrt((space.x - 10) ** 2 + (space.y + 5) ** 2 + (space.z - 90) ** 2) - 30
    assert np.abs(ball - exact)[np.abs(exact) < 10].max() < 0.01
    rod = space.capsule(space.whole, np.array([0.0, 0, 40]), np.array([0.0, 0, 160]), (8.0, 8.0))
    at = (slice(15, 25), slice(None), slice(None))
    assert np.allclose(rod[at], np.hypot(space.x, space.y)[at] - 8, atol=1e-3)


def test_settings_know_their_limits():
    assert PhantomSettings(slices=60, size_px=512).slice_mm == pytest.approx(3.2)
    for wrong in ({"slices": 4}, {"size_px": 1024}, {"seed": -1}):
        with pytest.raises(WrongSetting):
            PhantomSettings(**wrong)
