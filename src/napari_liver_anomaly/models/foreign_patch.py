"""A network that says how much of another liver was blended in at each pixel, with patches interpolated or blended by Poisson's equation.

References
----------
Tan, Hou, Batten, Qiu, Kainz, "Detecting outliers with foreign patch interpolation", MELBA 2022; Tan, Hou, Day, Simpson, Rueckert, Kainz, "Detecting
outliers with Poisson image interpolation", MICCAI 2021: a wide residual encoder and decoder, one sigmoid channel, cross-entropy with the degree,
weight decay 5e-4. Different here: fewer filters, and length and batch of the comparison. ``random_shape.py`` trains the U-Net of the others on the
same patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn import functional

from napari_liver_anomaly.models.base import Model
from napari_liver_anomaly.models.config import ModelConfig, schedule_for
from napari_liver_anomaly.models.networks.wide_residual import WideResidual
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.synthesis import FPI, PII

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from napari_liver_anomaly.models.stage import Batch, TrainingData


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignPatchOptions(Settings):
    """Size of the network, and how its weights are held small."""

    width: int = setting(16, unit="filters", low=4, high=128, help="Filters at full size; a quarter of the paper's.")
    weight_decay: float = setting(5e-4, low=0, high=1, help="What Adam adds to the gradient for each weight.")


class ForeignPatch(Model):
    """A residual network that gives a degree for every pixel."""

    key = "fpi"
    options_class = ForeignPatchOptions

    def build(self) -> dict[str, nn.Module]:
        """Make the network, untrained."""
        return {"segmenter": WideResidual(self.config.options.width)}

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train on the recipe's patches."""
        yield Stage(
            name="Training the network", number=1, network=self.parts["segmenter"], loss=self._loss, steps=self.config.steps,
            cosine_decay=self.config.schedule.cosine_decay, adam={"weight_decay": self.config.options.weight_decay},
        )  # fmt: skip

    def _loss(self, batch: Batch) -> Tensor:
        logits = self.parts["segmenter"](batch.anomalous)[:, 0].float()
        return functional.binary_cross_entropy_with_logits(logits, batch.target.float())

    def predict_batch(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Score a batch on the device."""
        return self.parts["segmenter"](image)[:, 0].float().sigmoid(), None


def configs(budget: int) -> dict[str, ModelConfig]:
    """List both ways to blend."""
    return {
        key: ModelConfig(options=ForeignPatchOptions(), recipe=recipe, schedule=schedule_for(budget))
        for key, recipe in (("fpi", FPI()), ("pii", PII()))
    }
