"""Networks of ASC-Net: a U-Net with two decoders, and the discriminator between cuts and the reference set.

References
----------
Dey, Hong, "ASC-Net: adversarial-based selective network for unsupervised anomaly segmentation", MICCAI 2021.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

HALVINGS = 4
DROPOUT = 0.3
STEEPNESS = 4.0


def _block(inside: int, outside: int) -> nn.Sequential:
    """Twice: 3 × 3 convolution, ReLU, batch normalisation (in this order)."""
    layers: list[nn.Module] = []
    for first in (inside, outside):
        layers += [nn.Conv2d(first, outside, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(outside)]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Four blocks down and a transition.

    Parameters
    ----------
    width : int
        Filters of the first block; each block down doubles them. The paper has 32.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(HALVINGS + 1)]
        self.blocks = nn.ModuleList(_block(inside, outside) for inside, outside in itertools.pairwise([1, *widths]))
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Describe a batch of slices at every size."""
        levels = [self.blocks[0](image)]
        for block in self.blocks[1:]:
            levels.append(block(self.drop(functional.max_pool2d(levels[-1], 2))))
        return levels


class Decoder(nn.Module):
    """Four blocks up to one image, with skip connections.

    Parameters
    ----------
    width : int
        Filters of the encoder's first block.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in reversed(range(HALVINGS))]
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths)
        self.merge = nn.ModuleList(_block(2 * w, w) for w in widths)
        self.drop = nn.Dropout(DROPOUT)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Draw a cut."""
        x = levels[-1]
        for widen, merge, skip in zip(self.up, self.merge, reversed(levels[:-1]), strict=True):
            x = merge(self.drop(torch.cat([widen(x), skip], dim=1)))
        return torch.sigmoid(self.head(x).float())


class Cutter(nn.Module):
    """The generator: one encoder, a decoder for each cut, and a reconstructor that is a weighted sum of the two.

    The reconstructor begins as the plain sum, and steep [OURS]: one full cut gives the grey of a liver, none gives black. Its three weights, drawn
    by chance, would take tens of thousands of small steps to get there.

    Parameters
    ----------
    width : int
        Filters of the first block; the paper has 32.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder, self.fence, self.wild = Encoder(width), Decoder(width), Decoder(width)
        self.join = nn.Conv2d(2, 1, 1)
        nn.init.ones_(self.join.weight)
        nn.init.constant_(self.join.bias, -1.0)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut a batch of slices in two and put them together again."""
        levels = self.encoder(image)
        fence, wild = self.fence(levels), self.wild(levels)
        return fence, wild, torch.sigmoid(STEEPNESS * self.join(torch.cat([fence, wild], dim=1)).float())


class Discriminator(nn.Module):
    """Says of a slice whether it looks like the reference set: 1, or not: −1.

    Parameters
    ----------
    width : int
        Filters of the first block.
    side : int
        Height and width of the slices, a multiple of 16: the last layer is dense.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.encoder = Encoder(width)
        self.dense = nn.Linear(width * 2**HALVINGS * (side // 2**HALVINGS) ** 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Tell slices apart."""
        return torch.tanh(self.dense(self.encoder(image)[-1].flatten(1)).float())[:, 0]
