"""What a training needs: memory for its slices and steps, and room on the disk for its weights; asked before the work."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import torch

from napari_liver_anomaly.device import has_bf16
from napari_liver_anomaly.preprocessing import frame_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.models.base import Model
    from napari_liver_anomaly.training.training_file import TrainingCase

# Bytes for each pixel of the slices that are kept, and while a scan is brought to them for each voxel of it and of the liver's box.
SLICE_BYTES, VOXEL_BYTES, BOX_BYTES = 5, 4, 20
BACKWARD = 2  # a step keeps what a prediction lets go
STEP_BYTES = 20  # for each weight: itself, gradient, two moments, running mean
# The first use of torch for training; processors without bfloat16 take kernels with larger buffers, which come on top of what a scan took.
FIXED_BYTES, FIXED_BYTES_FLOAT32 = 170 * 10**6, 320 * 10**6
WEIGHT_BYTES, STATE_BYTES = (
    4,
    16,
)  # on the disk, for each weight of a model, and of a training with its unfinished state beside it


def memory_bytes(model: Model, scans: Sequence[TrainingCase], *, on_cpu: bool) -> int:
    """Foresee the memory of a training, on top of what the packed scans take already."""
    schedule, settings = model.config.schedule, model.config.preprocess
    kept, widest, under_way = 0, 0, 0
    for scan in scans:
        frame = frame_of(scan.liver, scan.spacing_mm, settings)
        pixels = prod(frame.padded)
        kept += frame.depth * pixels * SLICE_BYTES
        widest = max(widest, pixels)
        under_way = max(under_way, prod(scan.shape) * VOXEL_BYTES + scan.liver.size * BOX_BYTES)
    at_once = min(schedule.batch, sum(int(scan.healthy.sum()) for scan in scans)) * (schedule.crop_px**2 or widest)
    step = at_once * model.pixel_bytes * BACKWARD + model.parameters * STEP_BYTES if on_cpu else 0
    if on_cpu and not has_bf16(torch.device("cpu")):
        return kept + under_way + step + FIXED_BYTES_FLOAT32
    return kept + max(under_way, step) + FIXED_BYTES
