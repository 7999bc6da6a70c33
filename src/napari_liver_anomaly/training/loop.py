"""The one training loop, for every model and for the liver finder.

A batch is a function of (seed, stage, step) alone. So a training that was killed goes on from its last saved state with the very same batches, and
ends, on a CPU, in the very same weights.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_liver_anomaly import checkpoint, processes
from napari_liver_anomaly.device import has_bf16, is_first
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.stage import Adversary, Stage
from napari_liver_anomaly.settings import differing
from napari_liver_anomaly.training.ahead import BatchesAhead
from napari_liver_anomaly.training.training_set import torch_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from napari_liver_anomaly.training.training_set import TrainingSet

SAVE_EVERY_S = 60.0
SHOWN = 50  # steps whose mean loss is told


@contextmanager
def _training_mode() -> Iterator[None]:
    """Compute with numbers below 1e-38 taken as zero, and leave that rule and torch's chance as they were.

    Gradients of the empty background fall below what processors handle at full speed: without this an update takes four times as long on a CPU.
    """
    torch.set_flush_denormal(True)
    try:
        with torch.random.fork_rng():
            yield
    finally:
        torch.set_flush_denormal(False)


@_training_mode()
def train_stage(
    stage: Stage,
    data: TrainingSet[Any],
    learning_rate: float,
    *,
    seed: int,
    device: torch.device,
    state: Path | None = None,
    job: Job | None = None,
) -> dict[str, Any]:
    """Train one network with Adam, saving its state now and then and going on from a state that is there.

    Gives ``steps``, ``first_loss`` and ``last_loss`` (means over up to 50 steps), ``seconds``, ``bf16``, which is used where the hardware has it, and
    ``waited_s``, the seconds of this run in which no batch was ready.
    Stops with InvalidNumbers when the loss is no longer a number, UnfitModel when the state belongs to another training, and Cancelled after saving.
    """
    job = job or Job()
    optimised = [_optimised("adversary-", stage.adversary, learning_rate, device)] if stage.adversary is not None else []
    optimised.append(_optimised("", stage, learning_rate, device))
    unfinished = _Unfinished(state, _key(stage, data, learning_rate, seed), optimised)
    done, losses = unfinished.resume(), unfinished.losses
    processes.require_same(done, device)
    half, saved = has_bf16(device), time.monotonic()
    with (
        processes.shared_norms([one.network for one in optimised]),
        BatchesAhead(partial(data.batch, seed, stage.number), range(done, stage.steps)) as batches,
    ):
        for step in range(done, stage.steps):
            if job.cancelled:
                unfinished.keep(step)
            job.at(f"{stage.name} · loss {np.mean(losses[-SHOWN:]):.4f}" if losses else stage.name, step, stage.steps)
            batch = processes.part_of(batches.next()).to(device)
            # of dropout and drawn codes: a resumed training repeats them, too, and processes that train together draw their own
            torch.manual_seed(torch_seed(*processes.own_key(seed, stage.number, step)))
            for one in [each for each in optimised for _ in range(each.moves)]:
                loss = _step(one, batch, _rate(stage, step), stage.largest_gradient, device.type, half)
            losses.append(loss)
            if not np.isfinite(losses[-1]):
                raise make_refusal("loss-invalid", steps=step + 1)
            optimised[-1].average(min(stage.averaging, step / (step + 10)))
            if stage.on_step is not None:
                stage.on_step(step + 1)
            if time.monotonic() - saved > SAVE_EVERY_S:
                unfinished.keep(step + 1)
                saved = time.monotonic()
    job.at(stage.name, stage.steps, stage.steps)
    if done < stage.steps:
        unfinished.keep(stage.steps)
    for one in optimised:
        one.finish()
    return {
        "steps": stage.steps, "first_loss": float(np.mean(losses[:SHOWN])) if losses else None,
        "last_loss": float(np.mean(losses[-SHOWN:])) if losses else None, "seconds": round(unfinished.seconds, 1), "bf16": half,
        "waited_s": round(batches.waited_s, 2),
    }  # fmt: skip


@dataclass(frozen=True, eq=False)
class _OptimisedNetwork:
    """A network in training, its own Adam, and the running mean of its weights where one is kept."""

    prefix: str
    network: nn.Module
    loss: Callable[[Any], Tensor]
    learning_rate: float
    adam: torch.optim.Adam
    mean: dict[str, Tensor]
    moves: int = 1

    def average(self, kept: float) -> None:
        """Take the weights of now into the mean."""
        for name, value in self.network.state_dict().items():
            if name in self.mean:
                self.mean[name].lerp_(value, 1 - kept)

    def finish(self) -> None:
        """Leave the mean in the network, where there is one, ready to predict."""
        self.network.load_state_dict(self.mean, strict=False)
        self.network.eval()


def _optimised(prefix: str, who: Stage | Adversary, learning_rate: float, device: torch.device) -> _OptimisedNetwork:
    flat = all(value.dim() < 5 for value in who.network.parameters())  # this layout is quicker, and for slices only
    network = who.network.to(device=device, memory_format=torch.channels_last if flat else None).train()  # type: ignore[call-overload]
    adam = torch.optim.Adam(network.parameters(), **{"lr": learning_rate, **who.adam})
    averaged = isinstance(who, Stage) and who.averaging > 0
    mean = {
        name: value.detach().clone() for name, value in network.state_dict().items() if averaged and value.is_floating_point()
    }
    moves, loss = who.moves if isinstance(who, Adversary) else 1, processes.shared(network, who.loss)
    return _OptimisedNetwork(prefix, network, loss, adam.param_groups[0]["lr"], adam, mean, moves)


def _step(one: _OptimisedNetwork, batch: Any, rate: float, largest_gradient: float | None, device: str, half: bool) -> float:
    """Make one step of one network, at a part of its learning rate, and give its loss."""
    for group in one.adam.param_groups:
        group["lr"] = one.learning_rate * rate
    with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
        loss = one.loss(batch)
    one.adam.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if largest_gradient is not None:
        torch.nn.utils.clip_grad_norm_(one.network.parameters(), largest_gradient)
    one.adam.step()
    return float(processes.total(loss.detach())) / processes.count()


def _rate(stage: Stage, step: int) -> float:
    """Part of the learning rate at a step: rising first, then constant or falling along a cosine."""
    if step < stage.warm_up:
        return (step + 1) / stage.warm_up
    if not stage.cosine_decay:
        return 1.0
    return float(0.5 * (1 + np.cos(np.pi * (step - stage.warm_up) / (stage.steps - stage.warm_up))))


def _key(stage: Stage, data: TrainingSet[Any], learning_rate: float, seed: int) -> dict[str, Any]:
    """Everything that decides a stage's batches and steps: only a training with the same key may go on from a state."""
    return {
        "stage": stage.number, "steps": stage.steps, "cosine_decay": stage.cosine_decay, "warm_up": stage.warm_up,
        "averaging": stage.averaging, "learning_rate": learning_rate, "seed": seed, **data.identity(),
    }  # fmt: skip


@dataclass(eq=False)
class _Unfinished:
    """A training in progress: what a killed one needs to go on, and where it is kept. Without a path nothing is kept."""

    path: Path | None
    key: dict[str, Any]
    optimised: Sequence[_OptimisedNetwork]
    losses: list[float] = field(default_factory=list)
    spent_s: float = 0.0
    began_s: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time this training took so far, over all its runs."""
        return self.spent_s + time.monotonic() - self.began_s

    def keep(self, step: int) -> None:
        """Save weights, Adam's moments, and how far it is."""
        if self.path is None or not is_first():
            return
        tensors: dict[str, Tensor] = {}
        for one in self.optimised:
            tensors |= {f"{one.prefix}network.{name}": value for name, value in one.network.state_dict().items()}
            tensors |= {f"{one.prefix}mean.{name}": value for name, value in one.mean.items()}
            for index, moments in one.adam.state_dict()["state"].items():
                tensors |= {f"{one.prefix}adam.{index}.{name}": value for name, value in moments.items()}
        state = {"key": self.key, "step": step, "losses": self.losses, "seconds": self.seconds}
        checkpoint.save(self.path, tensors, {"state": state})

    def resume(self) -> int:
        """Go on from what was kept, where there is something, and say how many steps are done."""
        if self.path is None or not self.path.exists():
            return 0
        kept = checkpoint.open_weights(self.path)
        about, tensors = kept.card.get("state", {}), kept.tensors
        weights = [_under(f"{one.prefix}network.", tensors) for one in self.optimised]
        fits = all(
            {name: value.shape for name, value in one.network.state_dict().items()}
            == {name: value.shape for name, value in there.items()}
            for one, there in zip(self.optimised, weights, strict=True)
        )
        odd = differing(about.get("key"), json.loads(json.dumps(self.key))) or ([] if fits else ["network"])
        if odd:
            raise make_refusal("state-other", file=self.path.name, settings=", ".join(odd[:8]))
        for one, there in zip(self.optimised, weights, strict=True):
            one.network.load_state_dict(there)
            one.mean.update(_under(f"{one.prefix}mean.", tensors))
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in _under(f"{one.prefix}adam.", tensors).items():
                index, what = name.split(".")
                moments.setdefault(int(index), {})[what] = value
            one.adam.load_state_dict({"state": moments, "param_groups": one.adam.state_dict()["param_groups"]})
        self.losses.extend(about["losses"])
        self.spent_s = float(about["seconds"])
        return int(about["step"])


def _under(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the tensors whose names begin so, without that beginning."""
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
