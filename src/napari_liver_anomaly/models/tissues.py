"""Tissues of a healthy liver without a label: dark, parenchyma and bright, as a mixture of three normal distributions of its smoothed intensities.

An adaptation [OURS]: for brains, atlases give such maps; for livers there is none.

References
----------
Dempster, Laird, Rubin, "Maximum likelihood from incomplete data via the EM algorithm", Journal of the Royal Statistical Society B 39 (1977).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("background", "dark", "parenchyma", "bright")
SAMPLE = 20000  # values that the mixture is fitted to
STEPS = 200
LEAST_VARIANCE = 1e-6


def smoothed(image: Tensor, liver_mask: Tensor) -> Tensor:
    """Average over 3 × 3 pixels of liver, twice."""
    for _ in range(2):
        weight = functional.avg_pool2d(liver_mask, 3, stride=1, padding=1).clamp(min=0.1)
        image = functional.avg_pool2d(image * liver_mask, 3, stride=1, padding=1) / weight * liver_mask
    return image


class Mixture(nn.Module):
    """Three tissues, each with a mean and a part of all pixels; kept with the weights of a model.

    They have one variance in common: with three, the widest would claim the darkest and the brightest pixels alike.
    """

    means: Tensor
    shares: Tensor
    variance: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("means", torch.tensor([0.25, 0.5, 0.75]))
        self.register_buffer("shares", torch.full((3,), 1 / 3))
        self.register_buffer("variance", torch.tensor(0.01))

    def fit(self, values: NDArray[np.float32]) -> None:
        """Fit the mixture by expectation and maximisation."""
        x = np.sort(values).astype(np.float64)[:: max(1, values.size // SAMPLE)]
        means, shares, variance = np.quantile(x, (0.05, 0.5, 0.95)), np.array([0.1, 0.8, 0.1]), x.var() / 4 + LEAST_VARIANCE
        for _ in range(STEPS):
            apart = (x[:, None] - means) ** 2
            weight = np.log(shares + 1e-12) - apart / (2 * variance)
            part = np.exp(weight - weight.max(axis=1, keepdims=True))
            part /= part.sum(axis=1, keepdims=True)
            count = part.sum(axis=0) + 1e-9
            means, shares = part.T @ x / count, count / count.sum()
            variance = float((part * (x[:, None] - means) ** 2).sum() / x.size) + LEAST_VARIANCE
        order = np.argsort(means)
        self.means.copy_(torch.from_numpy(means[order]))
        self.shares.copy_(torch.from_numpy(shares[order]))
        self.variance.fill_(variance)

    def forward(self, image: Tensor, liver_mask: Tensor) -> Tensor:
        """Say of every pixel what tissue it is."""
        apart = (smoothed(image, liver_mask) - self.means[:, None, None]) ** 2
        weight = torch.log(self.shares + 1e-12)[:, None, None] - apart / (2 * self.variance)
        return torch.cat([1 - liver_mask, torch.softmax(weight, dim=1) * liver_mask], dim=1)
