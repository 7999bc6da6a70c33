"""An autoencoder without skip connections: its whole output passes through the bottleneck.

References
----------
Zavrtanik, Kristan, Skočaj, "DRAEM: a discriminatively trained reconstruction embedding for surface anomaly detection", ICCV 2021
(reconstructive sub-network).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from torch import nn

from napari_liver_anomaly.models.networks.segmenter import convolve

if TYPE_CHECKING:
    from torch import Tensor

FACTORS = (1, 2, 4, 8, 8)


class Autoencoder(nn.Module):
    """Five blocks down, four up.

    Parameters
    ----------
    width : int
        Filters of the first block; 128 gives DRAEM's 69,043,969 parameters.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * factor for factor in FACTORS]
        layers: list[nn.Module] = [convolve(1, widths[0])]
        for inside, outside in itertools.pairwise(widths):
            layers += [nn.MaxPool2d(2), convolve(inside, outside)]
        for inside, outside in itertools.pairwise([*reversed(widths[1:]), widths[0], widths[0]][1:]):
            layers += [
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                convolve(inside, inside, 2),
                convolve(inside, outside, 1),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[0], 1, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """Restore a batch of slices."""
        restored: Tensor = self.layers(image)
        return restored
