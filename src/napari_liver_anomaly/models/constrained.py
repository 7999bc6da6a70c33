"""Autoencoders whose reconstruction must have the code of the image; one of them also keeps its codes normal, by a critic.

References
----------
Chen, Konukoglu, "Unsupervised detection of lesions in brain MRI using constrained adversarial auto-encoders", MIDL 2018; Baur, Denner, Wiestler,
Navab, Albarqouni, Medical Image Analysis 69 (2021): a code of 1024, weight 1, and 20 moves of the critic in the first epochs. A training of the
comparison is no longer than these, so the critic has 20 throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch.nn import functional

from napari_liver_anomaly.models.autoencoders import BETAS
from napari_liver_anomaly.models.config import SIDE_PX, ModelConfig, schedule_for
from napari_liver_anomaly.models.losses import summed_difference
from napari_liver_anomaly.models.networks.critic import HALVINGS, CodeCritic
from napari_liver_anomaly.models.networks.dense_autoencoder import DenseAutoencoder
from napari_liver_anomaly.models.residual import HEALTHY_ALONE, ResidualModel, Scale
from napari_liver_anomaly.models.stage import Adversary, Stage
from napari_liver_anomaly.models.wasserstein import BETAS as CRITIC_BETAS
from napari_liver_anomaly.models.wasserstein import critic_loss
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from napari_liver_anomaly.models.stage import Batch, TrainingData


@dataclass(frozen=True, kw_only=True, slots=True)
class ConstrainedOptions(Settings):
    """Size of the networks, and what their codes must hold."""

    width: int = setting(32, unit="filters", low=4, high=128, help="Filters of the first layer; the paper has 32.")
    code: int = setting(1024, unit="numbers", low=1, high=4096, help="Length of the code.")
    dropout: float = setting(0.1, low=0, high=0.9, help="Part of the numbers left out around the code while training.")
    code_weight: float = setting(1.0, low=0, high=1000, help="Weight of the difference of the codes of image and reconstruction.")
    adversarial: bool = setting(False, help="Let a critic keep the codes normal.")
    moves: int = setting(20, low=1, high=100, help="Moves of the critic for each step.")


class Constrained(ResidualModel):
    """An autoencoder with a constraint on its code."""

    key = "constrained"
    options_class = ConstrainedOptions
    side_px = SIDE_PX

    @property
    def restorer(self) -> DenseAutoencoder:
        """The two networks around the code."""
        return cast("DenseAutoencoder", self.parts["restorer"])

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        options = self.config.options
        if not options.adversarial:
            return {"restorer": DenseAutoencoder(options.width, SIDE_PX, options.code, dropout=options.dropout), "scale": Scale()}
        restorer = DenseAutoencoder(options.width, SIDE_PX, options.code, 1, options.dropout, HALVINGS, "layer")
        return {"restorer": restorer, "critic": CodeCritic(options.code), "scale": Scale()}

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train on healthy slices, against the critic where there is one; then set the scale on them."""
        adversary = None
        if self.config.options.adversarial:
            adversary = Adversary(
                network=self.parts["critic"],
                loss=self._critic_loss,
                adam={"betas": CRITIC_BETAS},
                moves=self.config.options.moves,
            )
        yield Stage(
            name="Training the constrained autoencoder", number=1, network=self.restorer, loss=self._loss, steps=self.config.steps,
            cosine_decay=self.config.schedule.cosine_decay, adam={"betas": CRITIC_BETAS if adversary else BETAS}, adversary=adversary,
        )  # fmt: skip
        self.set_scale(data)

    def _loss(self, batch: Batch) -> Tensor:
        code = self.restorer.encode(batch.healthy)
        drawn = self.restorer.decode(code)
        loss: Tensor = summed_difference(drawn, batch.healthy)
        loss = loss + self.config.options.code_weight * functional.mse_loss(self.restorer.encode(drawn), code)
        if self.config.options.adversarial:
            loss = loss - self.parts["critic"](code).mean()
        return loss

    def _critic_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            code = self.restorer.encode(batch.healthy)
        return critic_loss(self.parts["critic"], torch.randn(code.shape).to(code.device), code)

    def restore(self, image: Tensor, liver_mask: Tensor) -> Tensor:
        """Give the healthy image."""
        drawn: Tensor = self.restorer(image)
        return drawn


def configs(budget: int) -> dict[str, ModelConfig]:
    """List it without and with a critic."""
    return {
        f"constrained-{name}": ModelConfig(
            options=ConstrainedOptions(adversarial=name == "aae"), recipe=HEALTHY_ALONE, schedule=schedule_for(budget)
        )
        for name in ("ae", "aae")
    }
