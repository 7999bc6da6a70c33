"""Train and measure every method on the same cases: patient by patient, seed by seed, and go on where a run was stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.cases import healthy_slices
from liver_anomaly_study.lesion_insertion import inserted_auroc
from liver_anomaly_study.outlines import Outlines
from liver_anomaly_study.runs import is_done, require_cases, split
from liver_anomaly_study.scoring import HALF, change_hu, rule_on_slices, score_case, threshold_of
from napari_liver_anomaly.errors import version
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.metrics import dice, measure_slices, plain
from napari_liver_anomaly.metrics.scores import window_for
from napari_liver_anomaly.models.card import card_of
from napari_liver_anomaly.models.config import FRAME, SIDE_PX
from napari_liver_anomaly.models.methods import method_of
from napari_liver_anomaly.models.registry import build, class_of, config_of
from napari_liver_anomaly.placing import replacing, require_place
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.training.training_need import STATE_BYTES, WEIGHT_BYTES
from napari_liver_anomaly.training.validation import validate_on_synthesis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from liver_anomaly_study.cases import Case
    from liver_anomaly_study.runs import Run, RunFolder
    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.models.base import Model
    from napari_liver_anomaly.models.card import ModelCard
    from napari_liver_anomaly.preprocessing import PreprocessSettings


OUTLINES = "outlines"  # second family for a threshold without labels


def run_all(
    runs: Sequence[Run], folder: RunFolder, *, jobs: int = 1, job: Job | None = None,
    tell: Callable[[Iterable[Finding]], object] | None = None,
) -> int:  # fmt: skip
    """Do what is not done yet, several runs at once in processes of their own, and tell how many were done.

    ``tell`` takes what is doubtful about the liver masks of the cases.
    """
    job = job or Job()
    left = [run for run in runs if not is_done(run, folder)]
    _require_room(left, folder, jobs)
    _prepare_cases(left, folder, tell)
    if jobs <= 1:
        for number, run in enumerate(left):
            job.at(run.name, number, len(left))
            run_one(run, folder)
        return len(left)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent) as workers:
        waiting = [workers.submit(run_one, run, folder) for run in left]
        try:
            for number, (run, one) in enumerate(zip(left, waiting, strict=True)):
                job.at(run.name, number, len(left))
                one.result()
        finally:
            for one in waiting:
                one.cancel()
    return len(left)


def _require_room(runs: Sequence[Run], folder: RunFolder, jobs: int) -> None:
    """Refuse runs whose weights the disk would not take, and those of the trainings in progress beside them."""
    wanted = [run for run in runs if method_of(run.key).trains and not folder.model(run).exists()]
    weights = {run.key: build(config_of(run.key, run.budget)).parameters for run in {run.key: run for run in wanted}.values()}
    at_once = sorted((weights[run.key] for run in wanted), reverse=True)[: max(jobs, 1)]
    require_place(
        folder.out, folder=True, needed=WEIGHT_BYTES * sum(weights[run.key] for run in wanted) + STATE_BYTES * sum(at_once)
    )


def end_with_parent() -> None:
    """Let a worker end when the program that started it was killed, instead of computing on for nobody."""
    if (parent := multiprocessing.parent_process()) is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()


def _prepare_cases(runs: Sequence[Run], folder: RunFolder, tell: Callable[[Iterable[Finding]], object] | None) -> None:
    """Prepare the cases once in every way that a run sees them, before several processes want them."""
    for dataset, settings in dict.fromkeys((run.dataset, _prepared_for(run)) for run in runs):
        cases = folder.cases(dataset, settings, tell)
        if dataset != "phantom":
            require_cases(cases, folder)


def _prepared_for(run: Run) -> PreprocessSettings:
    settings: PreprocessSettings = config_of(run.key, run.budget).preprocess if method_of(run.key).trains else FRAME
    return settings


def run_one(run: Run, folder: RunFolder) -> dict[str, Any]:
    """Train a method, or take its weights where they are there, measure it on its fold, and write the figures."""
    import torch

    torch.set_num_threads(folder.threads)
    train, test = split(run, folder, _prepared_for(run))
    made: dict[str, Any] = {
        **asdict(run), "of_folds": len(folder.folds) if run.dataset != "phantom" else 1,
        "trained_on": [case.name for case in train],
    }  # fmt: skip
    if method_of(run.key).trains:
        model: Any = _trained(run, folder, train)
        training, threshold = model.card.training, threshold_of(model.card.validation)
        second = threshold_of(model.card.validation, OUTLINES) if OUTLINES in model.card.validation else None
        made |= {"parameters": model.parameters, "steps": model.config.steps, "training": training}
        made["train_s"] = sum(part["seconds"] for part in training.values() if isinstance(part, dict))
    else:
        model, threshold, second = rule_on_slices(run.key), HALF, None
        made |= {"parameters": 0, "steps": 0, "train_s": 0.0}
    made |= {"threshold": threshold, OUTLINES: second, **_measured(model, test, threshold, second)}
    made |= {"version": version(), "threads": folder.threads}
    path = folder.result(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(json.dumps(made, indent=None), encoding="utf-8")
    return made


def _measured(model: Any, cases: Sequence[Case], threshold: float, second: float | None = None) -> dict[str, Any]:
    """Figures of every case, the AUROC of an inserted lesion, and the time a slice takes."""
    rows, spent, slices = [], 0.0, 0
    in_hu = (
        not hasattr(model, "preprocess") or model.preprocess.intensity == "robust"
    )  # an equalised slice has no Hounsfield units
    for case in cases:
        began = time.perf_counter()
        score, restored = score_case(model, case)
        spent, slices = spent + time.perf_counter() - began, slices + len(score)
        ml = float(case.truth.sum()) * float(np.prod(case.spacing_mm)) / 1000
        figures = measure_slices(score, case.truth, case.liver_mask, case.spacing_mm, threshold, window_px=window_for(SIDE_PX))
        at_half = plain(dice(score >= HALF, case.truth, case.liver_mask))
        rows.append({"case": case.name, "tumour_ml": round(ml, 2), "figures": figures, "dice_at_half": at_half})
        if second is not None:
            rows[-1]["dice_at_outlines"] = plain(dice(score >= second, case.truth, case.liver_mask))
        if restored is not None and in_hu:
            rows[-1]["change_healthy_hu"] = round(change_hu(restored, case), 2)
    auroc = inserted_auroc(lambda case: score_case(model, case)[0], cases) if in_hu else None
    return {"inserted_auroc": auroc, "ms_per_slice": round(1000 * spent / max(slices, 1), 3), "cases": rows}


def _trained(run: Run, folder: RunFolder, cases: Sequence[Case]) -> Model:
    """Load the run's model, where it was trained with this configuration on these cases, or train it and write it."""
    from napari_liver_anomaly.device import choose

    path, marks = folder.model(run), [one.mark for one in cases]
    config = config_of(run.key, run.budget)
    model = build(config, seed=run.seed)
    if path.exists():
        there = class_of(model.key).load(path)
        if there.config == config and trained_on(there.card) in (marks, [one.name for one in cases]):
            return there
    path.parent.mkdir(parents=True, exist_ok=True)
    state = path.with_name(f"{path.stem}.unfinished")
    slices = healthy_slices(cases)
    training = train(model, slices, device=choose(folder.device), state=state)
    validation = validate_on_synthesis(model, slices, config.schedule, seed=run.seed)
    other = validate_on_synthesis(model, slices, config.schedule, seed=run.seed, recipe=Outlines())
    model.card = card_of(
        model, {"learned_from": marks, "dataset": run.dataset}, training=training, title=method_of(run.key).title,
        validation=validation | {OUTLINES: other["held_out_family"]},
    )  # fmt: skip
    model.save(path, model.card)
    for unfinished in path.parent.glob(f"{state.name}.stage*.safetensors"):
        os.unlink(unfinished)
    return model


def trained_on(card: ModelCard) -> list[str]:
    """Give the marks of the cases that a model of a run folder was trained on; in cards of earlier versions their names."""
    marks: list[str] = card.data.get("learned_from", [])
    return marks
