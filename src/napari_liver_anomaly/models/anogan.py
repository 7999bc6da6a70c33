"""A generator of healthy livers that is trained against a critic, then an encoder that finds the code of a slice.

References
----------
Schlegl, Seeböck, Waldstein, Langs, Schmidt-Erfurth, "f-AnoGAN: fast unsupervised anomaly detection with generative adversarial networks", Medical
Image Analysis 54 (2019); Baur, Denner, Wiestler, Navab, Albarqouni, Medical Image Analysis 69 (2021). The critic's features weigh as much as the
image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from napari_liver_anomaly.models.config import SIDE_PX, ModelConfig, schedule_for
from napari_liver_anomaly.models.networks.baur import Decoder, DenseBottleneck, Encoder, filters
from napari_liver_anomaly.models.networks.critic import HALVINGS, ImageCritic
from napari_liver_anomaly.models.residual import HEALTHY_ALONE, ResidualModel, Scale
from napari_liver_anomaly.models.stage import Adversary, Stage
from napari_liver_anomaly.models.wasserstein import BETAS, critic_loss
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_liver_anomaly.models.stage import Batch, TrainingData


@dataclass(frozen=True, kw_only=True, slots=True)
class FAnoGanOptions(Settings):
    """Size of the networks, and their training."""

    width: int = setting(32, unit="filters", low=4, high=128, help="Filters of the first layer; the paper has 32.")
    code: int = setting(128, unit="numbers", low=1, high=4096, help="Length of the code.")
    moves: int = setting(5, low=1, high=100, help="Moves of the critic for each step of the generator.")
    feature_weight: float = setting(
        1.0, low=0, high=1000, help="Weight of the critic's features beside the image, for the encoder."
    )


class FAnoGan(ResidualModel):
    """A generator, a critic and an encoder."""

    key = "f-anogan"
    options_class = FAnoGanOptions
    side_px = SIDE_PX

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        width = self.config.options.width
        middle = DenseBottleneck(filters(width, HALVINGS)[-1], SIDE_PX // 2**HALVINGS, self.config.options.code)
        return {
            "generator": nn.Sequential(middle.widen, Decoder(width, HALVINGS, "layer"), nn.Sigmoid()),
            "critic": ImageCritic(width, SIDE_PX),
            "encoder": nn.Sequential(Encoder(width, HALVINGS, "layer"), middle.narrow, nn.Tanh()),
            "scale": Scale(),
        }

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train the generator against its critic; then the encoder, with both as they are; then set the scale."""
        generator, critic, schedule = self.parts["generator"], self.parts["critic"], self.config.schedule
        adam = {"betas": BETAS}
        yield Stage(
            name="Training the generator", number=1, network=generator, loss=self._generator_loss, adam=adam,
            steps=schedule.restorer_steps, cosine_decay=schedule.cosine_decay,
            adversary=Adversary(network=critic, loss=self._critic_loss, adam=adam, moves=self.config.options.moves),
        )  # fmt: skip
        generator.requires_grad_(False)
        critic.requires_grad_(False)
        yield Stage(
            name="Training the encoder", number=2, network=self.parts["encoder"], loss=self._encoder_loss, adam=adam,
            steps=schedule.segmenter_steps, cosine_decay=schedule.segmenter_cosine_decay,
        )  # fmt: skip
        self.set_scale(data)

    def _made(self, like: Tensor) -> Tensor:
        code = torch.randn(len(like), self.config.options.code).to(like.device)
        made: Tensor = self.parts["generator"](code).float()
        return made

    def _critic_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            made = self._made(batch.healthy)
        return critic_loss(self.parts["critic"], batch.healthy, made)

    def _generator_loss(self, batch: Batch) -> Tensor:
        loss: Tensor = -self.parts["critic"](self._made(batch.healthy)).mean()
        return loss

    def _encoder_loss(self, batch: Batch) -> Tensor:
        """Mean square difference of the image and of the critic's features."""
        features = self.parts["critic"].features
        drawn = self.restore(batch.healthy, batch.liver_mask)
        apart = functional.mse_loss(features(drawn).float(), features(batch.healthy).float())
        loss: Tensor = functional.mse_loss(drawn, batch.healthy) + self.config.options.feature_weight * apart
        return loss

    def restore(self, image: Tensor, liver_mask: Tensor) -> Tensor:
        """Give the healthy image."""
        drawn: Tensor = self.parts["generator"](self.parts["encoder"](image)).float()
        return drawn


def configs(budget: int) -> dict[str, ModelConfig]:
    """List the one configuration."""
    return {"f-anogan": ModelConfig(options=FAnoGanOptions(), recipe=HEALTHY_ALONE, schedule=schedule_for(budget))}
