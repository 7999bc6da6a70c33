"""A variational autoencoder, and the restoration that goes downhill on its loss.

References
----------
Kingma, Welling, "Auto-encoding variational Bayes", ICLR 2014; Baur, Denner, Wiestler, Navab, Albarqouni, "Autoencoders for unsupervised anomaly
segmentation in brain MR images: a comparative study", Medical Image Analysis 69 (2021), VAE and VAE (restoration). The mean of the code predicts,
not a draw. Length, batch and step size are those of the comparison; residuals of both signs count (``residual.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch

from napari_liver_anomaly.models.autoencoders import BETAS
from napari_liver_anomaly.models.config import SIDE_PX, ModelConfig, schedule_for
from napari_liver_anomaly.models.losses import code_divergence, slice_difference
from napari_liver_anomaly.models.networks.dense_autoencoder import DenseAutoencoder
from napari_liver_anomaly.models.residual import HEALTHY_ALONE, Scale
from napari_liver_anomaly.models.restoration import STEPS, RestorationOptions, RestoringModel, Smoothness
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.settings import setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from napari_liver_anomaly.models.stage import Batch, TrainingData


@dataclass(frozen=True, kw_only=True, slots=True)
class VariationalOptions(RestorationOptions):
    """Size of the networks, and how an image is restored."""

    width: int = setting(32, unit="filters", low=4, high=128, help="Filters of the first layer; the paper has 32.")
    code: int = setting(128, unit="numbers", low=1, high=4096, help="Length of the code.")
    dropout: float = setting(0.1, low=0, high=0.9, help="Part of the numbers left out around the code while training.")


class Variational(RestoringModel):
    """An encoder of normal distributions and a decoder."""

    key = "vae"
    options_class = VariationalOptions
    side_px = SIDE_PX

    @property
    def restorer(self) -> DenseAutoencoder:
        """The two networks around the code."""
        return cast("DenseAutoencoder", self.parts["restorer"])

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        options = self.config.options
        restorer = DenseAutoencoder(options.width, SIDE_PX, options.code, codes=2, dropout=options.dropout)
        return {"restorer": restorer, "smoothness": Smoothness(), "scale": Scale()}

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train on healthy slices, then choose the restoration and set the scale on them."""
        yield Stage(
            name="Training the variational autoencoder", number=1, network=self.restorer, steps=self.config.steps,
            cosine_decay=self.config.schedule.cosine_decay, adam={"betas": BETAS}, loss=self._loss,
        )  # fmt: skip
        self.set_scale(data)

    def _loss(self, batch: Batch) -> Tensor:
        mean, log_spread = self.restorer.encode(batch.healthy).chunk(2, dim=1)
        drawn = self.restorer.decode(drawn_code(mean, log_spread))
        return (slice_difference(drawn, batch.healthy) + code_divergence(mean, log_spread)).mean()

    def image_loss(self, image: Tensor) -> Tensor:
        """Say how unlikely images are: the difference from their reconstruction, and the divergence of their codes."""
        mean, log_spread = self.restorer.encode(image).chunk(2, dim=1)
        return slice_difference(self.restorer.decode(mean), image) + code_divergence(mean, log_spread)

    def reconstruct(self, image: Tensor) -> Tensor:
        """Pass images through the mean of their code."""
        drawn: Tensor = self.restorer(image)
        return drawn


def drawn_code(mean: Tensor, log_spread: Tensor) -> Tensor:
    """Draw from normal distributions; the same chance on every device."""
    return mean + log_spread.exp() * torch.randn(mean.shape).to(mean.device)


def configs(budget: int) -> dict[str, ModelConfig]:
    """List reconstruction and restoration."""
    return {
        key: ModelConfig(options=VariationalOptions(restoration_steps=steps), recipe=HEALTHY_ALONE, schedule=schedule_for(budget))
        for key, steps in (("vae", 0), ("vae-restoration", STEPS))
    }
