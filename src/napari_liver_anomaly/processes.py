"""Several processes that train one network together, as torchrun starts them: each works on its part of every batch.

Gradients are averaged by PyTorch's ``DistributedDataParallel``. What is summed over a batch (Dice) or normalised over it (batch norm) is summed over
all parts, so that the losses are those of one process with the whole batch, but for rounding. Three comparison methods weigh their losses by what
their own part holds (layer decomposition, ASC-Net, cycle translation): with them the losses differ.

References
----------
S. Li et al., "PyTorch distributed: experiences on accelerating data parallel training", VLDB 2020.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import fields, replace
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from napari_liver_anomaly.device import launched
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Parts = TypeVar("Parts")


@contextmanager
def together(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun started with this one, for as long as the context lasts; one that was started alone stays alone."""
    if launched() < 2 or distributed.is_initialized():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def count() -> int:
    """Say how many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Give the number of this process among those that train together, 0 for the first."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def own_key(*key: int) -> tuple[int, ...]:
    """Turn the key of a step into one for the chance of this process; the first draws as a process alone would."""
    return (*key, rank()) if rank() else key


def require_same(step: int, device: torch.device) -> None:
    """Refuse to go on from another step than the others, who then saw other files."""
    steps = torch.tensor([step, -step], device=device)
    if count() > 1:
        distributed.all_reduce(steps, distributed.ReduceOp.MAX)
    if steps.sum():
        raise make_refusal("processes-apart")


class _Total(torch.autograd.Function):
    """A sum over all processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        added = values.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(added)
        return added

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Total.forward(None, gradients[0])


def total(values: Tensor) -> Tensor:
    """Add values up over all processes."""
    if count() == 1:
        return values
    added: Tensor = _Total.apply(values)  # type: ignore[no-untyped-call]
    return added


def totals(*sums: Tensor) -> tuple[Tensor, ...]:
    """Add several sums over a batch up over all processes, in one message."""
    return sums if count() == 1 else tuple(total(torch.stack(sums)).unbind())


def part_of(batch: Parts) -> Parts:
    """Give this process's part of a batch: every so many samples, from its own number on."""
    if count() == 1:
        return batch
    values = {one.name: getattr(batch, one.name) for one in fields(batch)}  # type: ignore[arg-type]
    samples = len(next(iter(values.values())))
    if samples % count():
        raise make_refusal("batch-uneven", samples=samples, processes=count())
    return replace(batch, **{name: value[rank() :: count()] for name, value in values.items()})  # type: ignore[type-var]


class _Losing(nn.Module):
    """A network with its loss, called as one."""

    def __init__(self, network: nn.Module, loss: Callable[[Any], Tensor]) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, batch: Any) -> Tensor:
        return self.loss(batch)


def shared(network: nn.Module, loss: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """Give the loss of a network so that its gradients are the mean over all processes."""
    return loss if count() == 1 else nn.parallel.DistributedDataParallel(_Losing(network, loss))


@contextmanager
def shared_norms(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Let batch norms of networks in training see the whole batch; PyTorch's own layer for that needs a graphics card."""
    norms = [one for network in networks for one in network.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    if count() > 1:
        for norm in norms:
            norm.forward = MethodType(_normed, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            norm.__dict__.pop("forward", None)


def _normed(norm: nn.modules.batchnorm._BatchNorm, values: Tensor) -> Tensor:
    """Do what batch norm does, with mean and variance of all parts of the batch."""
    if not norm.training:
        return type(norm).forward(norm, values)
    exact, axes = values.float(), [0, *range(2, values.dim())]
    shape, size = [1, -1, *[1] * (values.dim() - 2)], count() * values.numel() / values.shape[1]
    mean = total(exact.sum(axes)) / size
    apart = exact - mean.view(shape)
    variance = total((apart**2).sum(axes)) / size
    if norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None:
        norm.num_batches_tracked += 1
        kept = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        norm.running_mean.lerp_(mean.detach(), kept)
        norm.running_var.lerp_(variance.detach() * size / (size - 1), kept)
    scaled = apart / (variance.view(shape) + norm.eps).sqrt()
    if norm.affine:
        scaled = scaled * norm.weight.view(shape) + norm.bias.view(shape)
    return scaled.to(values.dtype)
