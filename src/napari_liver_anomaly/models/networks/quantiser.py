"""A codebook: every vector of an image is replaced by the nearest of a few that are learnt, and is then a number.

References
----------
van den Oord, Vinyals, Kavukcuoglu, "Neural discrete representation learning", NeurIPS 2017, equation 3 (codebook and commitment, weight 0.25).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

COMMITMENT = 0.25


class Quantiser(nn.Module):
    """Vectors that stand for all.

    Parameters
    ----------
    codes : int
        How many; the paper that this follows has 128.
    size : int
        Numbers in each; there 256.
    """

    def __init__(self, codes: int, size: int) -> None:
        super().__init__()
        self.codes = nn.Embedding(codes, size)

    def nearest(self, features: Tensor) -> Tensor:
        """Find the nearest code of each vector of (B, C, h, w): its number, (B, h, w)."""
        vectors = features.movedim(1, -1).float()
        exactly = "donot_use_mm_for_euclid_dist"  # the quicker way rounds by the size of the batch
        return torch.cdist(vectors.flatten(0, 2), self.codes.weight, compute_mode=exactly).argmin(dim=1).view(vectors.shape[:3])

    def vectors(self, numbers: Tensor) -> Tensor:
        """Take the vectors (B, C, h, w) of code numbers (B, h, w)."""
        found: Tensor = self.codes(numbers).movedim(-1, 1)
        return found

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Give the nearest codes, through which gradients pass as if they were the features, and the loss that draws both together."""
        features = features.float()
        found = self.vectors(self.nearest(features))
        loss = functional.mse_loss(found, features.detach()) + COMMITMENT * functional.mse_loss(features, found.detach())
        return features + (found - features).detach(), loss
