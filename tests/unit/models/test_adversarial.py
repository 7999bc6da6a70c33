"""Critics and what is trained against them: the Wasserstein loss by hand, moves, and who hears of whom."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from builders import healthy_slices
from napari_liver_anomaly.models.config import SIDE_PX
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.models.stage import Adversary, Stage
from napari_liver_anomaly.models.wasserstein import critic_loss, gradient_penalty
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_set import make_batch, slice_set


def small(key: str, budget: int = 10, **options):
    config = config_of(key, budget)
    schedule = replace(config.schedule, batch=4, crop_px=SIDE_PX)
    return build(replace(config, options=replace(config.options, width=4, **options), schedule=schedule), seed=3)


def batch_of(model, step: int = 0):
    return make_batch(healthy_slices(), model.config.recipe, model.config.schedule, (0, 1), step)


class Slope(nn.Module):
    """A critic that is a plane: its gradient has the same length everywhere."""

    def __init__(self, *slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x):
        return (x.flatten(1) * self.slope).sum(dim=1, keepdim=True)


def test_the_penalty_is_the_square_of_how_far_the_slope_is_from_one():
    real, made = torch.rand(5, 2), torch.rand(5, 2)
    assert float(gradient_penalty(Slope(3.0, 4.0), real, made).detach()) == pytest.approx((5 - 1) ** 2)
    assert float(gradient_penalty(Slope(0.6, 0.8), real, made).detach()) == pytest.approx(0, abs=1e-6)


def test_the_penalty_looks_between_real_and_made():
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.sum(dim=(1, 2, 3))[:, None]

    gradient_penalty(critic, torch.ones(200, 1, 2, 2), torch.zeros(200, 1, 2, 2))
    (between,) = seen
    assert 0 < between.min() < 0.1 and 0.9 < between.max() < 1
    assert (between == between[:, :, :1, :1]).all(), "one place for a whole image"


def test_the_critics_loss_by_hand_and_its_pull():
    critic = Slope(3.0, 4.0)
    real, made = torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 2.0]], requires_grad=True)
    loss = critic_loss(critic, real, made)
    assert float(loss.detach()) == pytest.approx((4 + 8) / 2 - (3 + 9) / 2 + 10 * 16)
    loss.backward()
    assert made.grad is None, "the critic's step does not train what made them"
    # slope of the difference, (0 − 2, 1.5 − 0), and of 10 (|s| − 1)², 20 (|s| − 1) s / |s|
    assert critic.slope.grad.tolist() == pytest.approx([-2 + 20 * 4 * 0.6, 1.5 + 20 * 4 * 0.8], rel=1e-5)


def test_a_critic_moves_as_often_as_it_is_told_before_each_step():
    network, critic, order = nn.Linear(1, 1), nn.Linear(1, 1), []

    def said(who, module):
        def loss(batch):
            order.append((who, float(torch.rand(()))))
            return module(torch.ones(1, 1)).square().mean()

        return loss

    model = small("vae")
    stage = Stage(
        name="Both", number=1, network=network, loss=said("network", network), steps=2,
        adversary=Adversary(network=critic, loss=said("critic", critic), moves=3),
    )  # fmt: skip
    data = slice_set(healthy_slices(), model.config.recipe, model.config.schedule)
    train_stage(stage, data, 1e-3, seed=0, device=torch.device("cpu"))
    assert [who for who, _ in order] == ["critic", "critic", "critic", "network"] * 2
    assert len({chance for _, chance in order}) == 8, "each move has its own noise"


def test_the_generators_and_the_encoders_losses():
    model = small("f-anogan")
    batch, critic = batch_of(model), model.parts["critic"]
    torch.manual_seed(0)
    loss = model._generator_loss(batch).detach()
    torch.manual_seed(0)
    with torch.no_grad():
        made = model._made(batch.healthy)
        assert float(loss) == pytest.approx(-float(critic(made).mean()))
        drawn = model.restore(batch.healthy, batch.liver_mask)
        features = [critic.features(one) for one in (drawn, batch.healthy)]
        wanted = (drawn - batch.healthy).square().mean() + (features[0] - features[1]).square().mean()
        assert float(model._encoder_loss(batch)) == pytest.approx(float(wanted), rel=1e-5)
        assert critic(batch.healthy).shape == (4, 1) and 0 <= made.min() <= made.max() <= 1
        code = model.parts["encoder"](batch.healthy)
        assert code.shape == (4, 128) and code.abs().max() < 1


@pytest.mark.parametrize("key", ["f-anogan", "anovaegan", "constrained-aae"])
def test_a_critics_step_trains_the_critic_alone(key):
    model = small(key)
    model._critic_loss(batch_of(model)).backward()
    others = [value for part, net in model.parts.items() if part != "critic" for value in net.parameters()]
    assert all(value.grad is None for value in others)
    assert any(value.grad.abs().max() > 0 for value in model.parts["critic"].parameters())


def test_a_critic_raises_what_is_real_and_lowers_what_is_made():
    """After some moves on one batch it tells the two apart: the word for word meaning of its loss."""
    for key in ("f-anogan", "anovaegan"):
        model = small(key)
        batch, critic = batch_of(model), model.parts["critic"]
        adam = torch.optim.Adam(critic.parameters(), 1e-3, betas=(0.5, 0.9))
        for _ in range(25):
            adam.zero_grad()
            model._critic_loss(batch).backward()
            adam.step()
        with torch.no_grad():
            made = model._made(batch.healthy) if key == "f-anogan" else model.restorer(batch.healthy)
            assert float(critic(batch.healthy).mean() - critic(made).mean()) > 0.1, key


def test_the_generator_comes_nearer_to_healthy_livers():
    model, data = small("f-anogan", 60, moves=2), healthy_slices()
    mean = torch.stack([torch.from_numpy(image) for image in data.images]).mean(dim=0)
    torch.manual_seed(0)
    with torch.no_grad():
        before = float((model._made(torch.zeros(32, 1)).mean(dim=0)[0] - mean).abs().mean())
    stage = next(model.stages(slice_set(data, model.config.recipe, model.config.schedule)))
    train_stage(stage, slice_set(data, model.config.recipe, model.config.schedule), 3e-3, seed=0, device=torch.device("cpu"))
    torch.manual_seed(0)
    with torch.no_grad():
        after = float((model._made(torch.zeros(32, 1)).mean(dim=0)[0] - mean).abs().mean())
    assert after < 0.6 * before


def test_the_encoder_does_not_hear_of_the_critic():
    """The gradient of everything before the code is the same, whatever the critic says; that of the decoder is not."""
    found = []
    for strength in (0.0, 100.0):
        model = small("anovaegan", dropout=0.0)
        with torch.no_grad():
            model.parts["critic"].head.weight.mul_(strength)
        torch.manual_seed(0)
        model._loss(batch_of(model)).backward()
        parts = (model.restorer.encoder, model.restorer.middle.narrow, model.restorer.decoder)
        found.append([torch.cat([value.grad.flatten() for value in part.parameters()]) for part in parts])
    (encoder, narrow, decoder), (other, also, drawn) = found
    assert torch.equal(encoder, other) and torch.equal(narrow, also)
    assert not torch.allclose(decoder, drawn)


@pytest.mark.parametrize("key", ["constrained-ae", "constrained-aae"])
def test_a_reconstruction_has_to_have_the_code_of_the_image(key, monkeypatch):
    model = small(key, code=16, dropout=0.0, code_weight=1000.0)
    batch = batch_of(model)
    drawn = 50 * batch.healthy  # far away, as the codes of untrained networks are near to each other
    monkeypatch.setattr(model.restorer, "decode", lambda code: drawn)
    with torch.no_grad():
        if key == "constrained-aae":
            model.parts["critic"][-1].bias.fill_(7.0)  # a critic that says something
        code = model.restorer.encode(batch.healthy)
        constraint = 1000 * float((model.restorer.encode(drawn) - code).square().mean())
        apart = float((drawn - batch.healthy).abs().flatten(1).sum(dim=1).mean())
        said = float(model.parts["critic"](code).mean()) if key == "constrained-aae" else 0
        assert constraint > 0.1
        assert float(model._loss(batch)) - apart == pytest.approx(constraint - said, abs=0.02)


def test_codes_are_judged_against_the_standard_normal(monkeypatch):
    from napari_liver_anomaly.models import constrained

    model, asked = small("constrained-aae", code=256), []
    monkeypatch.setattr(constrained, "critic_loss", lambda critic, real, made: asked.append((critic, real, made)))
    model._critic_loss(batch_of(model))
    ((critic, real, made),) = asked
    assert critic is model.parts["critic"] and torch.equal(made, model.restorer.encode(batch_of(model).healthy).detach())
    assert float(real.mean()) == pytest.approx(0, abs=0.1) and float(real.std()) == pytest.approx(1, abs=0.1)


def test_the_papers_sizes_and_moves():
    sizes = {key: config_of(key, 10).options for key in ("f-anogan", "anovaegan", "constrained-ae", "constrained-aae")}
    assert [(one.code, one.moves) for one in sizes.values()] == [(128, 5), (128, 5), (1024, 20), (1024, 20)]
    assert "critic" not in small("constrained-ae").parts
    layers = {type(part) for part in small("anovaegan").parts["critic"].modules()}
    assert nn.BatchNorm2d not in layers and nn.GroupNorm in layers
