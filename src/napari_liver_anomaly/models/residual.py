"""What models without a segmenter share: the residual of the restoration as the score, and its scale.

References
----------
Baur, Denner, Wiestler, Navab, Albarqouni, "Autoencoders for unsupervised anomaly segmentation in brain MR images: a comparative study", Medical Image
Analysis 69 (2021). That study keeps positive residuals only, for bright lesions; liver tumours are mostly dark, so both signs count here.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from napari_liver_anomaly.models.base import Model
from napari_liver_anomaly.synthesis import NoiseStretch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_liver_anomaly.models.stage import TrainingData


HEALTHY_QUANTILE = 0.99
BATCHES = 12
STAGE = 78  # no stage of a training
HEALTHY_ALONE = NoiseStretch(p_empty=1.0)  # for models that are trained without anomalies: a recipe that draws none


class Scale(nn.Module):
    """The residual that becomes a score of 0.5: a quantile of the residuals of healthy livers, kept with the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("cut", torch.ones(()))


class ResidualModel(Model):
    """A restorer whose residual is the score."""

    @abstractmethod
    def restore(self, image: Tensor, liver_mask: Tensor) -> Tensor:
        """Give the healthy image.

        Parameters
        ----------
        image : Tensor, (B, 1, H, W)
            0…1.
        liver_mask : Tensor, (B, 1, H, W)
            1 in the liver.

        Returns
        -------
        Tensor, (B, 1, H, W)
            The healthy image.
        """

    def residual(self, image: Tensor, restored: Tensor, liver_mask: Tensor) -> Tensor:
        """Measure how far the image is from its restoration: the absolute difference, averaged over 5 × 5 pixels of liver.

        Parameters
        ----------
        image, restored, liver_mask : Tensor, (B, 1, H, W)
            Image, healthy image, and 1 in the liver.

        Returns
        -------
        Tensor, (B, H, W)
            0 or more, in image units; 0 outside the liver.
        """
        apart = functional.avg_pool2d((image - restored).abs() * liver_mask, 5, stride=1, padding=2)
        return (apart / functional.avg_pool2d(liver_mask, 5, stride=1, padding=2).clamp(min=0.04) * liver_mask)[:, 0]

    def compare(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Restore an image and measure how far it is from its restoration.

        Parameters
        ----------
        image, liver_mask : Tensor, (B, 1, H, W)
            0…1, and 1 in the liver.

        Returns
        -------
        tuple of Tensor
            The healthy image (B, 1, H, W), and the residual (B, H, W), 0 or more.
        """
        restored = self.restore(image, liver_mask)
        return restored, self.residual(image, restored, liver_mask)

    @property
    def has_restorer(self) -> bool:
        """Whether a healthy image is made."""
        return True

    def set_scale(self, data: TrainingData) -> None:
        """Set the scale so that one healthy liver pixel in a hundred scores above 0.5. No label is needed.

        Parameters
        ----------
        data : HealthySlices
            Slices without anomalies.
        """
        found = healthy_values(self, data, lambda image, liver_mask: self.compare(image, liver_mask)[1])
        self.parts["scale"].cut.fill_(max(float(np.quantile(found, HEALTHY_QUANTILE)), 1e-6))

    def predict_batch(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Score a batch on the device."""
        restored, residual = self.compare(image, liver_mask)
        return 0.5 * residual / self.parts["scale"].cut, restored[:, 0]


@torch.inference_mode()
def healthy_values(model: Model, data: TrainingData, measure: Callable[[Tensor, Tensor], Tensor]) -> NDArray[np.float32]:
    """Measure the pixels of some healthy livers."""
    found: list[Tensor] = []
    for step in range(BATCHES):
        batch = data.batch(model.seed, STAGE, step).to(model.device)
        found.append(measure(batch.healthy, batch.liver_mask[:, None].float())[batch.liver_mask].float().cpu())
    return np.asarray(torch.cat(found).numpy(), dtype=np.float32)
