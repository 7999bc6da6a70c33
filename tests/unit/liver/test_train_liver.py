"""A tiny training goes down, is repeatable, and writes a finder that can be used; cross-validation goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from napari_liver_anomaly.checkpoint import read_card
from napari_liver_anomaly.errors import Cancelled, Refusal
from napari_liver_anomaly.io import read, write_image
from napari_liver_anomaly.io.cases import find_cases, write_case
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver import sampling
from napari_liver_anomaly.liver.cross_validate_liver import cross_validate_liver, measure_liver
from napari_liver_anomaly.liver.finder import Finder
from napari_liver_anomaly.liver.grid import COARSE_MM, FINE_MM
from napari_liver_anomaly.liver.liver_schedule import LiverSchedule
from napari_liver_anomaly.liver.sampling import BLOCK, WINDOW, LiverCase, coarse_sample, fine_sample, liver_set
from napari_liver_anomaly.liver.train_liver import train_finder, train_liver, training_cases
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

TINY = LiverSchedule(coarse_steps=3, fine_steps=3, coarse_batch=1, fine_batch=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cases")
    for name, seed in (("a", 31), ("b", 32), ("c", 33)):
        sample = make_phantom(PhantomSettings(seed=seed, size_px=64, slices=24, tumours=False))
        write_image(sample.volume.voxels, sample.volume.geometry, made / f"{name}_ct.nii.gz")
        write_image(sample.liver.voxels.astype(np.uint8), sample.volume.geometry, made / f"{name}_liver.nii.gz")
    return made


@pytest.fixture(scope="module")
def liver_cases():
    sample = make_phantom(PhantomSettings(seed=31, size_px=64, slices=24, tumours=False))
    return [LiverCase.of("a", sample.volume, sample.liver)]


@pytest.mark.parametrize(("draw", "shape", "channels"), [(coarse_sample, BLOCK, 1), (fine_sample, WINDOW, 6)])
def test_what_is_drawn_is_an_image_and_where_its_liver_is(liver_cases, draw, shape, channels) -> None:
    rng, torch_rng = np.random.default_rng(0), torch.Generator().manual_seed(0)
    seen = 0.0
    for _ in range(12):
        image, liver = draw(liver_cases[0], rng, torch_rng)
        assert image.shape == (channels, *shape)
        assert liver.shape == (1, *shape)
        for part in (image, liver):
            assert part.isfinite().all()
            assert part.min() >= 0
            assert part.max() <= 1 + 1e-5
        seen += float(liver.sum())
    assert seen > 0


@pytest.mark.parametrize(("draw", "spacing"), [(coarse_sample, COARSE_MM), (fine_sample, FINE_MM)])
def test_lesions_that_reach_out_of_the_liver_are_liver(liver_cases, draw, spacing, monkeypatch) -> None:
    """By up to 15 mm beyond the outline that they were drawn on, in the image, too, and none of it without being asked for."""
    seen = []
    bulging = sampling._bulging
    monkeypatch.setattr(sampling, "_bulging", lambda *given: seen.append((given[:2], bulging(*given))) or seen[-1][1])
    for seed in range(8):
        rng, torch_rng = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
        draw(liver_cases[0], rng, torch_rng, 1.0)
    grown = 0
    for (image, liver), (changed, larger) in seen:
        new = (larger - liver).numpy()
        assert new.min() >= 0 and changed.isfinite().all()
        if (liver > 0.5).any():
            apart = distance_transform_edt(liver.numpy() <= 0.5, sampling=spacing)
            assert new[apart > 15 + max(spacing)].max(initial=0) == 0
        drawn = new > 0.5
        grown += drawn.sum()
        assert not drawn.any() or (changed - image).abs().numpy()[drawn].mean() > 0.01
    assert len(seen) == 8 and grown > 0
    seen.clear()
    draw(liver_cases[0], np.random.default_rng(0), torch.Generator().manual_seed(0))
    assert not seen


def test_a_lesion_can_be_drawn_at_a_liver_of_one_voxel() -> None:
    """Its brightness has no scatter then, and no number may be invalid: training would end there."""
    liver, places = torch.zeros(5, 8, 8), torch.from_numpy(np.stack(np.indices((5, 8, 8)), axis=-1).astype(np.float32) * 4)
    liver[2, 4, 4] = 1
    rng, torch_rng = np.random.default_rng(0), torch.Generator().manual_seed(0)
    image, larger = sampling._bulging(torch.full(liver.shape, 0.5), liver, places, FINE_MM, rng, torch_rng)
    assert image.isfinite().all() and larger.isfinite().all() and larger.sum() > 1
    image, larger = sampling._bulging(torch.full(liver.shape, 0.5), liver * 0, places, FINE_MM, rng, torch_rng)
    assert not larger.any()


def test_the_loss_falls(liver_cases, monkeypatch) -> None:
    monkeypatch.setattr("napari_liver_anomaly.training.loop.SHOWN", 2)
    schedule = LiverSchedule(coarse_steps=16, fine_steps=12, coarse_batch=1, fine_batch=2)
    finder, figures = train_finder(liver_cases, schedule, seed=3, job=Job())
    for stage in ("stage_1", "stage_2"):
        assert figures[stage]["last_loss"] < figures[stage]["first_loss"]
    assert finder.parameters > 0


def test_the_same_seed_gives_the_same_finder(liver_cases) -> None:
    finder, again = (train_finder(liver_cases, TINY, seed=3, job=Job())[0] for _ in range(2))
    for one, other in zip(finder.fine.parameters(), again.fine.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_finder_is_written_with_its_card_and_comes_back(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_liver_anomaly.liver.train_liver.training_cases", _without_phantoms)
    path = tmp_path / "mine.safetensors"
    stopped = Job()
    stopped.report = lambda progress: stopped.cancel() if "slices" in progress.phase and progress.done else None
    with pytest.raises(Cancelled):
        train_liver(folder, path, without=["c"], schedule=TINY, seed=5, job=stopped)
    assert [state.name for state in sorted(tmp_path.iterdir())] == [f"mine.unfinished.stage{n}.safetensors" for n in (1, 2)]
    train_liver(folder, path, without=["c"], schedule=TINY, seed=5, about="Phantoms.", command="again")
    card = read_card(path)
    assert list(tmp_path.iterdir()) == [path], "what was kept of the unfinished training is gone"
    hashes = [{"scan": read(folder / f"{name}_ct.nii.gz").identity} for name in "ab"]
    assert card["data"]["scans"] == hashes, "names only when they are wanted"
    assert card["seed"] == 5
    assert card["schedule"] == TINY.to_dict()
    assert Finder.load(path).parameters == card["parameters"]
    with pytest.raises(Refusal, match="d"):
        train_liver(folder, path, without=["d"], schedule=TINY)
    stopped = Job()
    stopped.cancel()
    with pytest.raises(Cancelled):
        train_liver(folder, tmp_path / "none.safetensors", schedule=TINY, job=stopped)
    assert not (tmp_path / "none.safetensors").exists()


def test_cross_validation_keeps_what_is_trained(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_liver_anomaly.liver.cross_validate_liver.training_cases", _without_phantoms)
    monkeypatch.setattr("napari_liver_anomaly.liver.cross_validate_liver.PHANTOM_SEEDS", ())
    words = {"models": tmp_path, "schedule": TINY, "seed": 1, "device": "cpu"}
    found = cross_validate_liver(folder, [["a"], ["b"]], **words)
    assert [case["case"] for case in found["cases"]] == ["a", "b"]
    assert [fold["trained_on"] for fold in found["folds"]] == [["b", "c"], ["a", "c"]]
    assert all(0 <= case["dice"] <= 1 for case in found["cases"])
    before = (tmp_path / "liver-fold-1.safetensors").stat().st_mtime_ns
    cross_validate_liver(folder, [["a"], ["b"]], **words)
    assert (tmp_path / "liver-fold-1.safetensors").stat().st_mtime_ns == before
    with pytest.raises(Refusal):
        cross_validate_liver(folder, [["a"], ["a"]], **words)


def test_tumour_outside_the_found_liver_is_told(tmp_path, monkeypatch) -> None:
    sample = make_phantom(PhantomSettings(seed=31, size_px=64, slices=24))
    write_case(sample.volume, sample.liver, sample.tumours, tmp_path, "a")
    case = find_cases(tmp_path)[0]
    half = np.zeros(sample.liver.voxels.shape, dtype=bool)
    half[:, :, : int(np.median(np.nonzero(sample.tumours.voxels)[2]))] = True
    name = "napari_liver_anomaly.liver.cross_validate_liver.find_liver"
    monkeypatch.setattr(name, lambda volume, **_: replace(sample.liver, voxels=sample.liver.voxels & half))
    expected = (sample.tumours.voxels & ~(sample.liver.voxels & half)).sum() * sample.volume.geometry.voxel_ml
    assert measure_liver(case, "any")["tumour_left_out_ml"] == pytest.approx(expected, abs=1e-3)
    assert 0 < expected < sample.tumours.ml


def test_a_tumour_mask_that_cannot_be_read_is_refused_before_training(folder, tmp_path, monkeypatch) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "a_tumour.nii.gz").write_bytes(b"no mask")
    monkeypatch.setattr("napari_liver_anomaly.liver.cross_validate_liver.train_and_write", lambda *_: pytest.fail("trained"))
    with pytest.raises(Refusal):
        cross_validate_liver(tmp_path, [["a"]], models=tmp_path / "models", schedule=TINY)


def _without_phantoms(cases, job, **more):
    return training_cases(cases, job, (), **more)


def test_a_batch_follows_from_its_key_alone(liver_cases) -> None:
    data, again = (liver_set(liver_cases, fine_sample, 2) for _ in range(2))
    data.batch(3, 2, 4)
    assert torch.equal(data.batch(3, 2, 5).image, again.batch(3, 2, 5).image)
    assert not torch.equal(data.batch(3, 2, 5).image, data.batch(3, 2, 6).image)
    assert data.identity() == again.identity() != liver_set(liver_cases, fine_sample, 3).identity()
