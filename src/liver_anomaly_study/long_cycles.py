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
from liver_anomaly_study.figures.cuts import LEVELS, counted, cuts_of, dice_by_cut
from napari_liver_anomaly.models.asc_parts import peaks
from napari_liver_anomaly.models.registry import build, plan_of
from napari_liver_anomaly.training.loop import Stage, train_stage

if TYPE_CHECKING:
    from liver_anomaly_study.figures.subject import Subject
    from napari_liver_anomaly.job import Job

CYCLES = 8


def cycles_plan(budget: int) -> Any:
    """Plan ASC-Net with more cycles of the second stage.

    Parameters
    ----------
    budget : int
        Updates of its normal training.

    Returns
    -------
    Plan
        Every cycle is as long as a normal one, and the first are the normal ones.
    """
    normal = plan_of("asc-net", budget).options
    longer = plan_of("asc-net", budget * CYCLES // (normal.cycles_one + normal.cycles_two))
    return replace(longer, options=replace(normal, cycles_two=CYCLES - normal.cycles_one))


def about_cycles(folds: list[Subject]) -> dict[str, Any]:
    """Say what decides the run.

    Parameters
    ----------
    folds : list of Subject
        With the two-stage system of each fold, for what is learned from.

    Returns
    -------
    dict
        ``normal`` number of cycles, and the plan's options.
    """
    for one in folds:
        one.system("two-stage")  # refuses before anything is trained
    normal = plan_of("asc-net", folds[0].budget).options
    return {"normal": normal.cycles_one + normal.cycles_two, "options": cycles_plan(folds[0].budget).options.to_dict()}


def train_cycles(subject: Subject, seed: int, job: Job) -> list[dict[str, Any]]:
    """Train ASC-Net for more cycles, and look at its reconstruction after each.

    Parameters
    ----------
    subject : Subject
        With the two-stage system of one fold, for what is learned from.
    seed : int
        Of the training.
    job : Job
        Progress and cancel.

    Returns
    -------
    list of dict
        For each cycle: ``cycle``, and what :func:`cuts.counted` gives.
    """
    known = subject.system("two-stage")
    unseen, data = subject.unseen(known), healthy_slices(subject.learned(known))
    model = build(cycles_plan(subject.budget), seed=seed)
    found: list[dict[str, Any]] = []

    def train(stage: Stage) -> None:
        train_stage(stage, data, model.plan.recipe, model.plan.schedule, seed=seed, device=model.device, job=job)
        if stage.network is model.parts["cutter"]:
            made = [cuts_of(model, one)["reconstruction"] for one in unseen]
            found.append({"cycle": len(found) + 1, **counted(made, unseen)})

    model.learn(train, data)
    return found


def sum_cycles(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the folds of one cycle together.

    Parameters
    ----------
    folds : list of dict
        From :func:`train_cycles`, the same cycle of each fold.

    Returns
    -------
    dict
        ``cycle``, ``histogram`` of 256 steps, ``peaks``, ``best_dice`` (an oracle) and ``best_cut``.
    """
    together = {key: np.sum([fold[key] for fold in folds], axis=0) for key in ("histogram", "called", "hit", "truth")}
    curve = dice_by_cut(together)
    values = np.repeat((np.arange(LEVELS) / (LEVELS - 1)).astype(np.float32), together["histogram"])
    return {
        "cycle": folds[0]["cycle"], "histogram": together["histogram"].tolist(), "peaks": len(peaks(values)),
        "best_dice": float(curve.max()), "best_cut": int(curve.argmax()),
    }  # fmt: skip
