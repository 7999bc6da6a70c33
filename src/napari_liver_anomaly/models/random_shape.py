"""A segmenter alone, trained on synthetic anomalies: random shapes, squares, discs, or patches of another liver.

References
----------
"Self-supervised anomaly detection with random-shape pseudo-outliers", EMBC 2022 (network, loss, paintbrush, comparison with squares and circles);
Tan et al., "Detecting outliers with foreign patch interpolation", MELBA 2022; Tan et al., "Detecting outliers with Poisson image interpolation",
MICCAI 2021; Li et al., "CutPaste", CVPR 2021; Schlüter et al., "Natural synthetic anomalies", ECCV 2022. Different here: these four have networks of
their own, the first two a wide residual one with one sigmoid channel. Here every synthesis trains the same U-Net, and where it gives degrees the
network's probability of "anomalous" learns them by cross-entropy alone, since soft Dice of a degree is least at another answer than the degree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_liver_anomaly.models.base import Model
from napari_liver_anomaly.models.config import ModelConfig, schedule_for
from napari_liver_anomaly.models.losses import combined_loss
from napari_liver_anomaly.models.networks.unet import UNet
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.synthesis import FPI, NSA, PII, Circles, CutPaste, Paintbrush, Squares

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from napari_liver_anomaly.models.stage import Batch, TrainingData
    from napari_liver_anomaly.synthesis import Recipe


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomShapeOptions(Settings):
    """Size of the network, and what its loss is made of."""

    width: int = setting(8, unit="filters", low=4, high=128, help="Filters of the first block; the paper has 32.")
    dice_weight: float = setting(
        0.5, low=0, high=1, help="Weight of soft Dice in the loss; the rest is cross-entropy.", was="dice_share"
    )


class RandomShape(Model):
    """A U-Net that sees the image and says where it is anomalous."""

    key = "random-shape"
    options_class = RandomShapeOptions

    def build(self) -> dict[str, nn.Module]:
        """Make the network, untrained."""
        return {"segmenter": UNet(self.config.options.width)}

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train on the recipe's anomalies."""
        yield Stage(
            name="Training the segmenter", number=1, network=self.parts["segmenter"], steps=self.config.steps,
            cosine_decay=self.config.schedule.cosine_decay, loss=self._loss,
        )  # fmt: skip

    def _loss(self, batch: Batch) -> Tensor:
        return combined_loss(self.parts["segmenter"](batch.anomalous), batch.target, self.config.options.dice_weight)

    def predict_batch(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Score a batch on the device."""
        return torch.softmax(self.parts["segmenter"](image).float(), dim=1)[:, 1], None


def configs(budget: int) -> dict[str, ModelConfig]:
    """List the segmenter by what it is trained on."""
    masks: dict[str, Recipe] = {"": Paintbrush(), "-squares": Squares(), "-circles": Circles(), "-cutpaste": CutPaste()}
    degrees: dict[str, Recipe] = {"-fpi": FPI(), "-pii": PII(), "-nsa": NSA()}
    return {
        f"random-shape{name}": ModelConfig(
            options=RandomShapeOptions(dice_weight=weight), recipe=recipe, schedule=schedule_for(budget)
        )
        for recipes, weight in ((masks, 0.5), (degrees, 0.0))
        for name, recipe in recipes.items()
    }
