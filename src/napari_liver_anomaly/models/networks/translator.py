"""Networks that draw an image from tissue maps: a generator, and a critic that scores its patches beside the maps.

References
----------
Johnson, Alahi, Fei-Fei, "Perceptual losses for real-time style transfer and super-resolution", ECCV 2016 (the generator);
Isola, Zhu, Zhou, Efros, "Image-to-image translation with conditional adversarial networks", CVPR 2017 (the critic).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BLOCKS = 5


def _layer(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


class _Residual(nn.Module):
    """Two convolutions that add to what they see."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _layer(nn.Conv2d(channels, channels, 3, padding=1), channels),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = x + self.layers(x)
        return added


class Translator(nn.Module):
    """Two halvings down, five residual blocks, two doublings up.

    Parameters
    ----------
    maps : int
        Tissue maps.
    width : int
        Filters at full size; Johnson et al. have 32.
    """

    def __init__(self, maps: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _layer(nn.Conv2d(maps, width, 7, padding=3), width),
            _layer(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), 2 * width),
            _layer(nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1), 4 * width),
            *(_Residual(4 * width) for _ in range(BLOCKS)),
            _layer(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1), 2 * width),
            _layer(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1), width),
            nn.Conv2d(width, 1, 7, padding=3),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Draw a batch of slices."""
        return torch.sigmoid(self.layers(maps).float())


class PatchCritic(nn.Module):
    """Scores patches of 22 pixels, each by an image and the maps it was drawn from.

    Parameters
    ----------
    maps : int
        Tissue maps.
    width : int
        Filters of the first layer.
    """

    def __init__(self, maps: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(maps + 1, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 4, padding=1),
        )  # fmt: skip

    def forward(self, maps: Tensor, image: Tensor) -> Tensor:
        """Tell real slices from drawn ones."""
        logits: Tensor = self.layers(torch.cat([maps, image], dim=1)).float()
        return logits
