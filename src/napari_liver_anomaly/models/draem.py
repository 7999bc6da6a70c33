"""DRAEM, and the ablation from it to the two-stage model: two phases, pseudo anomalies and skip connections, each with a switch.

References
----------
Zavrtanik, Kristan, Skočaj, "DRAEM: a discriminatively trained reconstruction embedding for surface anomaly detection", ICCV 2021;
Zhang, Deng, Li, "Unsupervised liver tumor segmentation with pseudo anomaly synthesis", SASHIMI 2023, table 2 (the ablation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_liver_anomaly.models.base import Model
from napari_liver_anomaly.models.config import ModelConfig, pseudo_anomalies, schedule_for
from napari_liver_anomaly.models.losses import focal_loss
from napari_liver_anomaly.models.networks.autoencoder import Autoencoder
from napari_liver_anomaly.models.networks.restorer import Restorer, RestorerSettings
from napari_liver_anomaly.models.networks.segmenter import Segmenter, SegmenterSettings
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.synthesis import Perlin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_liver_anomaly.models.stage import Batch, TrainingData


@dataclass(frozen=True, kw_only=True, slots=True)
class DraemOptions(Settings):
    """Size, and two of the three switches of the ablation; the third is the recipe."""

    width: int = setting(
        8, unit="filters", low=4, high=128, help="Filters of the first block; DRAEM has 128 and 64, the paper 64."
    )
    two_phases: bool = setting(
        False, help="Train the restorer first, freeze it, train the segmenter briefly; off trains both at once."
    )
    skips: bool = setting(False, help="Restorer with skip connections (U-Net) instead of an autoencoder.")


class Draem(Model):
    """A restorer and a segmenter that sees image and restoration."""

    key = "draem"
    options_class = DraemOptions

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        width = self.config.options.width
        restorer = Restorer(RestorerSettings(width=width)) if self.config.options.skips else Autoencoder(width)
        return {"restorer": restorer, "segmenter": Segmenter(SegmenterSettings(width=width))}

    @property
    def has_restorer(self) -> bool:
        """Whether a healthy image is made."""
        return True

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train both networks at once, or one after the other."""
        restorer, segmenter = self.parts["restorer"], self.parts["segmenter"]
        schedule = self.config.schedule
        if not self.config.options.two_phases:
            both = nn.ModuleDict(self.parts)
            yield Stage(
                name="Training both networks", number=1, network=both, steps=self.config.steps, cosine_decay=schedule.cosine_decay,
                loss=lambda batch: self._restoration_loss(batch) + self._segmentation_loss(batch),
            )  # fmt: skip
            return
        yield Stage(
            name="Training the restorer", number=1, network=restorer, steps=schedule.restorer_steps, cosine_decay=schedule.cosine_decay,
            loss=self._restoration_loss,
        )  # fmt: skip
        restorer.requires_grad_(False)
        yield Stage(
            name="Training the segmenter", number=2, network=segmenter, steps=schedule.segmenter_steps,
            cosine_decay=schedule.segmenter_cosine_decay, loss=self._segmentation_loss,
        )  # fmt: skip

    def _restoration_loss(self, batch: Batch) -> Tensor:
        """L1 for the U-Net trained alone, as in the paper; mean square and structural similarity otherwise, as in DRAEM."""
        restored = self.parts["restorer"](batch.anomalous)
        if self.config.options.two_phases and self.config.options.skips:
            return functional.l1_loss(restored, batch.healthy)
        from pytorch_msssim import ssim  # window 11, sigma 1.5

        # In half precision its variances, differences of two squares, come out below zero, and the loss is no number.
        with torch.autocast(restored.device.type, enabled=False):
            alike: Tensor = ssim(restored.float(), batch.healthy, data_range=1.0)
        return functional.mse_loss(restored, batch.healthy) + 1 - alike

    def _segmentation_loss(self, batch: Batch) -> Tensor:
        restored = self.parts["restorer"](batch.anomalous)
        return focal_loss(self.parts["segmenter"](restored, batch.anomalous), batch.mask)

    def predict_batch(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Score a batch on the device."""
        restored = self.parts["restorer"](image)
        return torch.softmax(self.parts["segmenter"](restored, image).float(), dim=1)[:, 1], restored[:, 0]


def configs(budget: int) -> dict[str, ModelConfig]:
    """List seven of the ablation's eight cells; the eighth, all three together, is ``two-stage`` in ``two_stage.py``."""
    pseudo, cells = pseudo_anomalies(), {}
    for phases in (False, True):
        for recipe in (Perlin(), pseudo):
            for skips in (False, True):
                on = [name for name, there in (("tp", phases), ("pa", recipe is pseudo), ("unet", skips)) if there]
                options = DraemOptions(two_phases=phases, skips=skips)
                if len(on) < 3:
                    name = "-".join(["cell", *on]) if on else "draem"
                    cells[name] = ModelConfig(options=options, recipe=recipe, schedule=schedule_for(budget))
    return cells
