"""Batches that are made ahead are those that are made in turn, and whatever ends the training ends their thread."""

from __future__ import annotations

import threading

import pytest
import torch

from napari_liver_anomaly.errors import Cancelled
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.models.networks.restorer import Restorer, RestorerSettings
from napari_liver_anomaly.models.stage import Batch, Stage
from napari_liver_anomaly.training import loop
from napari_liver_anomaly.training.ahead import AHEAD, BatchesAhead
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_set import TrainingSet, torch_seed

CPU, WAIT_S = torch.device("cpu"), 30


def draw(seed, stage, step):
    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(torch_seed(seed, stage, step)))
    return Batch(images, images + 0.1, images[:, 0] > 2, images[:, 0] > 0, images[:, 0])


def training_set(sampler=draw):
    return TrainingSet((), sampler, {}, 2)


def stage(steps=8, **other):
    torch.manual_seed(0)
    network = Restorer(RestorerSettings(width=4, depth=2))
    return Stage(
        name="test",
        number=1,
        network=network,
        steps=steps,
        **other,
        loss=lambda b: (network(b.anomalous) - b.healthy).abs().mean(),
    )


def threads():
    return [one for one in threading.enumerate() if one.name.startswith("batches")]


class _InTurn:
    """Makes each batch when it is asked for."""

    waited_s = 0.0

    def __init__(self, make, steps):
        self.next = (make(step) for step in steps).__next__

    def __enter__(self):
        return self

    def __exit__(self, *_): ...


def test_weights_are_those_of_batches_made_in_turn(monkeypatch):
    ahead, in_turn = stage(), stage()
    train_stage(ahead, training_set(), 1e-3, seed=3, device=CPU)
    monkeypatch.setattr(loop, "BatchesAhead", _InTurn)
    train_stage(in_turn, training_set(), 1e-3, seed=3, device=CPU)
    assert all(map(torch.equal, ahead.network.state_dict().values(), in_turn.network.state_dict().values()))


def test_the_next_batch_is_made_while_a_step_is_under_way():
    begun, most = [threading.Event() for _ in range(12)], []

    def watched(seed, stage, step):
        begun[step].set()
        return draw(seed, stage, step)

    def look(done):  # after a step: the next one's batch is there or under way, and no more than the bound
        assert begun[min(done + AHEAD - 1, 11)].wait(WAIT_S)
        most.append(sum(one.is_set() for one in begun) - done)

    train_stage(stage(12, on_step=look), training_set(watched), 1e-3, seed=0, device=CPU)
    assert max(most) <= AHEAD and most[-1] == 0 and not threads()


def test_what_goes_wrong_in_making_a_batch_is_raised_at_its_step():
    done = []

    def failing(seed, stage, step):
        if step == 5:
            raise ZeroDivisionError
        return draw(seed, stage, step)

    with pytest.raises(ZeroDivisionError):
        train_stage(stage(on_step=done.append), training_set(failing), 1e-3, seed=0, device=CPU)
    assert done == [1, 2, 3, 4, 5] and not threads()


def test_stopping_ends_the_thread():
    job, made = Job(), []

    def noted(seed, stage, step):
        made.append(step)
        return draw(seed, stage, step)

    with pytest.raises(Cancelled):
        train_stage(stage(50, on_step=lambda done: job.cancel()), training_set(noted), 1e-3, seed=0, device=CPU, job=job)
    assert len(made) <= 1 + AHEAD and not threads()


def test_smallest_numbers_are_taken_as_zero_there_too():
    """Each thread has a rule of its own, and batches shall not depend on which one made them."""

    def small(step):
        return float(torch.tensor([1e-40]) * 1)

    with BatchesAhead(small, range(1)) as batches:
        assert batches.next() == 0 != small(0)
    assert batches.waited_s > 0
