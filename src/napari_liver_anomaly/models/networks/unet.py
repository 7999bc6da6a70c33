"""The plain U-Net: convolutions with batch normalisation, halved by the largest of four, doubled by transposed convolutions.

References
----------
Ronneberger, Fischer, Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI 2015, with the sizes of "Self-supervised anomaly
detection with random-shape pseudo-outliers", EMBC 2022 (filters 32, 64, 128, 256 and 512), which does not say how it normalises.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_liver_anomaly.models.networks.segmenter import convolve

FACTORS = (1, 2, 4, 8, 16)


class UNet(nn.Module):
    """Five blocks down, four up.

    Parameters
    ----------
    width : int
        Filters of the first block; the paper has 32.
    outputs : int
        Channels of the answer.
    """

    def __init__(self, width: int, outputs: int = 2) -> None:
        super().__init__()
        widths = [width * factor for factor in FACTORS]
        upwards = list(reversed(widths[:-1]))
        self.down = nn.ModuleList(convolve(inside, outside) for inside, outside in zip([1, *widths], widths, strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * here, here, 2, stride=2) for here in upwards)
        self.merge = nn.ModuleList(convolve(2 * here, here) for here in upwards)
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Answer for every pixel."""
        x, skips = image, []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for widen, merge, skip in zip(self.up, self.merge, reversed(skips[:-1]), strict=True):
            x = merge(torch.cat([widen(x), skip], dim=1))
        logits: Tensor = self.head(x)
        return logits
