"""The two-stage model: a restorer that removes synthetic anomalies, then a segmenter that detects what it removed.

References
----------
Zhang, Deng, Li, "Unsupervised liver tumor segmentation with pseudo anomaly synthesis", SASHIMI 2023.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from napari_liver_anomaly.models.base import LAYERS, Model, Prediction
from napari_liver_anomaly.models.config import FRAME, ModelConfig, Schedule, pseudo_anomalies, schedule_for
from napari_liver_anomaly.models.losses import focal_loss, lesion_loss, overlap_loss, restoration_loss
from napari_liver_anomaly.models.networks.restorer import Restorer, RestorerSettings
from napari_liver_anomaly.models.networks.segmenter import Segmenter, SegmenterSettings
from napari_liver_anomaly.models.stage import Batch, Stage
from napari_liver_anomaly.preprocessing import PreprocessSettings
from napari_liver_anomaly.preprocessing.intensity import DARKEST_LIVER_GREY
from napari_liver_anomaly.settings import Settings
from napari_liver_anomaly.synthesis import Blobs, HuTumours, Nodules, NoiseStretchPaper, VariedNodules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.models.stage import TrainingData

KEY = "two-stage"
# Of the combinations of recipe, input and restorer, those that have a name of their own.
KNOWN_PARTS = {("nodules", "stack", "alone"): "direct", ("nodules", "stack", "restored"): "two-stage-ours-long"}


@dataclass(frozen=True, kw_only=True, slots=True)
class TwoStageOptions(Settings):
    """The two networks."""

    restorer: RestorerSettings = field(default_factory=RestorerSettings)
    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)

    @property
    def restores(self) -> bool:
        """Whether there is a restorer; a segmenter that sees neither restoration nor residual needs none."""
        return self.segmenter.restoration or self.segmenter.residual_gain > 0


CONFIGS: dict[str, ModelConfig] = {
    "paper": ModelConfig(
        preprocess=PreprocessSettings(geometry="field", intensity="paper"), options=TwoStageOptions(), recipe=NoiseStretchPaper()
    ),
    # The paper's small-machine twin: half the side, a quarter of the filters, noise and rounding scaled with the side.
    "paper-small": ModelConfig(
        preprocess=PreprocessSettings(geometry="field", size_px=128, intensity="paper"),
        options=TwoStageOptions(restorer=RestorerSettings(width=16), segmenter=SegmenterSettings(width=16)),
        recipe=NoiseStretchPaper(sigma_px=7.5, round_px=5),
    ),
    # Ours: five slices 3 mm apart at 1.5 mm, HU around the liver's median inside a window that lies inside what 8-bit sources keep of a CT,
    # tissue around the liver in sight, lesions drawn as bodies in space.
    "standard": ModelConfig(
        preprocess=PreprocessSettings(
            geometry="liver", pixel_mm=1.5, plane_mm=3, neighbours=2, around_mm=8, window_low_hu=-45, window_high_hu=160
        ),
        options=TwoStageOptions(
            restorer=RestorerSettings(width=16, planes=5),
            segmenter=SegmenterSettings(width=16, planes=5, depth=4, liver_mask=True, residual_gain=5),
        ),
        recipe=Nodules(),
        schedule=Schedule(
            restorer_steps=500,
            segmenter_steps=700,
            learning_rate=1e-3,
            cosine_decay=True,
            segmenter_cosine_decay=True,
            segmenter_loss="overlap",
            anomaly_weight=4,
            crop_px=96,
            augment=True,
            by_area=True,
            jitter=True,
        ),
    ),
    "compact": ModelConfig(
        # The window lies inside what 8-bit sources keep of a CT, so that they and true scans look alike to the networks.
        preprocess=PreprocessSettings(geometry="liver", pixel_mm=1.5, intensity="robust", window_low_hu=-45, window_high_hu=160),
        options=TwoStageOptions(restorer=RestorerSettings(width=16), segmenter=SegmenterSettings(width=16, residual_gain=5)),
        recipe=Blobs(),
        schedule=Schedule(
            restorer_steps=2000,
            segmenter_steps=300,
            learning_rate=1e-3,
            cosine_decay=True,
            anomaly_weight=4,
            crop_px=96,
            augment=True,
        ),
    ),
}

# The same segmenter without a restorer (Hu et al. 2023 train so): what the restoration adds is measured against it.
CONFIGS["direct"] = replace(
    CONFIGS["standard"],
    options=replace(
        CONFIGS["standard"].options,
        segmenter=replace(CONFIGS["standard"].options.segmenter, restoration=False, residual_gain=0.0),
    ),
    schedule=replace(CONFIGS["standard"].schedule, segmenter_steps=2400),
)

# The same segmenter, shown more: lesions of several kinds, healthy tissue that looks like one, other phases, textures and slices.
CONFIGS["direct-varied"] = replace(
    CONFIGS["direct"],
    preprocess=replace(CONFIGS["direct"].preprocess, reference="healthy"),
    options=replace(CONFIGS["direct"].options, segmenter=replace(CONFIGS["direct"].options.segmenter, leak=0.1, prior=0.05)),
    recipe=VariedNodules(),
    schedule=replace(CONFIGS["direct"].schedule, vary_tissue=True, p_lookalike=1 / 3),
)

# The same segmenter on pixels of 1 mm, for small lesions; the squares it is trained on are as many pixels wide.
CONFIGS["direct-fine"] = replace(CONFIGS["direct"], preprocess=replace(CONFIGS["direct"].preprocess, pixel_mm=1.0))

# The same segmenter, with half of the lesions as small as those that are missed.
CONFIGS["direct-small"] = replace(CONFIGS["direct"], recipe=Nodules(p_small=0.5))


def configs(budget: int) -> dict[str, ModelConfig]:
    """List the methods of the comparison that this file holds."""
    near = replace(FRAME, neighbours=2, around_mm=8)
    equalised = replace(FRAME, intensity="paper", window_low_hu=-200.0, window_high_hu=250.0)
    papers = TwoStageOptions(restorer=RestorerSettings(width=8), segmenter=SegmenterSettings(width=8))
    seeing = SegmenterSettings(width=8, planes=5, depth=4, liver_mask=True, residual_gain=5)
    both = TwoStageOptions(restorer=RestorerSettings(width=8, planes=5), segmenter=seeing)
    alone = TwoStageOptions(segmenter=replace(seeing, restoration=False, residual_gain=0.0))
    short, whole = schedule_for(budget), schedule_for(budget, restorer_steps=0, segmenter_steps=budget)
    early = schedule_for(budget, restorer_steps=0)
    ours: dict[str, Any] = {"segmenter_loss": "overlap", "anomaly_weight": 4, "augment": True, "by_area": True, "jitter": True}
    return {
        "two-stage": ModelConfig(preprocess=FRAME, options=papers, recipe=pseudo_anomalies(), schedule=short),
        "two-stage-equalised": ModelConfig(preprocess=equalised, options=papers, recipe=pseudo_anomalies(), schedule=short),
        "two-stage-clamped": ModelConfig(
            preprocess=equalised, options=papers, recipe=replace(pseudo_anomalies(), darkest=DARKEST_LIVER_GREY), schedule=short
        ),
        "two-stage-long": ModelConfig(
            preprocess=FRAME, options=papers, recipe=pseudo_anomalies(), schedule=replace(whole, restorer_steps=budget)
        ),
        "two-stage-ours": ModelConfig(preprocess=near, options=both, recipe=Nodules(), schedule=replace(short, **ours)),
        "hu": ModelConfig(preprocess=near, options=alone, recipe=HuTumours(), schedule=replace(whole, **ours)),
        "direct-early": ModelConfig(preprocess=near, options=alone, recipe=Nodules(), schedule=replace(early, **ours)),
        **_parts(near, both, replace(whole, **ours)),
    }


def _parts(near: PreprocessSettings, both: TwoStageOptions, whole: Schedule) -> dict[str, ModelConfig]:
    """Make the eight combinations of recipe, input and restorer; each stage is as long as that of a method with one."""
    found = {}
    inputs = {"slice": FRAME, "stack": near}
    for (made, recipe), (seen, preprocess) in product(
        {"noise": pseudo_anomalies(), "nodules": Nodules()}.items(), inputs.items()
    ):
        planes = preprocess.planes
        restorer, segmenter = replace(both.restorer, planes=planes), replace(both.segmenter, planes=planes)
        alone = TwoStageOptions(segmenter=replace(segmenter, restoration=False, residual_gain=0.0))
        restored = TwoStageOptions(restorer=restorer, segmenter=segmenter)
        for part, options in {"alone": alone, "restored": restored}.items():
            schedule = replace(whole, restorer_steps=whole.segmenter_steps if options.restores else 0)
            config = ModelConfig(preprocess=preprocess, options=options, recipe=recipe, schedule=schedule)
            found[KNOWN_PARTS.get((made, seen, part), f"{made}-{seen}-{part}")] = config
    return found


class TwoStage(Model):
    """A restorer and a segmenter.

    Parameters
    ----------
    config : ModelConfig
        What to build.
    seed : int
        Decides the first weights.
    """

    key = KEY
    options_class = TwoStageOptions

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__(config, seed)
        self._given = False

    @property
    def restorer(self) -> Restorer:
        """The network that gives the healthy image."""
        return cast("Restorer", self.parts["restorer"])

    @restorer.setter
    def restorer(self, network: Restorer) -> None:
        """Take another one, such as that which members of an ensemble share.

        Parameters
        ----------
        network : Restorer
            Of the same settings.
        """
        self.parts["restorer"] = network

    @property
    def segmenter(self) -> Segmenter:
        """The network that says where the anomaly is."""
        return cast("Segmenter", self.parts["segmenter"])

    def build(self) -> dict[str, torch.nn.Module]:
        """Make the networks, untrained."""
        return {"restorer": Restorer(self.config.options.restorer), "segmenter": Segmenter(self.config.options.segmenter)}

    @property
    def networks(self) -> dict[str, torch.nn.Module]:
        """The networks in use, by name."""
        return ({"restorer": self.restorer} if self.has_restorer else {}) | {"segmenter": self.segmenter}

    @property
    def has_restorer(self) -> bool:
        """Whether a healthy image is made."""
        restores: bool = self.config.options.restores
        return restores

    @property
    def pixel_bytes(self) -> int:
        """Bytes of working memory for each pixel of the slices seen at once: numbers of 4 bytes in the widest layers, as measured."""
        planes, widths = self.preprocess.planes, (self.config.options.restorer.width, self.config.options.segmenter.width)
        widest: int = max(widths)
        return 4 * (4 * planes + LAYERS * widest)

    def take_restorer(self, trained: Restorer) -> None:
        """Take the weights of a restorer that is trained already: only the segmenter is trained then.

        Parameters
        ----------
        trained : Restorer
            Of the same settings.
        """
        self.restorer.load_state_dict(trained.state_dict())
        self._given = True

    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Train the restorer, if there is to be one and none was given; freeze it; train the segmenter."""
        schedule = self.config.schedule
        if self.has_restorer and not self._given:
            self.restorer.requires_grad_(True)
            yield Stage(
                name="Training the restorer", number=1, network=self.restorer, loss=self._restoration_loss,
                steps=schedule.restorer_length(len(data)), cosine_decay=schedule.cosine_decay,
            )  # fmt: skip
        self.restorer.requires_grad_(False)
        yield Stage(
            name="Training the segmenter", number=2, network=self.segmenter, loss=self._segmentation_loss,
            steps=schedule.segmenter_length(len(data)), cosine_decay=schedule.segmenter_cosine_decay,
            averaging=schedule.segmenter_averaging,
        )  # fmt: skip

    def _restoration_loss(self, batch: Batch) -> torch.Tensor:
        return restoration_loss(self.restorer(batch.anomalous), batch.healthy, batch.mask, self.config.schedule.anomaly_weight)

    def _segmentation_loss(self, batch: Batch) -> torch.Tensor:
        with torch.no_grad():
            restored = self.restorer(batch.anomalous) if self.has_restorer else None
        logits = self.segmenter(restored, batch.anomalous, batch.liver_mask.unsqueeze(1).float())
        if self.config.schedule.segmenter_loss == "focal":
            return focal_loss(logits, batch.mask)
        in_liver = lesion_loss if self.config.schedule.segmenter_loss == "lesion" else overlap_loss
        return in_liver(logits, batch.mask, batch.liver_mask)

    def predict_batch(self, image: torch.Tensor, liver_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Score a batch on the device."""
        healthy = self.restorer(image) if self.has_restorer else None
        probability = torch.softmax(self.segmenter(healthy, image, liver_mask).float(), dim=1)[:, 1]
        return probability, None if healthy is None else healthy[:, 0]


@torch.inference_mode()
def predict_together(
    models: Sequence[TwoStage],
    images: NDArray[np.float32],
    liver_mask: NDArray[np.bool_],
    scorers: Sequence[TwoStage] | None = None,
) -> list[Prediction]:
    """Score one batch with several models that see a scan in the same way; a restorer that they share runs once."""
    height, width = images.shape[2:]
    padding, device = (0, -width % 32, 0, -height % 32), models[0].device
    x = torch.nn.functional.pad(torch.from_numpy(np.ascontiguousarray(images)), padding)
    x = x.to(device=device, memory_format=torch.channels_last)
    inside = torch.nn.functional.pad(torch.from_numpy(liver_mask[:, None].astype(np.float32)), padding).to(device)
    restored: dict[int, torch.Tensor] = {}
    found = []
    for model in models:
        key = id(model.restorer)
        if model.has_restorer and key not in restored:
            restored[key] = model.restorer(x)
        healthy = restored[key] if model.has_restorer else None
        score = np.zeros(liver_mask.shape, dtype=np.float32)
        if scorers is None or model in scorers:
            probability = torch.softmax(model.segmenter(healthy, x, inside).float(), dim=1)[:, 1]
            score = probability.cpu().numpy()[:, :height, :width] * liver_mask
        image = None if healthy is None else healthy[:, 0, :height, :width].float().cpu().numpy()
        found.append(Prediction(score.astype(np.float32), image))
    return found
