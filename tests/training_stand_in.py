"""A small training that torchrun starts in several processes: batch norm, Dice and an adversary; it may be killed on the way."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from napari_liver_anomaly.models.losses import overlap_loss
from napari_liver_anomaly.models.stage import Adversary, Batch, Stage
from napari_liver_anomaly.processes import rank, together
from napari_liver_anomaly.training import loop
from napari_liver_anomaly.training.training_set import TrainingSet, torch_seed

CALM = {
    "eps": 1e-3
}  # Adam makes steps of one size even of gradients that are rounding alone, and so tells apart what is equal but for rounding
STEPS, KILLED_AT, CPU = 8, 5, torch.device("cpu")


def draw(seed: int, stage: int, step: int) -> Batch:
    images = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(torch_seed(seed, stage, step)))
    liver = images[:, 0] > 0.1 * torch.arange(4).view(-1, 1, 1)
    return Batch(images, images, images[:, 0] > 0.6, liver, images[:, 0])


def network(out: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.SiLU(), nn.Conv2d(4, out, 3, padding=1))


def train(state: Path, kill: bool = False) -> nn.Module:
    """Train, saving each step; with ``kill``, the last process is killed once."""
    torch.manual_seed(0)
    segmenter, critic, mark = network(2), network(1), state.with_suffix(".killed")

    def loss(batch: Batch) -> torch.Tensor:
        logits = segmenter(batch.anomalous)
        return overlap_loss(logits, batch.mask, batch.liver_mask) + 0.1 * critic(logits[:, 1:].sigmoid()).square().mean()

    def against(batch: Batch) -> torch.Tensor:
        made = segmenter(batch.anomalous)[:, 1:].sigmoid().detach()
        return (critic(made) - 1).square().mean() + critic(batch.mask[:, None].float()).square().mean()

    def look(done: int) -> None:
        if kill and done == KILLED_AT and rank() == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    stage = Stage(
        name="test", number=1, network=segmenter, steps=STEPS, loss=loss, averaging=0.5, largest_gradient=1.0, on_step=look, adam=CALM,
        adversary=Adversary(network=critic, loss=against, adam=CALM),
    )  # fmt: skip
    loop.SAVE_EVERY_S = -1
    with together(CPU):
        loop.train_stage(stage, TrainingSet((), draw, {}, 4), 1e-2, seed=3, device=CPU, state=state)
    return segmenter


if __name__ == "__main__":
    train(Path(sys.argv[1]), kill=sys.argv[2] == "kill")
