"""A variational autoencoder whose code is expected around one of nine centres; with one vector or a small image in its middle, and with restoration.

References
----------
Dilokthanakul et al., "Deep unsupervised clustering with Gaussian mixture variational autoencoders", arXiv:1611.02648, 2016; You, Tezcan, Chen,
Konukoglu, "Unsupervised lesion detection via image restoration with a normative prior", MIDL 2019; Baur, Denner, Wiestler, Navab, Albarqouni,
Medical Image Analysis 69 (2021), GMVAE (dense) and (spatial). The step size is that of the comparison, not 5e-5.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, cast

from napari_liver_anomaly.models.autoencoders import BETAS
from napari_liver_anomaly.models.config import SIDE_PX, ModelConfig, schedule_for
from napari_liver_anomaly.models.losses import code_divergence, slice_difference
from napari_liver_anomaly.models.networks.mixture_code import MixtureNetwork, Normal, belonging, divergence
from napari_liver_anomaly.models.residual import HEALTHY_ALONE, Scale
from napari_liver_anomaly.models.restoration import STEPS, RestorationOptions, RestoringModel, Smoothness
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.models.variational import drawn_code
from napari_liver_anomaly.settings import setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from napari_liver_anomaly.models.stage import Batch, TrainingData

LEAST_CLUSTERS = 1.0  # of the clusters' divergence: below it there is nothing to gain


@dataclass(frozen=True, kw_only=True, slots=True)
class MixtureOptions(RestorationOptions):
    """Size of the networks, their codes, and how an image is restored."""

    width: int = setting(32, unit="filters", low=4, high=128, help="Filters of the first layer; the paper has 32.")
    dense: bool = setting(True, help="Pass the image through one vector; off keeps the layout of a small image.")
    code: int = setting(
        128, unit="numbers", low=1, high=4096, help="Channels of the code; the paper has 128, and 1 without a vector."
    )
    moves: int = setting(1, unit="numbers", low=1, high=64, help="Channels of the second code, which moves the centres.")
    clusters: int = setting(9, low=2, high=64, help="Centres that a code may lie around.")
    dropout: float = setting(0.1, low=0, high=0.9, help="Part of the numbers left out around the code while training.")


class MixtureVariational(RestoringModel):
    """An encoder of two codes, centres and a decoder."""

    key = "gmvae"
    options_class = MixtureOptions

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        self.side_px = SIDE_PX if config.options.dense else 0

    @property
    def restorer(self) -> MixtureNetwork:
        """The networks around the codes."""
        return cast("MixtureNetwork", self.parts["restorer"])

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        options = self.config.options
        restorer = MixtureNetwork(
            options.width, SIDE_PX, dense=options.dense, clusters=options.clusters, size=options.code, moves=options.moves, dropout=options.dropout
        )  # fmt: skip
        return {"restorer": restorer, "smoothness": Smoothness(), "scale": Scale()}

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train on healthy slices, then choose the restoration and set the scale on them."""
        yield Stage(
            name="Training the mixture autoencoder", number=1, network=self.restorer, steps=self.config.steps,
            cosine_decay=self.config.schedule.cosine_decay, adam={"betas": BETAS}, loss=self._loss,
        )  # fmt: skip
        self.set_scale(data)

    def _loss(self, batch: Batch) -> Tensor:
        code, move = self.restorer.encode(batch.healthy)
        return self._sum(batch.healthy, code, move, drawn_code(*code), drawn_code(*move)).mean()

    def image_loss(self, image: Tensor) -> Tensor:
        """Say how unlikely images are, by the sum that is trained, with the means of the codes in place of draws."""
        code, move = self.restorer.encode(image)
        return self._sum(image, code, move, code.mean, move.mean)

    def _sum(self, image: Tensor, code: Normal, move: Normal, drawn: Tensor, moved: Tensor) -> Tensor:
        """Add the difference of the reconstruction and three divergences: of the code from the centres, of the second code, and of the clusters."""
        centres = self.restorer.around(moved)
        cluster = belonging(drawn, centres)
        wide = Normal(code.mean[:, None], code.log_spread[:, None])
        from_centres = (cluster[:, :, None] * divergence(wide, centres)).flatten(1).sum(dim=1)
        from_even = (cluster * (cluster.clamp(min=1e-8).log() + log(self.restorer.clusters))).flatten(1).sum(dim=1)
        apart = slice_difference(self.restorer.decode(drawn), image)
        return apart + from_centres + code_divergence(*move) + from_even.clamp(min=LEAST_CLUSTERS)

    def reconstruct(self, image: Tensor) -> Tensor:
        """Pass images through the mean of their code."""
        return self.restorer.decode(self.restorer.encode(image)[0].mean)


def configs(budget: int) -> dict[str, ModelConfig]:
    """List both middles, each by reconstruction and by restoration."""
    return {
        f"gmvae-{name}{ending}": ModelConfig(
            options=MixtureOptions(dense=name == "dense", code=128 if name == "dense" else 1, restoration_steps=steps),
            recipe=HEALTHY_ALONE, schedule=schedule_for(budget),
        )
        for name in ("dense", "spatial") for ending, steps in (("", 0), ("-restoration", STEPS))
    }  # fmt: skip
