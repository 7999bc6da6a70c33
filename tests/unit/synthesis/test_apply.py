"""Synthetic anomalies in a scan: the same samples as in training, in the panel's preview and on the command line."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.cli import main
from napari_liver_anomaly.errors import Cancelled, Refusal
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io import read, read_mask, write_image
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.models.config import Schedule
from napari_liver_anomaly.models.two_stage import CONFIGS
from napari_liver_anomaly.preprocessing import prepare
from napari_liver_anomaly.synthesis import RECIPES, Blobs, Nodules
from napari_liver_anomaly.synthesis.apply import FLAT, IN_SPACE, STAGE, Synthesis, choose_donor, synthesise
from napari_liver_anomaly.synthesis.base import DonorRecipe
from napari_liver_anomaly.training.training_file import pack_case
from napari_liver_anomaly.training.training_set import make_batch, slices_of
from napari_liver_anomaly.volume import Mask, Volume

IN_SPACE_RECIPES = [name for name, kind in RECIPES.items() if kind.in_space]
DONOR_RECIPES = [name for name, kind in RECIPES.items() if issubclass(kind, DonorRecipe)]
PLAIN = Schedule(batch=1, crop_px=0, augment=False, jitter=False)


def scan_of(planes: range, depth: int = 5, mm: float = 3.0) -> tuple[Volume, Mask]:
    """An elliptical liver on some planes, with values that a training file keeps exactly."""
    geometry = Geometry((90, 80, depth), np.diag([0.9, -0.8, mm, 1.0]))
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[:depth, :80, :90]
    liver = np.broadcast_to(((y - 40) / 32) ** 2 + ((x - 45) / 36) ** 2 < 1, geometry.shape) & np.isin(z, planes)
    hu = np.where(liver, rng.normal(105, 15, geometry.shape), -90) / 2
    return Volume(2 * hu.round().astype(np.int16), geometry), Mask(liver.copy(), geometry)


@pytest.fixture
def scan():
    return scan_of(range(1, 5))


@pytest.mark.parametrize("name", RECIPES)
def test_voxels_outside_the_liver_keep_their_value(scan, name):
    volume, liver = scan
    anomalous, mask = synthesise(volume, liver, RECIPES[name](), 3)
    assert np.array_equal(anomalous.voxels[~liver.voxels], volume.voxels[~liver.voxels])
    assert not (mask.voxels & ~liver.voxels).any()
    assert mask.scan == anomalous.identity != volume.identity


def painting_seed(volume, liver, recipe):
    return next(seed for seed in range(50) if Synthesis(volume, liver).slice(2, recipe, seed)[1].any())


@pytest.mark.parametrize("name", RECIPES)
def test_training_panel_and_command_line_draw_the_same(name, tmp_path):
    """A liver on one plane is one training sample; with the sample's seed the panel's slice and the files hold its very values."""
    volume, liver = scan_of(range(2, 3))
    recipe = RECIPES[name]()
    settings = IN_SPACE if recipe.in_space else FLAT
    slices = prepare(volume.voxels, liver.voxels, volume.geometry.spacing_mm, settings)
    middle, seed = len(slices.images) // 2, painting_seed(volume, liver, recipe)
    data = slices_of([pack_case(volume.voxels, liver.voxels, None, volume.geometry.spacing_mm, scan="a")], settings)
    # The sample of this step is the one slice there is, so the key of the scan's sample is that of the batch.
    batch = make_batch(data, recipe, PLAIN, (seed, STAGE), middle)
    change = slices.frame.plane_to_scan(
        (batch.anomalous.numpy()[0, middle] - batch.healthy.numpy()[0, 0]) * np.float32(settings.hu_per_unit)
    )
    expected = volume.voxels[2] + np.where(liver.voxels[2], np.rint(change), 0).astype(np.int16)
    where = (slices.frame.plane_to_scan(batch.mask.numpy()[0].astype(np.float32)) >= 0.5) & liver.voxels[2]
    assert np.array_equal(slices.images[middle], batch.healthy.numpy()[0, 0]) and where.any()

    hu, mask = Synthesis(volume, liver).slice(2, recipe, seed)
    assert np.array_equal(hu, expected) and np.array_equal(mask, where)

    for file, voxels in (("scan", volume.voxels), ("liver", liver.voxels)):
        write_image(voxels, volume.geometry, tmp_path / f"{file}.nii.gz")
    words = [
        "--voxel-size",
        "accept",
        "--given-liver",
        "accept",
        "--liver",
        str(tmp_path / "liver.nii.gz"),
        "--given-liver",
        "accept",
        "--recipe",
        name,
        "--seed",
        str(seed),
        "--out",
        str(tmp_path),
    ]
    assert main(["synthesise", str(tmp_path / "scan.nii.gz"), *words]) == 0
    written = read(tmp_path / "anomalous.nii.gz", ReadOptions(voxel_size="accept"))
    marked = read_mask(tmp_path / "anomalies.nii.gz", written)
    assert np.array_equal(written.voxels[2], expected) and np.array_equal(marked.voxels[2], where)


def test_scans_are_prepared_as_the_packaged_trainings_do():
    assert CONFIGS["standard"].preprocess == IN_SPACE and CONFIGS["compact"].preprocess == FLAT


@pytest.mark.parametrize("mm", [1.5, 3.0, 5.0])
@pytest.mark.parametrize("name", IN_SPACE_RECIPES)
def test_bodies_go_through_neighbouring_slices(name, mm):
    """Overlap of the anomalies of neighbouring slices: bodies have more than 0.5, slices drawn one by one 0.05."""
    depth = round(120 / mm)
    volume, liver = scan_of(range(1, depth - 1), depth, mm)
    common = marked = 0
    for seed in range(4):
        planes = synthesise(volume, liver, RECIPES[name](p_empty=0), seed)[1].voxels
        common += 2 * np.count_nonzero(planes[1:] & planes[:-1])
        marked += np.count_nonzero(planes[1:]) + np.count_nonzero(planes[:-1])
    assert common / marked > 0.5


@pytest.mark.parametrize("name", ["blobs", "cutpaste", "nodules", *DONOR_RECIPES])
def test_a_slice_is_the_same_alone_and_in_the_volume(scan, name):
    volume, liver = scan
    recipe = RECIPES[name](p_empty=0)
    anomalous, mask = synthesise(volume, liver, recipe, 11)
    for z in range(5):
        hu, where = Synthesis(volume, liver).slice(z, recipe, 11)
        assert np.array_equal(hu, anomalous.voxels[z])
        assert np.array_equal(where, mask.voxels[z])


def test_moving_the_slice_draws_nothing_anew(scan, monkeypatch):
    synthesis, drawn = Synthesis(*scan), []
    draw = Nodules.draw_stack
    monkeypatch.setattr(Nodules, "draw_stack", lambda *args: drawn.append(args) or draw(*args))
    for z in range(5):
        synthesis.slice(z, Nodules(), 1)
    assert len(drawn) == 1
    synthesis.slice(2, Nodules(p_many=0.5), 1)
    synthesis.slice(2, Nodules(p_many=0.5), 2)
    assert len(drawn) == 3


@pytest.mark.parametrize("name", DONOR_RECIPES)
def test_pieces_come_from_another_plane_of_the_scan(scan, name):
    """Brightened planes show in the pieces; without any other plane the slice's mirror image gives them, and no other one is looked at."""
    volume, liver = scan
    recipe = RECIPES[name](p_empty=0)
    planes = np.arange(5)[:, None, None]
    brighter = Volume(np.where(liver.voxels & (planes != 2), volume.voxels + 40, volume.voxels).astype(np.int16), volume.geometry)
    shown = [Synthesis(brighter, liver).slice(2, recipe, seed) for seed in range(6)]
    alone = Mask(liver.voxels & (planes == 2), volume.geometry)
    mirrored = [Synthesis(volume, alone).slice(2, recipe, seed) for seed in range(6)]
    again = [Synthesis(brighter, alone).slice(2, recipe, seed) for seed in range(6)]
    assert any(not np.array_equal(one[0], other[0]) for one, other in zip(shown, mirrored, strict=True))
    for one, other in zip(mirrored, again, strict=True):
        assert np.array_equal(one[0], other[0]) and one[1].any()
    if name == "fpi":
        change = np.concatenate([hu[where] - volume.voxels[2][where].astype(int) for hu, where in shown])
        assert change.mean() > 4


def test_the_donor_is_another_slice_with_a_liver_as_large():
    areas, rng = np.array([100, 500, 510, 90]), np.random.default_rng(0)
    chosen = [choose_donor(areas, 1, 500, rng) for _ in range(200)]
    assert set(chosen) <= {0, 2, 3, None} and chosen.count(2) > 100
    assert choose_donor(areas[:1], 0, 100, rng) is None


def test_dark_blobs_are_darker_by_the_hounsfield_units_asked_for(scan):
    volume, liver = scan
    recipe = Blobs(p_empty=0, p_dark=1, dark_low_hu=60, dark_high_hu=60, texture=0, p_rim=0, edge_high_px=0.5)
    hu, where = Synthesis(volume, liver).slice(2, recipe, 1)
    change = hu[where].astype(float) - volume.voxels[2][where]
    assert np.median(change) == pytest.approx(-60, abs=4)


def test_a_slice_without_liver_stays_as_it_is(scan):
    volume, liver = scan
    hu, where = Synthesis(volume, liver).slice(0, Blobs(), 1)
    assert np.array_equal(hu, volume.voxels[0])
    assert not where.any()


def test_empty_liver_and_cancel(scan):
    volume, liver = scan
    with pytest.raises(Refusal, match="empty"):
        synthesise(volume, Mask(np.zeros_like(liver.voxels), volume.geometry), Blobs(), 0)
    job = Job()
    job.report = lambda progress: job.cancel()
    for recipe in (Blobs(), Nodules()):
        with pytest.raises(Cancelled):
            synthesise(volume, liver, recipe, 0, job)
