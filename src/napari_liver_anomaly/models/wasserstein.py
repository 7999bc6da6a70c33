"""Loss of a critic that measures the Wasserstein distance between real and made, kept smooth by a penalty on its gradient.

References
----------
Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", NeurIPS 2017, algorithm 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

PENALTY = 10.0
BETAS = (0.5, 0.9)  # Adam's momenta of generator and critic


def critic_loss(critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor) -> Tensor:
    """How much higher the critic says of made than of real, and ten times the penalty."""
    made = made.detach()
    return critic(made).mean() - critic(real).mean() + PENALTY * gradient_penalty(critic, real, made)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor) -> Tensor:
    """Mean square distance from 1 of the critic's gradient, somewhere between each real and each made one, drawn by chance."""
    with torch.autocast(real.device.type, enabled=False):
        share = torch.rand(len(real), *[1] * (real.dim() - 1)).to(real.device)
        between = (share * real + (1 - share) * made).detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        length = (gradient.flatten(1).square().sum(dim=1) + 1e-12).sqrt()
        return (length - 1).square().mean()
