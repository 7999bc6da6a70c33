"""Two special runs, both measured on the way: the segmenter trained for long with a frozen restorer, and ASC-Net trained for more cycles.

References
----------
Zhang, Deng, Li 2023, figure 3; Dey, Hong, "ASC-Net", MICCAI 2021 and its extension on arXiv, figure 10.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from liver_anomaly_study.long_cycles import about_cycles, sum_cycles, train_cycles
from liver_anomaly_study.long_segmenter import about_segmenter, sum_segmenter, train_segmenter
from liver_anomaly_study.messages import make_refusal
from liver_anomaly_study.record import DIGITS
from napari_liver_anomaly.evaluation.tables import read_json
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.metrics import plain
from napari_liver_anomaly.placing import replacing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from liver_anomaly_study.figures.subject import Subject


@dataclass(frozen=True)
class Special:
    """One kind of special run."""

    name: str  # of its file on record, after that of the data set
    about: Callable[[list[Subject]], dict[str, Any]]  # what decides the run, apart from seeds
    train: Callable[[Subject, int, Job], list[dict[str, Any]]]  # one seed of one fold, point by point
    sum_up: Callable[[list[dict[str, Any]]], dict[str, Any]]  # puts the same point of all folds together


SPECIALS = {
    "segmenter": Special("long-training", about_segmenter, train_segmenter, sum_segmenter),
    "cycles": Special("cycles", about_cycles, train_cycles, sum_cycles),
}


def run_special(what: str, subject: Subject, *, seeds: int = 3, job: Job | None = None) -> Path:
    """Train and measure what is not on record yet, seed by seed."""
    job, special = job or Job(), SPECIALS[what]
    path = subject.record / f"{subject.dataset}-{special.name}.json"
    folds = [replace(subject, fold=fold) for fold in range(1, _folds(subject) + 1)]
    about = {"dataset": subject.dataset, "folds": len(folds), "budget": subject.budget, **special.about(folds)}
    found: dict[str, Any] = read_json(path) if path.exists() else {**about, "seeds": []}
    if odd := [key for key, value in about.items() if found.get(key) != value]:
        raise make_refusal("record-other", file=path.name, settings=", ".join(odd))
    done = {one["seed"] for one in found["seeds"]}
    for seed in (seed for seed in range(seeds) if seed not in done):
        by_fold = [special.train(one, seed, job) for one in folds]
        points = [special.sum_up(list(same)) for same in zip(*by_fold, strict=True)]
        found["seeds"] = sorted([*found["seeds"], {"seed": seed, "points": plain(points, DIGITS)}], key=lambda one: one["seed"])
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as beside:
            beside.write_text(json.dumps(found, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _folds(subject: Subject) -> int:
    """How many folds the two-stage method was measured in."""
    path = subject.folder.result(subject.run("two-stage"))
    if not path.exists():
        raise subject.lacking("two-stage")
    return int(read_json(path)["of_folds"])
