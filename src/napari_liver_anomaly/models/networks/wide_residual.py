"""A wide residual network down and up again, without skip connections between the two ways.

References
----------
Zagoruyko, Komodakis, "Wide residual networks", BMVC 2016 (blocks, normalised before they are activated); Tan, Hou, Batten, Qiu, Kainz, "Detecting
outliers with foreign patch interpolation", MELBA 2022 (encoder and decoder of such blocks).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

FACTORS = (1, 2, 4, 8)  # filters at each size, of the width


class Block(nn.Module):
    """Two convolutions of 3 × 3 that add to what they see, which may be halved or doubled in size before.

    Parameters
    ----------
    inside, outside : int
        Channels before and after.
    scale : float
        0.5 halves the image, 2 doubles it.
    """

    def __init__(self, inside: int, outside: int, scale: float = 1) -> None:
        super().__init__()
        self.resized = {0.5: nn.AvgPool2d(2), 1: nn.Identity(), 2: nn.Upsample(scale_factor=2)}[scale]
        self.short = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(inside), nn.ReLU(), nn.Conv2d(inside, outside, 3, padding=1),
            nn.BatchNorm2d(outside), nn.ReLU(), nn.Conv2d(outside, outside, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Answer for a batch."""
        x = self.resized(x)
        added: Tensor = self.short(x) + self.layers(x)
        return added


class WideResidual(nn.Sequential):
    """Three halvings down and three doublings up.

    Parameters
    ----------
    width : int
        Filters at full size.
    """

    def __init__(self, width: int) -> None:
        widths = [width * factor for factor in FACTORS]
        down = [Block(inside, outside, 0.5) for inside, outside in itertools.pairwise(widths)]
        up = [Block(inside, outside, 2) for inside, outside in itertools.pairwise(widths[::-1])]
        super().__init__(
            nn.Conv2d(1, width, 3, padding=1), Block(width, width), *down, *up,
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, 1, 1),
        )  # fmt: skip
