"""The three losses of ASC-Net.

Its post-processing, an opening and a closing, is no part of the model: ``metrics.postprocessing`` does it for any.

References
----------
Dey, Hong, "ASC-Net: adversarial-based selective network for unsupervised anomaly segmentation", MICCAI 2021, and its extension on arXiv.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

DECAY = 2e-4  # of the squared convolution weights, as in the public code


def discriminator_loss(false: Tensor, true: Tensor) -> Tensor:
    """Mean distance of what is said from −1 for false and 1 for true slices."""
    return torch.cat([(false + 1).abs(), (true - 1).abs()]).mean()


def cuts_overlap(fence: Tensor, wild: Tensor) -> Tensor:
    """Soft Dice of the two cuts of a batch, to be made small."""
    one, other = (torch.where(cut == 0, torch.ones_like(cut), cut) for cut in (fence, wild))
    return (2 * (one * other).sum() + 1) / (one.sum() + other.sum() + 1)


def kernel_decay(network: nn.Module) -> Tensor:
    """Weigh the convolutions of a network. It is a loss because Adam's own decay would draw biases and normalisation to zero, too."""
    kernels = (part.weight for part in network.modules() if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)))
    return DECAY * torch.stack([kernel.float().square().sum() for kernel in kernels]).sum()
