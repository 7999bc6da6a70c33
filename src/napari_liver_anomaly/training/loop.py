"""Training: one loop, read top to bottom.

Every batch is a function of (seed, stage, update) alone. So a training that was killed goes on from its last saved state with the very same batches,
and ends, on a CPU, in the very same weights.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_liver_anomaly import checkpoint
from napari_liver_anomaly.device import has_bf16
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.stage import Adversary, Batch, Stage
from napari_liver_anomaly.settings import differing
from napari_liver_anomaly.synthesis.apply import apply_recipe, choose_donor, sample_rng
from napari_liver_anomaly.synthesis.base import Donor, DonorRecipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from napari_liver_anomaly.models.config import Schedule
    from napari_liver_anomaly.preprocessing import HealthySlices
    from napari_liver_anomaly.synthesis.base import Recipe

SAVE_EVERY_S = 60.0


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
        Float32 images and bool masks.
    """
    if schedule.by_area:
        weights = np.sqrt(data.areas)
        chosen = np.random.default_rng([*key, 0, update]).choice(len(data), schedule.batch, p=weights / weights.sum())
    else:
        per_epoch = -(-len(data) // schedule.batch)
        epoch, place = divmod(update, per_epoch)
        order = np.random.default_rng([*key, 0, epoch]).permutation(len(data))
        chosen = np.resize(order[place * schedule.batch :], min(schedule.batch, len(data)))
    rng = sample_rng(*key, update)
    healthy, anomalous, masks, liver_masks, targets = [], [], [], [], []
    for index in map(int, chosen):
        images, liver_mask = _vary(*data.stack(index), schedule, rng)
        middle, donor = len(images) // 2, None
        if isinstance(recipe, DonorRecipe):
            other = choose_donor(data.areas, index, int(np.count_nonzero(liver_mask[middle])), rng)
            donor = None if other is None else Donor(*_vary(*data.stack(other), schedule, rng))
        sample = apply_recipe(recipe, images, liver_mask, data.hu_per_unit, rng, data.spacing_mm, donor=donor)
        healthy.append(images[middle])
        anomalous.append(sample.image)
        masks.append(sample.mask[middle])
        liver_masks.append(_redrawn(liver_mask[middle], rng) if schedule.jitter else liver_mask[middle])
        targets.append(sample.target[middle])
    return Batch(
        torch.from_numpy(np.stack(healthy)[:, None]),
        torch.from_numpy(np.stack(anomalous)),
        torch.from_numpy(np.stack(masks)),
        torch.from_numpy(np.stack(liver_masks)),
        torch.from_numpy(np.stack(targets)),
    )


def _vary(
    images: NDArray[np.float32], liver_mask: NDArray[np.bool_], schedule: Schedule, rng: Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Crop, flip and turn neighbouring slices (C, H, W) together; with jitter, also resize them and change contrast, noise and sharpness."""
    if schedule.crop_px:
        room = schedule.crop_px // 4 if schedule.augment else 0  # turned and resized corners are cut off at the end
        for axis in (1, 2):
            where = np.flatnonzero(liver_mask[len(liver_mask) // 2].any(axis=2 - axis))
            centre = int(where[rng.integers(where.size)]) if where.size else liver_mask.shape[axis] // 2
            size = schedule.crop_px + room
            images, liver_mask = _crop(images, centre, size, axis), _crop(liver_mask, centre, size, axis)
    if schedule.augment:
        if rng.random() < (0.8 if schedule.jitter else 0.5):
            images, liver_mask = _turned(
                images, liver_mask, rng.uniform(-10, 10), rng.uniform(0.85, 1.18) if schedule.jitter else 1.0
            )
        for axis in (1, 2):
            if rng.random() < 0.5:
                images, liver_mask = np.flip(images, axis), np.flip(liver_mask, axis)
    if schedule.crop_px:
        inner = (slice(None), *(slice(room // 2, room // 2 + schedule.crop_px) for _ in range(2)))
        images, liver_mask = images[inner], liver_mask[inner]
    if schedule.jitter:
        images = _rescanned(images, rng)
    return np.ascontiguousarray(images), np.ascontiguousarray(liver_mask)


def _turned(
    images: NDArray[np.float32], liver_mask: NDArray[np.bool_], degrees: float, scale: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Turn and resize every slice about its middle."""
    from scipy.ndimage import affine_transform

    cos, sin = np.cos(np.deg2rad(degrees)) / scale, np.sin(np.deg2rad(degrees)) / scale
    turn = np.array([[cos, sin], [-sin, cos]])
    middle = (np.array(liver_mask.shape[1:]) - 1) / 2
    shift = middle - turn @ middle
    kinds = liver_mask.astype(np.uint8) + 2 * (images > 0).astype(np.uint8)  # both masks in one pass
    turned = np.stack([affine_transform(plane, turn, shift, order=0) for plane in kinds])
    inside, seen = turned % 2 == 1, turned > 0
    # Black pixels are not tissue: without filling, turning would draw a dark rim round every liver.
    filled = np.where(images > 0, images, np.float32(0.5))
    moved = np.stack([affine_transform(plane, turn, shift, order=1, mode="nearest") for plane in filled])
    return np.where(seen, moved, 0).astype(np.float32), inside


def _rescanned(images: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Give tissue the contrast, noise and sharpness of another scanner."""
    from scipy.ndimage import gaussian_filter

    seen = images > 0
    varied = 0.5 + (images - 0.5) * np.float32(rng.uniform(0.85, 1.2))
    if rng.random() < 0.3:
        sigma = rng.uniform(0.3, 0.8)
        varied = gaussian_filter(np.where(seen, varied, np.float32(0.5)), (0, sigma, sigma))
    if rng.random() < 0.5:
        varied = varied + rng.standard_normal(images.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.04))
    return np.where(seen, np.clip(varied, 0.02, 1), 0).astype(np.float32)


def _redrawn(liver_mask: NDArray[np.bool_], rng: Generator) -> NDArray[np.bool_]:
    """Draw the outline of an organ a little wider or tighter, as another reader or another segmenter would."""
    from scipy.ndimage import binary_dilation, binary_erosion

    kind = rng.random()
    if kind < 0.5:
        return liver_mask
    change = binary_dilation if kind < 0.75 else binary_erosion
    redrawn: NDArray[np.bool_] = change(liver_mask, iterations=int(rng.integers(1, 3)))
    return redrawn


def _crop(array: NDArray[Any], centre: int, size: int, axis: int) -> NDArray[Any]:
    """Cut a piece of fixed size that stays inside the slice where the slice is large enough; background elsewhere."""
    length = array.shape[axis]
    first = int(np.clip(centre - size // 2, 0, max(length - size, 0)))
    piece = np.take(array, range(first, min(first + size, length)), axis=axis)
    room = [(0, 0)] * array.ndim
    room[axis] = (0, size - piece.shape[axis])
    return np.pad(piece, room)


@dataclass(frozen=True, eq=False)
class Batches:
    """The batches of a training, each from its key alone: healthy slices, what is drawn on them, and how they are varied."""

    slices: HealthySlices
    recipe: Recipe
    schedule: Schedule

    def __len__(self) -> int:
        return len(self.slices)

    def batch(self, seed: int, stage: int, step: int) -> Batch:
        """Make the batch of one step."""
        return make_batch(self.slices, self.recipe, self.schedule, (seed, stage), step)


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
        ``steps``, ``first_loss`` and ``last_loss`` (means over up to 50 steps), ``seconds``, ``bf16``.

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
    players = [_player("adversary-", stage.adversary, schedule, device)] if stage.adversary is not None else []
    players.append(_player("", stage, schedule, device))
    unfinished = _Unfinished(state, _key(stage, data, recipe, schedule, seed), players)
    done, losses = unfinished.resume(), unfinished.losses
    half, saved = has_bf16(device), time.monotonic()
    for update in range(done, stage.steps):
        if job.cancelled:
            unfinished.keep(update)
        job.at(f"{stage.name} · loss {np.mean(losses[-50:]):.4f}" if losses else stage.name, update, stage.steps)
        if stage.cosine_decay:
            for player in players:
                for group in player.adam.param_groups:
                    group["lr"] = player.rate * 0.5 * (1 + np.cos(np.pi * update / stage.steps))
        batch = make_batch(data, recipe, schedule, (seed, stage.number), update).to(device)
        torch.manual_seed(_chance(seed, stage.number, update))  # of dropout and drawn codes: a resumed training repeats them, too
        for player in players:
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
                loss = player.loss(batch)
            player.adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            player.adam.step()
        losses.append(float(loss.detach()))
        if not np.isfinite(losses[-1]):
            raise make_refusal("loss-invalid", steps=update + 1)
        if stage.on_step is not None:
            stage.on_step(update + 1)
        if time.monotonic() - saved > SAVE_EVERY_S:
            unfinished.keep(update + 1)
            saved = time.monotonic()
    for player in players:
        player.network.eval()
    job.at(stage.name, stage.steps, stage.steps)
    if done < stage.steps:
        unfinished.keep(stage.steps)
    return {
        "steps": stage.steps, "first_loss": float(np.mean(losses[:50])) if losses else None,
        "last_loss": float(np.mean(losses[-50:])) if losses else None, "seconds": round(unfinished.seconds, 1), "bf16": half,
    }  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Player:
    """A network in training, with its own Adam."""

    prefix: str
    network: nn.Module
    loss: Callable[[Batch], Tensor]
    rate: float
    adam: torch.optim.Adam


def _player(prefix: str, who: Stage | Adversary, schedule: Schedule, device: torch.device) -> _Player:
    network = who.network.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    adam = torch.optim.Adam(network.parameters(), **{"lr": schedule.learning_rate, **who.adam})
    return _Player(prefix, network, who.loss, adam.param_groups[0]["lr"], adam)


def _chance(*key: int) -> int:
    """Turn the key of an update into a seed of torch."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def _key(stage: Stage, data: HealthySlices, recipe: Recipe, schedule: Schedule, seed: int) -> dict[str, Any]:
    """Everything that decides a stage's batches and steps, down to the slices: only a training with the same key may go on from a state."""
    slices = hashlib.blake2b(digest_size=8)
    for image, liver_mask in zip(data.images, data.liver_masks, strict=True):
        slices.update(np.ascontiguousarray(image).tobytes() + np.ascontiguousarray(liver_mask).tobytes())
    slices.update(repr(data.stacks).encode())
    return {
        "stage": stage.number, "steps": stage.steps, "cosine_decay": stage.cosine_decay, "seed": seed, "slices": slices.hexdigest(),
        "recipe": [type(recipe).__name__, recipe.to_dict()], "schedule": schedule.to_dict(),
    }  # fmt: skip


@dataclass(eq=False)
class _Unfinished:
    """A training in progress: what a killed one needs to go on, and where it is kept. Without a path nothing is kept."""

    path: Path | None
    key: dict[str, Any]
    players: Sequence[_Player]
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
        tensors: dict[str, Tensor] = {}
        for player in self.players:
            tensors |= {f"{player.prefix}network.{name}": value for name, value in player.network.state_dict().items()}
            for index, moments in player.adam.state_dict()["state"].items():
                tensors |= {f"{player.prefix}adam.{index}.{name}": value for name, value in moments.items()}
        state = {"key": self.key, "update": update, "losses": self.losses, "seconds": self.seconds}
        checkpoint.save(self.path, tensors, {"state": state})

    def resume(self) -> int:
        """Go on from what was kept, where there is something, and say how many updates are done."""
        if self.path is None or not self.path.exists():
            return 0
        about = checkpoint.read_card(self.path).get("state", {})
        tensors = checkpoint.read_tensors(self.path)
        weights = [_under(f"{player.prefix}network.", tensors) for player in self.players]
        fits = all(
            {name: value.shape for name, value in player.network.state_dict().items()}
            == {name: value.shape for name, value in there.items()}
            for player, there in zip(self.players, weights, strict=True)
        )
        odd = differing(about.get("key"), json.loads(json.dumps(self.key))) or ([] if fits else ["network"])
        if odd:
            raise make_refusal("state-other", file=self.path.name, settings=", ".join(odd[:8]))
        for player, there in zip(self.players, weights, strict=True):
            player.network.load_state_dict(there)
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in _under(f"{player.prefix}adam.", tensors).items():
                index, what = name.split(".")
                moments.setdefault(int(index), {})[what] = value
            player.adam.load_state_dict({"state": moments, "param_groups": player.adam.state_dict()["param_groups"]})
        self.losses.extend(about["losses"])
        self.spent_s = float(about["seconds"])
        return int(about["update"])


def _under(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the tensors whose names begin so, without that beginning."""
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
