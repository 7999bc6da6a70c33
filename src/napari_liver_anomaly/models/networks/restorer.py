"""The restorer: a U-Net that predicts the healthy image from an anomalous one.

References
----------
Kascenas, Pugeault, O'Neil, "Denoising autoencoders for unsupervised anomaly detection in brain MRI", MIDL 2022 (the network);
Zhang, Deng, Li 2023, section 3.2 (its use as restorer).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_liver_anomaly.settings import Settings, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class RestorerSettings(Settings):
    """Size of the restorer."""

    width: int = setting(64, unit="filters", low=4, high=256, help="Filters of the first block; each block down doubles them.")
    planes: int = setting(1, unit="slices", low=1, high=17, help="Slices seen at once; the middle one is restored.")
    depth: int = setting(3, unit="halvings", low=1, high=5, help="How often the image is halved on the way down.")
    correction: bool = setting(
        False, help="Predict what to add to the image instead of the image: it starts as 'change nothing' and learns sooner."
    )


class StandardisedConv(nn.Conv2d):
    """A convolution whose filters are brought to mean 0 and standard deviation 1 before use, with reflected borders.

    References
    ----------
    Qiao et al., "Micro-batch training with batch-channel normalization and weight standardization", 2019.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Filter an image."""
        mean = self.weight.mean(dim=(1, 2, 3), keepdim=True)
        deviation = self.weight.std(dim=(1, 2, 3), keepdim=True)
        padded = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(padded, (self.weight - mean) / (deviation + 1e-5), self.bias)


def groups_of(channels: int) -> int:
    """Count the groups for group normalisation: the upper-middle divisor of the number of channels.

    From the public code of Kascenas et al. 2022.
    """
    divisors = [d for d in range(1, channels + 1) if channels % d == 0]
    return divisors[len(divisors) // 2]


def _block(inside: int, outside: int) -> nn.Sequential:
    """Twice: standardised 3 × 3 convolution, swish, group normalisation (in this order)."""
    layers: list[nn.Module] = []
    for first in (inside, outside):
        layers += [StandardisedConv(first, outside, 3), nn.SiLU(), nn.GroupNorm(groups_of(outside), outside)]
    return nn.Sequential(*layers)


class Restorer(nn.Module):
    """U-Net with skip connections, so that healthy texture passes unchanged.

    Parameters
    ----------
    settings : RestorerSettings
        Width 64 and depth 3 give the paper's 7,701,825 parameters.
    """

    def __init__(self, settings: RestorerSettings) -> None:
        super().__init__()
        self.settings = settings
        widths = [settings.width * 2**level for level in range(settings.depth + 1)]
        self.down = nn.ModuleList(
            _block(inside, outside) for inside, outside in zip([settings.planes, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:-1]))
        self.merge = nn.ModuleList(_block(2 * w, w) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(widths[0], 1, 1)
        if settings.correction:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """Restore a batch of slices."""
        x, skips = image, []
        for level, block in enumerate(self.down):
            x = block(functional.avg_pool2d(x, 2) if level else x)
            skips.append(x)
        for widen, block, skip in zip(self.up, self.merge, reversed(skips[:-1]), strict=True):
            x = block(torch.cat([widen(x), skip], dim=1))
        out: Tensor = self.head(x)
        middle = self.settings.planes // 2
        return image[:, middle : middle + 1] + out if self.settings.correction else out
