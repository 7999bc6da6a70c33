"""A segmenter trained for long with a frozen restorer, to see whether it overfits to the synthetic anomalies.

References
----------
Zhang, Deng, Li 2023, figure 3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.cases import healthy_slices
from liver_anomaly_study.scoring import HALF, score_case, threshold_of
from napari_liver_anomaly.metrics import Counts, Ranking, slice_scores
from napari_liver_anomaly.models.registry import build
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_set import slice_set
from napari_liver_anomaly.training.validation import validate_on_synthesis

if TYPE_CHECKING:
    from liver_anomaly_study.cases import Case
    from liver_anomaly_study.figures.subject import Subject
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.models.base import Model

POINTS = 12
TIMES = 20  # of the normal length
KINDS = ("maximum", "average")  # of the scores of slices: this paper's, and that of the scorer on random shapes


def points_of(normal: int, times: int = TIMES, count: int = POINTS) -> list[int]:
    """Choose when to measure: at the normal length, then evenly to the end."""
    return sorted({round(normal * factor) for factor in np.linspace(1, times, count)})


def about_segmenter(folds: list[Subject]) -> dict[str, Any]:
    """Say what decides the run."""
    models = [one.model("two-stage") for one in folds]
    normal = [
        model.config.schedule.segmenter_length(len(healthy_slices(one.training_cases(model))))
        for model, one in zip(models, folds, strict=True)
    ]
    return {"normal": normal, "times": TIMES, "restorers": [f"{model.name} {model.hash[:16]}" for model in models]}


def train_segmenter(subject: Subject, seed: int, job: Job) -> list[dict[str, Any]]:
    """Train a new segmenter beside the two-stage model's restorer, with a constant learning rate, and measure it on the way."""
    known = subject.model("two-stage")
    held_out, data = subject.held_out(known), healthy_slices(subject.training_cases(known))
    model = build(known.config, seed=seed)
    model.parts["restorer"].load_state_dict(known.parts["restorer"].state_dict())
    when = points_of(known.config.schedule.segmenter_length(len(data)))
    found: list[dict[str, Any]] = []

    def measure(step: int) -> None:
        if step in when:
            network = model.parts["segmenter"].eval()
            cut = threshold_of(validate_on_synthesis(model, data, model.config.schedule, seed=seed))
            cases = [_measured(model, one, cut) for one in held_out]
            found.append({"steps": step, "epochs": step * model.config.schedule.batch / len(data), "cases": cases})
            network.train()

    drawn = slice_set(data, model.config.recipe, model.config.schedule)
    for stage in model.stages(drawn):
        if stage.network is model.parts["segmenter"]:  # the restorer is trained already
            long = replace(stage, steps=when[-1], cosine_decay=False, on_step=measure)
            train_stage(long, drawn, model.config.schedule.learning_rate, seed=seed, device=model.device, job=job)
    return found


def _measured(model: Model, case: Case, threshold: float) -> dict[str, Any]:
    """Overlap of a case at a threshold and at 0.5, and the scores of its slices."""
    score, _ = score_case(model, case)
    scores = slice_scores(score, case.liver_mask)
    planes = np.flatnonzero(case.liver_mask.any(axis=(1, 2)))
    return {
        "counts": Counts.of(score >= threshold, case.truth, case.liver_mask), "half": Counts.of(score >= HALF, case.truth, case.liver_mask),
        "truths": case.truth[planes].any(axis=(1, 2)),
        "tumour": bool(case.truth.any()), **{kind: scores[kind][planes] for kind in KINDS},
    }  # fmt: skip


def sum_segmenter(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Put the folds of one point together."""
    cases = [case for fold in folds for case in fold["cases"]]
    truths = np.concatenate([case["truths"] for case in cases])
    ranks = {f"auroc_{kind}": Ranking.of(np.concatenate([case[kind] for case in cases]), truths).auroc() for kind in KINDS}
    together = sum((case["counts"] for case in cases), Counts())
    case_mean, at_half = (float(np.mean([case[kind].dice for case in cases if case["tumour"]])) for kind in ("counts", "half"))
    return {
        "steps": round(float(np.mean([fold["steps"] for fold in folds]))), "epochs": float(np.mean([fold["epochs"] for fold in folds])),
        **ranks, "dice_pooled": together.dice, "dice_case_mean": case_mean, "dice_at_half": at_half,
    }  # fmt: skip
