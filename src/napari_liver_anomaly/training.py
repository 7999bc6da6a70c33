"""Training: one loop, read top to bottom.

Every batch is a function of (seed, stage, update) alone. So a training that was killed goes on from its last saved state with the very same batches,
and ends, on a CPU, in the very same weights.
"""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_liver_anomaly import checkpoint
from napari_liver_anomaly.device import has_bf16
from napari_liver_anomaly.errors import InvalidNumbers, UnfitModel
from napari_liver_anomaly.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from napari_liver_anomaly.preparing import HealthySlices
    from napari_liver_anomaly.schedule import Schedule
    from napari_liver_anomaly.synthesis.contract import Recipe

SAVE_EVERY_S = 60.0


@dataclass(frozen=True, eq=False)
class Batch:
    """Healthy slices, what was made of them, and where."""

    healthy: Tensor
    anomalous: Tensor
    mask: Tensor


def make_batch(data: HealthySlices, recipe: Recipe, schedule: Schedule, key: tuple[int, int], update: int) -> Batch:
    """Make the batch of one update, from its number alone.

    Parameters
    ----------
    data : HealthySlices
        What to draw from; each epoch is a new order of all slices.
    recipe : Recipe
        The synthetic anomalies.
    schedule : Schedule
        Batch size, crop and augmentation.
    key : tuple of int
        Seed and stage.
    update : int
        Number of the update, from 0.

    Returns
    -------
    Batch
        (B, 1, H, W) float32 images and a (B, H, W) bool mask.
    """
    per_epoch = -(-len(data) // schedule.batch)
    epoch, place = divmod(update, per_epoch)
    order = np.random.default_rng([*key, 0, epoch]).permutation(len(data))
    chosen = np.resize(order[place * schedule.batch :], min(schedule.batch, len(data)))
    rng = np.random.default_rng([*key, 1, update])
    healthy, anomalous, masks = [], [], []
    for index in map(int, chosen):
        image, organ = _vary(data.images[index], data.organs[index], schedule, rng)
        sample = recipe.draw(image, organ, data.hu_per_unit, rng)
        healthy.append(image)
        anomalous.append(sample.image)
        masks.append(sample.mask)
    return Batch(
        torch.from_numpy(np.stack(healthy)[:, None]),
        torch.from_numpy(np.stack(anomalous)[:, None]),
        torch.from_numpy(np.stack(masks)),
    )


def _vary(
    image: NDArray[np.float32], organ: NDArray[np.bool_], schedule: Schedule, rng: Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Crop, flip and turn a slice."""
    from scipy.ndimage import rotate

    if schedule.augment:
        if rng.random() < 0.5:
            angle = rng.uniform(-10, 10)
            organ = rotate(organ.view(np.uint8), angle, reshape=False, order=0).astype(bool)
            # Outside the organ the image is 0: without filling, turning would draw a dark rim round every liver.
            filled = np.where(image > 0, image, np.float32(0.5))
            image = np.where(organ, rotate(filled, angle, reshape=False, order=1, mode="nearest"), 0).astype(np.float32)
        for axis in (0, 1):
            if rng.random() < 0.5:
                image, organ = np.flip(image, axis), np.flip(organ, axis)
    if schedule.crop_px:
        for axis in (0, 1):
            where = np.flatnonzero(organ.any(axis=1 - axis))
            centre = int(where[rng.integers(where.size)]) if where.size else organ.shape[axis] // 2
            image, organ = _crop(image, centre, schedule.crop_px, axis), _crop(organ, centre, schedule.crop_px, axis)
    return np.ascontiguousarray(image), np.ascontiguousarray(organ)


def _crop(array: NDArray[Any], centre: int, size: int, axis: int) -> NDArray[Any]:
    """Cut a piece of fixed size that stays inside the slice where the slice is large enough; background elsewhere."""
    length = array.shape[axis]
    first = int(np.clip(centre - size // 2, 0, max(length - size, 0)))
    piece = np.take(array, range(first, min(first + size, length)), axis=axis)
    room = [(0, 0), (0, 0)]
    room[axis] = (0, size - piece.shape[axis])
    return np.pad(piece, room)


@dataclass(eq=False, kw_only=True)
class Stage:
    """One network's training: what is trained, how long, and what an update loses.

    Attributes
    ----------
    name : str
        Shown while it runs.
    number : int
        Part of the key of every batch.
    network : nn.Module
        What is trained.
    loss : callable
        Batch on the device to a loss.
    updates : int
        How many.
    fall : bool
        Whether the step size falls along a cosine.
    """

    name: str
    number: int
    network: nn.Module
    loss: Callable[[Batch], Tensor]
    updates: int
    fall: bool = False


@contextmanager
def _subnormals_as_zero() -> Iterator[None]:
    """Compute with numbers below 1e-38 taken as zero, and put the usual rule back afterwards.

    Gradients of the empty background fall below what processors handle at full speed: without this an update takes four times as long on a CPU.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@_subnormals_as_zero()
def train_stage(
    stage: Stage,
    data: HealthySlices,
    recipe: Recipe,
    schedule: Schedule,
    *,
    seed: int,
    device: torch.device,
    state: Path | None = None,
    job: Job | None = None,
) -> dict[str, Any]:
    """Train one network with Adam, saving its state now and then and going on from a state that is there.

    Parameters
    ----------
    stage : Stage
        What is trained.
    data : HealthySlices
        Healthy slices.
    recipe : Recipe
        Synthetic anomalies.
    schedule : Schedule
        Batch, step size, augmentation.
    seed : int
        0 or more; with the stage and the update it decides every batch.
    device : torch.device
        Where to compute; bfloat16 is used where the hardware has it.
    state : Path, optional
        File for the state of an unfinished training.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    dict
        ``updates``, ``first_loss`` and ``last_loss`` (means over up to 50 updates), ``seconds``, ``bf16``.

    Raises
    ------
    InvalidNumbers
        When the loss is no longer a number.
    UnfitModel
        When the state belongs to another training.
    Cancelled
        When the job was cancelled; the state is saved first.
    """
    job = job or Job()
    network = stage.network.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    adam = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    unfinished = _Unfinished(state, _key(stage, data, recipe, schedule, seed), network, adam)
    done, losses = unfinished.resume(), unfinished.losses
    half, saved = has_bf16(device), time.monotonic()
    for update in range(done, stage.updates):
        if job.cancelled:
            unfinished.keep(update)
        job.at(f"{stage.name} · loss {np.mean(losses[-50:]):.4f}" if losses else stage.name, update, stage.updates)
        if stage.fall:
            for group in adam.param_groups:
                group["lr"] = schedule.learning_rate * 0.5 * (1 + np.cos(np.pi * update / stage.updates))
        batch = make_batch(data, recipe, schedule, (seed, stage.number), update)
        moved = Batch(batch.healthy.to(device), batch.anomalous.to(device), batch.mask.to(device))
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
            loss = stage.loss(moved)
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        losses.append(float(loss.detach()))
        if not np.isfinite(losses[-1]):
            raise InvalidNumbers(
                "loss-invalid", f"The loss is not a number after {update + 1} updates.", "The weights are spoilt.",
                "Train again with a smaller learning rate.",
            )  # fmt: skip
        if time.monotonic() - saved > SAVE_EVERY_S:
            unfinished.keep(update + 1)
            saved = time.monotonic()
    network.eval()
    job.at(stage.name, stage.updates, stage.updates)
    if done < stage.updates:
        unfinished.keep(stage.updates)
    return {
        "updates": stage.updates, "first_loss": float(np.mean(losses[:50])) if losses else None,
        "last_loss": float(np.mean(losses[-50:])) if losses else None, "seconds": round(unfinished.seconds, 1), "bf16": half,
    }  # fmt: skip


def _key(stage: Stage, data: HealthySlices, recipe: Recipe, schedule: Schedule, seed: int) -> dict[str, Any]:
    """Everything that decides a stage's batches and steps, down to the slices: only a training with the same key may go on from a state."""
    slices = hashlib.blake2b(digest_size=8)
    for image, organ in zip(data.images, data.organs, strict=True):
        slices.update(np.ascontiguousarray(image).tobytes() + np.ascontiguousarray(organ).tobytes())
    return {
        "stage": stage.number, "updates": stage.updates, "fall": stage.fall, "seed": seed, "slices": slices.hexdigest(),
        "recipe": [type(recipe).__name__, recipe.to_dict()], "schedule": schedule.to_dict(),
    }  # fmt: skip


@dataclass(eq=False)
class _Unfinished:
    """A training in progress: what a killed one needs to go on, and where it is kept. Without a path nothing is kept."""

    path: Path | None
    key: dict[str, Any]
    network: nn.Module
    adam: torch.optim.Adam
    losses: list[float] = field(default_factory=list)
    spent_s: float = 0.0
    began_s: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time this training took so far, over all its runs."""
        return self.spent_s + time.monotonic() - self.began_s

    def keep(self, update: int) -> None:
        """Save weights, Adam's moments, and how far it is."""
        if self.path is None:
            return
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, moments in self.adam.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in moments.items()}
        state = {"key": self.key, "update": update, "losses": self.losses, "seconds": self.seconds}
        checkpoint.save(self.path, tensors, {"state": state})

    def resume(self) -> int:
        """Go on from what was kept, where there is something, and say how many updates are done."""
        if self.path is None or not self.path.exists():
            return 0
        about = checkpoint.read_card(self.path).get("state", {})
        tensors = checkpoint.read_tensors(self.path)
        weights = {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
        shapes = {name: value.shape for name, value in self.network.state_dict().items()}
        fits = shapes == {name: value.shape for name, value in weights.items()}
        if about.get("key") != self.key or not fits:
            raise UnfitModel(
                "state-other", f"The unfinished training in {self.path.name} has other settings or scans.",
                "Going on would mix two trainings.", "Remove that file, or train with the settings and scans it was begun with.",
            )  # fmt: skip
        self.network.load_state_dict(weights)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("adam."):
                _, index, what = name.split(".")
                moments.setdefault(int(index), {})[what] = value
        self.adam.load_state_dict({"state": moments, "param_groups": self.adam.state_dict()["param_groups"]})
        self.losses.extend(about["losses"])
        self.spent_s = float(about["seconds"])
        return int(about["update"])
