"""Cycle translation: its tissues, its maps, the two networks and their critic. What all systems hold is in ``test_systems.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_liver_anomaly.models.config import ModelConfig, schedule_for
from napari_liver_anomaly.models.cycle import Cycle, CycleOptions, configs
from napari_liver_anomaly.models.residual import HEALTHY_ALONE
from napari_liver_anomaly.models.tissues import Mixture, smoothed
from napari_liver_anomaly.preprocessing import HealthySlices
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.training.training_set import make_batch, slice_set

SIDE = 48
PLAN = ModelConfig(
    options=CycleOptions(width=4),
    recipe=HEALTHY_ALONE,
    schedule=replace(schedule_for(110, restorer_steps=80, segmenter_steps=30), batch=4, learning_rate=3e-3, crop_px=SIDE),
)
HARD = replace(PLAN, options=replace(PLAN.options, discrete=True))


def slices(count: int = 8) -> HealthySlices:
    """Livers of three tissues: dark clefts, parenchyma and bright vessels."""
    rng = np.random.default_rng(0)
    y, x = np.ogrid[:SIDE, :SIDE]
    liver_mask = ((y - 24) / 19) ** 2 + ((x - 24) / 21) ** 2 < 1
    images = []
    for _ in range(count):
        wide = gaussian_filter(rng.standard_normal(liver_mask.shape), 3)
        tissue = 0.5 + 0.25 * (wide > 1.2 * wide.std()) - 0.25 * (wide < -1.2 * wide.std())
        images.append(
            np.where(liver_mask, np.clip(tissue + rng.normal(0, 0.03, liver_mask.shape), 0.02, 1), 0).astype(np.float32)
        )
    return HealthySlices(images, [liver_mask] * count, 205)


@pytest.fixture(scope="module")
def trained():
    model, data = Cycle(PLAN), slices()
    return model, data, train(model, data)


def batch_of(data, update=0):
    return make_batch(data, PLAN.recipe, PLAN.schedule, (9, 9), update)


def test_the_mixture_finds_three_tissues_in_order():
    rng = np.random.default_rng(0)
    parts = [rng.normal(centre, 0.04, count) for centre, count in ((0.75, 3000), (0.25, 1000), (0.5, 16000))]
    mixture = Mixture()
    mixture.fit(np.concatenate(parts).astype(np.float32))
    np.testing.assert_allclose(mixture.means, [0.25, 0.5, 0.75], atol=0.01)
    np.testing.assert_allclose(mixture.shares, [0.05, 0.8, 0.15], atol=0.01)
    assert float(mixture.variance) ** 0.5 == pytest.approx(0.04, abs=0.004)


def test_the_mixture_needs_no_clear_groups():
    mixture = Mixture()
    mixture.fit(np.random.default_rng(0).normal(0.5, 0.05, 5000).astype(np.float32))
    means = mixture.means.numpy()
    assert np.isfinite(means).all()
    assert (np.diff(means) >= 0).all()
    mixture.fit(np.full(100, 0.5, np.float32))
    assert np.isfinite(mixture.means.numpy()).all()


def test_tissues_of_pixels_go_from_dark_to_bright_and_add_to_one():
    liver_mask = torch.ones(1, 1, 8, 80)
    liver_mask[..., :8] = 0
    ramp = torch.linspace(0, 1, 80).expand(1, 1, 8, 80) * liver_mask
    found = Mixture()(ramp, liver_mask)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(1, 8, 80))
    assert torch.equal(found[:, 0], 1 - liver_mask[:, 0])
    named = found[0, :, 4].argmax(dim=0)
    assert named[0] == 0
    assert (named.diff() >= 0).all()
    assert set(named.tolist()) == {0, 1, 2, 3}


def test_smoothing_sees_the_liver_alone():
    liver_mask = torch.zeros(1, 1, 12, 12)
    liver_mask[..., 3:9, 3:9] = 1
    image = torch.where(liver_mask > 0, 0.5, 100.0)
    torch.testing.assert_close(smoothed(image, liver_mask), 0.5 * liver_mask)


@pytest.mark.parametrize("plan", [PLAN, HARD])
def test_maps_between_the_networks(trained, plan):
    model, data, _ = trained
    other = Cycle(plan)
    for part, network in other.parts.items():
        network.load_state_dict(model.parts[part].state_dict())
    batch = batch_of(data)
    with torch.no_grad():
        seen, learned = other.maps(batch.healthy), other._known_maps(batch)
    for maps in (seen, learned):
        torch.testing.assert_close(maps.sum(dim=1), torch.ones(4, SIDE, SIDE))
        whole = ((maps == 0) | (maps == 1)).all()
        assert bool(whole) is plan.options.discrete
    assert torch.equal(seen.argmax(dim=1), model.maps(batch.healthy).argmax(dim=1))


def test_the_segmenter_learns_the_tissues(trained):
    """Each of them, rare ones too."""
    model, data, _ = trained
    batch = batch_of(data)
    truth = model.parts["mixture"](batch.healthy, batch.liver_mask[:, None].float()).argmax(dim=1)
    with torch.no_grad():
        found = model.maps(batch.healthy).argmax(dim=1)
    right = [float((found == truth)[truth == tissue].float().mean()) for tissue in range(4)]
    assert min(right) > 0.6, right


def test_the_generator_learns_to_draw(trained):
    model, data, _ = trained
    with torch.no_grad():
        losses = [
            float(
                np.mean(
                    [
                        (one.parts["translator"](model._known_maps(b)) - b.healthy).abs().mean().item()
                        for b in (batch_of(data, k) for k in range(3))
                    ]
                )
            )
            for one in (Cycle(PLAN), model)
        ]
    assert losses[1] < 0.5 * losses[0]


def test_losses_of_generator_and_critic(trained, monkeypatch):
    model, data, _ = trained
    batch = batch_of(data)
    drawn, logits = batch.healthy * 0.5, iter([torch.tensor([0.3, -0.7]), torch.tensor([1.1]), torch.tensor([-0.4])])
    monkeypatch.setitem(model.parts, "translator", lambda maps: drawn)
    monkeypatch.setitem(model.parts, "critic", lambda maps, image: next(logits))
    share = 1 / (1 + np.exp(-np.array([0.3, -0.7])))
    expected = -np.log(share).mean() + 10 * float((0.5 * batch.healthy).mean())
    assert float(model._generator_loss(batch)) == pytest.approx(expected, rel=1e-5)
    real, false = 1 / (1 + np.exp(-np.array([1.1, -0.4])))
    assert float(model._critic_loss(batch)) == pytest.approx(-np.log(real) - np.log(1 - false), rel=1e-5)


def test_the_critic_was_trained_and_the_generator_left_the_segmenter_alone(trained):
    model, data, _ = trained
    fresh = Cycle(PLAN)
    assert any(
        not torch.equal(a, b) for a, b in zip(model.parts["critic"].parameters(), fresh.parts["critic"].parameters(), strict=True)
    )
    seen = {stage.number: stage for stage in fresh.stages(slice_set(data, PLAN.recipe, PLAN.schedule))}
    assert seen[1].adversary is None
    assert (seen[1].network, seen[2].network) == (fresh.parts["segmenter"], fresh.parts["translator"])
    assert seen[2].adversary.network is fresh.parts["critic"]
    assert seen[2].adam["betas"] == seen[2].adversary.adam["betas"] == (0.5, 0.999)


def test_generator_and_critic_have_the_papers_step_size_where_it_is_asked_for():
    for key, rate in (("cycle-continuous", None), ("cycle-continuous-slow", 2e-4)):
        model = Cycle(configs(30)[key])
        tissues, generator = model.stages(slice_set(slices(), model.config.recipe, model.config.schedule))
        assert "lr" not in tissues.adam
        assert generator.adam.get("lr") == generator.adversary.adam.get("lr") == rate


def test_posteriors_of_tissues(trained):
    model, data, _ = trained
    images, liver_mask = np.stack(data.images[:2])[:, None, :45, :40], np.stack(data.liver_masks[:2])[:, :45, :40]
    found = model.tissues(images, liver_mask)
    assert found.shape == (2, 4, 45, 40)
    np.testing.assert_allclose(found.sum(axis=1), liver_mask, atol=1e-5)


def test_soft_maps_are_proposed_and_hard_ones_the_baseline():
    made = configs(100)
    assert {key: plan.options.discrete for key, plan in made.items()} == {
        "cycle-continuous": False, "cycle-discrete": True, "cycle-continuous-slow": False, "cycle-discrete-slow": True
    }  # fmt: skip
    assert {(plan.schedule.restorer_steps, plan.options.l1_weight) for plan in made.values()} == {(66, 10)}
