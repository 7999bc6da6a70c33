"""A context variational autoencoder: one network learns to draw clean livers and livers with blacked-out squares, and scores by its gradient, too.

References
----------
Zimmerer, Kohl, Petersen, Isensee, Maier-Hein, "Context-encoding variational autoencoder for unsupervised anomaly detection", MIDL 2019; Baur,
Denner, Wiestler, Navab, Albarqouni, Medical Image Analysis 69 (2021), Context VAE (original) and (gradient). The masked branch has no draw and no
divergence, and the clean image as its target; the public code compares it with the masked image itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_liver_anomaly.models.config import ModelConfig, schedule_for
from napari_liver_anomaly.models.context import without_squares
from napari_liver_anomaly.models.losses import summed_difference
from napari_liver_anomaly.models.residual import HEALTHY_ALONE
from napari_liver_anomaly.models.variational import Variational, VariationalOptions
from napari_liver_anomaly.settings import setting

if TYPE_CHECKING:
    from torch import Tensor

    from napari_liver_anomaly.models.stage import Batch


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextVariationalOptions(VariationalOptions):
    """Those of a variational autoencoder, the squares, and what is scored."""

    square_px: int = setting(10, unit="px", low=1, high=64, help="Side of a blacked-out square; the paper has 20 of 128 pixels.")
    by_gradient: bool = setting(False, help="Multiply the residual by the gradient of the loss.")


class ContextVariational(Variational):
    """A variational autoencoder with a second, masked branch through the same networks."""

    key = "ce-vae"
    options_class = ContextVariationalOptions

    def _loss(self, batch: Batch) -> Tensor:
        hidden = without_squares(batch.healthy, batch.liver_mask, self.config.options.square_px)
        return super()._loss(batch) + summed_difference(self.reconstruct(hidden), batch.healthy)

    def compare(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Restore an image and measure how far it is, weighed by how much the loss would gain there, where the options ask for it."""
        restored = self.restore(image, liver_mask)
        if not self.config.options.by_gradient:
            return restored, self.residual(image, restored, liver_mask)
        weighed = (image - restored) * self.loss_gradient(image).abs()
        return restored, self.residual(weighed, torch.zeros_like(weighed), liver_mask)

    def loss_gradient(self, image: Tensor) -> Tensor:
        """Give the gradient of the loss by every pixel.

        Parameters
        ----------
        image : Tensor, (B, 1, H, W)
            0…1.

        Returns
        -------
        Tensor, (B, 1, H, W)
            Of both signs.
        """
        with torch.inference_mode(False), torch.enable_grad():
            seen = image.clone().requires_grad_(True)
            return torch.autograd.grad(self.image_loss(seen).sum(), seen)[0]


def configs(budget: int) -> dict[str, ModelConfig]:
    """List the residual alone, and the residual times the gradient; the published factor of a tenth falls out with the scale."""
    return {
        key: ModelConfig(
            options=ContextVariationalOptions(by_gradient=by_gradient), recipe=HEALTHY_ALONE, schedule=schedule_for(budget)
        )
        for key, by_gradient in (("ce-vae", False), ("ce-vae-gradient", True))
    }
