"""The training loop: what it repeats, what it keeps, and that it goes on where it was stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_liver_anomaly.errors import Cancelled, InvalidNumbers, UnfitModel
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.models.config import Schedule
from napari_liver_anomaly.models.networks.restorer import Restorer, RestorerSettings
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.preprocessing import HealthySlices
from napari_liver_anomaly.synthesis import RECIPES, Blobs
from napari_liver_anomaly.synthesis.base import DonorRecipe
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_set import make_batch, slice_set

CPU = torch.device("cpu")
RECIPE = Blobs(scale=0.5)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y, x = np.ogrid[:40, :48]
    liver_mask = ((y - 20) / 17) ** 2 + ((x - 24) / 20) ** 2 < 1
    images = [np.where(liver_mask, rng.normal(0.5, 0.05, liver_mask.shape), 0).astype(np.float32) for _ in range(10)]
    return HealthySlices(images, [liver_mask] * 10, 300)


def stage(steps=12, seed=0, **other):
    torch.manual_seed(seed)
    network = Restorer(RestorerSettings(width=4, depth=2))
    return Stage(
        name="test",
        number=1,
        network=network,
        steps=steps,
        loss=lambda b: (network(b.anomalous) - b.healthy).abs().mean(),
        **other,
    )


def weights(made: Stage) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in made.network.state_dict().items()}


SCHEDULE = Schedule(batch=4, learning_rate=1e-3, crop_px=32, augment=True)


def test_a_batch_is_a_function_of_its_number(data):
    first = make_batch(data, RECIPE, SCHEDULE, (0, 1), 5)
    again = make_batch(data, RECIPE, SCHEDULE, (0, 1), 5)
    other = make_batch(data, RECIPE, SCHEDULE, (0, 1), 6)
    assert torch.equal(first.anomalous, again.anomalous)
    assert not torch.equal(first.healthy, other.healthy)
    assert first.healthy.shape == (4, 1, 32, 32)
    assert first.mask.shape == (4, 32, 32)


@pytest.mark.parametrize("name", [name for name, kind in RECIPES.items() if issubclass(kind, DonorRecipe)])
def test_a_batch_of_two_slices_has_targets_in_between_and_is_a_function_of_its_number(data, name):
    recipe = RECIPES[name](p_empty=0)
    first, again = (make_batch(data, recipe, SCHEDULE, (0, 1), 5) for _ in range(2))
    for part in ("healthy", "anomalous", "mask", "target"):
        assert torch.equal(getattr(first, part), getattr(again, part))
    assert first.target.shape == first.mask.shape == (4, 32, 32) and first.target.dtype == torch.float32
    assert first.target.min() == 0 and first.target.max() <= 1
    assert ((first.target > 0) & (first.target < 1)).any() or name == "layers", "only the layers have a hard edge"
    assert not first.target[~first.mask].any()
    assert torch.equal(first.anomalous != first.healthy, first.mask[:, None])


def test_an_epoch_sees_every_slice(data):
    plain = Schedule(batch=4, crop_px=0, augment=False)
    seen = {image.numpy().tobytes() for update in range(3) for image in make_batch(data, RECIPE, plain, (0, 1), update).healthy}
    assert len(seen) == 10


def test_turning_draws_no_dark_rim(data):
    turned = Schedule(batch=10, crop_px=0, augment=True)
    for update in range(5):
        batch = make_batch(data, RECIPE, turned, (0, 1), update)
        inside = batch.healthy[batch.healthy > 0]
        assert inside.min() > 0.25


def test_training_lowers_the_loss(data):
    made = stage(40)
    schedule = Schedule(batch=4, learning_rate=3e-3, crop_px=32)
    figures = train_stage(made, slice_set(data, RECIPE, schedule), schedule.learning_rate, seed=0, device=CPU)
    assert figures["steps"] == 40
    assert not made.network.training
    before = float(np.mean([stage().loss(make_batch(data, RECIPE, SCHEDULE, (9, 9), k)).item() for k in range(4)]))
    after = float(np.mean([made.loss(make_batch(data, RECIPE, SCHEDULE, (9, 9), k)).item() for k in range(4)]))
    assert after < 0.5 * before


@pytest.mark.parametrize("averaging", [0, 0.6])
@pytest.mark.parametrize("stop_at", [1, 7])
def test_a_stopped_training_ends_in_the_same_weights(data, tmp_path, stop_at, averaging):
    whole = stage(cosine_decay=True, averaging=averaging)
    train_stage(whole, slice_set(data, RECIPE, SCHEDULE), SCHEDULE.learning_rate, seed=3, device=CPU)
    state, job = tmp_path / "state.safetensors", Job()

    def stop(progress):
        if progress.done == stop_at:
            job.cancel()

    job.report = stop
    first = stage(cosine_decay=True, averaging=averaging)
    with pytest.raises(Cancelled):
        train_stage(first, slice_set(data, RECIPE, SCHEDULE), SCHEDULE.learning_rate, seed=3, device=CPU, state=state, job=job)
    second = stage(seed=99, cosine_decay=True, averaging=averaging)
    train_stage(second, slice_set(data, RECIPE, SCHEDULE), SCHEDULE.learning_rate, seed=3, device=CPU, state=state)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(second)[name]), name


def test_averaged_weights_are_the_running_mean_of_a_training_that_is_the_same_without(data):
    """After step k (from 0) the mean keeps min(0.6, k / (k + 10)) of itself: little at first, so that the untrained weights are gone."""
    steps = []
    plain = stage(9, cosine_decay=True)
    plain.on_step = lambda _: steps.append(weights(plain))
    averaged = stage(9, cosine_decay=True, averaging=0.6)
    for one in (plain, averaged):
        train_stage(one, slice_set(data, RECIPE, SCHEDULE), SCHEDULE.learning_rate, seed=3, device=CPU)
    for name, value in weights(averaged).items():
        if value.is_floating_point():
            expected = steps[0][name].clone()
            for k, now in enumerate(steps):
                kept = min(0.6, k / (k + 10))
                expected = kept * expected + (1 - kept) * now[name]
            torch.testing.assert_close(value, expected)
            assert not torch.equal(value, steps[-1][name]) or not value.any()


def other_seed(data):
    return data, RECIPE, SCHEDULE, 4


def other_recipe(data):
    return data, Blobs(scale=0.5, p_dark=0), SCHEDULE, 3


def other_step(data):
    return data, RECIPE, replace(SCHEDULE, learning_rate=2e-3), 3


def other_slices(data):
    return HealthySlices(data.images[1:], data.liver_masks[1:], data.hu_per_unit), RECIPE, SCHEDULE, 3


@pytest.mark.parametrize("other", [other_seed, other_recipe, other_step, other_slices])
def test_a_state_of_another_training_is_refused(data, tmp_path, other):
    state = tmp_path / "state.safetensors"
    train_stage(stage(2), slice_set(data, RECIPE, SCHEDULE), SCHEDULE.learning_rate, seed=3, device=CPU, state=state)
    slices, recipe, schedule, seed = other(data)
    with pytest.raises(UnfitModel, match="other settings"):
        train_stage(stage(2), slice_set(slices, recipe, schedule), schedule.learning_rate, seed=seed, device=CPU, state=state)


def test_training_leaves_the_arithmetic_of_the_process_as_it_was(data):
    train_stage(stage(1), slice_set(data, RECIPE, SCHEDULE), SCHEDULE.learning_rate, seed=0, device=CPU)
    smallest = np.float64(5e-324)
    assert smallest * 1 > 0
    assert float(torch.tensor([1e-40]) * 1) > 0


def test_a_loss_that_is_no_number_is_refused(data):
    made = stage(3)
    made.loss = lambda batch: made.network(batch.anomalous).mean() * float("nan")
    with pytest.raises(InvalidNumbers, match="no longer a number"):
        train_stage(made, slice_set(data, RECIPE, SCHEDULE), SCHEDULE.learning_rate, seed=0, device=CPU)


@pytest.mark.parametrize(("slices", "restorer", "segmenter"), [(810, 200 * 102, 200), (4000, 200 * 500, 500)])
def test_lengths_of_the_paper(slices, restorer, segmenter):
    """200 epochs, then one epoch but never under 200 updates."""
    assert Schedule().restorer_length(slices) == restorer
    assert Schedule().segmenter_length(slices) == segmenter


def test_stacks_are_varied_together_and_black_stays_black():
    """Neighbouring slices keep their order and place; tissue is never drawn where there was none, nor 0 put inside it."""
    y, x = np.ogrid[:60, :60]
    liver_mask = ((y - 30) / 20) ** 2 + ((x - 28) / 22) ** 2 < 1
    images = [np.where(liver_mask, np.float32(0.4 + 0.04 * plane), 0).astype(np.float32) for plane in range(5)]
    data = HealthySlices(images, [liver_mask] * 5, 300, stacks=[(0, 1, 2), (1, 2, 3), (2, 3, 4)])
    schedule = Schedule(batch=6, crop_px=40, augment=True, jitter=True, by_area=True)
    empty = Blobs(p_empty=1.0)
    for update in range(4):
        batch = make_batch(data, empty, schedule, (0, 2), update)
        assert batch.healthy.shape == (6, 1, 40, 40) and batch.anomalous.shape == (6, 3, 40, 40)
        assert torch.equal(batch.anomalous[:, 1:2], batch.healthy) and not batch.mask.any()
        for one in batch.anomalous.numpy():
            seen = one > 0
            assert (seen[0] == seen[1]).all() and (seen[1] == seen[2]).all()
            inner = seen[1]
            assert one[0][inner].mean() < one[1][inner].mean() < one[2][inner].mean()
            assert one[seen].min() >= 0.02
    wide = [float(make_batch(data, empty, schedule, (0, 2), u).liver_mask.float().mean()) for u in range(6)]
    assert len(set(wide)) > 1


def test_a_stage_that_is_watched_ends_in_the_same_weights(data):
    seen = []
    alone, watched = stage(4), stage(4, on_step=seen.append)
    for one in (alone, watched):
        train_stage(one, slice_set(data, RECIPE, SCHEDULE), SCHEDULE.learning_rate, seed=3, device=CPU)
    assert seen == [1, 2, 3, 4]
    assert all(torch.equal(value, weights(watched)[name]) for name, value in weights(alone).items())
