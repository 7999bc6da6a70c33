"""A denoising autoencoder: a U-Net removes coarse noise from healthy livers, and tumours with it.

References
----------
Kascenas, Pugeault, O'Neil, "Denoising autoencoders for unsupervised anomaly detection in brain MRI", MIDL 2022. Different here: a grid of 8 × 8 on
squares of 64 pixels instead of 16 × 16 on 128, so that a cell stays 8 pixels; one channel instead of four; fewer filters; length, batch and step size
are those of the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from napari_liver_anomaly.models.config import ModelConfig, schedule_for
from napari_liver_anomaly.models.losses import masked_square
from napari_liver_anomaly.models.networks.restorer import Restorer, RestorerSettings
from napari_liver_anomaly.models.residual import HEALTHY_ALONE, ResidualModel, Scale
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from napari_liver_anomaly.models.stage import Batch, TrainingData

WINDOW = 5  # pixels of the square in which the liver is eroded and the residual's median taken
INSIDE = 0.95  # part of that square that must be liver


@dataclass(frozen=True, kw_only=True, slots=True)
class DenoisingOptions(Settings):
    """Size of the network, and the noise."""

    width: int = setting(8, unit="filters", low=4, high=128, help="Filters of the first block; the paper has 64.")
    noise: float = setting(0.2, low=0, high=2, help="Standard deviation of the coarse noise, of the image's range.")
    cell_px: int = setting(
        8, unit="px", low=1, high=64, help="Distance of the noise's grid points; pixels between them are interpolated."
    )


class Denoising(ResidualModel):
    """The two-stage model's restorer, trained on noise instead of anomalies."""

    key = "dae"
    options_class = DenoisingOptions

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        return {"restorer": Restorer(RestorerSettings(width=self.config.options.width)), "scale": Scale()}

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train on healthy slices under noise, then set the scale on them."""
        yield Stage(
            name="Training the denoiser", number=1, network=self.parts["restorer"], steps=self.config.steps,
            cosine_decay=self.config.schedule.cosine_decay, adam={"amsgrad": True, "weight_decay": 1e-5}, loss=self._loss,
        )  # fmt: skip
        self.set_scale(data)

    def _loss(self, batch: Batch) -> Tensor:
        liver_mask = batch.liver_mask[:, None].float()
        noise = coarse_noise(batch.healthy.shape, self.config.options.cell_px).to(batch.healthy.device)
        noisy = batch.healthy + self.config.options.noise * noise * liver_mask
        return masked_square(self.parts["restorer"](noisy), batch.healthy, liver_mask)

    def restore(self, image: Tensor, liver_mask: Tensor) -> Tensor:
        """Give the healthy image."""
        return torch.where(liver_mask > 0, self.parts["restorer"](image).float(), image)

    def residual(self, image: Tensor, restored: Tensor, liver_mask: Tensor) -> Tensor:
        """Measure how far the image is from its restoration: the median of 5 × 5 absolute differences, those at the liver's rim taken as 0."""
        inner = (functional.avg_pool2d(liver_mask, WINDOW, stride=1, padding=WINDOW // 2) > INSIDE) & (liver_mask > 0)
        around = functional.unfold((image - restored).abs() * inner, WINDOW, padding=WINDOW // 2)
        return around.median(dim=1).values.view(-1, *image.shape[2:]) * liver_mask[:, 0]


def coarse_noise(shape: torch.Size, cell_px: int) -> Tensor:
    """Draw noise on a coarse grid, fill in between bilinearly, and move it round by chance, so that the grid lies nowhere in particular."""
    height, width = shape[2:]
    grid = torch.randn(*shape[:2], -(-height // cell_px), -(-width // cell_px))
    fine = functional.interpolate(grid, size=(height, width), mode="bilinear", align_corners=False)
    return torch.roll(fine, torch.randint(0, max(height, width), (2,)).tolist(), dims=(2, 3))


def configs(budget: int) -> dict[str, ModelConfig]:
    """List the one configuration."""
    return {"dae": ModelConfig(options=DenoisingOptions(), recipe=HEALTHY_ALONE, schedule=schedule_for(budget))}
