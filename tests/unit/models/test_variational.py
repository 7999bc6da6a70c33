"""Variational autoencoders: their losses by hand, the masked branch, the gradient, and restoration by descent."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from builders import healthy_slices
from napari_liver_anomaly.models.config import SIDE_PX
from napari_liver_anomaly.models.context import without_squares
from napari_liver_anomaly.models.losses import code_divergence, slice_difference
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.models.restoration import WEIGHTS, descend, total_variation
from napari_liver_anomaly.training.training_set import make_batch, slice_set


def small(key: str, **options):
    config = config_of(key, 10)
    schedule = replace(config.schedule, batch=4, crop_px=SIDE_PX)
    return build(replace(config, options=replace(config.options, width=4, **options), schedule=schedule), seed=3)


def batch_of(model, step: int = 0):
    return make_batch(healthy_slices(), model.config.recipe, model.config.schedule, (0, 1), step)


def test_divergence_of_codes_by_hand_and_by_another_library():
    mean, log_spread = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, log(2)], [0.0, 0.0]])
    torch.testing.assert_close(code_divergence(mean, log_spread), torch.tensor([0.5 * (1 + 4 - 2 * log(2) - 1), 0.0]))
    whole = kl_divergence(Normal(mean, log_spread.exp()), Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(code_divergence(mean, log_spread), whole)


def test_differences_are_summed_over_a_slice():
    assert slice_difference(torch.ones(2, 1, 3, 4), torch.zeros(2, 1, 3, 4)).tolist() == [12, 12]


def test_the_loss_is_difference_and_divergence(monkeypatch):
    """Of a code that is certain to be 0, and of a spread of 2 besides: a batch of four images that are wrong by a quarter everywhere."""
    model = small("vae", dropout=0.0)
    batch = batch_of(model)
    monkeypatch.setattr(model.restorer, "encode", lambda image: torch.cat([torch.zeros(4, 2), torch.full((4, 2), log(2))], dim=1))
    monkeypatch.setattr(model.restorer, "decode", lambda code: batch.healthy + 0.25)
    wanted = 0.25 * SIDE_PX**2 + 2 * 0.5 * (4 - 2 * log(2) - 1)
    assert float(model._loss(batch).detach()) == pytest.approx(wanted, rel=1e-5)
    assert model.image_loss(batch.healthy).tolist() == pytest.approx([wanted] * 4, rel=1e-5)


def test_training_draws_codes_of_the_spread_and_prediction_does_not(monkeypatch):
    model, asked = small("vae", code=64), []
    batch = batch_of(model)
    mean, log_spread = torch.full((4, 64), 3.0), torch.full((4, 64), log(0.5))
    monkeypatch.setattr(model.restorer, "encode", lambda image: torch.cat([mean, log_spread], dim=1))
    monkeypatch.setattr(model.restorer, "decode", lambda code: asked.append(code) or batch.healthy)
    torch.manual_seed(0)
    model._loss(batch)
    assert float(asked[0].mean()) == pytest.approx(3, abs=0.15)
    assert float(asked[0].std()) == pytest.approx(0.5, abs=0.1)
    model.image_loss(batch.healthy)
    assert torch.equal(asked[1], mean)


def test_one_to_three_squares_of_the_livers_box_are_hidden():
    liver_mask = torch.zeros(1, 40, 60, dtype=torch.bool)
    liver_mask[:, 10:30, 15:50] = True
    image, counts = torch.ones(1, 1, 40, 60), set()
    torch.manual_seed(0)
    for _ in range(200):
        hidden = without_squares(image, liver_mask, 5)[0, 0] == 0
        assert not hidden[:10].any() and not hidden[30:].any() and not hidden[:, :15].any() and not hidden[:, 50:].any()
        counts.add(int(hidden.sum()))
    assert max(counts) == 75 and min(counts) == 25 and 50 in counts  # some overlap
    assert torch.equal(image, torch.ones(1, 1, 40, 60))
    assert torch.equal(without_squares(image, torch.zeros_like(liver_mask), 5), image)
    small_liver = torch.zeros_like(liver_mask)
    small_liver[:, 38:, 57:] = True  # smaller than a square, at the image's corner
    assert (without_squares(image, small_liver, 5)[0, 0] == 0)[38:, 57:].all()


@pytest.mark.parametrize("key", ["context-ae", "ce-vae"])
def test_what_was_hidden_is_to_be_drawn(key):
    """The masked image goes in, the clean one is the target."""
    model = small(key, dropout=0.0)
    batch, seen = batch_of(model), []
    model.parts["restorer"].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    torch.manual_seed(1)
    loss = model._loss(batch).detach()
    assert (seen[-1] != batch.healthy).any() and not seen[-1][seen[-1] != batch.healthy].any()
    with torch.no_grad():
        masked = (model.parts["restorer"](seen[-1]) - batch.healthy).abs().flatten(1).sum(dim=1).mean()
    if key == "context-ae":
        assert float(loss) == pytest.approx(float(masked), rel=1e-5)
    else:
        torch.manual_seed(1)
        without_squares(batch.healthy, batch.liver_mask, model.config.options.square_px)  # takes the same chance
        clean = super(type(model), model)._loss(batch).detach()
        assert float(loss) == pytest.approx(float(masked + clean), rel=1e-5)


def test_the_gradient_is_that_of_the_loss_and_multiplies_the_residual():
    model = small("ce-vae-gradient")
    image, liver_mask = batch_of(model).healthy, batch_of(model).liver_mask[:, None].float()
    gradient = model.loss_gradient(image)
    aside = torch.zeros_like(image)
    aside[0, 0, 30, 33] = 1e-3
    with torch.no_grad():
        slope = (model.image_loss(image + aside) - model.image_loss(image - aside))[0] / 2e-3
    assert float(gradient[0, 0, 30, 33]) == pytest.approx(float(slope), rel=0.05)
    with torch.inference_mode():
        restored, found = model.compare(image, liver_mask)
        plain = model.residual((image - restored) * gradient.abs(), torch.zeros_like(image), liver_mask)
    assert torch.equal(found, plain)
    assert not torch.allclose(found, small("ce-vae").compare(image, liver_mask)[1])


def test_descent_goes_downhill_as_far_as_it_is_told():
    """On (x − 1)², each step of 0.1 leaves 0.8 of the way; a second image does not change the first."""
    image = torch.tensor([0.0, 3.0]).view(2, 1, 1, 1)
    with torch.inference_mode():
        found = descend(image * 1, lambda changed, start: (changed - 1).square().flatten(1).sum(dim=1), 3, 0.1)
    assert found.flatten().tolist() == pytest.approx([1 - 0.8**3, 1 + 2 * 0.8**3])
    assert not found.requires_grad
    kept = descend(image, lambda changed, start: (changed - start).square().flatten(1).sum(dim=1), 3, 0.1)
    assert torch.equal(kept, image)


def test_total_variation_by_hand():
    image = torch.tensor([[0.0, 1.0], [3.0, 1.0]])[None, None]
    assert total_variation(torch.cat([image, image * 0])).tolist() == [1 + 2 + 3 + 0, 0]


@pytest.mark.parametrize("key", ["vae-restoration", "gmvae-spatial-restoration"])
def test_restoration_makes_images_likelier(key):
    model = small(key, restoration_steps=8, restoration_rate=2e-3)
    image = batch_of(model).healthy
    restored = model.restore(image, torch.ones_like(image))
    with torch.no_grad():
        assert (model.image_loss(restored) < model.image_loss(image)).all()
    alone = model.restore(image[1:2], torch.ones_like(image[1:2]))  # signs of rounding errors apart
    assert float((alone - restored[1:2]).abs().mean()) < 1e-4


def test_smoothness_holds_a_change_that_is_not_smooth(monkeypatch):
    """Toward a chessboard, whose total variation is as large as can be: free steps go all the way, smooth ones stay near the image."""
    model = small("vae-restoration", restoration_steps=8, restoration_rate=2e-3)
    image, y, x = torch.zeros(1, 1, 12, 12), *torch.meshgrid(torch.arange(12), torch.arange(12), indexing="ij")
    target = torch.where((y + x) % 2 == 0, 1.0, -1.0)[None, None]
    monkeypatch.setattr(model, "image_loss", lambda changed: slice_difference(changed, target))
    assert torch.allclose(model.restore(image, image), 8 * 2e-3 * target)
    model.parts["smoothness"].weight.fill_(0.5)
    assert float(model.restore(image, image).abs().mean()) < 0.25 * 8 * 2e-3


def test_smoothness_is_that_of_the_change_and_not_of_the_image(monkeypatch):
    model = small("vae-restoration", restoration_steps=8, restoration_rate=2e-3)
    model.parts["smoothness"].weight.fill_(0.5)
    rough = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(model, "image_loss", lambda changed: 0 * changed.flatten(1).sum(dim=1))
    assert torch.equal(model.restore(rough, rough), rough)


def test_the_weight_that_changes_healthy_livers_least_is_taken(monkeypatch):
    model = small("vae-restoration", restoration_steps=1)
    best = WEIGHTS[13]
    monkeypatch.setattr(model, "_restored", lambda image, weight: image + abs(weight - best) + 0.01)
    model.set_scale(slice_set(healthy_slices(), model.config.recipe, model.config.schedule))
    assert float(model.parts["smoothness"].weight) == pytest.approx(1.3)
    assert (len(WEIGHTS), WEIGHTS[0], WEIGHTS[-1]) == (20, 0.0, 1.9)


def test_dark_and_bright_lesions_count_alike():
    """Published evaluations keep what is brighter than its restoration; liver tumours are mostly darker."""
    model = small("vae")
    restored, liver_mask = torch.full((1, 1, 9, 9), 0.5), torch.ones(1, 1, 9, 9)
    dark, bright = (model.residual(restored + change, restored, liver_mask) for change in (-0.2, 0.2))
    assert torch.allclose(dark, bright) and np.allclose(dark.numpy(), 0.2)
