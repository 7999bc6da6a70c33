"""A context autoencoder: squares of the liver are blacked out, and the whole liver is to be drawn.

References
----------
Pathak, Krähenbühl, Donahue, Darrell, Efros, "Context encoders: feature learning by inpainting", CVPR 2016; Baur, Denner, Wiestler, Navab,
Albarqouni, "Autoencoders for unsupervised anomaly segmentation in brain MR images: a comparative study", Medical Image Analysis 69 (2021), Context
AE: one to three squares of 20 of 128 pixels in the organ's box, compared with the clean image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_liver_anomaly.models.autoencoders import AutoencoderOptions, Autoencoders
from napari_liver_anomaly.models.config import ModelConfig, schedule_for
from napari_liver_anomaly.models.losses import summed_difference
from napari_liver_anomaly.models.residual import HEALTHY_ALONE
from napari_liver_anomaly.settings import setting

if TYPE_CHECKING:
    from torch import Tensor

    from napari_liver_anomaly.models.stage import Batch

MOST = 3  # squares


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextOptions(AutoencoderOptions):
    """Those of an autoencoder with a vector in its middle, and the squares."""

    dense: bool = setting(True, help="Pass the image through one vector; off keeps the layout of a small image.")
    square_px: int = setting(10, unit="px", low=1, high=64, help="Side of a blacked-out square; the paper has 20 of 128 pixels.")


class ContextAutoencoder(Autoencoders):
    """An autoencoder that has to draw what it was not shown."""

    key = "context-ae"
    options_class = ContextOptions

    def _loss(self, batch: Batch) -> Tensor:
        hidden = without_squares(batch.healthy, batch.liver_mask, self.config.options.square_px)
        return summed_difference(self.parts["restorer"](hidden), batch.healthy)


def without_squares(image: Tensor, liver_mask: Tensor, side_px: int) -> Tensor:
    """Set one to three squares of each slice to 0, anywhere in the liver's box."""
    hidden = image.clone()
    for one, inside in zip(hidden, liver_mask.cpu(), strict=True):
        lines = [torch.nonzero(inside.any(dim=1 - axis))[:, 0] for axis in (0, 1)]
        if not len(lines[0]):
            continue
        for _ in range(int(torch.randint(1, MOST + 1, ()))):
            y, x = (int(torch.randint(int(line[0]), max(int(line[-1]) + 2 - side_px, int(line[0]) + 1), ())) for line in lines)
            one[:, y : y + side_px, x : x + side_px] = 0
    return hidden


def configs(budget: int) -> dict[str, ModelConfig]:
    """List the one configuration."""
    return {"context-ae": ModelConfig(options=ContextOptions(), recipe=HEALTHY_ALONE, schedule=schedule_for(budget))}
