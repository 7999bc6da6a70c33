"""FPI's own network: its loss, its patches, and a task that it is known to solve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.metrics import average_precision_score

from builders import healthy_slices
from napari_liver_anomaly.models.foreign_patch import configs
from napari_liver_anomaly.models.networks.wide_residual import WideResidual
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.preprocessing import HealthySlices
from napari_liver_anomaly.synthesis import FPI, PII
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.training.training_set import make_batch


def made(key: str, budget: int, **schedule):
    config = configs(budget)[key]
    return build(replace(config, options=replace(config.options, width=8), schedule=replace(config.schedule, **schedule)))


def test_the_loss_is_the_cross_entropy_of_the_degree():
    model = made("fpi", 10, batch=4)
    batch = make_batch(healthy_slices(), model.config.recipe, model.config.schedule, (0, 1), 0)
    with torch.no_grad():
        said = torch.sigmoid(model.parts["segmenter"](batch.anomalous)[:, 0])
        wanted = -(batch.target * said.log() + (1 - batch.target) * (1 - said).log()).mean()
        assert float(model._loss(batch)) == pytest.approx(float(wanted), rel=1e-4)
    assert 0 < float(batch.target[batch.mask].min()) < 1


def test_two_ways_to_blend_and_one_network():
    plans = configs(100)
    assert [type(plan.recipe) for plan in plans.values()] == [FPI, PII]
    (stage,) = made("pii", 10).stages([0])
    assert stage.adam["weight_decay"] == 5e-4
    network = WideResidual(4)
    assert network(torch.rand(2, 1, 32, 48)).shape == (2, 1, 32, 48)
    assert sum(isinstance(part, torch.nn.Conv2d) and part.kernel_size == (3, 3) for part in network.modules()) == 1 + 2 * 7


def textures(count: int, seed: int) -> HealthySlices:
    """Discs of coarse texture, each with stripes of its own direction: a piece of another one does not fit in."""
    rng = np.random.default_rng(seed)
    y, x = (axis - 32 for axis in np.ogrid[:64, :64])
    liver_mask = y**2 + x**2 < 28**2
    images = []
    for _ in range(count):
        angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 6)
        stripes = 0.25 * np.sin((x * np.cos(angle) + y * np.sin(angle)) / 1.6 + phase)
        grain = 0.05 * gaussian_filter(rng.standard_normal(liver_mask.shape), 1) / 0.28
        images.append(np.where(liver_mask, np.clip(0.5 + stripes + grain, 0.02, 1), 0).astype(np.float32))
    return HealthySlices(images, [liver_mask] * count, 300)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "steps"), [("fpi", 200), ("pii", 500), ("random-shape-cutpaste", 200), ("random-shape-nsa", 200)]
)
def test_pieces_of_other_textures_are_found(key, steps):
    """A task of the papers' kind: on images it has not seen, average precision far above the prevalence."""
    config = config_of(key, steps)
    schedule = replace(config.schedule, batch=8, learning_rate=3e-3)
    model = build(replace(config, options=replace(config.options, width=8), schedule=schedule))
    train(model, textures(60, seed=0))
    strong = {"alpha_low": 0.5} if key in ("fpi", "pii") else {}  # what is hardly changed cannot be found
    recipe, truth, score = replace(config.recipe, p_empty=0.3, **strong), [], []
    for step in range(8):
        batch = make_batch(textures(16, seed=1), recipe, schedule, (5, 5), step)
        liver_mask = batch.liver_mask.numpy()
        truth.append(batch.mask.numpy()[liver_mask])
        score.append(model.predict(batch.anomalous.numpy(), liver_mask).score[liver_mask])
    prevalence = float(np.concatenate(truth).mean())
    found = average_precision_score(np.concatenate(truth), np.concatenate(score))
    assert prevalence < 0.15
    assert found > 3 * prevalence, (found, prevalence)
