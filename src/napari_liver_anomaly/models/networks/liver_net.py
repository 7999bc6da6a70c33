"""The networks of the liver finder: one small U-Net for blocks (coarse) or for slices with their neighbours (fine).

A slice is folded first, two by two pixels into channels, and the answer is unfolded last: four times fewer places to work on, at the
same resolution.

References
----------
Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015; Çiçek et al., "3D U-Net", MICCAI 2016; Shi et al., "Sub-pixel convolution", CVPR
2016; Ioffe and Szegedy, "Batch normalization", ICML 2015.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_liver_anomaly.settings import Settings, setting

FIRST_ANSWER = -2.5  # in logits: most voxels of a block are no liver, and it need not be learned
MOMENTUM = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class LiverNetSettings(Settings):
    """Size of a network of the liver finder."""

    axes: int = setting(2, unit="axes", low=2, high=3, help="Two for slices with their neighbours, three for blocks.")
    channels: int = setting(6, low=1, high=32, help="Images seen at once: neighbouring slices and the coarse answer.")
    folding: int = setting(2, unit="px", low=1, high=4, help="Pixels a side of a slice that become channels; 1 for blocks.")
    width: int = setting(24, unit="filters", low=4, high=64, help="Filters of the first block; two blocks down double them.")
    widest: int = setting(96, unit="filters", low=4, high=512, help="No block has more filters.")
    depth: int = setting(3, unit="halvings", low=1, high=5, help="How often the image is halved on the way down.")


class LiverNet(nn.Module):
    """U-Net that says for each voxel how likely it is liver.

    Parameters
    ----------
    settings : LiverNetSettings
        Axes, channels and size.
    """

    def __init__(self, settings: LiverNetSettings) -> None:
        super().__init__()
        self.settings = settings
        widths = [min(settings.width * 2**level, settings.widest) for level in range(settings.depth + 1)]
        self.fold = settings.folding if settings.axes == 2 else 1
        channels = settings.channels * self.fold**2
        self.down = nn.ModuleList(
            _block(settings.axes, inside, outside) for inside, outside in zip([channels, *widths], widths, strict=False)
        )
        pairs = reversed(list(pairwise(widths)))
        self.up = nn.ModuleList(_block(settings.axes, here + below, here) for here, below in pairs)
        self.head = (nn.Conv2d if settings.axes == 2 else nn.Conv3d)(widths[0], self.fold**2, 1)
        if settings.axes == 3:
            nn.init.constant_(self.head.bias, FIRST_ANSWER)  # type: ignore[arg-type]

    @property
    def multiple(self) -> int:
        """Every size of an image must be divisible by this."""
        return int(self.fold * 2**self.settings.depth)

    def forward(self, image: Tensor) -> Tensor:
        """Score a batch."""
        pool = functional.max_pool2d if self.settings.axes == 2 else functional.max_pool3d
        x, skips = functional.pixel_unshuffle(image, self.fold) if self.fold > 1 else image, []
        for level, block in enumerate(self.down):
            x = block(pool(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(torch.cat([functional.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1))
        out: Tensor = self.head(x)
        return functional.pixel_shuffle(out, self.fold) if self.fold > 1 else out


def _block(axes: int, inside: int, outside: int) -> nn.Sequential:
    """Twice: convolution with 3 voxels a side, batch normalisation, rectifier."""
    conv, norm = (nn.Conv2d, nn.BatchNorm2d) if axes == 2 else (nn.Conv3d, nn.BatchNorm3d)
    layers: list[nn.Module] = []
    for first in (inside, outside):
        layers += [conv(first, outside, 3, padding=1, bias=False), norm(outside, momentum=MOMENTUM), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
