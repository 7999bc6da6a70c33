"""Cross-validation: every scan is evaluated by a model that was not trained on its patient."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.device import choose, launched
from napari_liver_anomaly.evaluation.case_measuring import Measured, measure_case, seen_in_training
from napari_liver_anomaly.evaluation.evaluate import report, require_measured, why_left_out
from napari_liver_anomaly.io import read
from napari_liver_anomaly.io.cases import find_cases
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver.case_livers import ASK, require_livers
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.ensemble import Ensemble
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.models.two_stage import TwoStage
from napari_liver_anomaly.segmentation import AUTO_SETTINGS
from napari_liver_anomaly.training.fit import fit_and_save

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_liver_anomaly.io.cases import Case
    from napari_liver_anomaly.io.read_options import MaskOptions
    from napari_liver_anomaly.models.config import ModelConfig
    from napari_liver_anomaly.training.training_file import TrainingCase
    from napari_liver_anomaly.volume import Mask, Volume


def cross_validate(
    scans: Sequence[TrainingCase],
    folder: str | Path,
    folds: Sequence[Sequence[str]],
    config: ModelConfig,
    *,
    models: str | Path,
    seed: int = 0,
    seeds: int = 1,
    only: int | None = None,
    also: Sequence[str | Path] = (),
    find: Callable[[Volume, str], Mask] | None = None,
    jobs: int = 1,
    masks: MaskOptions = ASK,
    device: str = "auto",
    about: str = "",
    job: Job | None = None,
) -> dict[str, Any]:
    """Train one model or several for each fold without the fold's patients, and measure them on these.

    Parameters
    ----------
    scans : sequence of TrainingCase
        What the models learn from.
    folder : path-like
        Holds the cases with their tumour masks.
    folds : sequence of sequence of str
        Names of the cases measured together. All scans of one patient belong in one fold.
    config : ModelConfig
        What the models are.
    models : path-like
        Folder for the model of each fold: ``fold-1.safetensors`` and so on. One that is there with the same settings, scans and
        seed is not trained again.
    seed : int
        Decides every random choice; the second fold takes the next one.
    seeds : int
        Models for each fold, with seeds 100 apart, which share the restorer of the first. Each is measured, and their ensemble.
    only : int, optional
        Train the models of this fold, counted from 1, and measure nothing: for one process a fold.
    also : sequence of path-like
        Folders with trained models of other configurations for the same folds (``fold-1.safetensors``, ``fold-1-seed-100.safetensors`` and so on).
        Each model is measured alone, by the name of its folder, and each seed in an ensemble with those of the same seed: ``"fused"``, or
        ``"fused-1"`` and so on. A folder that has fewer seeds gives its last one again.
    find : callable, optional
        From a scan and its case's name to its liver as the program would find it; everything is then measured with that liver too.
    jobs : int
        Cases measured at once.
    masks : MaskOptions
        Which labels of all liver masks are the liver, and whether masks that are unlike one are taken; asked before anything is trained.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    about : str
        Origin and licence of the scans, for the cards.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    dict
        As given by ``evaluate``, over all folds, with a list of them.

    Raises
    ------
    Question
        When liver masks hold several labels, or are unlike a liver, and nothing was decided about that.
    Refusal
        When a case is named twice or is not there, or a scan is left on both sides of a split.
    Cancelled
        When the job was cancelled.
    """
    job, settings = job or Job(), AUTO_SETTINGS
    cases = _cases_of(folder, folds)
    choose(device)  # before anything is trained
    if launched() > 1:
        raise make_refusal("folds-together")
    if only is None:
        require_livers([case for case in cases.values() if case.tumours], masks, job)
    _require_other_models(also, len(folds) if only is None else 0)
    trained = []
    for number, names in enumerate(folds, start=1):
        if only not in (None, number):
            continue
        held_out = set(names) | {read(cases[name].ct).identity for name in names}
        training = [scan for scan in scans if not held_out & {scan.name, scan.scan}]
        members = []
        for extra in range(0, 100 * seeds, 100):
            path, own_seed = _file_of(models, number, extra), seed + number - 1 + extra
            if not _is_trained(path, training, config, own_seed):
                shared = _file_of(models, number) if extra and config.options.restores else None
                fit_and_save(training, config, path, seed=own_seed, restorer=shared, device=device, about=about, job=job)
            members.append(TwoStage.load(path))
        others = {} if only else {Path(other).name: _trained_of(other, number, seeds) for other in also}
        trained.append(_Fold(names, len(training), members, others))
    about_folds = {"folds": [model for fold in trained for model in fold.about()]}
    if only is not None:
        return about_folds
    measured: list[Measured] = []
    left_out: list[dict[str, Any]] = []
    tasks = [(name, fold, methods) for fold in trained for methods in [fold.methods()] for name in fold.names]

    def measure(task: tuple[str, _Fold, dict[str, Any]]) -> Measured | str:
        name, fold, methods = task
        liver = partial(_found_by, find, name) if find is not None else None
        card = fold.members[0].card
        return measure_case(cases[name], methods, settings, card=card, masks=masks, device=device, job=job, find=liver)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for (name, fold, _), found in zip(tasks, pool.map(measure, tasks), strict=True):
            job.at("Measuring", len(measured) + len(left_out), len(cases))
            if not isinstance(found, Measured):
                left_out.append(why_left_out(name, found))
                continue
            if fold.has_seen(found):
                raise make_refusal("fold-leaks", case=name)
            measured.append(found)
    require_measured(measured, left_out)
    own = [config.to_dict(), *(models[0].config.to_dict() for models in trained[0].others.values())]
    fused = {"fused": own} if also else {}
    return report(measured, left_out) | about_folds | {"settings": settings.to_dict(), "config": config.to_dict()} | fused


OWN_NAMES = {"two-stage", "direct", "ensemble", "fused", DarkRule.name}  # of methods in the report


@dataclass(eq=False)
class _Fold:
    """The cases of a fold, the models trained without them, and by folder those of other configurations."""

    names: Sequence[str]
    scans: int  # trained on
    members: list[TwoStage]
    others: dict[str, list[TwoStage]]

    def about(self) -> list[dict[str, Any]]:
        """Say which models were trained for these cases."""
        return [
            {
                "cases": list(self.names), "model": model.name, "hash": model.hash, "seed": model.seed,
                "trained_on": self.scans, "training": model.card.training,
            }
            for model in self.members
        ]  # fmt: skip

    def has_seen(self, found: Measured) -> bool:
        """Whether any of the models was trained on a case."""
        cards = [model.card for models in self.others.values() for model in models]
        return bool(found.seen or any(seen_in_training(found.case, found.scan, card) for card in cards))

    def methods(self) -> dict[str, Any]:
        """Name what is measured: the model, or each of several and their ensemble; those of others; sets of one each; and the rule."""
        if len(self.members) == 1:
            named: dict[str, Any] = {"two-stage" if self.members[0].has_restorer else "direct": self.members[0]}
        else:
            named = {f"seed-{number}": member for number, member in enumerate(self.members, start=1)}
            named["ensemble"] = Ensemble(self.members, mirror=False)
        for folder, own in self.others.items():
            named |= (
                {folder: own[0]} if len(own) == 1 else {f"seed-{n} of {folder}": model for n, model in enumerate(own, start=1)}
            )
        for place, member in enumerate(self.members if self.others else ()):
            fused = Ensemble([member, *(own[min(place, len(own) - 1)] for own in self.others.values())], mirror=False)
            named["fused" if len(self.members) == 1 else f"fused-{place + 1}"] = fused
        return named | {DarkRule.name: DarkRule()}


def _file_of(folder: str | Path, fold: int, extra: int = 0) -> Path:
    """Name the file of a fold's model; further seeds are 100 apart."""
    return Path(folder) / (f"fold-{fold}.safetensors" if not extra else f"fold-{fold}-seed-{extra}.safetensors")


def _trained_of(folder: str | Path, fold: int, seeds: int) -> list[TwoStage]:
    """Open the models that another training made for a fold: the first, and further seeds as far as there are."""
    files = [
        _file_of(folder, fold),
        *(file for extra in range(100, 100 * seeds, 100) if (file := _file_of(folder, fold, extra)).exists()),
    ]
    return [TwoStage.load(file) for file in files]


def _found_by(find: Callable[[Volume, str], Mask], name: str, volume: Volume) -> Mask:
    """Find the liver of a named case."""
    return find(volume, name)


def _require_other_models(also: Sequence[str | Path], folds: int) -> None:
    """Refuse folders of other models that are called as a method of the report is, or as each other, or that lack a fold."""
    names = [Path(other).name for other in also]
    odd = [name for name in names if names.count(name) > 1 or name in OWN_NAMES or name.startswith(("seed-", "fused-"))]
    if odd:
        raise make_refusal("fold-other-names", folders=", ".join(sorted(set(odd))))
    missing = [str(path) for other in also for number in range(1, folds + 1) if not (path := _file_of(other, number)).exists()]
    if missing:
        raise make_refusal("fold-other-missing", files=", ".join(missing))


def _is_trained(path: Path, scans: Sequence[TrainingCase], config: ModelConfig, seed: int) -> bool:
    """Whether the model of a fold is there already, with these very settings, scans and seed."""
    if not path.exists():
        return False
    model = TwoStage.load(path)
    same_scans = [entry["scan"] for entry in model.card.data["scans"]] == [scan.scan for scan in scans]
    return same_scans and model.seed == seed and model.config == config


def _cases_of(folder: str | Path, folds: Sequence[Sequence[str]]) -> dict[str, Case]:
    """Find the case of every name, refusing names that are unknown or stand twice."""
    there = {case.name: case for case in find_cases(folder)}
    names = [name for fold in folds for name in fold]
    odd = sorted({name for name in names if name not in there or names.count(name) > 1})
    if odd:
        raise make_refusal("fold-names", cases=", ".join(odd))
    return {name: there[name] for name in names}
