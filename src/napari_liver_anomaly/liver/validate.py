"""Train the liver finder and write it with its card; train on some patients and measure on the others, in turn."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.checkpoint import read_card
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, Refusal, version
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.cases import find_cases
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver import find_liver
from napari_liver_anomaly.liver.schedule import LiverSchedule
from napari_liver_anomaly.liver.training import PHANTOM_SEEDS, lessons_from, train_finder
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.metrics import dice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.io.cases import Case
    from napari_liver_anomaly.liver.samples import Lesson

TITLE = "Liver finder: a coarse look at 10 mm, a fine look at 2.5 mm."


def train_liver(
    folder: str | Path,
    path: str | Path,
    *,
    without: Sequence[str] = (),
    start: str | Path | None = None,
    schedule: LiverSchedule | None = None,
    seed: int = 0,
    about: str = "",
    command: str = "",
    metrics: dict[str, Any] | None = None,
    job: Job | None = None,
) -> dict[str, Any]:
    """Train a liver finder on a folder of cases and write its weights and card.

    The card names the cases by design, as their files are named, so that no finder is measured on what it learned from: do not name files
    after patients.

    Parameters
    ----------
    folder : path-like
        Holds ``NAME_ct`` and ``NAME_liver`` files.
    path : path-like
        Ends in ``.safetensors``.
    without : sequence of str
        Cases to leave out.
    start : path-like, optional
        A liver finder to go on from, instead of from nothing; what it learned from is kept in the new card.
    schedule : LiverSchedule, optional
        How long.
    seed : int
        Decides every random choice.
    about : str
        Origin and licence of the scans, for the card.
    command : str
        How the finder can be trained again, for the card.
    metrics : dict, optional
        A cross-validation, whose summary is kept in the card.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    Refusal
        When a name is unknown, no case is left, or a file cannot be read.
    Cancelled
        When the job was cancelled; nothing is written.
    """
    job = job or Job()
    cases = {case.name: case for case in find_cases(folder)}
    _demand_names(list(without), cases, "--without")
    kept = [case for name, case in cases.items() if name not in without]
    if not kept:
        raise make_refusal("no-cases-left")
    return _train(lessons_from(kept, job), path, schedule or LiverSchedule(), seed, about, command, metrics, job, start)


def _train(
    lessons: list[Lesson], path: str | Path, schedule: LiverSchedule, seed: int, about: str, command: str,
    metrics: dict[str, Any] | None, job: Job, start: str | Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train on lessons and write weights and card."""
    import torch

    from napari_liver_anomaly.liver.finder import Finder

    before = {key: read_card(start)[key] for key in ("data", "schedule", "seed")} if start else {}
    finder, figures = train_finder(lessons, schedule, seed=seed, job=job, start=Finder.load(start) if start else None)
    card = {
        "title": TITLE,
        "use": f"For research. {NOT_A_MEDICAL_DEVICE}",
        "data": {
            "scans": [one.name for one in lessons if not one.name.startswith("phantom ")],
            "phantom_seeds": [int(one.name.split()[1]) for one in lessons if one.name.startswith("phantom ")],
            "about": about,
        },
        "seed": seed,
        "schedule": schedule.to_dict(),
        "started_from": before,
        "training": figures,
        "command": command,
        "parameters": finder.parameters,
        "versions": {"napari-liver-anomaly": version(), "torch": torch.__version__, "numpy": np.__version__},
        "device": "cpu",
        "metrics": (metrics or {}).get("summary", {}),
    }
    finder.save(path, card)
    return card


def cross_validate_liver(
    folder: str | Path,
    folds: Sequence[Sequence[str]],
    *,
    models: str | Path,
    schedule: LiverSchedule | None = None,
    seed: int = 0,
    about: str = "",
    device: str = "auto",
    job: Job | None = None,
) -> dict[str, Any]:
    """Train one liver finder for each fold without the fold's patients, and measure it on these.

    Parameters
    ----------
    folder : path-like
        Holds ``NAME_ct`` and ``NAME_liver`` files.
    folds : sequence of sequence of str
        Names of the cases measured together. All scans of one patient belong in one fold; a case in no fold is always learned from.
    models : path-like
        Folder for ``liver-fold-1.safetensors`` and so on. One that is there with the same scans, schedule and seed is not trained again.
    schedule : LiverSchedule, optional
        How long.
    seed : int
        Decides every random choice.
    about : str
        Origin and licence of the scans, for the cards.
    device : str
        Where the liver is searched: ``"auto"``, ``"cpu"`` or ``"cuda"``. Training runs on the processor.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    dict
        ``summary`` and ``cases``: Dice, seconds, ml true and found, findings; and ``folds``.

    Raises
    ------
    Refusal
        When a name is unknown or stands twice, or a file cannot be read.
    Cancelled
        When the job was cancelled; models that are finished are kept.
    """
    job, schedule = job or Job(), schedule or LiverSchedule()
    cases = {case.name: case for case in find_cases(folder)}
    named = [name for fold in folds for name in fold]
    _demand_names(named, cases, "--fold")
    measured: list[dict[str, Any]] = []
    trained: list[dict[str, Any]] = []
    for number, names in enumerate(folds, start=1):
        path = Path(models) / f"liver-fold-{number}.safetensors"
        others = [case for case in cases.values() if case.name not in names]
        if not _is_trained(path, others, schedule, seed):
            _train(lessons_from(others, job), path, schedule, seed, about, "", None, job)
        trained.append({"cases": list(names), "seed": seed, "trained_on": [case.name for case in others]})
        for name in names:
            job.at("Measuring", len(measured), len(named))
            measured.append({"case": name, "fold": number} | measure_liver(cases[name], path, device=device, job=Job()))
    return {"summary": _summary(measured), "cases": measured, "folds": trained, "schedule": schedule.to_dict()}


def measure_liver(case: Case, weights: str | Path, *, device: str = "auto", job: Job | None = None) -> dict[str, Any]:
    """Find the liver of one case and compare it with the mask that was drawn.

    Parameters
    ----------
    case : Case
        Scan and liver mask.
    weights : path-like
        A liver finder.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    dict
        ``dice`` 0…1 (0 when none was found), ``seconds`` without reading the scan, ``true_ml``, ``found_ml``, ``findings`` (codes).
    """
    volume = read(case.ct)
    true = read_mask(case.liver, volume, "liver mask")
    began = time.perf_counter()
    found: dict[str, Any]
    try:
        mask = find_liver(volume, weights=weights, device=device, job=job, unlikely="accept")
        found = {"dice": float(dice(mask.voxels, true.voxels)), "found_ml": mask.ml, "findings": [f.code for f in mask.findings]}
    except Refusal as refusal:
        found = {"dice": 0.0, "found_ml": 0.0, "findings": [refusal.finding.code]}
    found |= {"seconds": time.perf_counter() - began, "true_ml": true.ml}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}


def _summary(measured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean, SD, least and longest over the cases."""
    scores = np.array([case["dice"] for case in measured])
    seconds = np.array([case["seconds"] for case in measured])
    return {
        "cases": len(measured),
        "dice_mean": round(float(scores.mean()), 4),
        "dice_sd": round(float(scores.std(ddof=1)), 4) if len(scores) > 1 else 0.0,
        "dice_least": round(float(scores.min()), 4),
        "seconds_mean": round(float(seconds.mean()), 2),
        "seconds_most": round(float(seconds.max()), 2),
    }


def _is_trained(path: Path, cases: Sequence[Case], schedule: LiverSchedule, seed: int) -> bool:
    """Whether the model of a fold is there already, from these very scans, schedule and seed."""
    if not path.exists():
        return False
    card = read_card(path)
    learned = (card["data"]["scans"], card["data"]["phantom_seeds"], card["seed"], card["schedule"])
    return bool(learned == ([case.name for case in cases], list(PHANTOM_SEEDS), seed, schedule.to_dict()))


def _demand_names(names: Sequence[str], cases: dict[str, Case], option: str) -> None:
    """Refuse names that are unknown or stand twice."""
    odd = sorted({name for name in names if name not in cases or names.count(name) > 1})
    if odd:
        raise make_refusal("case-unknown", cases=", ".join(odd), option=option)
