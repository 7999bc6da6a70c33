"""An autoregressive prior: how likely each code of an image is after those above it and to its left.

References
----------
van den Oord, Kalchbrenner, Kavukcuoglu, "Pixel recurrent neural networks", ICML 2016 (masked convolutions and their residual blocks). It stands for
the PixelSNAIL of P3's baseline (Chen, Mishra, Rohaninejad, Abbeel, ICML 2018), without its attention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from typing import Any

FIRST, NEXT = 5, 3  # sides of the convolutions
BLOCKS = 4


class MaskedConvolution(nn.Conv2d):
    """A convolution that sees what comes before a place in reading order; with ``itself`` the place, too."""

    def __init__(self, inside: int, outside: int, side: int, *, itself: bool) -> None:
        super().__init__(inside, outside, side, padding=side // 2)
        seen = torch.zeros(side, side)
        seen.view(-1)[: side**2 // 2 + itself] = 1
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        seen: Any = self.seen
        return functional.conv2d(x, self.weight * seen, self.bias, padding=self.padding)


class CodePrior(nn.Module):
    """Masked convolutions with residual blocks.

    Parameters
    ----------
    codes : int
        How many codes there are.
    width : int
        Channels; the paper that this follows has 128.
    """

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        self.known = nn.Embedding(codes, width)
        self.first = MaskedConvolution(width, width, FIRST, itself=False)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.ReLU(), MaskedConvolution(width, width, NEXT, itself=True), nn.ReLU(), nn.Conv2d(width, width, 1))
            for _ in range(BLOCKS)
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, codes, 1))

    def forward(self, numbers: Tensor) -> Tensor:
        """Give logits (B, codes, h, w) of the code at each place of (B, h, w) from those before it."""
        x = self.first(self.known(numbers).movedim(-1, 1))
        for block in self.blocks:
            x = x + block(x)
        logits: Tensor = self.head(x)
        return logits.float()
