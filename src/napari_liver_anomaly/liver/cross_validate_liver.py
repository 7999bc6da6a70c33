"""Train the liver finder on some patients and measure it on the others, in turn."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import Refusal, is_answer
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.cases import find_cases
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver import find_liver
from napari_liver_anomaly.liver.case_livers import ASK, read_case_liver, require_livers
from napari_liver_anomaly.liver.liver_schedule import LiverSchedule
from napari_liver_anomaly.liver.train_liver import PHANTOM_SEEDS, require_cases, train_and_write, training_cases
from napari_liver_anomaly.metrics import dice
from napari_liver_anomaly.models.card import ModelCard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.io.cases import Case
    from napari_liver_anomaly.io.read_options import MaskOptions
    from napari_liver_anomaly.volume import Volume


def cross_validate_liver(
    folder: str | Path,
    folds: Sequence[Sequence[str]],
    *,
    models: str | Path,
    schedule: LiverSchedule | None = None,
    seed: int = 0,
    about: str = "",
    masks: MaskOptions = ASK,
    device: str = "auto",
    job: Job | None = None,
) -> dict[str, Any]:
    """Train one liver finder for each fold without the fold's patients, and measure it on these.

    All scans of one patient belong in one fold; a case in no fold is always trained on. ``models`` is the folder for ``liver-fold-1.safetensors``
    and so on; one that is there with the same scans, schedule and seed is not trained again. ``device`` says where the liver is searched: training
    runs on the processor. ``masks`` answers what the liver masks ask, for all of them and before anything is trained.
    Gives ``summary`` and ``cases`` (Dice, seconds, ml true and found, findings), ``folds`` and ``schedule``.
    """
    job, schedule = job or Job(), schedule or LiverSchedule()
    cases = {case.name: case for case in find_cases(folder)}
    named = [name for fold in folds for name in fold]
    require_cases(named, cases, "--fold")
    require_livers(list(cases.values()), masks, job)
    for name in named:  # before hours of training, too
        _tumour_of(cases[name], read(cases[name].ct))
    measured: list[dict[str, Any]] = []
    trained: list[dict[str, Any]] = []
    for number, names in enumerate(folds, start=1):
        path = Path(models) / f"liver-fold-{number}.safetensors"
        others = [case for case in cases.values() if case.name not in names]
        if not _is_trained(path, others, schedule, seed):
            train_and_write(training_cases(others, job, masks=masks), path, schedule, seed, about, "", None, job)
        trained.append({"cases": list(names), "seed": seed, "trained_on": [case.name for case in others]})
        for name in names:
            job.at("Measuring", len(measured), len(named))
            measured.append(
                {"case": name, "fold": number} | measure_liver(cases[name], path, masks=masks, device=device, job=Job())
            )
    return {"summary": _summary(measured), "cases": measured, "folds": trained, "schedule": schedule.to_dict()}


def measure_liver(
    case: Case, weights: str | Path, *, masks: MaskOptions = ASK, device: str = "auto", job: Job | None = None
) -> dict[str, Any]:
    """Compare the liver found in a case with the mask that was drawn: Dice (0 when none was found), seconds, ml, and codes of the findings.

    Where the case has a tumour mask, ``tumour_left_out_ml`` says how much of it lies outside the found liver.
    """
    volume = read(case.ct)
    true = read_case_liver(case, volume, masks)
    tumour = _tumour_of(case, volume)
    began = time.perf_counter()
    found: dict[str, Any]
    try:
        mask = find_liver(volume, weights=weights, device=device, job=job, unlikely="accept")
        found = {
            "dice": float(dice(mask.voxels, true.voxels)),
            "found_ml": mask.ml,
            "findings": [finding.code for finding in mask.findings],
        }
        left_out = tumour & ~mask.voxels if tumour is not None else None
    except Refusal as refusal:
        if not is_answer(refusal):
            raise
        found = {"dice": 0.0, "found_ml": 0.0, "findings": [refusal.finding.code]}
        left_out = tumour
    found |= {"seconds": time.perf_counter() - began, "true_ml": true.ml}
    found |= {"tumour_left_out_ml": float(left_out.sum()) * volume.geometry.voxel_ml} if left_out is not None else {}
    found |= {"mask_findings": told} if (told := [finding.what for finding in true.findings]) else {}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}


def _tumour_of(case: Case, volume: Volume) -> NDArray[np.bool_] | None:
    """Read the tumour mask of a case that has one."""
    return read_mask(case.tumours, volume, may_be_empty=True).voxels if case.tumours else None


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
    card = ModelCard.read(path)
    if (card.data["phantom_seeds"], card.seed, LiverSchedule.from_dict(card.schedule)) != (list(PHANTOM_SEEDS), seed, schedule):
        return False
    scans = [
        one["scan"] if isinstance(one, dict) else one for one in card.data["scans"]
    ]  # earlier versions kept names instead of hashes
    return scans == [case.name for case in cases] or scans == [read(case.ct).identity for case in cases]
