"""What a figure is drawn from: the models of one data set, and the cases that they were not trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from liver_anomaly_study.comparison import trained_on
from liver_anomaly_study.messages import make_refusal
from liver_anomaly_study.record import RECORD
from liver_anomaly_study.runs import Run
from liver_anomaly_study.scoring import score_case, threshold_of
from napari_liver_anomaly.evaluation.tables import read_json
from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.methods import BUDGET

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Case
    from liver_anomaly_study.runs import RunFolder
    from napari_liver_anomaly.errors import Refusal

SEEDS = 10  # at most, of a figure that compares seeds
DATA = {"phantom": "", "patients": " --data DATA --fold NAME … --fold NAME …"}


@dataclass(eq=False)
class Subject:
    """Models and cases of one data set."""

    folder: RunFolder
    dataset: str
    budget: int = BUDGET
    record: Path = RECORD
    fold: int = 1
    _prepared: dict[Any, list[Case]] = field(default_factory=dict)
    _models: dict[Run, Any] = field(default_factory=dict)
    _scores: dict[tuple[Run, str], Any] = field(default_factory=dict)

    def run(self, key: str, seed: int = 0) -> Run:
        """Name the run of a method."""
        return Run(self.dataset, key, self.fold, seed, self.budget)

    def model(self, key: str, seed: int = 0) -> Any:
        """Load a model, or say which command trains it."""
        run = self.run(key, seed)
        path = self.folder.model(run)
        if not path.exists():
            raise self.lacking(key, seed + 1)
        if run not in self._models:
            self._models[run] = load(path)
        return self._models[run]

    def threshold(self, key: str, seed: int = 0) -> float:
        """Give the threshold of the comparison, which was set without labels."""
        return threshold_of(self.model(key, seed).card.validation)

    def lacking(self, key: str, seeds: int = 1) -> Refusal:
        """Say which command trains what is not there."""
        more = (f" --seeds {seeds}" if seeds > 1 else "") + (f" --budget {self.budget}" if self.budget != BUDGET else "")
        return make_refusal(
            "figure-left-out",
            missing=self.run(key, seeds - 1).name,
            command=f"liver-anomaly-study run --out OUT --dataset {self.dataset} --only {key}{more}{DATA[self.dataset]}",
        )

    def seeds(self, key: str) -> list[int]:
        """List the seeds of a method that are there."""
        return [seed for seed in range(SEEDS) if self.folder.model(self.run(key, seed)).exists()]

    def held_out(self, model: Any) -> list[Case]:
        """Give the labelled cases that a model was not trained on, prepared as it sees them."""
        known = set(trained_on(model.card))
        return [one for one in self._cases(model) if one.labelled and not {one.name, one.mark} & known]

    def training_cases(self, model: Any) -> list[Case]:
        """Give the cases that a model was trained on, prepared as it sees them."""
        known = set(trained_on(model.card))
        return [one for one in self._cases(model) if {one.name, one.mark} & known]

    def _cases(self, model: Any) -> list[Case]:
        if model.preprocess not in self._prepared:
            self._prepared[model.preprocess] = self.folder.cases(self.dataset, model.preprocess)
        return self._prepared[model.preprocess]

    def scored(self, key: str, case: Case, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Score a case, or take what was scored before."""
        key_ = (self.run(key, seed), case.name)
        if key_ not in self._scores:
            self._scores[key_] = score_case(self.model(key, seed), case)
        found: tuple[NDArray[np.float32], NDArray[np.float32] | None] = self._scores[key_]
        return found

    def on_record(self, name: str, verb: str) -> dict[str, Any]:
        """Read figures that a special run left in the record."""
        path = self.record / f"{self.dataset}-{name}.json"
        if not path.exists():
            raise make_refusal(
                "figure-left-out", missing=path.name, command=f"liver-anomaly-study {verb} --out OUT --dataset {self.dataset}"
            )
        return read_json(path)
