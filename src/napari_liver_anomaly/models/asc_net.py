"""ASC-Net: an image is split into a part that passes for healthy and the rest; the anomaly is where the sum of the two is darkest.

The paper cuts slices of patients and picks its reference slices by lesion label. Here the reference set are slices without tumour, and the input
set are such slices with synthetic anomalies [OURS]; or, with ``unlabelled``, slices of the training patients with whatever tumours they have.
The paper's cut through the histogram is set by eye; here it is a quantile of healthy livers, unless the options ask for the paper's. Only dark
lesions are found, as in its livers.

References
----------
Dey, Hong, "ASC-Net: adversarial-based selective network for unsupervised anomaly segmentation", MICCAI 2021, and its extension on arXiv. Ours trains
the generator against the trained discriminator; the public code trains another one and throws it away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from napari_liver_anomaly.models.asc_parts import cuts_overlap, discriminator_loss, kernel_decay
from napari_liver_anomaly.models.base import Model
from napari_liver_anomaly.models.config import SIDE_PX, ModelConfig, pseudo_anomalies, schedule_for
from napari_liver_anomaly.models.networks.cutting import Cutter, Discriminator
from napari_liver_anomaly.models.residual import HEALTHY_ALONE, HEALTHY_QUANTILE, Scale, healthy_values
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_liver_anomaly.models.stage import Batch, TrainingData

PAPER_CUT = 242 / 255
# The discriminator's part of a cycle: the public code sees 2n slices in batches of 288, the generator n in batches of 64, for as many epochs.
DISCRIMINATOR_PART = (2 / 288) / (2 / 288 + 1 / 64)


@dataclass(frozen=True, kw_only=True, slots=True)
class AscNetOptions(Settings):
    """Size, length and where to cut."""

    width: int = setting(8, unit="filters", low=4, high=128, help="Filters of the first block; the paper has 32.")
    cycles_one: int = setting(
        2, unit="cycles", low=1, high=16, help="Rounds of discriminator and generator against the reference set alone."
    )
    cycles_two: int = setting(
        2, unit="cycles", low=0, high=16, help="Rounds in which the cuts of the reference set count as reference, too."
    )
    discriminator_rate: float = setting(
        5e-5,
        low=1e-7,
        high=1,
        help="Step size of the discriminator, as in the paper; with larger ones its tanh saturates at once.",
    )
    generator_rate: float = setting(
        0.0, low=0, high=1, added=True, help="Step size of the generator; 0 takes that of the schedule. The paper has 5e-5."
    )
    threshold: Literal["healthy", "paper"] = setting(
        "healthy", help="Cut at a quantile of healthy livers, or where the paper does for livers: 242 of 255."
    )


class AscNet(Model):
    """A generator of two cuts, and the discriminator it has to convince."""

    key = "asc-net"
    options_class = AscNetOptions
    side_px = SIDE_PX
    learns_unlabelled = True

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        width = self.config.options.width
        return {"cutter": Cutter(width), "discriminator": Discriminator(width, SIDE_PX), "scale": Scale()}

    @property
    def has_restorer(self) -> bool:
        """Whether a healthy image is made: the fence cut."""
        return True

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train discriminator and generator in turn, each against the other as it stands; then set the cut."""
        options, steps = self.config.options, self.config.steps
        cutter, discriminator = self.parts["cutter"], self.parts["discriminator"]
        cycles = options.cycles_one + options.cycles_two
        for cycle in range(cycles):
            length = steps * (cycle + 1) // cycles - steps * cycle // cycles
            first = round(length * DISCRIMINATOR_PART)
            discriminator.requires_grad_(True)
            yield Stage(
                name=f"Cycle {cycle + 1}: training the discriminator", number=2 * cycle + 1, network=discriminator,
                loss=self._discriminator_loss if cycle < options.cycles_one else self._discriminator_loss_second, steps=first,
                cosine_decay=self.config.schedule.cosine_decay, adam={"lr": options.discriminator_rate},
            )  # fmt: skip
            discriminator.requires_grad_(False).apply(_drop_on)
            yield Stage(
                name=f"Cycle {cycle + 1}: training the generator", number=2 * cycle + 2, network=cutter, loss=self._generator_loss,
                steps=length - first, cosine_decay=self.config.schedule.cosine_decay,
                adam={"lr": options.generator_rate} if options.generator_rate else {},
            )  # fmt: skip
        discriminator.eval()
        cut = PAPER_CUT
        if options.threshold == "healthy":
            found = healthy_values(self, data, lambda image, liver_mask: self._inverted(image, liver_mask)[0])
            cut = float(np.quantile(found, HEALTHY_QUANTILE))
        self.parts["scale"].cut.fill_(min(max(cut, 1e-6), 1 - 1e-6))

    def _discriminator_loss(self, batch: Batch) -> Tensor:
        """Stage 1: the reference set is true, the fence cuts of the input set are false."""
        with torch.no_grad():
            false = self.parts["cutter"](batch.anomalous)[0]
        return self._told_apart(false, batch.healthy)

    def _discriminator_loss_second(self, batch: Batch) -> Tensor:
        """Stage 2: the fence cuts of the reference set are true, too."""
        with torch.no_grad():
            false, also = (self.parts["cutter"](image)[0] for image in (batch.anomalous, batch.healthy))
        return self._told_apart(false, torch.cat([batch.healthy, also]))

    def _told_apart(self, false: Tensor, true: Tensor) -> Tensor:
        # One pass for both, so that batch normalisation sees in training what it sees afterwards.
        found = self.parts["discriminator"](torch.cat([false, true]))
        return discriminator_loss(found[: len(false)], found[len(false) :]) + kernel_decay(self.parts["discriminator"])

    def _generator_loss(self, batch: Batch) -> Tensor:
        """Convince the discriminator, which stands still; keep the cuts apart; lose nothing."""
        fence, wild, whole = self.parts["cutter"](batch.anomalous)
        convinced = (self.parts["discriminator"](fence) - 1).abs().mean()
        loss: Tensor = convinced + cuts_overlap(fence, wild) + functional.mse_loss(whole, batch.anomalous)
        return loss + kernel_decay(self.parts["cutter"])

    def _inverted(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Give the inverted reconstruction inside the liver, and the fence cut, (B, H, W)."""
        fence, _, whole = self.parts["cutter"](image)
        return ((1 - whole) * liver_mask)[:, 0], fence[:, 0]

    def predict_batch(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Score a batch on the device."""
        inverted, fence = self._inverted(image, liver_mask)
        cut = self.parts["scale"].cut
        return torch.where(inverted < cut, 0.5 * inverted / cut, 0.5 + 0.5 * (inverted - cut) / (1 - cut)), fence

    @torch.inference_mode()
    def cuts(self, images: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> dict[str, NDArray[np.float32]]:
        """Give what the figures of the paper show.

        Parameters
        ----------
        images : ndarray, (B, 1, H, W) float32
            0…1, made with this model's :attr:`preprocess`. Up to :attr:`side_px` they are seen as in scoring, larger ones in one piece.
        liver_mask : ndarray, (B, H, W) bool
            Where the liver is.

        Returns
        -------
        dict
            ``fence``, ``wild`` and ``reconstruction``, each (B, H, W) float32, 0…1, 0 outside the liver.
        """
        height, width = images.shape[2:]
        padding = (0, max(SIDE_PX - width, -width % 16), 0, max(SIDE_PX - height, -height % 16))
        x = functional.pad(torch.from_numpy(np.ascontiguousarray(images)), padding)
        made = self.parts["cutter"](x.to(device=self.device, memory_format=torch.channels_last))
        inside = liver_mask.astype(np.float32)
        return {
            name: one[:, 0, :height, :width].cpu().numpy() * inside
            for name, one in zip(("fence", "wild", "reconstruction"), made, strict=True)
        }


def _drop_on(part: nn.Module) -> None:
    """Let dropout go on in a network that stands still, as it does in the public code: without, both true and false would be called false."""
    if isinstance(part, nn.Dropout):
        part.train()


def configs(budget: int) -> dict[str, ModelConfig]:
    """List synthetic anomalies and unlabelled patients as what is cut; two cycles of each stage, as the paper has for livers."""
    return {
        "asc-net": ModelConfig(options=AscNetOptions(), recipe=pseudo_anomalies(), schedule=schedule_for(budget)),
        "asc-net-unlabelled": ModelConfig(
            options=AscNetOptions(generator_rate=5e-5), recipe=HEALTHY_ALONE, schedule=schedule_for(budget, unlabelled=True)
        ),
    }
