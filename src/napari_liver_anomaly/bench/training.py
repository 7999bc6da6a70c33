"""Training: how long a step takes, and how much of that is waiting for its batch."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_file import pack_case
from napari_liver_anomaly.training.training_set import slice_set, slices_of

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

STEPS = 40
CONFIGS = ("direct", "standard")


def measure_training(job: Job) -> dict[str, Any]:
    """Train each stage for a few steps on the phantom's liver: how long it waits for batches, and how long making them alone takes."""
    sample = make_phantom(PhantomSettings(tumours=False))
    volume = sample.volume
    case = pack_case(volume.voxels, sample.liver.voxels, None, volume.geometry.spacing_mm, scan=volume.identity)
    found = {}
    for name in CONFIGS:
        config = config_of(name)
        model = build(config)
        data = slice_set(slices_of([case], config.preprocess, config.recipe.beyond_mm), config.recipe, config.schedule)
        for stage in model.stages(data):
            began = time.perf_counter()
            for step in range(STEPS):
                job.at(f"Measuring · batches of {name}", step, STEPS)
                data.batch(0, stage.number, step)
            batches_s, began = time.perf_counter() - began, time.perf_counter()
            trained = train_stage(
                replace(stage, steps=STEPS), data, config.schedule.learning_rate, seed=0, device=torch.device("cpu"), job=job
            )
            whole_s = time.perf_counter() - began
            found[f"{name}, {stage.name}"] = {
                "steps_per_s": STEPS / whole_s, "slices_per_s": STEPS * config.schedule.batch / whole_s, "share_of_batches": batches_s / whole_s,
                "share_of_waiting": trained["waited_s"] / whole_s,
            }  # fmt: skip
    return found
