"""Synthetic anomalies on a scan's own grid."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.errors import Cancelled, Refusal
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.synthesis import RECIPES, Blobs
from napari_liver_anomaly.synthesis.apply import synthesise, synthesise_slice
from napari_liver_anomaly.synthesis.base import DonorRecipe
from napari_liver_anomaly.volume import Geometry, Mask, Volume


@pytest.fixture
def scan():
    geometry = Geometry((90, 80, 5), np.diag([0.9, -0.8, 3.0, 1.0]))
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[:5, :80, :90]
    liver = np.broadcast_to(((y - 40) / 32) ** 2 + ((x - 45) / 36) ** 2 < 1, geometry.shape) & (z > 0)
    hu = np.where(liver, rng.normal(105, 15, geometry.shape), -90).round().astype(np.int16)
    volume = Volume(hu, geometry)
    return volume, Mask(liver.copy(), geometry)


@pytest.mark.parametrize("name", RECIPES)
def test_voxels_outside_the_liver_keep_their_value(scan, name):
    volume, liver = scan
    anomalous, mask = synthesise(volume, liver, RECIPES[name](), 3)
    assert np.array_equal(anomalous.voxels[~liver.voxels], volume.voxels[~liver.voxels])
    assert not (mask.voxels & ~liver.voxels).any()
    assert mask.scan == anomalous.identity != volume.identity


DONOR_RECIPES = [name for name, kind in RECIPES.items() if issubclass(kind, DonorRecipe)]


@pytest.mark.parametrize("name", ["blobs", "cutpaste", *DONOR_RECIPES])
def test_a_slice_is_the_same_alone_and_in_the_volume(scan, name):
    volume, liver = scan
    recipe = RECIPES[name](p_empty=0)
    anomalous, mask = synthesise(volume, liver, recipe, 11)
    for z in range(1, 5):
        hu, where = synthesise_slice(volume, liver, z, recipe, 11)
        assert np.array_equal(hu, anomalous.voxels[z])
        assert np.array_equal(where, mask.voxels[z])
        assert where.any()


@pytest.mark.parametrize("name", DONOR_RECIPES)
def test_pieces_come_from_another_plane_of_the_scan(scan, name):
    """Brightened planes show in the pieces; without any other plane the slice's mirror image gives them, and no other one is looked at."""
    volume, liver = scan
    recipe = RECIPES[name](p_empty=0)
    planes = np.arange(5)[:, None, None]
    brighter = Volume(np.where(liver.voxels & (planes != 2), volume.voxels + 40, volume.voxels).astype(np.int16), volume.geometry)
    shown = [synthesise_slice(brighter, liver, 2, recipe, seed) for seed in range(6)]
    alone = Mask(liver.voxels & (planes == 2), volume.geometry)
    mirrored = [synthesise_slice(volume, alone, 2, recipe, seed) for seed in range(6)]
    again = [synthesise_slice(brighter, alone, 2, recipe, seed) for seed in range(6)]
    assert any(not np.array_equal(one[0], other[0]) for one, other in zip(shown, mirrored, strict=True))
    for one, other in zip(mirrored, again, strict=True):
        assert np.array_equal(one[0], other[0]) and one[1].any()
    if name == "fpi":
        change = np.concatenate([hu[where] - volume.voxels[2][where].astype(int) for hu, where in shown])
        assert change.mean() > 8


def test_dark_blobs_are_darker_by_the_hounsfield_units_asked_for(scan):
    volume, liver = scan
    recipe = Blobs(p_empty=0, p_dark=1, dark_low_hu=60, dark_high_hu=60, texture=0, p_rim=0, edge_high_px=0.5)
    hu, where = synthesise_slice(volume, liver, 2, recipe, 1)
    change = hu[where].astype(float) - volume.voxels[2][where]
    assert np.median(change) == pytest.approx(-60, abs=4)


def test_a_slice_without_liver_stays_as_it_is(scan):
    volume, liver = scan
    hu, where = synthesise_slice(volume, liver, 0, Blobs(), 1)
    assert np.array_equal(hu, volume.voxels[0])
    assert not where.any()


def test_empty_liver_and_cancel(scan):
    volume, liver = scan
    with pytest.raises(Refusal, match="empty"):
        synthesise(volume, Mask(np.zeros_like(liver.voxels), volume.geometry), Blobs(), 0)
    job = Job()
    job.report = lambda progress: job.cancel()
    with pytest.raises(Cancelled):
        synthesise(volume, liver, Blobs(), 0, job)
