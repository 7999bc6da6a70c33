"""Training of the liver finder: the coarse network, then the fine one, on scans that change every time they are seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from napari_liver_anomaly.liver.finder import Finder
from napari_liver_anomaly.liver.samples import Lesson, coarse_sample, fine_sample, lesson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from napari_liver_anomaly.io.cases import Case
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.liver.schedule import LiverSchedule
    from napari_liver_anomaly.models.networks.liver import LiverNet

    Draw = Callable[[list[Lesson], np.random.Generator, torch.Generator], tuple[Tensor, Tensor]]

PHANTOM_SEEDS = (101, 102, 103)
PHANTOM_WEIGHT = 1 / 3
KEPT = 0.98


def lessons_from(cases: Sequence[Case], job: Job, phantoms: Sequence[int] = PHANTOM_SEEDS) -> list[Lesson]:
    """Read cases, and build phantoms, to learn from.

    Parameters
    ----------
    cases : sequence of Case
        Scans with liver masks.
    job : Job
        Progress and cancel.
    phantoms : sequence of int
        Seeds of the digital abdomens to add.

    Returns
    -------
    list of Lesson
        Cases first.

    Raises
    ------
    Refusal
        When a file cannot be read or a mask lies on another grid.
    Cancelled
        When the job was cancelled.
    """
    from napari_liver_anomaly.io import read, read_mask
    from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

    made: list[Lesson] = []
    total = len(cases) + len(phantoms)
    for case in cases:
        job.at("Reading the scans", len(made), total)
        volume = read(case.ct)
        made.append(lesson(case.name, volume, read_mask(case.liver, volume, "liver mask")))
    for seed in phantoms:
        job.at("Reading the scans", len(made), total)
        sample = make_phantom(PhantomSettings(seed=seed, size_px=144))
        made.append(lesson(f"phantom {seed}", sample.volume, sample.liver, PHANTOM_WEIGHT))
    return made


def train_finder(
    lessons: list[Lesson], schedule: LiverSchedule, *, seed: int, job: Job, start: Finder | None = None
) -> tuple[Finder, dict[str, Any]]:
    """Train a liver finder.

    Parameters
    ----------
    lessons : list of Lesson
        What it learns from.
    schedule : LiverSchedule
        How long.
    seed : int
        Decides every random choice.
    job : Job
        Progress and cancel.
    start : Finder, optional
        Goes on from this one, which is changed, instead of from nothing.

    Returns
    -------
    Finder
        Trained, on the CPU.
    dict
        ``coarse_loss`` and ``fine_loss``: mean loss of each tenth of the training.

    Raises
    ------
    Cancelled
        When the job was cancelled.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        finder = start or Finder()
    coarse = _fit(
        finder.coarse, lessons, coarse_sample, (schedule.coarse_updates, schedule.coarse_batch, schedule.rate), (seed, 1), job
    )
    fine = _fit(finder.fine, lessons, fine_sample, (schedule.fine_updates, schedule.fine_batch, schedule.rate), (seed, 2), job)
    return finder, {"coarse_loss": coarse, "fine_loss": fine}


def _fit(
    net: LiverNet, lessons: list[Lesson], draw: Draw, plan: tuple[int, int, float], seed: tuple[int, int], job: Job
) -> list[float]:
    """Train one network; what is kept is a running mean of its weights."""
    updates, batch, rate = plan
    rng = np.random.default_rng(seed)
    torch_rng = torch.Generator().manual_seed(seed[0] * 2 + seed[1])
    net.train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-4)
    mean = {name: value.detach().clone() for name, value in net.state_dict().items()}
    losses = []
    for step in range(updates):
        job.at(f"Training the liver finder · {'blocks' if net.settings.axes == 3 else 'slices'}", step, updates)
        for group in optimiser.param_groups:
            group["lr"] = rate * _pace(step, updates)
        drawn = [draw(lessons, rng, torch_rng) for _ in range(batch)]
        images, organs = (torch.stack(part) for part in zip(*drawn, strict=True))
        loss = liver_loss(net(images), organs)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        share = min(KEPT, step / (step + 10))
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                mean[name].lerp_(value, 1 - share)
    net.load_state_dict(mean)
    net.eval()
    return [round(float(np.mean(part)), 4) for part in np.array_split(losses, min(10, updates))]


def _pace(step: int, updates: int) -> float:
    """Share of the largest learning rate: up, then down along a cosine."""
    warm = max(1, updates // 20)
    if step < warm:
        return (step + 1) / warm
    return max(0.01, 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, updates - warm))))


def liver_loss(logits: Tensor, organ: Tensor) -> Tensor:
    """Cross-entropy plus one minus Dice over the whole batch.

    Parameters
    ----------
    logits, organ : Tensor, (B, 1, …)
        The network's answer, and how much of each voxel is liver, 0…1.

    Returns
    -------
    Tensor, ()
        0 for a perfect answer that knows no doubt.
    """
    share = logits.sigmoid()
    overlap = (2 * (share * organ).sum() + 1) / (share.sum() + organ.sum() + 1)
    return functional.binary_cross_entropy_with_logits(logits, organ) + 1 - overlap
