"""A variational autoencoder whose decoder also has to convince a critic.

References
----------
Baur, Wiestler, Albarqouni, Navab, "Deep autoencoding models for unsupervised anomaly segmentation in brain MR images", BrainLes 2018; Baur, Denner,
Wiestler, Navab, Albarqouni, Medical Image Analysis 69 (2021). The encoder learns from difference and divergence alone, the decoder from the critic,
too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_liver_anomaly.models.config import SIDE_PX, ModelConfig, schedule_for
from napari_liver_anomaly.models.losses import code_divergence, slice_difference
from napari_liver_anomaly.models.networks.critic import HALVINGS, ImageCritic
from napari_liver_anomaly.models.networks.dense_autoencoder import DenseAutoencoder
from napari_liver_anomaly.models.residual import HEALTHY_ALONE, Scale
from napari_liver_anomaly.models.restoration import Smoothness
from napari_liver_anomaly.models.stage import Adversary, Stage
from napari_liver_anomaly.models.variational import Variational, VariationalOptions, drawn_code
from napari_liver_anomaly.models.wasserstein import BETAS, critic_loss
from napari_liver_anomaly.settings import setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from napari_liver_anomaly.models.stage import Batch, TrainingData


@dataclass(frozen=True, kw_only=True, slots=True)
class AnoVaeGanOptions(VariationalOptions):
    """Those of a variational autoencoder, and the critic's moves."""

    moves: int = setting(5, low=1, high=100, help="Moves of the critic for each step.")


class AnoVaeGan(Variational):
    """A variational autoencoder and a critic."""

    key = "anovaegan"
    options_class = AnoVaeGanOptions

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        options = self.config.options
        restorer = DenseAutoencoder(options.width, SIDE_PX, options.code, 2, options.dropout, HALVINGS, "layer")
        critic = ImageCritic(options.width, SIDE_PX)
        return {"restorer": restorer, "smoothness": Smoothness(), "scale": Scale(), "critic": critic}

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train both against each other, then set the scale on healthy slices."""
        adam = {"betas": BETAS}
        yield Stage(
            name="Training autoencoder and critic", number=1, network=self.restorer, loss=self._loss, adam=adam,
            steps=self.config.steps, cosine_decay=self.config.schedule.cosine_decay,
            adversary=Adversary(network=self.parts["critic"], loss=self._critic_loss, adam=adam, moves=self.config.options.moves),
        )  # fmt: skip
        self.set_scale(data)

    def _loss(self, batch: Batch) -> Tensor:
        mean, log_spread = self.restorer.encode(batch.healthy).chunk(2, dim=1)
        code = drawn_code(mean, log_spread)
        apart = slice_difference(self.restorer.decode(code), batch.healthy) + code_divergence(mean, log_spread)
        disbelieved = -self.parts["critic"](self.restorer.decode(code.detach())).mean()  # the encoder does not hear of it
        loss: Tensor = apart.mean() + disbelieved
        return loss

    def _critic_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            made = self.restorer.decode(drawn_code(*self.restorer.encode(batch.healthy).chunk(2, dim=1)))
        return critic_loss(self.parts["critic"], batch.healthy, made)


def configs(budget: int) -> dict[str, ModelConfig]:
    """List the one configuration."""
    return {"anovaegan": ModelConfig(options=AnoVaeGanOptions(), recipe=HEALTHY_ALONE, schedule=schedule_for(budget))}
