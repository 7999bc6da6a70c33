"""Codes from a codebook, and a prior that knows which codes healthy livers have: unlikely codes are drawn anew, and what changes is the anomaly.

References
----------
van den Oord, Vinyals, Kavukcuoglu, "Neural discrete representation learning", NeurIPS 2017; Marimont, Tarroni, "Anomaly detection through latent
space restoration using vector quantized variational autoencoders", ISBI 2021; sizes as the baseline of "Self-supervised anomaly detection with
random-shape pseudo-outliers", EMBC 2022: filters 16, 32, 64, 256, 128 codes of 256, codes of a negative log-likelihood above 5 drawn anew,
restorations weighed by softmax(3 / mean difference). Different here: a smaller prior, 5 restorations instead of 15, no position of the slice,
pooling in the plane only; layer normalisation, so that the codebook can begin with vectors of an untrained encoder instead of collapsing to one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

from napari_liver_anomaly.models.config import SIDE_PX, ModelConfig, schedule_for
from napari_liver_anomaly.models.losses import summed_difference
from napari_liver_anomaly.models.networks.baur import Decoder, Encoder, filters
from napari_liver_anomaly.models.networks.code_prior import CodePrior
from napari_liver_anomaly.models.networks.quantiser import Quantiser
from napari_liver_anomaly.models.residual import HEALTHY_ALONE, STAGE, ResidualModel, Scale
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_liver_anomaly.models.stage import Batch, TrainingData

HALVINGS = 3
SHARPNESS = 3.0  # of the weights of the restorations
LEAST, MEAN = 3, 7  # sides of the windows in which differences are made small, then even


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorQuantisedOptions(Settings):
    """Size of the networks, and how codes are drawn anew."""

    width: int = setting(16, unit="filters", low=4, high=128, help="Filters of the first layer; the paper has 16.")
    codes: int = setting(128, low=2, high=4096, help="Codes in the codebook.")
    code: int = setting(256, unit="numbers", low=1, high=4096, help="Numbers in a code.")
    dropout: float = setting(0.1, low=0, high=0.9, help="Part of the numbers left out before the decoder while training.")
    prior_width: int = setting(32, unit="filters", low=4, high=256, help="Channels of the prior; the paper has 128.")
    unlikely: float = setting(5.0, low=0, high=100, help="Negative log-likelihood above which a code is drawn anew.")
    restorations: int = setting(5, low=1, high=100, help="Restorations of a slice; the paper has 15.")


class VectorQuantised(ResidualModel):
    """An encoder, a codebook, a decoder, and a prior over codes."""

    key = "vq-vae"
    options_class = VectorQuantisedOptions
    side_px = SIDE_PX

    @property
    def quantiser(self) -> Quantiser:
        """The codebook."""
        return cast("Quantiser", cast("nn.ModuleDict", self.parts["restorer"])["quantiser"])

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        options = self.config.options
        channels = filters(options.width, HALVINGS)[-1]
        restorer = {
            "encoder": nn.Sequential(Encoder(options.width, HALVINGS, "layer"), nn.Conv2d(channels, options.code, 1)),
            "quantiser": Quantiser(options.codes, options.code),
            "decoder": nn.Sequential(
                nn.Dropout(options.dropout), nn.Conv2d(options.code, channels, 1), Decoder(options.width, HALVINGS, "layer")
            ),
        }
        return {"restorer": nn.ModuleDict(restorer), "prior": CodePrior(options.codes, options.prior_width), "scale": Scale()}

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Begin the codebook; train the autoencoder around it, then the prior on the codes of healthy slices; then set the scale."""
        schedule = self.config.schedule
        self._begin_codebook(data)
        yield Stage(
            name="Training the autoencoder", number=1, network=self.parts["restorer"], loss=self._loss,
            steps=schedule.restorer_steps, cosine_decay=schedule.cosine_decay,
        )  # fmt: skip
        self.parts["restorer"].requires_grad_(False)
        yield Stage(
            name="Training the prior of codes", number=2, network=self.parts["prior"], loss=self._prior_loss,
            steps=schedule.segmenter_steps, cosine_decay=schedule.segmenter_cosine_decay,
        )  # fmt: skip
        self.set_scale(data)

    @torch.no_grad()
    def _begin_codebook(self, data: TrainingData) -> None:
        """Take vectors of healthy slices for the first codes [OURS]."""
        images = torch.cat([data.batch(self.seed, STAGE, step).healthy for step in range(4)]).to(self.device)
        vectors = self._encoded(images).movedim(1, -1).flatten(0, 2)
        chosen = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(self.seed))
        book = self.quantiser.codes.weight
        book.copy_(vectors[chosen[torch.arange(len(book)) % len(vectors)].to(vectors.device)])

    def _encoded(self, image: Tensor) -> Tensor:
        encoded: Tensor = cast("nn.ModuleDict", self.parts["restorer"])["encoder"](image)
        return encoded

    def _decoded(self, vectors: Tensor) -> Tensor:
        decoded: Tensor = cast("nn.ModuleDict", self.parts["restorer"])["decoder"](vectors)
        return decoded.float()

    def _loss(self, batch: Batch) -> Tensor:
        vectors, apart = self.quantiser(self._encoded(batch.healthy))
        # The mean, so that the codebook's loss, a mean too, is of its size.
        loss: Tensor = summed_difference(self._decoded(vectors), batch.healthy) / batch.healthy[0].numel() + apart
        return loss

    def _prior_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            numbers = self.quantiser.nearest(self._encoded(batch.healthy))
        return functional.cross_entropy(self.parts["prior"](numbers), numbers)

    def codes_anew(self, numbers: Tensor) -> Tensor:
        """Draw unlikely codes anew, in reading order, each after those before it.

        Parameters
        ----------
        numbers : Tensor, (B, h, w)
            Codes of slices.

        Returns
        -------
        Tensor, (B * restorations, h, w)
            The restorations of each slice, one after the other; the same numbers whatever else is in the batch.
        """
        times, (height, width) = self.config.options.restorations, numbers.shape[1:]
        chance = torch.rand(times, height, width, generator=torch.Generator().manual_seed(self.seed)).to(numbers.device)
        drawn = numbers.repeat_interleave(times, dim=0)
        chance = chance.repeat(len(numbers), 1, 1)
        for y in range(height):
            for x in range(width):
                likely = torch.softmax(self.parts["prior"](drawn)[:, :, y, x], dim=1)
                now = likely.gather(1, drawn[:, y, x, None])[:, 0]
                anew = (likely.cumsum(dim=1) < chance[:, y, x, None]).sum(dim=1).clamp(max=likely.shape[1] - 1)
                drawn[:, y, x] = torch.where(-now.log() > self.config.options.unlikely, anew, drawn[:, y, x])
        return drawn

    def compare(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Restore an image several times, and weigh restorations and differences by how near each is."""
        numbers = self.codes_anew(self.quantiser.nearest(self._encoded(image)))
        restored = self._decoded(self.quantiser.vectors(numbers)).view(len(image), -1, *image.shape[1:])  # (B, times, 1, H, W)
        apart = (image[:, None] - restored).abs() * liver_mask[:, None]
        mean = apart.flatten(2).sum(dim=2) / liver_mask.flatten(1).sum(dim=1, keepdim=True).clamp(min=1)
        weight = torch.softmax(SHARPNESS / mean.clamp(min=1e-6), dim=1)[:, :, None, None, None]
        return (weight * restored).sum(dim=1), _evened((weight * apart).sum(dim=1), liver_mask)

    def restore(self, image: Tensor, liver_mask: Tensor) -> Tensor:
        """Give the healthy image."""
        return self.compare(image, liver_mask)[0]


def _evened(apart: Tensor, liver_mask: Tensor) -> Tensor:
    """Smallest difference in the liver within 3 × 3 pixels, then its mean within 7 × 7."""
    least = -functional.max_pool2d(torch.where(liver_mask > 0, -apart, -torch.inf), LEAST, stride=1, padding=LEAST // 2)
    least = torch.where(liver_mask > 0, least, 0)
    mean = (functional.avg_pool2d(one, MEAN, stride=1, padding=MEAN // 2) for one in (least, liver_mask))
    return (next(mean) / next(mean).clamp(min=1e-6) * liver_mask)[:, 0]


def configs(budget: int) -> dict[str, ModelConfig]:
    """List the one configuration."""
    return {"vq-vae": ModelConfig(options=VectorQuantisedOptions(), recipe=HEALTHY_ALONE, schedule=schedule_for(budget))}
