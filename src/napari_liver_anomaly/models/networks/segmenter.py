"""The segmenter: a U-Net that predicts the anomaly from the image and its restoration.

References
----------
Zavrtanik, Kristan, Skočaj, "DRAEM: a discriminatively trained reconstruction embedding for surface anomaly detection", ICCV 2021
(discriminative sub-network); Zhang, Deng, Li 2023, section 3.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_liver_anomaly.settings import Settings, setting

FACTORS = (1, 2, 4, 8, 8, 8)


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmenterSettings(Settings):
    """Size and input of the segmenter."""

    width: int = setting(64, unit="filters", low=4, high=256, help="Filters of the first block.")
    planes: int = setting(1, unit="slices", low=1, high=17, help="Slices seen at once; the middle one is segmented.")
    depth: int = setting(5, unit="halvings", low=1, high=5, help="How often the image is halved on the way down.")
    restoration: bool = setting(True, help="See the restored slice beside the image.")
    liver_mask: bool = setting(False, help="See where the liver is, as one more input channel.", was="organ")
    residual_gain: float = setting(
        0.0, low=0, high=100, help="Above 0, the residual (image minus restoration) times this is a third input channel."
    )
    leak: float = setting(
        0.0,
        low=0,
        high=0.5,
        added=True,
        help="Slope of the last block's activation below 0, so that no pixel is left without a signal.",
    )
    prior: float = setting(
        0.0, low=0, high=0.5, added=True, help="Above 0: fraction of anomalous pixels that the untrained network expects."
    )


def convolve(inside: int, outside: int, times: int = 2, leak: float = 0.0) -> nn.Sequential:
    """Make the block that most networks of the literature are built of: 3 × 3 convolution, batch normalisation, ReLU, a number of times."""
    layers: list[nn.Module] = []
    for first in [inside] + [outside] * (times - 1):
        activation = nn.LeakyReLU(leak, inplace=True) if leak else nn.ReLU(inplace=True)
        layers += [nn.Conv2d(first, outside, 3, padding=1), nn.BatchNorm2d(outside), activation]
    return nn.Sequential(*layers)


class Segmenter(nn.Module):
    """DRAEM's discriminative U-Net: six blocks down, five up, two logits.

    Parameters
    ----------
    settings : SegmenterSettings
        Width 64 without residual gives the paper's 28,371,842 parameters.
    """

    def __init__(self, settings: SegmenterSettings) -> None:
        super().__init__()
        self.settings = settings
        widths = [settings.width * factor for factor in FACTORS[: settings.depth + 1]]
        channels = settings.planes + settings.restoration + bool(settings.residual_gain) + settings.liver_mask
        self.down = nn.ModuleList(convolve(inside, outside) for inside, outside in zip([channels, *widths], widths, strict=False))
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        below = widths[-1]
        for level, (skip, out) in enumerate(zip(reversed(widths[:-1]), [*reversed(widths[:-2]), widths[0]], strict=True)):
            self.up.append(convolve(below, out, times=1))
            # A ReLU that died before the head would leave the head's bias as the score of a whole region.
            self.merge.append(convolve(out + skip, out, leak=settings.leak if level == settings.depth - 1 else 0.0))
            below = out
        self.head = nn.Conv2d(below, 2, 3, padding=1)
        if settings.prior and self.head.bias is not None:
            odds = math.log(settings.prior / (1 - settings.prior))
            nn.init.zeros_(self.head.bias)
            nn.init.constant_(self.head.bias[1:], odds)

    def forward(self, restored: Tensor | None, image: Tensor, liver_mask: Tensor | None = None) -> Tensor:
        """Compare a batch of slices with their restorations."""
        middle = self.settings.planes // 2
        seen = [image] if restored is None or not self.settings.restoration else [restored, image]
        if restored is not None and self.settings.residual_gain:
            seen.append((image[:, middle : middle + 1] - restored) * self.settings.residual_gain)
        if self.settings.liver_mask and liver_mask is not None:
            seen.append(liver_mask)
        x, skips = torch.cat(seen, dim=1), []
        for level, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for widen, merge, skip in zip(self.up, self.merge, reversed(skips[:-1]), strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
            x = merge(torch.cat([widen(x), skip], dim=1))
        logits: Tensor = self.head(x)
        return logits
