"""ASC-Net: its losses, the discriminator that counts, its cut and its figures. What all systems hold is in ``test_systems.py``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders import healthy_slices
from napari_liver_anomaly.models.asc_net import AscNet, AscNetOptions, configs
from napari_liver_anomaly.models.asc_parts import cuts_overlap, discriminator_loss, kernel_decay
from napari_liver_anomaly.models.config import SIDE_PX, ModelConfig, pseudo_anomalies, schedule_for
from napari_liver_anomaly.models.residual import HEALTHY_QUANTILE
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_set import make_batch, slice_set

PLAN = ModelConfig(
    options=AscNetOptions(width=4, cycles_one=1, cycles_two=1, discriminator_rate=1e-3),
    recipe=pseudo_anomalies(),
    schedule=replace(schedule_for(40), batch=4),
)


@pytest.fixture(scope="module")
def trained():
    model, data = AscNet(PLAN), healthy_slices(side=SIDE_PX)
    return model, data, train(model, data)


def test_the_discriminator_is_asked_for_one_and_minus_one():
    right = discriminator_loss(torch.tensor([-1.0, -1.0]), torch.tensor([1.0]))
    one_wrong = discriminator_loss(torch.tensor([-1.0, 0.5]), torch.tensor([0.0]))
    assert float(right) == 0
    assert float(one_wrong) == pytest.approx((1.5 + 1.0) / 3)


def test_overlap_of_cuts_and_no_gain_from_black():
    fence, wild = torch.tensor([0.5, 0.25]), torch.tensor([0.5, 1.0])
    assert float(cuts_overlap(fence, wild)) == pytest.approx((2 * (0.25 + 0.25) + 1) / (0.75 + 1.5 + 1))
    black = torch.zeros(2)
    assert float(cuts_overlap(black, wild)) == pytest.approx((2 * 1.5 + 1) / (2 + 1.5 + 1))
    assert float(cuts_overlap(black, wild)) > float(cuts_overlap(fence, wild))


def test_decay_weighs_convolutions_alone():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.BatchNorm2d(1), torch.nn.Linear(1, 1))
    with torch.no_grad():
        network[0].weight.fill_(3)
    kernel_decay(network).backward()
    assert float(network[0].weight.grad) == pytest.approx(2 * 2e-4 * 3)
    assert [p for p in network.parameters() if p.grad is not None] == [network[0].weight]


def test_the_generator_learns_from_the_discriminator_that_was_trained(trained):
    """What is wrong in the public code: there, another discriminator is trained and thrown away."""
    model, data, _ = trained
    batch, untrained = make_batch(data, PLAN.recipe, PLAN.schedule, (9, 9), 0), AscNet(PLAN).parts["discriminator"]
    own = {name: value.clone() for name, value in model.parts["discriminator"].state_dict().items()}
    assert any(not torch.equal(own[name], value) for name, value in untrained.state_dict().items())
    with torch.no_grad():
        fence, wild, whole = model.parts["cutter"](batch.anomalous)
        said = model.parts["discriminator"](fence)
        rest = cuts_overlap(fence, wild) + (whole - batch.anomalous).square().mean() + kernel_decay(model.parts["cutter"])
        assert float(model._generator_loss(batch)) == pytest.approx(float((said - 1).abs().mean() + rest), rel=1e-5)
        model.parts["discriminator"].load_state_dict(untrained.state_dict())
        other = float(model._generator_loss(batch))
        model.parts["discriminator"].load_state_dict(own)
        assert other != pytest.approx(float(model._generator_loss(batch)), abs=1e-3)


def test_each_half_of_a_cycle_trains_one_network_and_leaves_the_other():
    model, data, seen = AscNet(PLAN), slice_set(healthy_slices(4, SIDE_PX), PLAN.recipe, PLAN.schedule), []
    for stage in model.stages(data):
        frozen = [name for name in ("cutter", "discriminator") if not next(model.parts[name].parameters()).requires_grad]
        seen.append((stage.number, stage.network, stage.steps, frozen, stage.loss))
    cutter, discriminator = model.parts["cutter"], model.parts["discriminator"]
    assert [(number, network) for number, network, *_ in seen] == list(enumerate([discriminator, cutter] * 2, 1))
    assert sum(steps for _, _, steps, _, _ in seen) == PLAN.steps
    assert [frozen for *_, frozen, _ in seen] == [[], ["discriminator"]] * 2
    assert [loss.__name__ for *_, loss in seen] == [
        "_discriminator_loss",
        "_generator_loss",
        "_discriminator_loss_second",
        "_generator_loss",
    ]


def test_the_second_stage_counts_cuts_of_the_reference_set_as_true(trained, monkeypatch):
    model, data, _ = trained
    batch, asked = make_batch(data, PLAN.recipe, PLAN.schedule, (9, 9), 0), []
    monkeypatch.setattr(model, "_told_apart", lambda false, true: asked.append((false, true)))
    model._discriminator_loss(batch)
    model._discriminator_loss_second(batch)
    with torch.no_grad():
        cut = model.parts["cutter"](batch.healthy)[0]
    assert torch.equal(asked[0][1], batch.healthy)
    assert torch.equal(asked[1][1], torch.cat([batch.healthy, cut]))
    assert torch.equal(asked[0][0], asked[1][0])


def test_the_discriminator_tells_reference_slices_from_cuts_as_the_generator_meets_it():
    """Its batch normalisation at rest and its dropout going on; with dropout at rest, too, both sides come close to false."""
    data, schedule = healthy_slices(side=SIDE_PX), replace(PLAN.schedule, restorer_steps=240, segmenter_steps=0)
    options = replace(PLAN.options, cycles_two=0, discriminator_rate=5e-5)
    model, said = AscNet(replace(PLAN, schedule=schedule, options=options)), []
    for stage in model.stages(slice_set(data, PLAN.recipe, schedule)):
        if stage.number == 1:
            train_stage(stage, slice_set(data, PLAN.recipe, schedule), schedule.learning_rate, seed=0, device=model.device)
            continue
        modes = {type(part): part.training for part in model.parts["discriminator"].modules()}
        assert modes[torch.nn.Dropout]
        assert not modes[torch.nn.BatchNorm2d]
        batch = make_batch(data, PLAN.recipe, schedule, (9, 9), 3)
        torch.manual_seed(0)
        with torch.no_grad():
            said.extend(model.parts["discriminator"](one) for one in (batch.healthy, model.parts["cutter"](batch.anomalous)[0]))
    true, false = said
    assert float(true.min() - false.max()) > 0
    assert float(true.mean() - false.mean()) > 0.4
    assert not any(part.training for part in model.parts["discriminator"].modules())


def test_training_draws_the_cuts_apart_and_the_reconstruction_near(trained):
    model, data, _ = trained
    batch, fresh = make_batch(data, PLAN.recipe, PLAN.schedule, (9, 9), 0), AscNet(PLAN)
    with torch.no_grad():
        before, after = (one.parts["cutter"](batch.anomalous) for one in (fresh, model))
    assert float(cuts_overlap(*after[:2])) < float(cuts_overlap(*before[:2]))
    assert float((after[2] - batch.anomalous).square().mean()) < float((before[2] - batch.anomalous).square().mean())


def test_half_a_score_is_the_cut_set_on_healthy_livers(trained):
    model, data, _ = trained
    images, liver_mask = np.stack(data.images)[:, None], np.stack(data.liver_masks)
    inverted, score = (
        1 - model.cuts(images, liver_mask)["reconstruction"][liver_mask],
        model.predict(images, liver_mask).score[liver_mask],
    )
    cut = float(model.parts["scale"].cut)
    # Where batches are the very slices, the share above the cut is the one asked for.
    assert np.mean(inverted > cut) == pytest.approx(1 - HEALTHY_QUANTILE, abs=2e-3)
    clear = np.abs(inverted - cut) > 1e-5
    assert np.array_equal((score > 0.5)[clear], (inverted > cut)[clear])
    assert np.all(np.diff(score[np.argsort(inverted)]) >= -1e-5)


def test_the_papers_threshold():
    plan = replace(PLAN, options=replace(PLAN.options, threshold="paper"))
    model = AscNet(plan)
    list(model.stages(slice_set(healthy_slices(4, SIDE_PX), plan.recipe, plan.schedule)))
    assert float(model.parts["scale"].cut) == pytest.approx(242 / 255)


def test_cuts_of_any_size(trained):
    model, _, _ = trained
    images = np.random.default_rng(0).random((2, 1, 41, 130)).astype(np.float32)
    liver_mask = np.zeros((2, 41, 130), bool)
    liver_mask[:, 5:30, 5:120] = True
    cuts = model.cuts(images, liver_mask)
    assert set(cuts) == {"fence", "wild", "reconstruction"}
    assert all(one.shape == liver_mask.shape and not one[~liver_mask].any() for one in cuts.values())
    small = model.cuts(images[..., :60], liver_mask[..., :60])["fence"]
    np.testing.assert_allclose(
        small, model.predict(images[..., :60], liver_mask[..., :60]).restored * liver_mask[..., :60], atol=1e-5
    )


def test_unlabelled_slices_are_cut_at_the_papers_step_size():
    """Whatever slice of the training scans, tumours included, is the input; healthy slices are the reference; no anomaly is drawn."""
    plan, data = configs(40)["asc-net-unlabelled"], healthy_slices(6, SIDE_PX)
    data = replace(data, stacks=[(0,), (1,), (2,)], unlabelled=[(n,) for n in range(6)])
    drawn = slice_set(data, plan.recipe, plan.schedule)
    model, cut = AscNet(replace(plan, options=replace(plan.options, width=4))), set()
    assert {stage.adam["lr"] for stage in model.stages(drawn)} == {5e-5}
    known = [image.mean() for image in data.images]
    for step in range(12):
        batch = drawn.batch(0, 1, step)
        assert not batch.mask.any()
        cut |= {int(np.argmin(np.abs(np.array(known) - float(image.mean())))) for image in batch.anomalous}
        reference = {int(np.argmin(np.abs(np.array(known) - float(image.mean())))) for image in batch.healthy}
        assert reference <= {0, 1, 2}
    assert cut >= {3, 4, 5}
    assert not configs(40)["asc-net"].schedule.unlabelled


def test_the_papers_size_and_cycles():
    plan = configs(101)["asc-net"]
    assert (plan.options.cycles_one, plan.options.cycles_two, plan.schedule.crop_px) == (2, 2, SIDE_PX)
    paper = AscNet(replace(plan, options=AscNetOptions(width=32)))
    assert [block[0].out_channels for block in paper.parts["cutter"].encoder.blocks] == [32, 64, 128, 256, 512]
