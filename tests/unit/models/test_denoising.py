"""The denoising autoencoder: its noise, its loss and its score."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from builders import healthy_slices
from napari_liver_anomaly.models.denoising import Denoising, coarse_noise, configs
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.training.training_set import make_batch


def made(budget: int = 40) -> Denoising:
    plan = configs(budget)["dae"]
    schedule = dataclasses.replace(plan.schedule, batch=4, crop_px=64, learning_rate=1e-2)
    return Denoising(dataclasses.replace(plan, options=dataclasses.replace(plan.options, width=4), schedule=schedule))


@pytest.fixture
def batch():
    plan = made().config
    return make_batch(healthy_slices(), plan.recipe, plan.schedule, (0, 1), 0)


def test_noise_is_coarse_and_its_grid_lies_nowhere_in_particular():
    torch.manual_seed(0)
    noise = coarse_noise(torch.Size((400, 1, 40, 56)), 8)
    assert noise.shape == (400, 1, 40, 56)
    assert abs(float(noise.mean())) < 0.02
    assert 0.5 < float(noise.std()) < 1  # less between grid points than on them
    near = float((noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean())
    far = float((noise[..., 20:] * noise[..., :-20]).mean() / noise.square().mean())
    assert near > 0.9
    assert abs(far) < 0.1
    loudest = {int(coarse_noise(torch.Size((200, 1, 32, 32)), 8).square().mean(dim=(0, 1, 2)).argmax()) % 8 for _ in range(20)}
    assert len(loudest) > 4
    assert coarse_noise(torch.Size((1, 1, 96, 96)), 8).unique().numel() > 1000


def test_noise_follows_the_seed():
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(coarse_noise(torch.Size((2, 1, 32, 32)), 8))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_noise_lies_in_the_liver_alone_and_no_anomaly_is_seen(batch):
    class Same(torch.nn.Module):
        def forward(self, image):
            self.seen = image
            return image

    model = made()
    model.parts["restorer"] = same = Same()
    torch.manual_seed(0)
    loss = model._loss(dataclasses.replace(batch, anomalous=batch.anomalous + float("nan")))
    noise = (same.seen - batch.healthy)[:, 0]
    assert not noise[~batch.liver_mask].any()
    assert 0.1 < float(noise[batch.liver_mask].std()) < 0.2
    assert float(loss) == pytest.approx(float(noise[batch.liver_mask].square().mean()), rel=1e-5)


def test_a_trained_denoiser_takes_noise_away(batch):
    model = made()
    train(model, healthy_slices())
    liver_mask = batch.liver_mask[:, None]
    torch.manual_seed(5)
    noisy = batch.healthy + 0.2 * coarse_noise(batch.healthy.shape, 8) * liver_mask
    with torch.inference_mode():
        restored = model.restore(noisy, liver_mask.float())
    before, after = ((image - batch.healthy)[liver_mask].square().mean() for image in (noisy, restored))
    assert after < 0.4 * before
    assert torch.equal(restored[~liver_mask], noisy[~liver_mask])


def test_the_score_is_the_median_in_the_inner_liver():
    model, liver_mask = made(), torch.zeros(1, 1, 32, 32)
    liver_mask[..., 4:28, 4:28] = 1
    image = torch.full((1, 1, 32, 32), 0.5)
    apart = torch.zeros_like(image)
    apart[..., 10, 10] = 0.4  # noise: fewer than half of the pixels around it
    apart[..., 17:24, 17:24] = -0.3  # a spot of 7 × 7
    apart[..., 4:6, :] = 0.4  # the liver's rim
    apart[..., :4] = 0.4  # outside
    found = model.residual(image + apart, image, liver_mask)[0]
    torch.testing.assert_close(found[20, 20], torch.tensor(0.3))
    assert found[8:13, 8:13].max() == 0
    assert found[:, :8].max() == 0
    assert found[:8].max() == 0
    assert 36 <= np.count_nonzero(found) <= 49  # the median rounds the corners of the spot
