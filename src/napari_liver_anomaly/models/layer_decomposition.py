"""Layer decomposition: one network separates a slice into a healthy layer, a tumour layer and the tumour's shape.

References
----------
Zhang, Xie, Huang et al., "Self-supervised tumor segmentation through layer decomposition", 2021. Here on single slices instead of crops in 3D, which
is ours, and trained as long and with the same steps as every method of the comparison. The paper's tumour layer is the texture before it is blended;
since a batch does not say its opacity, ours is the tumour as it appears: the anomalous image inside the shape, 0 outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import nn

from napari_liver_anomaly.models.base import Model
from napari_liver_anomaly.models.config import ModelConfig, schedule_for
from napari_liver_anomaly.models.networks.segmenter import Segmenter, SegmenterSettings
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.synthesis.texture_layers import Layers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_liver_anomaly.models.stage import Batch, TrainingData

DEPTH = 3  # halvings: blocks of 1, 2, 4 and 8 times the width, 64 to 512 filters in the paper
WEIGHT_DECAY = 3e-5  # of the public code


@dataclass(frozen=True, kw_only=True, slots=True)
class LayersOptions(Settings):
    """Size of the network that takes a slice apart."""

    width: int = setting(8, unit="filters", low=4, high=256, help="Filters of the first block; 64 in the paper.")


def configs(budget: int) -> dict[str, ModelConfig]:
    """List the one configuration."""
    return {"layers": ModelConfig(options=LayersOptions(), recipe=Layers(), schedule=schedule_for(budget))}


class LayerDecomposition(Model):
    """A U-Net with three outputs, trained in one stage (Zhang, Xie, Huang et al. 2021)."""

    key: ClassVar[str] = "layers"
    options_class: ClassVar[type[Settings]] = LayersOptions

    def build(self) -> dict[str, nn.Module]:
        """Make the network, untrained."""
        width = self.config.options.width
        settings = SegmenterSettings(width=width, planes=self.preprocess.planes, depth=DEPTH, restoration=False)
        network = Segmenter(settings)
        network.head = nn.Conv2d(width, 3, 3, padding=1)
        return {"decomposer": network}

    @property
    def has_restorer(self) -> bool:
        """Whether a healthy image is made: yes, the healthy layer."""
        return True

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train the network in one stage."""
        yield Stage(
            name="Training to take layers apart", number=1, network=self.parts["decomposer"], loss=self._loss,
            steps=self.config.steps, cosine_decay=self.config.schedule.cosine_decay, adam={"weight_decay": WEIGHT_DECAY},
        )  # fmt: skip

    def predict_batch(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Take a batch on the device apart."""
        healthy, _, shape = self.parts["decomposer"](None, image).float().unbind(dim=1)
        return shape.sigmoid(), healthy

    def _loss(self, batch: Batch) -> Tensor:
        return decomposition_loss(self.parts["decomposer"](None, batch.anomalous), batch)


def decomposition_loss(layers: Tensor, batch: Batch) -> Tensor:
    """One minus the soft Dice of the shape, and the mean absolute error of both layers, everywhere and once more inside the shape.

    From Zhang, Xie, Huang et al. 2021: five terms of equal weight.
    """
    healthy, tumour, shape = layers.float().unbind(dim=1)
    inside = batch.mask.float()
    appears = batch.anomalous[:, batch.anomalous.shape[1] // 2] * inside
    probability = shape.sigmoid() * batch.liver_mask
    loss = 1 - (2 * (probability * inside).sum() + 1) / (probability.sum() + inside.sum() + 1)
    for layer, wanted in ((healthy, batch.healthy[:, 0]), (tumour, appears)):
        error = (layer - wanted).abs()
        loss = loss + error.mean() + (error * inside).sum() / inside.sum().clamp(min=1)
    return loss
