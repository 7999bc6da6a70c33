"""From image to tissue maps and back: a lesion is no tissue that the decoder can draw, so it appears in the residual.

An adaptation to livers [OURS]: the paper learns three tissues of the brain from an atlas; here they are a mixture fitted to healthy livers
(``tissues.py``), with the background as a fourth class. This is weaker: such tissues are ranges of intensity, so that a lesion often passes for the
nearest of them. The generator learns from maps of the kind that it will see, probabilities for soft maps and one-hot for hard ones; but it learns
from those of the mixture and sees those of the segmenter afterwards, as in the paper.

References
----------
"Unsupervised anomaly segmentation using image-semantic cycle translation", arXiv:2103.09094, 2021; Isola, Zhu, Zhou, Efros, "Image-to-image
translation with conditional adversarial networks", CVPR 2017. The generator's adversarial loss is the usual −log D(G(y)); the paper means
log(1 − D(G(y))), which has the same fixed point and fades while the critic is ahead, and prints 1 − log D(G(y)). Its table and its third section
call hard maps the baseline, its second section soft ones; this file follows the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from napari_liver_anomaly.models.config import ModelConfig, schedule_for
from napari_liver_anomaly.models.networks.segmenter import Segmenter, SegmenterSettings
from napari_liver_anomaly.models.networks.translator import PatchCritic, Translator
from napari_liver_anomaly.models.residual import HEALTHY_ALONE, ResidualModel, Scale, healthy_values
from napari_liver_anomaly.models.stage import Adversary, Stage
from napari_liver_anomaly.models.tissues import NAMES, Mixture, smoothed
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_liver_anomaly.models.stage import Batch, TrainingData

DEPTH = 4
ADAM: dict[str, Any] = {"betas": (0.5, 0.999)}  # of the generator and its critic


@dataclass(frozen=True, kw_only=True, slots=True)
class CycleOptions(Settings):
    """Size, and what kind of maps."""

    width: int = setting(8, unit="filters", low=4, high=128, help="Filters of the first block of every network.")
    discrete: bool = setting(False, help="Each pixel is one tissue between the two networks, instead of a part of each.")
    rate: float = setting(
        0.0,
        low=0,
        high=1,
        added=True,
        help="Step size of generator and critic; 0 takes that of the schedule. The paper has 2e-4.",
    )
    l1_weight: float = setting(10.0, low=0, high=1000, help="Weight of the mean absolute difference beside the critic's word.")


class Cycle(ResidualModel):
    """A segmenter of tissues and a generator of images."""

    key = "cycle"
    options_class = CycleOptions

    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained."""
        width, classes = self.config.options.width, len(NAMES)
        segmenter = Segmenter(SegmenterSettings(width=width, depth=DEPTH, restoration=False))
        segmenter.head = nn.Conv2d(width, classes, 3, padding=1)
        return {
            "segmenter": segmenter, "translator": Translator(classes, width), "critic": PatchCritic(classes, width),
            "mixture": Mixture(), "scale": Scale(),
        }  # fmt: skip

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Fit the tissues; train the segmenter to name them, and the generator to draw slices from them; then set the scale."""
        schedule, rate = self.config.schedule, self.config.options.rate
        adam = ADAM | ({"lr": rate} if rate else {})
        self.parts["mixture"].fit(healthy_values(self, data, lambda image, liver_mask: smoothed(image, liver_mask)[:, 0]))
        yield Stage(
            name="Training the segmenter of tissues", number=1, network=self.parts["segmenter"], loss=self._tissue_loss,
            steps=schedule.restorer_steps, cosine_decay=schedule.cosine_decay,
        )  # fmt: skip
        yield Stage(
            name="Training the generator", number=2, network=self.parts["translator"], loss=self._generator_loss, adam=adam,
            steps=schedule.segmenter_steps, cosine_decay=schedule.segmenter_cosine_decay,
            adversary=Adversary(network=self.parts["critic"], loss=self._critic_loss, adam=adam),
        )  # fmt: skip
        self.set_scale(data)

    def _tissue_loss(self, batch: Batch) -> Tensor:
        """Cross-entropy with the likeliest tissue of every pixel; each tissue counts the same, as rare ones would otherwise be passed over [OURS]."""
        truth = self.parts["mixture"](batch.healthy, batch.liver_mask[:, None].float()).argmax(dim=1)
        weight = truth.numel() / (len(NAMES) * torch.bincount(truth.flatten(), minlength=len(NAMES)).clamp(min=1))
        return functional.cross_entropy(self.parts["segmenter"](None, batch.healthy).float(), truth, weight)

    def _known_maps(self, batch: Batch) -> Tensor:
        return self._of_kind(self.parts["mixture"](batch.healthy, batch.liver_mask[:, None].float()))

    def _generator_loss(self, batch: Batch) -> Tensor:
        """Add what the critic disbelieves of drawn slices and their difference from the real ones."""
        maps = self._known_maps(batch)
        drawn = self.parts["translator"](maps)
        adversarial = functional.softplus(-self.parts["critic"](maps, drawn)).mean()
        loss: Tensor = adversarial + self.config.options.l1_weight * functional.l1_loss(drawn, batch.healthy)
        return loss

    def _critic_loss(self, batch: Batch) -> Tensor:
        maps = self._known_maps(batch)
        with torch.no_grad():
            drawn = self.parts["translator"](maps)
        critic = self.parts["critic"]
        return functional.softplus(-critic(maps, batch.healthy)).mean() + functional.softplus(critic(maps, drawn)).mean()

    def _of_kind(self, probabilities: Tensor) -> Tensor:
        """Leave soft maps (B, 4, H, W) as they are, and make hard ones of them where the options say so."""
        if not self.config.options.discrete:
            return probabilities
        return functional.one_hot(probabilities.argmax(dim=1), len(NAMES)).movedim(-1, 1).to(probabilities.dtype)

    def maps(self, image: Tensor) -> Tensor:
        """Give the tissue maps between the two networks.

        Parameters
        ----------
        image : Tensor, (B, 1, H, W)
            0…1; H and W multiples of 16.

        Returns
        -------
        Tensor, (B, 4, H, W) float32
            Probabilities of the tissues, which add to 1; with discrete maps one of them is 1.
        """
        return self._of_kind(torch.softmax(self.parts["segmenter"](None, image).float(), dim=1))

    def restore(self, image: Tensor, liver_mask: Tensor) -> Tensor:
        """Give the healthy image: what can be drawn from the tissue maps."""
        drawn: Tensor = self.parts["translator"](self.maps(image))
        return drawn

    @torch.inference_mode()
    def tissues(self, images: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Give the segmenter's probabilities, soft for hard maps, too; lesions are to be compared with tissues by them.

        Parameters
        ----------
        images : ndarray, (B, 1, H, W) float32
            0…1, made with this model's :attr:`preprocess`.
        liver_mask : ndarray, (B, H, W) bool
            Where the liver is.

        Returns
        -------
        ndarray, (B, 4, H, W) float32
            Of background, dark tissue, parenchyma and bright tissue; they add to 1 in the liver and are 0 outside.
        """
        height, width = images.shape[2:]
        x = functional.pad(torch.from_numpy(np.ascontiguousarray(images)), (0, -width % 32, 0, -height % 32))
        logits = self.parts["segmenter"](None, x.to(device=self.device, memory_format=torch.channels_last))
        probabilities: NDArray[np.float32] = torch.softmax(logits.float(), dim=1)[..., :height, :width].cpu().numpy()
        return probabilities * liver_mask[:, None].astype(np.float32)


def configs(budget: int) -> dict[str, ModelConfig]:
    """List soft maps, which the paper proposes, and hard maps, its baseline; both also at the paper's step size."""
    naming = budget * 2 // 3
    schedule = schedule_for(budget, restorer_steps=naming, segmenter_steps=budget - naming)
    return {
        f"cycle-{kind}{ending}": ModelConfig(
            options=CycleOptions(discrete=kind == "discrete", rate=rate), recipe=HEALTHY_ALONE, schedule=schedule
        )
        for kind in ("continuous", "discrete")
        for ending, rate in (("", 0.0), ("-slow", 2e-4))
    }
