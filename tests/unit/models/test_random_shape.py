"""The scorer finds what it was trained on, and learns degrees where there are any."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from builders import healthy_slices
from napari_liver_anomaly.models.losses import combined_loss
from napari_liver_anomaly.models.random_shape import RandomShape, configs
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.training.training_set import make_batch


def made(key: str, budget: int = 50) -> RandomShape:
    plan = configs(budget)[key]
    schedule = dataclasses.replace(plan.schedule, batch=4, crop_px=64, learning_rate=3e-3)
    return RandomShape(dataclasses.replace(plan, options=dataclasses.replace(plan.options, width=4), schedule=schedule))


def test_held_out_shapes_are_found():
    from sklearn.metrics import roc_auc_score

    model, data = made("random-shape"), healthy_slices()
    train(model, data)
    truth, score = [], []
    for update in range(6):
        batch = make_batch(data, model.config.recipe, model.config.schedule, (77, 9), update)
        liver_mask = batch.liver_mask.numpy()
        truth.append(batch.mask.numpy()[liver_mask])
        score.append(model.predict(batch.anomalous.numpy(), liver_mask).score[liver_mask])
    assert roc_auc_score(np.concatenate(truth), np.concatenate(score)) > 0.85


def test_the_loss_is_that_of_the_degree():
    model, data = made("random-shape-fpi"), healthy_slices()
    batch = make_batch(data, model.config.recipe, model.config.schedule, (0, 1), 0)
    assert 0 < float(batch.target[batch.mask].min()) < 1
    with torch.no_grad():
        logits = model.parts["segmenter"](batch.anomalous)
        assert torch.equal(model._loss(batch), combined_loss(logits, batch.target, 0))
        assert not torch.equal(model._loss(batch), combined_loss(logits, batch.mask, 0))


def test_masks_are_learned_with_dice_and_degrees_without():
    shares = {key: plan.options.dice_weight for key, plan in configs(100).items()}
    degrees = {"random-shape-fpi", "random-shape-pii", "random-shape-nsa"}
    assert {key for key, share in shares.items() if share == 0} == degrees
    assert {share for key, share in shares.items() if key not in degrees} == {0.5}
    data = healthy_slices()
    for key, plan in configs(100).items():
        samples = [
            plan.recipe.draw(data.images[0], data.liver_masks[0], data.hu_per_unit, np.random.default_rng(seed))
            for seed in range(4)
        ]
        assert any((sample.target != sample.mask).any() for sample in samples) == (key in degrees), key
