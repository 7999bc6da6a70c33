"""What ASC-Net is made of beside its networks: three losses and the peaks of a histogram.

Its opening and closing of what is found is no part of the system: ``metrics.postprocessing`` does it for any.

References
----------
Dey, Hong, "ASC-Net: adversarial-based selective network for unsupervised anomaly segmentation", MICCAI 2021, and its extension on arXiv.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

DECAY = 2e-4  # of the squared convolution weights, as in the public code
LEVELS = 256  # of the paper's images


def discriminator_loss(false: Tensor, true: Tensor) -> Tensor:
    """Mean distance of what is said from −1 for false and 1 for true slices.

    Parameters
    ----------
    false, true : Tensor, (B,)
        What the discriminator said, −1…1; their numbers may differ.

    Returns
    -------
    Tensor
        0…2. One print of the paper repeats the reconstruction loss in its place; the text describes this one.
    """
    return torch.cat([(false + 1).abs(), (true - 1).abs()]).mean()


def cuts_overlap(fence: Tensor, wild: Tensor) -> Tensor:
    """Soft Dice of the two cuts of a batch, to be made small.

    Parameters
    ----------
    fence, wild : Tensor, the same shape
        0…1. An exact zero counts as 1, as in the public code, so that a black cut is no way out.

    Returns
    -------
    Tensor
        0…1.
    """
    one, other = (torch.where(cut == 0, torch.ones_like(cut), cut) for cut in (fence, wild))
    return (2 * (one * other).sum() + 1) / (one.sum() + other.sum() + 1)


def kernel_decay(network: nn.Module) -> Tensor:
    """Weigh the convolutions of a network. It is a loss because Adam's own decay would draw biases and normalisation to zero, too.

    Parameters
    ----------
    network : nn.Module
        Any.

    Returns
    -------
    Tensor
        2e-4 times the sum of the squared weights.
    """
    kernels = (part.weight for part in network.modules() if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)))
    return DECAY * torch.stack([kernel.float().square().sum() for kernel in kernels]).sum()


def peaks(reconstruction: NDArray[np.float32], sigma: float = 2.0, prominence: float = 0.01) -> NDArray[np.float64]:
    """Find the peaks of the histogram: the paper trains until there are 3 or 4, and calls what lies under the leftmost a dark lesion.

    Parameters
    ----------
    reconstruction : ndarray of float32
        Values 0…1 of the pixels that count, of any shape.
    sigma : float
        Smoothing of the histogram, in steps of 1/255.
    prominence : float
        How far a peak has to rise above the valleys beside it, as a share of the highest.

    Returns
    -------
    ndarray of float64
        Their places, 0…1, from left to right; none for no pixels.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    counts = np.bincount(np.rint(reconstruction.ravel() * (LEVELS - 1)).astype(int), minlength=LEVELS).astype(float)
    reach = int(np.ceil(4 * sigma)) + 1  # beyond both ends the histogram falls to nothing, so that these can be peaks
    smooth = gaussian_filter1d(np.pad(counts, reach), sigma, mode="constant")
    found, _ = find_peaks(smooth, prominence=max(prominence * smooth.max(), 1e-9))
    places: NDArray[np.float64] = np.clip((found - reach) / (LEVELS - 1), 0, 1)
    return places
