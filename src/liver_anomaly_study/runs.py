"""What the comparison trains and measures: one run for each method, data set, fold and seed, and the folder that holds its files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from liver_anomaly_study.cases import patients, phantoms
from liver_anomaly_study.messages import make_refusal
from liver_anomaly_study.record import DATASETS, STRICT, read_figures
from napari_liver_anomaly.liver.case_livers import ASK
from napari_liver_anomaly.models.methods import BUDGET, METHODS, method_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from liver_anomaly_study.cases import Case
    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.read_options import MaskOptions
    from napari_liver_anomaly.preprocessing import PreprocessSettings


@dataclass(frozen=True, slots=True)
class Run:
    """One training of a method and its measurement."""

    dataset: str  # "patients", "phantom" or "strict"
    key: str  # of the method
    fold: int  # from 1: which cases are measured
    seed: int
    budget: int  # steps in all

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.dataset}-{self.key}-f{self.fold}-s{self.seed}-b{self.budget}"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where runs find their cases and leave their files."""

    out: Path
    data: Path | None  # folder of cases; without it, phantom only
    folds: tuple[tuple[str, ...], ...]  # names of the cases that are measured together
    device: str = "auto"
    threads: int = 1  # of one run
    masks: MaskOptions = ASK  # what was answered about the liver masks of the cases

    def result(self, run: Run) -> Path:
        """Name the file of a run's figures."""
        return self.out / "runs" / f"{run.name}.json"

    def model(self, run: Run) -> Path:
        """Name the file of a run's weights."""
        return self.out / "models" / f"{run.name}.safetensors"

    def cases(
        self, dataset: str, settings: PreprocessSettings, tell: Callable[[Iterable[Finding]], object] | None = None
    ) -> list[Case]:
        """Give the cases of a data set, prepared in one way; from the files in ``out`` where they are there."""
        kind = "phantom" if dataset == "phantom" else "patients"
        equalised = "-equalised" if settings.intensity == "paper" else ""
        cache = self.out / "cases" / f"{kind}-{settings.neighbours}-{settings.around_mm:g}{equalised}.npz"
        if dataset == "phantom":
            return phantoms(settings, cache)
        return patients(self.data or "", settings, cache, self.masks, tell=tell)


def plan_runs(
    folder: RunFolder,
    *,
    only: Sequence[str] = (),
    datasets: Sequence[str] = DATASETS,
    seeds: int = 1,
    first: int = 0,
    budget: int = BUDGET,
) -> list[Run]:
    """List what there is to do: first every method once, then more seeds; rules, which are not trained, have one."""
    chosen = [method_of(key) for key in only] if only else list(METHODS)
    runs = []
    for seed in range(first, first + seeds):
        for dataset in datasets:
            if dataset != "phantom" and folder.data is None:
                continue
            folds = range(1, len(folder.folds) + 1) if dataset != "phantom" else (1,)
            for method in chosen:
                if method.trains or seed == 0:
                    runs += [Run(dataset, method.key, fold, seed, budget if method.trains else 0) for fold in folds]
    return runs


def is_done(run: Run, folder: RunFolder) -> bool:
    """Tell whether a run's figures are there, of this version and of these folds."""
    path = folder.result(run)
    if not path.exists():
        return False
    stored = read_figures(path, "cases", "of_folds")
    names = {case["case"] for case in stored["cases"]}
    same = run.dataset == "phantom" or (stored["of_folds"] == len(folder.folds) and names == set(folder.folds[run.fold - 1]))
    return same and "inserted_auroc" in stored  # an earlier version called it otherwise


def require_cases(cases: Sequence[Case], folder: RunFolder) -> None:
    """Refuse folds that name a case that is not there, or one without truth, or one twice."""
    names = [name for fold in folder.folds for name in fold]
    known = {case.name for case in cases if case.labelled}
    odd = sorted({name for name in names if name not in known or names.count(name) > 1})
    if odd or not names:
        raise make_refusal("fold-names", cases=", ".join(odd) or "none is named")


def split(run: Run, folder: RunFolder, settings: PreprocessSettings) -> tuple[list[Case], list[Case]]:
    """Part the cases into those to train on and those to measure; strictly, whoever has a tumour anywhere is not trained on."""
    cases = _cases(folder, run.dataset, settings)
    if run.dataset == "phantom":
        return [one for one in cases if one.name.startswith("train")], [one for one in cases if one.name.startswith("test")]
    held_out = set(folder.folds[run.fold - 1])
    others = [one for one in cases if one.name not in held_out and not (run.dataset == STRICT and one.truth.any())]
    return others, [one for one in cases if one.name in held_out]


@lru_cache(maxsize=4)
def _cases(folder: RunFolder, dataset: str, settings: PreprocessSettings) -> list[Case]:
    return folder.cases(dataset, settings)
