"""A model on anomalies of a family it was not trained on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_liver_anomaly.models.config import Schedule
from napari_liver_anomaly.preprocessing import HealthySlices
from napari_liver_anomaly.synthesis import Blobs
from napari_liver_anomaly.training import validation

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


def test_a_model_that_does_not_restore(data):
    class Rule(Darkness):
        def predict(self, images, liver_mask):
            return SimpleNamespace(score=super().predict(images, liver_mask).score, restored=None)

    assert "restoration" not in validation.validate_on_synthesis(Rule(), data, SCHEDULE, recipe=RECIPE)
