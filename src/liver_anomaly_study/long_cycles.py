"""ASC-Net trained for more cycles than usual, and its reconstruction after each.

References
----------
Dey, Hong, "ASC-Net", MICCAI 2021 and its extension on arXiv, figure 10.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.cases import healthy_slices
from liver_anomaly_study.figures.cuts import LEVELS, counted, cuts_of, dice_by_cut, peaks
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_set import slice_set

if TYPE_CHECKING:
    from liver_anomaly_study.figures.subject import Subject
    from napari_liver_anomaly.job import Job

CYCLES = 8


def cycles_config(budget: int) -> Any:
    """Configure ASC-Net with more cycles of the second stage."""
    normal = config_of("asc-net", budget).options
    longer = config_of("asc-net", budget * CYCLES // (normal.cycles_one + normal.cycles_two))
    return replace(longer, options=replace(normal, cycles_two=CYCLES - normal.cycles_one))


def about_cycles(folds: list[Subject]) -> dict[str, Any]:
    """Say what decides the run."""
    for one in folds:
        one.model("two-stage")  # refuses before anything is trained
    normal = config_of("asc-net", folds[0].budget).options
    return {"normal": normal.cycles_one + normal.cycles_two, "options": cycles_config(folds[0].budget).options.to_dict()}


def train_cycles(subject: Subject, seed: int, job: Job) -> list[dict[str, Any]]:
    """Train ASC-Net for more cycles, and look at its reconstruction after each."""
    known = subject.model("two-stage")
    held_out, data = subject.held_out(known), healthy_slices(subject.training_cases(known))
    model = build(cycles_config(subject.budget), seed=seed)
    found: list[dict[str, Any]] = []
    drawn = slice_set(data, model.config.recipe, model.config.schedule)
    for stage in model.stages(drawn):
        train_stage(stage, drawn, model.config.schedule.learning_rate, seed=seed, device=model.device, job=job)
        if stage.network is model.parts["cutter"]:
            made = [cuts_of(model, one)["reconstruction"] for one in held_out]
            found.append({"cycle": len(found) + 1, **counted(made, held_out)})
    return found


def sum_cycles(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the folds of one cycle together."""
    together = {
        key: np.sum([fold[key] for fold in folds], axis=0)
        for key in ("histogram", "predicted_positive", "true_positive", "truth")
    }
    curve = dice_by_cut(together)
    values = np.repeat((np.arange(LEVELS) / (LEVELS - 1)).astype(np.float32), together["histogram"])
    return {
        "cycle": folds[0]["cycle"], "histogram": together["histogram"].tolist(), "peaks": len(peaks(values)),
        "best_dice": float(curve.max()), "best_cut": int(curve.argmax()),
    }  # fmt: skip
