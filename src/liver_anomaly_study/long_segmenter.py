"""The segmenter trained long while the restorer stands still, to see whether it learns the synthesis instead of tumours.

References
----------
Zhang, Deng, Li 2023, figure 3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.cases import healthy_slices
from liver_anomaly_study.comparison import HALF, score_liver, threshold_of
from napari_liver_anomaly.metrics import Counts, Ranking, slice_scores
from napari_liver_anomaly.models.registry import build
from napari_liver_anomaly.training.loop import Stage, train_stage
from napari_liver_anomaly.training.validation import validate_on_synthesis

if TYPE_CHECKING:
    from liver_anomaly_study.cases import Liver
    from liver_anomaly_study.figures.subject import Subject
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.models.base import System

POINTS = 12
TIMES = 20  # of the normal length
KINDS = ("maximum", "average")  # of the scores of slices: this paper's, and that of the scorer on random shapes


def points_of(normal: int, times: int = TIMES, count: int = POINTS) -> list[int]:
    """Choose when to measure: at the normal length, then evenly to the end.

    Parameters
    ----------
    normal : int
        Updates of the normal length.
    times : int
        Length of the whole training in normal lengths.
    count : int
        How many points.

    Returns
    -------
    list of int
        Rising.
    """
    return sorted({round(normal * place) for place in np.linspace(1, times, count)})


def about_segmenter(folds: list[Subject]) -> dict[str, Any]:
    """Say what decides the run.

    Parameters
    ----------
    folds : list of Subject
        With the two-stage system of each fold.

    Returns
    -------
    dict
        ``normal`` length in updates of each fold, ``times``, and whose restorers stand still.
    """
    systems = [one.system("two-stage") for one in folds]
    normal = [
        system.plan.schedule.segmenter_length(len(healthy_slices(one.learned(system))))
        for system, one in zip(systems, folds, strict=True)
    ]
    return {"normal": normal, "times": TIMES, "restorers": [f"{system.name} {system.hash[:16]}" for system in systems]}


def train_segmenter(subject: Subject, seed: int, job: Job) -> list[dict[str, Any]]:
    """Train a new segmenter beside the two-stage system's restorer, with a step size that does not fall, and measure it on the way.

    Parameters
    ----------
    subject : Subject
        With the two-stage system of one fold.
    seed : int
        Of the segmenter.
    job : Job
        Progress and cancel.

    Returns
    -------
    list of dict
        For each point: ``updates``, ``epochs``, and ``cases``.
    """
    known = subject.system("two-stage")
    unseen, data = subject.unseen(known), healthy_slices(subject.learned(known))
    model = build(known.plan, seed=seed)
    model.parts["restorer"].load_state_dict(known.parts["restorer"].state_dict())
    when = points_of(known.plan.schedule.segmenter_length(len(data)))
    found: list[dict[str, Any]] = []

    def watch(update: int) -> None:
        if update in when:
            network = model.parts["segmenter"].eval()
            cut = threshold_of(validate_on_synthesis(model, data, model.plan.schedule, seed=seed))
            cases = [_judged(model, one, cut) for one in unseen]
            found.append({"updates": update, "epochs": update * model.plan.schedule.batch / len(data), "cases": cases})
            network.train()

    def train(stage: Stage) -> None:
        if stage.network is model.parts["segmenter"]:  # the restorer is trained already
            long = replace(stage, updates=when[-1], fall=False, watch=watch)
            train_stage(long, data, model.plan.recipe, model.plan.schedule, seed=seed, device=model.device, job=job)

    model.learn(train, data)
    return found


def _judged(model: System, liver: Liver, threshold: float) -> dict[str, Any]:
    """Overlap of a case at a threshold and at 0.5, and the scores of its slices."""
    score, _ = score_liver(model, liver)
    scores = slice_scores(score, liver.liver_mask)
    planes = np.flatnonzero(liver.liver_mask.any(axis=(1, 2)))
    return {
        "counts": Counts.of(score >= threshold, liver.truth, liver.liver_mask), "half": Counts.of(score >= HALF, liver.truth, liver.liver_mask),
        "truths": liver.truth[planes].any(axis=(1, 2)),
        "tumour": bool(liver.truth.any()), **{kind: scores[kind][planes] for kind in KINDS},
    }  # fmt: skip


def sum_segmenter(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the folds of one point together.

    Parameters
    ----------
    folds : list of dict
        From :func:`train_segmenter`, the same point of each fold.

    Returns
    -------
    dict
        ``updates`` and ``epochs`` (means of folds), ``auroc_maximum`` and ``auroc_average`` of slices, ``dice_pooled`` and
        ``dice_case_mean`` at the threshold without labels, ``dice_at_half``, mean over cases at 0.5.
    """
    cases = [case for fold in folds for case in fold["cases"]]
    truths = np.concatenate([case["truths"] for case in cases])
    ranks = {f"auroc_{kind}": Ranking.of(np.concatenate([case[kind] for case in cases]), truths).auroc() for kind in KINDS}
    together = sum((case["counts"] for case in cases), Counts())
    case_mean, at_half = (float(np.mean([case[kind].dice for case in cases if case["tumour"]])) for kind in ("counts", "half"))
    return {
        "updates": round(float(np.mean([fold["updates"] for fold in folds]))), "epochs": float(np.mean([fold["epochs"] for fold in folds])),
        **ranks, "dice_pooled": together.dice, "dice_case_mean": case_mean, "dice_at_half": at_half,
    }  # fmt: skip
