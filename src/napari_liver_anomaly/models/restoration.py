"""Restoration by descent: an image is changed step by step so that a model of healthy images finds it likelier, and stays near to itself.

References
----------
Chen, You, Tezcan, Konukoglu, "Unsupervised lesion detection via image restoration with a normative prior", Medical Image Analysis 64 (2020); You,
Tezcan, Chen, Konukoglu, MIDL 2019 (total variation of the change, whose weight is the one that changes healthy images least); Baur, Denner,
Wiestler, Navab, Albarqouni, Medical Image Analysis 69 (2021): 150 steps of 1e-3, weights 0, 0.1 … 1.9. Here 30 steps of 5e-3, for time.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_liver_anomaly.models.residual import ResidualModel
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from napari_liver_anomaly.models.stage import TrainingData

WEIGHTS = tuple(tenth / 10 for tenth in range(20))
STAGE = 79  # no stage of a training
STEPS = 30  # of a method that restores in the comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class RestorationOptions(Settings):
    """How far an image is restored."""

    restoration_steps: int = setting(
        0, unit="steps", low=0, high=10000, help="Steps downhill from the image; 0 takes the reconstruction itself. The paper has 150."
    )  # fmt: skip
    restoration_rate: float = setting(5e-3, low=1e-6, high=1, help="Length of a step, of the image's range; the paper has 1e-3.")


class Smoothness(nn.Module):
    """Weight of the total variation of the change, chosen on healthy livers and kept with the weights of the networks."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(()))


class RestoringModel(ResidualModel):
    """A model of healthy images that gives a reconstruction, or restores by descent on its loss. Its parts hold ``smoothness``."""

    @abstractmethod
    def image_loss(self, image: Tensor) -> Tensor:
        """Say how unlikely images are, without chance.

        Parameters
        ----------
        image : Tensor, (B, 1, H, W)
            0…1.

        Returns
        -------
        Tensor, (B,)
            A loss for each, that does not depend on the others.
        """

    @abstractmethod
    def reconstruct(self, image: Tensor) -> Tensor:
        """Pass images through the model.

        Parameters
        ----------
        image : Tensor, (B, 1, H, W)
            0…1.

        Returns
        -------
        Tensor, (B, 1, H, W)
            As the model draws them.
        """

    def restore(self, image: Tensor, liver_mask: Tensor) -> Tensor:
        """Give the healthy image."""
        if not self.config.options.restoration_steps:
            return self.reconstruct(image)
        return self._restored(image, float(self.parts["smoothness"].weight))

    def _restored(self, image: Tensor, weight: float) -> Tensor:
        def loss(changed: Tensor, start: Tensor) -> Tensor:
            return self.image_loss(changed) + weight * total_variation(changed - start)

        return descend(image, loss, self.config.options.restoration_steps, self.config.options.restoration_rate)

    def set_scale(self, data: TrainingData) -> None:
        """Choose the weight of smoothness where there is restoration; then set the scale. No label is needed.

        Parameters
        ----------
        data : HealthySlices
            Slices without anomalies.
        """
        if self.config.options.restoration_steps:
            batch = data.batch(self.seed, STAGE, 0).to(self.device)
            changes = [
                float((self._restored(batch.healthy, w) - batch.healthy).abs()[:, 0][batch.liver_mask].mean()) for w in WEIGHTS
            ]
            self.parts["smoothness"].weight.fill_(WEIGHTS[changes.index(min(changes))])
        super().set_scale(data)


def descend(image: Tensor, loss: Callable[[Tensor, Tensor], Tensor], steps: int, rate: float) -> Tensor:
    """Go downhill from images on a loss of each, which also sees where they started."""
    with torch.inference_mode(False), torch.enable_grad():
        start = image.clone()  # what inference made cannot be followed backwards
        changed = start
        for _ in range(steps):
            changed = changed.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(loss(changed, start).sum(), changed)
            changed = changed - rate * gradient
        return changed.detach()


def total_variation(image: Tensor) -> Tensor:
    """Sum of the absolute differences of neighbouring pixels, for each slice, (B,)."""
    return sum((image.diff(dim=axis).abs().flatten(1).sum(dim=1) for axis in (2, 3)), start=image.new_zeros(len(image)))
