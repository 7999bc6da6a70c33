"""Which scores small shares of healthy liver reach: counted by hand, and kept by a card."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_liver_anomaly.models.base import Prediction
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.healthy_scores import healthy_scores
from napari_liver_anomaly.preprocessing import HealthySlices


def predict(images, _liver_mask):
    """The middle slice is the score."""
    return Prediction(images[:, images.shape[1] // 2], None)


def test_the_liver_of_every_healthy_slice_is_counted_and_nothing_else():
    grey = np.arange(10_000) // 50  # 200 scores of 50 pixels each
    image = (grey / 255).reshape(100, 100).astype(np.float32)
    half = np.zeros((100, 100), bool)
    half[:50] = True  # the lower 100 scores
    bright = np.ones((30, 20), np.float32)
    slices = HealthySlices([image, bright, image], [half, np.zeros((30, 20), bool), ~half], 205.0)
    found = healthy_scores(SimpleNamespace(predict=predict), slices)
    assert [one["false_positive_rate"] for one in found] == [0.01, 0.001, 0.0001]
    # of 10,000 pixels 100 may score as high: the upper two scores; then 10 and 1, where no score of 50 pixels fits
    assert [one["threshold"] for one in found] == [round(198 / 255, 3), round(200 / 255, 3), round(200 / 255, 3)]


def test_neighbours_are_seen_and_not_counted():
    images = [np.full((8, 8), value, np.float32) for value in (1.0, 0.2, 1.0)]
    slices = HealthySlices(images, [np.ones((8, 8), bool)] * 3, 205.0, stacks=[(0, 1, 2)])
    assert {one["threshold"] for one in healthy_scores(SimpleNamespace(predict=predict), slices)} == {round(52 / 255, 3)}


MEASURED = [{"threshold": 0.6, "false_positive_rate": 0.01}, {"threshold": 0.9, "false_positive_rate": 0.001}]
ODD = [{"threshold": 7, "false_positive_rate": 0.1}, {"threshold": 0.5, "false_positive_rate": 0}]


@pytest.mark.parametrize(
    ("card", "wanted"),
    [
        (ModelCard(healthy=MEASURED), {0.01: 0.6, 0.001: 0.9}),
        (ModelCard(validation={"healthy": MEASURED[1]}), {0.001: 0.9}),
        (ModelCard(validation=[{"healthy": one} for one in MEASURED]), {}),  # of the members is not of the ensemble
        (ModelCard(), {}),
        (ModelCard(healthy=["much"]), {}),
        (ModelCard(validation={"healthy": "much"}), {}),
        (ModelCard(healthy=[{"threshold": "much", "false_positive_rate": 0.1}]), {}),
        (ModelCard(healthy=[MEASURED[0], *ODD]), {0.01: 0.6}),
    ],
)
def test_a_card_says_what_belongs_to_its_weights(card, wanted):
    assert card.healthy_scores() == wanted
    assert ModelCard.from_dict(card.to_dict()).healthy_scores() == wanted
    assert replace(card, healthy=[]).to_dict().get("healthy") is None
