"""A tiny training goes down, is repeatable, and writes a finder that can be used; cross-validation goes on where it stopped."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_liver_anomaly.checkpoint import read_card
from napari_liver_anomaly.errors import Cancelled, Refusal
from napari_liver_anomaly.io import write_image
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver import training
from napari_liver_anomaly.liver.finder import Finder
from napari_liver_anomaly.liver.samples import BLOCK, WINDOW, coarse_sample, fine_sample, lesson
from napari_liver_anomaly.liver.schedule import LiverSchedule
from napari_liver_anomaly.liver.validate import cross_validate_liver, train_liver
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

TINY = LiverSchedule(coarse_updates=3, fine_updates=3, coarse_batch=1, fine_batch=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("cases")
    for name, seed in (("a", 31), ("b", 32), ("c", 33)):
        sample = make_phantom(PhantomSettings(seed=seed, size_px=64, slices=24, tumours=False))
        write_image(sample.volume.voxels, sample.volume.geometry, made / f"{name}_ct.nii.gz")
        write_image(sample.liver.voxels.astype(np.uint8), sample.volume.geometry, made / f"{name}_liver.nii.gz")
    return made


@pytest.fixture(scope="module")
def lessons():
    sample = make_phantom(PhantomSettings(seed=31, size_px=64, slices=24, tumours=False))
    return [lesson("a", sample.volume, sample.liver)]


@pytest.mark.parametrize(("draw", "shape", "channels"), [(coarse_sample, BLOCK, 1), (fine_sample, WINDOW, 6)])
def test_what_is_drawn_is_an_image_and_where_its_liver_is(lessons, draw, shape, channels) -> None:
    rng, torch_rng = np.random.default_rng(0), torch.Generator().manual_seed(0)
    seen = 0.0
    for _ in range(12):
        image, organ = draw(lessons, rng, torch_rng)
        assert image.shape == (channels, *shape)
        assert organ.shape == (1, *shape)
        for part in (image, organ):
            assert part.isfinite().all()
            assert part.min() >= 0
            assert part.max() <= 1 + 1e-5
        seen += float(organ.sum())
    assert seen > 0


def test_the_loss_falls(lessons) -> None:
    schedule = LiverSchedule(coarse_updates=16, fine_updates=12, coarse_batch=1, fine_batch=2)
    finder, figures = training.train_finder(lessons, schedule, seed=3, job=Job())
    assert figures["coarse_loss"][-1] < figures["coarse_loss"][0]
    assert figures["fine_loss"][-1] < figures["fine_loss"][0]
    assert finder.parameters > 0


def test_the_same_seed_gives_the_same_finder(lessons) -> None:
    finder, again = (training.train_finder(lessons, TINY, seed=3, job=Job())[0] for _ in range(2))
    for one, other in zip(finder.fine.parameters(), again.fine.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_finder_is_written_with_its_card_and_comes_back(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_liver_anomaly.liver.validate.lessons_from", _without_phantoms)
    path = tmp_path / "mine.safetensors"
    train_liver(folder, path, without=["c"], schedule=TINY, seed=5, about="Phantoms.", command="again")
    card = read_card(path)
    assert card["data"]["scans"] == ["a", "b"]
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
    monkeypatch.setattr("napari_liver_anomaly.liver.validate.lessons_from", _without_phantoms)
    monkeypatch.setattr("napari_liver_anomaly.liver.validate.PHANTOM_SEEDS", ())
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


def _without_phantoms(cases, job):
    return training.lessons_from(cases, job, ())
