"""The autoencoders learn from healthy livers alone, and miss what healthy livers do not have."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from builders import healthy_slices
from napari_liver_anomaly.models.autoencoders import Autoencoders, configs
from napari_liver_anomaly.models.config import SIDE_PX
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.training.training_set import make_batch


def made(key: str, budget: int = 80, **options) -> Autoencoders:
    plan = configs(budget)[key]
    schedule = dataclasses.replace(plan.schedule, batch=4, crop_px=SIDE_PX, learning_rate=3e-3)
    return Autoencoders(
        dataclasses.replace(plan, options=dataclasses.replace(plan.options, width=8, **options), schedule=schedule)
    )


@pytest.mark.parametrize("key", ["ae-spatial", "ae-dense"])
def test_a_dark_spot_is_scored_above_healthy_liver(key):
    model, data = made(key, 200), healthy_slices()
    train(model, data)
    image, liver_mask = data.images[0].copy(), data.liver_masks[0]
    spot = np.zeros_like(liver_mask)
    spot[28:36, 22:30] = True
    image[spot] = np.clip(image[spot] - 0.3, 0.02, 1)
    score = model.predict(image[None, None], liver_mask[None]).score[0]
    inner = liver_mask & ~spot
    inner[:10] = inner[-10:] = False
    assert np.median(score[spot]) > 1.5 * np.quantile(score[inner], 0.9)
    healthy = model.predict(data.images[1][None, None], data.liver_masks[1][None]).score[0]
    assert np.mean(healthy[data.liver_masks[1]] > 0.5) < 0.05  # the scale lets about one healthy pixel in a hundred pass


def test_no_anomaly_is_ever_seen():
    model, data = made("ae-spatial"), healthy_slices()
    model.parts["restorer"].eval()
    batch = make_batch(data, model.config.recipe, model.config.schedule, (0, 1), 0)
    assert not batch.mask.any()
    assert torch.equal(batch.anomalous, batch.healthy)
    spoilt = dataclasses.replace(batch, anomalous=batch.anomalous + float("nan"))
    assert torch.equal(model._loss(spoilt), model._loss(batch))


def test_numbers_are_left_out_in_training_alone():
    image = torch.rand(2, 1, SIDE_PX, SIDE_PX)
    for key in ("ae-spatial", "ae-dense"):
        network = made(key, dropout=0.5).parts["restorer"]
        assert torch.equal(network(image), network(image))
        network[1].train()
        assert not torch.equal(network(image), network(image))


def test_a_dense_layer_sees_squares_and_the_others_any_size():
    assert (made("ae-dense").side_px, made("ae-spatial").side_px) == (SIDE_PX, 0)
