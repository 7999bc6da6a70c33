"""A model on anomalies of a family it was not trained on."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_liver_anomaly.errors import Cancelled, Refusal
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.models.config import Schedule
from napari_liver_anomaly.models.methods import METHODS
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.preprocessing import HealthySlices
from napari_liver_anomaly.synthesis import Blobs
from napari_liver_anomaly.training import fit, validation
from napari_liver_anomaly.training.training_file import pack_case

SCHEDULE = Schedule(batch=4)
RECIPE = Blobs(scale=0.5, p_empty=0.4, dark_low_hu=60, p_dark=1)


@pytest.fixture
def data(monkeypatch):
    monkeypatch.setattr(validation, "BATCHES", 6)
    rng = np.random.default_rng(0)
    y, x = np.ogrid[:48, :48]
    liver_mask = ((y - 24) / 20) ** 2 + ((x - 24) / 22) ** 2 < 1
    images = [np.where(liver_mask, rng.normal(0.5, 0.02, liver_mask.shape), 0).astype(np.float32) for _ in range(8)]
    return HealthySlices(images, [liver_mask] * 8, 300)


class Darkness:
    """Scores how dark a pixel is, and restores to the liver's median."""

    def predict(self, images, liver_mask):
        middle = images[:, images.shape[1] // 2]
        return SimpleNamespace(
            score=(np.clip((0.5 - middle) * 4, 0, 1) * liver_mask).astype(np.float32), restored=np.where(liver_mask, 0.5, 0)
        )


def test_thresholds_and_restoration(data):
    made = validation.validate_on_synthesis(Darkness(), data, SCHEDULE, recipe=RECIPE)
    assert made["held_out_family"]["dice"] > 0.8
    assert 0.1 < made["held_out_family"]["threshold"] < 0.8
    assert 0.1 < made["healthy"]["threshold"] < 0.5, "noise of 2 % reaches 4 × 0.06 once in a thousand pixels"
    restoration = made["restoration"]
    assert restoration["healthy_hu"] == pytest.approx(0.02 * 300 * np.sqrt(2 / np.pi), rel=0.05)
    assert restoration["anomaly_hu"] == pytest.approx(restoration["healthy_hu"], rel=0.1)
    assert restoration["before_hu"] > 60
    assert made == validation.validate_on_synthesis(Darkness(), data, SCHEDULE, recipe=RECIPE)


def test_thresholds_are_of_synthetic_anomalies_whatever_is_shown_in_training(data):
    made = validation.validate_on_synthesis(Darkness(), data, SCHEDULE, recipe=RECIPE)
    assert made == validation.validate_on_synthesis(Darkness(), data, replace(SCHEDULE, unlabelled=True), recipe=RECIPE)


def test_only_what_learns_from_unlabelled_slices_is_shown_them(data):
    config = config_of("compact")
    with pytest.raises(Refusal, match="learns from synthetic anomalies"):
        fit.train(build(replace(config, schedule=replace(config.schedule, unlabelled=True)), 0), data)


def test_a_stopped_training_is_not_continued_by_another_method(tmp_path):
    sample = make_phantom(PhantomSettings(tumours=False, size_px=64, slices=12)).volume
    liver = make_phantom(PhantomSettings(tumours=False, size_px=64, slices=12)).liver
    scans = [pack_case(sample.voxels, liver.voxels, None, sample.geometry.spacing_mm, scan=sample.identity)]

    def stop_at(step):
        job = Job(report=lambda progress: job.cancel() if progress.done >= step else None)
        return job

    def short(key):
        config = config_of(key)
        return replace(config, schedule=replace(config.schedule, restorer_steps=4, segmenter_steps=4, batch=1))

    with pytest.raises(Cancelled):
        fit.fit_and_save(scans, short("context-ae"), tmp_path / "m.safetensors", job=stop_at(2))
    assert list(tmp_path.glob("m.unfinished.*"))
    with pytest.raises(Refusal) as refused:
        fit.fit_and_save(scans, short("ae-dense"), tmp_path / "m.safetensors")
    assert refused.value.finding.code == "state-other" and "method" in str(refused.value)


def test_a_model_that_does_not_restore(data):
    class Rule(Darkness):
        def predict(self, images, liver_mask):
            return SimpleNamespace(score=super().predict(images, liver_mask).score, restored=None)

    assert "restoration" not in validation.validate_on_synthesis(Rule(), data, SCHEDULE, recipe=RECIPE)


def test_no_method_is_trained_on_the_held_out_family():
    for key in (method.key for method in METHODS if method.trains):
        assert type(config_of(key, 10).recipe) is not type(validation.HELD_OUT), key


@pytest.mark.parametrize("key", ["two-stage", "hu", "draem"])
def test_thresholds_of_a_card_come_from_a_family_that_was_not_trained_on(monkeypatch, tmp_path, key):
    """A threshold that suits what a model was trained on tells nothing about anomalies it has never seen."""
    used = []
    make = validation.make_batch
    monkeypatch.setattr(validation, "make_batch", lambda data, recipe, *rest: used.append(recipe) or make(data, recipe, *rest))
    monkeypatch.setattr(validation, "BATCHES", 1)
    monkeypatch.setattr(fit, "train", lambda *args, **more: {})
    monkeypatch.setattr(fit, "build", lambda config, seed: _Untrained(config))
    config = config_of(key, 10)
    config = replace(config, schedule=replace(config.schedule, batch=2, crop_px=64))
    liver = np.zeros((9, 70, 72), dtype=bool)
    liver[1:8, 8:62, 8:64] = True
    hu = np.where(liver, np.random.default_rng(0).normal(100, 10, liver.shape), -1000).astype(np.int16)
    fit.fit_and_save([pack_case(hu, liver, None, (3.0, 1.5, 1.5), scan="0" * 16)], config, tmp_path / "made.safetensors")
    assert used and type(config.recipe) not in {type(recipe) for recipe in used}


class _Untrained(Darkness):
    """A model that scores darkness, and writes nothing."""

    seed, parameters, pixel_bytes, device = 0, 1, 1, "cpu"

    def __init__(self, config):
        self.config = config

    def save(self, path, card):
        assert card.validation["held_out_family"]
