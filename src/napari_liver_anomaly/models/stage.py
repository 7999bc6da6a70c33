"""A stage of training: which network is trained, how long, and with which loss. ``training.loop`` runs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Batch:
    """Healthy slices (B, 1, H, W), what was made of them and their neighbours (B, C, H, W), where, where the liver is, and how much (B, H, W)."""

    healthy: Tensor
    anomalous: Tensor
    mask: Tensor
    liver_mask: Tensor
    target: Tensor

    def to(self, device: torch.device) -> Batch:
        """Move all to a device."""
        return Batch(*(part.to(device) for part in (self.healthy, self.anomalous, self.mask, self.liver_mask, self.target)))


class TrainingData(Protocol):
    """What a model is trained on."""

    def __len__(self) -> int:
        """Healthy slices there are."""

    def batch(self, seed: int, stage: int, step: int) -> Batch:
        """Make the batch of one step, from its key alone."""


@dataclass(eq=False, kw_only=True)
class Adversary:
    """A network that is trained against another one: at every step it moves first.

    Attributes
    ----------
    network : nn.Module
        What is trained.
    loss : callable
        Batch on the device to a loss.
    adam : mapping
        What Adam is told beside the step size.
    moves : int
        How often it moves at each step, on the step's batch, each time with new noise.
    """

    network: nn.Module
    loss: Callable[[Batch], Tensor]
    adam: Mapping[str, Any] = field(default_factory=dict)
    moves: int = 1


@dataclass(eq=False, kw_only=True)
class Stage:
    """One network's training: what is trained, how long, and what a step loses.

    Attributes
    ----------
    name : str
        Shown while it runs.
    number : int
        Part of the key of every batch.
    network : nn.Module
        What is trained.
    loss : callable
        Batch on the device, as the training set makes it, to a loss.
    steps : int
        How many.
    cosine_decay : bool
        Whether the step size decays to nothing along a cosine.
    warm_up : int
        Steps over which the step size rises before.
    adam : mapping
        What Adam is told beside the step size, for example ``{"betas": (0.5, 0.999)}``.
    largest_gradient : float, optional
        Norm to which longer gradients are shortened.
    averaging : float
        Above 0, the network ends with a running mean of its weights, of which each step keeps this part.
    adversary : Adversary, optional
        A second network that is trained against the first.
    on_step : callable, optional
        Called after each step with how many are done, to measure on the way; it leaves the network in training mode.
    """

    name: str
    number: int
    network: nn.Module
    loss: Callable[[Any], Tensor]
    steps: int
    cosine_decay: bool = False
    warm_up: int = 0
    adam: Mapping[str, Any] = field(default_factory=dict)
    largest_gradient: float | None = None
    averaging: float = 0.0
    adversary: Adversary | None = None
    on_step: Callable[[int], None] | None = None
