"""Autoencoders trained on healthy livers only: what they cannot reconstruct is the anomaly. With a dense bottleneck, or without.

References
----------
Baur, Denner, Wiestler, Navab, Albarqouni, "Autoencoders for unsupervised anomaly segmentation in brain MR images: a comparative study", Medical Image
Analysis 69 (2021), AE (dense) and AE (spatial). Different here: squares are 64 pixels wide, which the paper's four halvings bring to 4 × 4 instead of
8 × 8; length, batch and step size are those of the comparison, with no stop on a validation set; residuals of both signs count (``residual.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from napari_liver_anomaly.models.config import SIDE_PX, ModelConfig, schedule_for
from napari_liver_anomaly.models.losses import summed_difference
from napari_liver_anomaly.models.networks.baur import HALVINGS, Decoder, DenseBottleneck, Encoder, filters
from napari_liver_anomaly.models.residual import HEALTHY_ALONE, ResidualModel, Scale
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_liver_anomaly.models.stage import Batch, TrainingData

BETAS = (0.5, 0.999)


@dataclass(frozen=True, kw_only=True, slots=True)
class AutoencoderOptions(Settings):
    """Size of the autoencoder, and what is in its middle."""

    width: int = setting(32, unit="filters", low=4, high=128, help="Filters of the first layer; the paper has 32.")
    dense: bool = setting(False, help="Pass the image through one vector; off keeps the layout of a small image.")
    code: int = setting(128, unit="numbers", low=1, high=4096, help="Length of the vector.")
    dropout: float = setting(0.1, low=0, high=0.9, help="Part of the numbers left out around the middle while training.")


class Autoencoders(ResidualModel):
    """An encoder, a middle and a decoder."""

    key = "ae"
    options_class = AutoencoderOptions

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.side_px = SIDE_PX if config.options.dense else 0

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        options = self.config.options
        channels = filters(options.width)[-1]
        dense = DenseBottleneck(channels, SIDE_PX // 2**HALVINGS, options.code, dropout=options.dropout)
        middle = dense if options.dense else nn.Dropout(options.dropout)
        return {"restorer": nn.Sequential(Encoder(options.width), middle, Decoder(options.width)), "scale": Scale()}

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train on healthy slices, then set the scale on them."""
        yield Stage(
            name="Training the autoencoder", number=1, network=self.parts["restorer"], steps=self.config.steps,
            cosine_decay=self.config.schedule.cosine_decay, adam={"betas": BETAS}, loss=self._loss,
        )  # fmt: skip
        self.set_scale(data)

    def _loss(self, batch: Batch) -> Tensor:
        return summed_difference(self.parts["restorer"](batch.healthy), batch.healthy)

    def restore(self, image: Tensor, liver_mask: Tensor) -> Tensor:
        """Give the healthy image."""
        restored: Tensor = self.parts["restorer"](image)
        return restored


def configs(budget: int) -> dict[str, ModelConfig]:
    """List the two autoencoders."""
    return {
        f"ae-{name}": ModelConfig(
            options=AutoencoderOptions(dense=name == "dense"), recipe=HEALTHY_ALONE, schedule=schedule_for(budget)
        )
        for name in ("spatial", "dense")
    }
