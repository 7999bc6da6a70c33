"""Train and measure every system on the same livers: patient by patient, seed by seed, and go on where a run was stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.cases import Liver, healthy_slices, patients, phantoms
from liver_anomaly_study.lesion_insertion import inserted_auroc
from napari_liver_anomaly.errors import Refusal, version
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.metrics import dice, measure_slices, plain
from napari_liver_anomaly.metrics.scores import window_for
from napari_liver_anomaly.models.base import FRAME, SIDE_PX
from napari_liver_anomaly.models.registry import BUDGET, SYSTEMS, WORLDS, build, class_of, entry_of, plan_of
from napari_liver_anomaly.storage import replacing
from napari_liver_anomaly.training.validation import validate_on_synthesis

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.models.base import System
    from napari_liver_anomaly.preprocessing import PreprocessSettings

BATCH = 16
HALF, LEAST = 0.5, 1 / 255  # the rules' own cut; the smallest cut that leaves anything out
# The ablation and the systems that matter most are trained with several seeds.
ABLATION = ("draem", "cell-unet", "cell-pa", "cell-pa-unet", "cell-tp", "cell-tp-unet", "cell-tp-pa", "two-stage")


@dataclass(frozen=True, slots=True)
class Run:
    """One training and its measurement.

    Attributes
    ----------
    world : str
        ``patients`` or ``phantom``.
    key : str
        The system.
    fold : int
        From 1: which cases are measured.
    seed : int
        0 or more.
    budget : int
        Updates in all.
    """

    world: str
    key: str
    fold: int
    seed: int
    budget: int

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.world}-{self.key}-f{self.fold}-s{self.seed}-b{self.budget}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs find their livers and leave their files.

    Attributes
    ----------
    out : Path
        Folder for everything.
    data : Path or None
        Folder of cases; None leaves the world of patients out.
    folds : tuple of tuple of str
        Names of the cases measured together.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    threads : int
        Processors for one run.
    """

    out: Path
    data: Path | None
    folds: tuple[tuple[str, ...], ...]
    device: str = "auto"
    threads: int = 1

    def result(self, run: Run) -> Path:
        """Name the file of a run's figures.

        Parameters
        ----------
        run : Run
            Which.

        Returns
        -------
        Path
            It may not exist.
        """
        return self.out / "runs" / f"{run.name}.json"

    def model(self, run: Run) -> Path:
        """Name the file of a run's weights.

        Parameters
        ----------
        run : Run
            Which.

        Returns
        -------
        Path
            It may not exist.
        """
        return self.out / "models" / f"{run.name}.safetensors"

    def livers(self, world: str, settings: PreprocessSettings) -> list[Liver]:
        """Give the livers of a world, prepared in one way.

        Parameters
        ----------
        world : str
            ``patients`` or ``phantom``.
        settings : PreprocessSettings
            How they are seen.

        Returns
        -------
        list of Liver
            From the files in ``out`` where they are there.
        """
        cache = self.out / "livers" / f"{world}-{settings.neighbours}-{settings.around_mm:g}.npz"
        return phantoms(settings, cache) if world == "phantom" else patients(self.data or "", settings, cache)


def plan_runs(
    place: Place,
    *,
    only: Sequence[str] = (),
    worlds: Sequence[str] = WORLDS,
    seeds: int = 1,
    first: int = 0,
    budget: int = BUDGET,
) -> list[Run]:
    """List what there is to do: first every system once, then more seeds.

    Parameters
    ----------
    place : Place
        Folds, and whether there are patients.
    only : sequence of str
        Keys of systems; all when empty.
    worlds : sequence of str
        Of ``patients`` and ``phantom``.
    seeds : int
        How many of each system; rules have one.
    first : int
        The first of them; 1 or more where those before are on record already.
    budget : int
        Updates in all.

    Returns
    -------
    list of Run
        In the order they are best done.

    Raises
    ------
    Refusal
        When a system is unknown.
    """
    entries = [entry_of(key) for key in only] if only else list(SYSTEMS)
    runs = []
    for seed in range(first, first + seeds):
        for world in worlds:
            if world == "patients" and place.data is None:
                continue
            for entry in entries:
                folds = range(1, len(place.folds) + 1) if world == "patients" else (1,)
                runs += [
                    Run(world, entry.key, fold, seed, budget if entry.learns else 0)
                    for fold in folds
                    if entry.learns or seed == 0
                ]
    return runs


def run_all(runs: Sequence[Run], place: Place, *, jobs: int = 1, job: Job | None = None) -> int:
    """Do what is not done yet.

    Parameters
    ----------
    runs : sequence of Run
        What there is to do.
    place : Place
        Livers and files.
    jobs : int
        Runs at once, each in a process of its own.
    job : Job, optional
        Progress and cancel, asked between runs.

    Returns
    -------
    int
        How many were done now.

    Raises
    ------
    Refusal
        When a case is not there, or cannot be read.
    Cancelled
        When the job was cancelled; finished runs are kept, an unfinished training goes on from where it was.
    """
    job = job or Job()
    left = [run for run in runs if not is_done(run, place)]
    for world in sorted({run.world for run in left}):  # once, before several processes want them
        for settings in _preparations([run for run in left if run.world == world]):
            require_cases(place.livers(world, settings), place, world)
    if jobs <= 1:
        for number, run in enumerate(left):
            job.at(run.name, number, len(left))
            run_one(run, place)
        return len(left)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as workers:
        waiting = [workers.submit(run_one, run, place) for run in left]
        try:
            for number, (run, one) in enumerate(zip(left, waiting, strict=True)):
                job.at(run.name, number, len(left))
                one.result()
        finally:
            for one in waiting:
                one.cancel()
    return len(left)


def is_done(run: Run, place: Place) -> bool:
    """Tell whether a run's figures are there, of this version and of these folds.

    Parameters
    ----------
    run : Run
        Which.
    place : Place
        Files and folds.

    Returns
    -------
    bool
        False also for figures of an earlier version or of other folds.
    """
    path = place.result(run)
    if not path.exists():
        return False
    stored = json.loads(path.read_text(encoding="utf-8"))
    names = {case["case"] for case in stored["cases"]}
    same = run.world != "patients" or (stored["of_folds"] == len(place.folds) and names == set(place.folds[run.fold - 1]))
    return same and "threshold" in stored


def _preparations(runs: Sequence[Run]) -> list[PreprocessSettings]:
    """In how many ways the livers are seen."""
    keys = {run.key for run in runs}
    plans = [plan_of(key, 4) for key in sorted(keys) if entry_of(key).learns]
    return list(dict.fromkeys([*(plan.prepare for plan in plans), *([FRAME] if len(plans) < len(keys) else [])]))


def require_cases(livers: Sequence[Liver], place: Place, world: str) -> None:
    """Refuse folds that name a case that is not there, or one without truth, or one twice.

    Parameters
    ----------
    livers : sequence of Liver
        What there is.
    place : Place
        The folds.
    world : str
        Nothing is asked of the phantom.

    Raises
    ------
    Refusal
        With the names.
    """
    names = [name for fold in place.folds for name in fold]
    known = {liver.name for liver in livers if liver.labelled}
    odd = sorted({name for name in names if name not in known or names.count(name) > 1})
    if world == "patients" and (odd or not names):
        raise Refusal(
            "fold-names", f"These cases are named twice, or have no tumour mask in the folder: {', '.join(odd) or 'none is named'}.",
            "The folds cannot be made.", "Name every case of the folder at most once.",
        )  # fmt: skip


def run_one(run: Run, place: Place) -> dict[str, Any]:
    """Train a system, or take its weights where they are there, measure it on its fold, and write the figures.

    Parameters
    ----------
    run : Run
        What.
    place : Place
        Livers and files.

    Returns
    -------
    dict
        The run, what it cost, and ``cases``: one for each scan measured, with its ``figures`` from :func:`measure_slices`.
    """
    import torch

    torch.set_num_threads(place.threads)
    entry = entry_of(run.key)
    plan = plan_of(run.key, run.budget) if entry.learns else None
    learn, test = split(run, place, plan.prepare if plan is not None else FRAME)
    made: dict[str, Any] = {
        **asdict(run), "of_folds": len(place.folds) if run.world == "patients" else 1,
        "learned_from": [liver.name for liver in learn],
    }  # fmt: skip
    if plan is not None:
        model = _trained(run, place, plan, learn)
        made |= {"parameters": model.parameters, "updates": run.budget, "training": model.card["training"]}
        made["train_s"] = sum(part["seconds"] for part in model.card["training"].values() if isinstance(part, dict))
        threshold = threshold_of(model.card["synthetic"])
        score: Any = model
    else:
        from liver_anomaly_study.rules_on_slices import rule_on_slices

        made |= {"parameters": 0, "updates": 0, "train_s": 0.0}
        threshold = HALF
        score = rule_on_slices(run.key)
    rows, spent, slices = [], 0.0, 0
    for liver in test:
        began = time.perf_counter()
        found, restored = score_liver(score, liver)
        spent, slices = spent + time.perf_counter() - began, slices + len(found)
        ml = float(liver.truth.sum()) * float(np.prod(liver.spacing_mm)) / 1000
        figures = measure_slices(found, liver.truth, liver.liver_mask, liver.spacing_mm, threshold, window_px=window_for(SIDE_PX))
        at_half = plain(dice(found >= HALF, liver.truth, liver.liver_mask))
        rows.append({"case": liver.name, "tumour_ml": round(ml, 2), "figures": figures, "dice_at_half": at_half})
        if restored is not None:
            rows[-1]["change_healthy_hu"] = round(_change_hu(restored, liver), 2)
    made["threshold"] = threshold
    made["planted_auroc"] = inserted_auroc(lambda liver: score_liver(score, liver)[0], test)
    made |= {"ms_per_slice": round(1000 * spent / max(slices, 1), 3), "cases": rows}
    made |= {"version": version(), "threads": place.threads}
    path = place.result(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_text(json.dumps(made, indent=None), encoding="utf-8")
    return made


def threshold_of(synthetic: dict[str, Any]) -> float:
    """Choose a trained system's threshold without labels: the best one on synthetic anomalies of a family that it did not learn from.

    Parameters
    ----------
    synthetic : dict
        As given by :func:`validate_on_synthesis`.

    Returns
    -------
    float
        Smallest score called lesion, above 0 to 1.
    """
    return max(float(synthetic["held_out_family"]["threshold"]), LEAST)


def split(run: Run, place: Place, settings: PreprocessSettings) -> tuple[list[Liver], list[Liver]]:
    """Part the livers into those to learn from and those to measure.

    Parameters
    ----------
    run : Run
        World and fold.
    place : Place
        Where the livers are.
    settings : PreprocessSettings
        How they are seen.

    Returns
    -------
    tuple of list of Liver
        No liver is in both.
    """
    livers = _livers(place, run.world, settings)
    if run.world == "phantom":
        return [one for one in livers if one.name.startswith("train")], [one for one in livers if one.name.startswith("test")]
    held_out = set(place.folds[run.fold - 1])
    return [one for one in livers if one.name not in held_out], [one for one in livers if one.name in held_out]


@lru_cache(maxsize=4)
def _livers(place: Place, world: str, settings: PreprocessSettings) -> list[Liver]:
    return place.livers(world, settings)


def _trained(run: Run, place: Place, plan: Any, learn: Sequence[Liver]) -> System:
    """Load the run's model, where it was trained with this plan on these livers, or train it and write it."""
    from napari_liver_anomaly.checkpoint import read_card
    from napari_liver_anomaly.device import choose
    from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE

    path, names = place.model(run), [one.name for one in learn]
    model = build(plan, seed=run.seed)
    if path.exists():
        card = read_card(path)
        if card.get("settings") == json.loads(json.dumps(plan.to_dict())) and card.get("data", {}).get("learned_from") == names:
            return class_of(model.key).load(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = path.with_name(f"{path.stem}.unfinished")
    slices = healthy_slices(learn)
    training = model.fit(slices, device=choose(place.device), state=state)
    card = {
        "title": entry_of(run.key).title, "system": run.key, "use": f"For research. {NOT_A_MEDICAL_DEVICE}", "training": training,
        "synthetic": validate_on_synthesis(model, slices, plan.schedule, seed=run.seed),
        "parameters": model.parameters, "data": {"learned_from": names, "world": run.world},
    }  # fmt: skip
    model.save(path, card)
    model.card = card
    for unfinished in path.parent.glob(f"{state.name}.stage*.safetensors"):
        os.unlink(unfinished)
    return model


def score_liver(system: Any, liver: Liver) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Score all slices of a liver.

    Parameters
    ----------
    system : System or callable
        A trained system; or a rule, which takes a Liver and gives its scores.
    liver : Liver
        What is scored.

    Returns
    -------
    tuple of ndarray
        Scores (n, H, W), 0…1, and the healthy images or None.
    """
    if not hasattr(system, "score"):
        return system(liver), None
    scores, images = [], []
    reach = system.prepare.neighbours
    for first in range(0, len(liver.images), BATCH):
        places = np.arange(first, min(first + BATCH, len(liver.images)))
        seen = np.clip(places[:, None] + np.arange(-reach, reach + 1), 0, len(liver.images) - 1)
        found = system.score(liver.images[seen], liver.liver_mask[places])
        scores.append(found.score)
        images.append(found.restored)
    return np.concatenate(scores), None if images[0] is None else np.concatenate(images)


def _change_hu(restored: NDArray[np.float32], liver: Liver) -> float:
    """How much a restorer changes healthy liver, mean absolute HU."""
    healthy = liver.liver_mask & ~liver.truth
    return float(np.abs(restored - liver.images)[healthy].mean() * liver.hu_per_unit)
