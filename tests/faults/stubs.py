"""What rows about runs work with: a small liver, and methods that restore everything to grey, fail where they are told, or run out of memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.preprocessing import PreprocessSettings
from napari_liver_anomaly.volume import Mask, Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_liver_anomaly.models.config import ModelConfig

LESION = (slice(4, 7), slice(20, 32), slice(30, 44))


class FullCard(RuntimeError):
    """What torch raises when a graphics card is full: a runtime error."""


def small_scan(*, dark: bool = True) -> tuple[Volume, Mask]:
    """A liver of 100 HU on a flipped grid with voxels of 0.9 × 0.8 × 2.5 mm, with one lesion of 50 HU, or none."""
    geometry = Geometry((64, 56, 11), np.diag([-0.9, 0.8, 2.5, 1.0]))
    hu = np.full(geometry.shape, -80, np.int16)
    liver = np.zeros(geometry.shape, bool)
    liver[2:9, 8:48, 8:56] = True
    hu[liver] = 100 + np.random.default_rng(0).integers(-4, 5, np.count_nonzero(liver))
    if dark:
        hu[LESION] = 50
    volume = Volume(hu, geometry, "small")
    return volume, Mask(liver, geometry, volume.identity, judged=True)


class Grey:
    """Restores every liver to flat grey; a lesion of 50 HU in 100 scores 1."""

    name, hash = "grey", "0" * 64
    preprocess = PreprocessSettings(geometry="liver", pixel_mm=1.5, intensity="robust")

    def __init__(self, fault: Callable[[NDArray[Any], torch.device], object] = lambda images, device: None) -> None:
        self.device, self.fault = torch.device("cpu"), fault
        self.batches: list[tuple[str, int]] = []

    def to(self, device: torch.device) -> Grey:
        self.device = device
        return self

    def predict(self, images: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> Any:
        self.batches.append((self.device.type, len(images)))
        self.fault(images, self.device)
        middle = images[:, images.shape[1] // 2]
        restored = np.where(liver_mask, np.float32(0.5), 0).astype(np.float32)
        return SimpleNamespace(
            score=(np.abs(middle - restored) * 6 * liver_mask).clip(0, 1).astype(np.float32), restored=restored
        )


def fake_card(kit: Any) -> None:
    """Let torch say that there is a graphics card; only the names of the devices are used."""
    kit.patch.setattr(torch.cuda, "is_available", lambda: True)
    kit.patch.setattr(torch.cuda, "empty_cache", lambda: None)


def tiny_preset() -> ModelConfig:
    """A two-stage model that trains in seconds."""
    from napari_liver_anomaly.models.config import ModelConfig, Schedule
    from napari_liver_anomaly.models.networks.restorer import RestorerSettings
    from napari_liver_anomaly.models.networks.segmenter import SegmenterSettings
    from napari_liver_anomaly.models.two_stage import CONFIGS, TwoStageOptions

    return ModelConfig(
        preprocess=PreprocessSettings(geometry="liver", pixel_mm=3, plane_mm=5, neighbours=1, around_mm=8, window_low_hu=-45, window_high_hu=160),
        options=TwoStageOptions(
            restorer=RestorerSettings(width=4, planes=3),
            segmenter=SegmenterSettings(width=4, planes=3, depth=4, liver_mask=True, residual_gain=5),
        ),
        recipe=CONFIGS["standard"].recipe,
        schedule=Schedule(
            restorer_steps=3, segmenter_epochs=0, segmenter_steps=3, batch=2, learning_rate=1e-3, cosine_decay=True, segmenter_cosine_decay=True,
            crop_px=32, augment=True, segmenter_loss="overlap", by_area=True, jitter=True,
        ),
    )  # fmt: skip
