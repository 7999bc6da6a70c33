"""Codes, their prior, and what is drawn anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders import healthy_slices
from napari_liver_anomaly.models.config import SIDE_PX
from napari_liver_anomaly.models.networks.code_prior import CodePrior
from napari_liver_anomaly.models.networks.quantiser import Quantiser
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.models.vector_quantised import _evened
from napari_liver_anomaly.training.training_set import make_batch, slice_set


def small(**options):
    config = config_of("vq-vae", 10)
    schedule = replace(config.schedule, batch=4, crop_px=SIDE_PX)
    options = {"width": 4, "code": 8, "codes": 16, "prior_width": 8, **options}
    return build(replace(config, options=replace(config.options, **options), schedule=schedule), seed=3)


def batch_of(model):
    return make_batch(healthy_slices(), model.config.recipe, model.config.schedule, (0, 1), 0)


def test_each_vector_becomes_the_nearest_code():
    torch.manual_seed(0)
    quantiser, features = Quantiser(7, 3), torch.randn(2, 3, 4, 5)
    found = quantiser.nearest(features)
    apart = (features[:, None] - quantiser.codes.weight[None, :, :, None, None]).square().sum(dim=2)
    assert torch.equal(found, apart.argmin(dim=1))
    assert torch.equal(quantiser.vectors(found)[1, :, 2, 3], quantiser.codes.weight[found[1, 2, 3]])


def test_codebook_and_commitment_by_hand_and_gradients_that_pass():
    quantiser = Quantiser(2, 1)
    with torch.no_grad():
        quantiser.codes.weight.copy_(torch.tensor([[0.0], [10.0]]))
    features = torch.tensor([1.0, 7.0]).view(1, 1, 1, 2).requires_grad_(True)
    found, loss = quantiser(features)
    assert found.flatten().tolist() == [0, 10]
    assert float(loss.detach()) == pytest.approx(1.25 * (1 + 9) / 2)
    (3 * found).sum().backward(retain_graph=True)
    assert features.grad.flatten().tolist() == [3, 3], "as if the codes were the features"
    assert quantiser.codes.weight.grad is None or not quantiser.codes.weight.grad.any()
    features.grad = None
    loss.backward()
    assert features.grad.flatten().tolist() == pytest.approx([0.25 * 2 * 1 / 2, 0.25 * 2 * -3 / 2])
    assert quantiser.codes.weight.grad.flatten().tolist() == pytest.approx([2 * -1 / 2, 2 * 3 / 2])


def test_the_prior_sees_what_comes_before_and_nothing_else():
    torch.manual_seed(0)
    prior, numbers = CodePrior(5, 8), torch.randint(0, 5, (1, 6, 6))
    with torch.no_grad():
        before = prior(numbers)
        for y, x in ((0, 0), (2, 3), (5, 5)):
            changed = numbers.clone()
            changed[0, y, x] = (changed[0, y, x] + 1) % 5
            differs = (prior(changed) != before).any(dim=1)[0].flatten()
            place = y * 6 + x
            assert not differs[: place + 1].any(), "neither what is earlier nor the place itself"
            assert differs[place + 1 :].any() or place == 35


def test_the_codebook_begins_with_vectors_of_healthy_slices():
    model = small(codes=12)
    data = slice_set(healthy_slices(), model.config.recipe, model.config.schedule)
    next(model.stages(data))
    book = model.quantiser.codes.weight
    assert len(torch.unique(book.round(decimals=6), dim=0)) == 12
    with torch.no_grad():
        seen = torch.cat([model._encoded(data.batch(3, 78, step).healthy) for step in range(4)]).movedim(1, -1).flatten(0, 2)
    assert float((book[:, None] - seen[None]).abs().amax(dim=2).min(dim=1).values.max().detach()) < 1e-6


class Certain(torch.nn.Module):
    """A prior for which each code follows from its column."""

    def forward(self, numbers):
        wanted = torch.arange(numbers.shape[2]).expand(numbers.shape) % 16
        return 20.0 * torch.nn.functional.one_hot(wanted, 16).movedim(-1, 1)


def test_unlikely_codes_are_drawn_anew_and_likely_ones_stay():
    model = small(restorations=3)
    model.parts["prior"] = Certain()
    numbers = torch.arange(8).expand(2, 8, 8).clone()
    assert torch.equal(model.codes_anew(numbers), numbers.repeat_interleave(3, dim=0))
    wrong = numbers.clone()
    wrong[1, 4, 5] = 0
    assert torch.equal(model.codes_anew(wrong), numbers.repeat_interleave(3, dim=0))
    assert wrong[1, 4, 5] == 0, "what was given is not changed"
    tolerant = small(restorations=3, unlikely=50.0)
    tolerant.parts["prior"] = Certain()
    assert torch.equal(tolerant.codes_anew(wrong), wrong.repeat_interleave(3, dim=0))


def test_codes_are_drawn_by_their_probability():
    """All codes but two are impossible; the last of the two comes three times in four."""
    model = small(restorations=40, unlikely=0.0)
    logits = torch.full((16,), -60.0)
    logits[3], logits[9] = 0.0, float(np.log(3))
    model.parts["prior"] = lambda numbers: logits.view(1, 16, 1, 1).expand(len(numbers), 16, 8, 8)
    drawn = model.codes_anew(torch.zeros(1, 8, 8, dtype=torch.long))
    assert set(drawn.unique().tolist()) == {3, 9}
    assert float((drawn == 9).float().mean()) == pytest.approx(0.75, abs=0.03)


def test_restorations_do_not_depend_on_the_batch():
    model = small()
    numbers = torch.randint(0, 16, (3, 8, 8), generator=torch.Generator().manual_seed(0))
    together, alone = model.codes_anew(numbers), model.codes_anew(numbers[1:2])
    times = model.config.options.restorations
    assert torch.equal(together[times : 2 * times], alone)


def test_near_restorations_count_most(monkeypatch):
    """Two restorations, 0.1 and 0.2 away: weights from 3 / 0.1 and 3 / 0.2."""
    model = small(restorations=2)
    image, liver_mask = torch.full((1, 1, SIDE_PX, SIDE_PX), 0.5), torch.ones(1, 1, SIDE_PX, SIDE_PX)
    both = torch.cat([image + 0.1, image + 0.2])
    monkeypatch.setattr(model, "_decoded", lambda vectors: both)
    monkeypatch.setattr("napari_liver_anomaly.models.vector_quantised.SHARPNESS", 0.2)
    restored, apart = model.compare(image, liver_mask)
    first = 1 / (1 + np.exp(0.2 / 0.2 - 0.2 / 0.1))
    assert float(restored.mean() - 0.5) == pytest.approx(first * 0.1 + (1 - first) * 0.2, rel=1e-4)
    assert apart.flatten().tolist() == pytest.approx([first * 0.1 + (1 - first) * 0.2] * SIDE_PX**2, rel=1e-4)


def test_a_lone_pixel_is_evened_out_and_the_rim_is_not_darkened():
    liver_mask = torch.zeros(1, 1, 20, 20)
    liver_mask[..., 3:17, 3:17] = 1
    lone = torch.zeros(1, 1, 20, 20)
    lone[..., 9, 9] = 1
    assert not _evened(lone, liver_mask).any()
    assert torch.allclose(_evened(liver_mask, liver_mask), liver_mask[:, 0]), "outside the liver nothing counts"
