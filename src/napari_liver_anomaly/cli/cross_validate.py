"""The verb that cross-validates: trains and evaluates fold by fold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.cli.train import TrainingVerb, healthy_scans
from napari_liver_anomaly.cli.verb import say, write_json
from napari_liver_anomaly.placing import require_not_an_input
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.volume import Mask, Volume


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossValidateVerb(TrainingVerb):
    """Train on some patients, measure on the others, in turn."""

    data: Path = setting(REQUIRED, help="Folder with the same cases and their tumour masks.")
    fold: tuple[tuple[str, ...], ...] = setting(REQUIRED, word="NAME", help="Cases measured together; repeat for each fold.")
    models: Path = setting(REQUIRED, help="Folder for the models of each fold.")
    seeds: int = setting(1, low=1, help="Models for each fold; more than one are measured together, too.")
    livers: Path | None = setting(
        None, word="DIR", help="Liver models of the same folds (cross-validate-liver): measure in the found liver, too."
    )
    also: tuple[Path, ...] = setting(
        (),
        word="DIR",
        help="Models of other configurations for the same folds: each measured alone, and in an ensemble with --models.",
    )
    jobs: int = setting(1, low=1, help="Cases measured at once.")
    only: int | None = setting(None, low=1, word="NUMBER", help="Train the models of this fold and measure nothing.")
    out: Path = setting(REQUIRED, help="JSON file to write.")

    def run(self, job: Job) -> None:
        """Train and measure, fold by fold."""
        from napari_liver_anomaly.evaluation.cross_validation import cross_validate
        from napari_liver_anomaly.evaluation.evaluate import require_all_run

        require_not_an_input(self.out, (*self.healthy, self.data))
        found = cross_validate(
            healthy_scans(self.healthy, job, self.masks), self.data, self.fold, self.configured(), models=self.models,
            seed=self.seed, seeds=self.seeds,
            only=self.only, also=self.also, find=self.fold_livers() if self.livers else None, device=self.device,
            jobs=self.jobs, masks=self.masks, about=self.about_data, job=job,
        )  # fmt: skip
        if self.only is not None:
            return say(f"Trained the models of fold {self.only}.")
        write_json(found, self.out)
        require_all_run(found)

    def fold_livers(self) -> Callable[[Volume, str], Mask]:
        """Find livers with the liver model of each case's own fold, which never saw its patient."""
        from napari_liver_anomaly.liver import find_liver

        folder = self.livers or Path()
        weights = {
            name: folder / f"liver-fold-{number}.safetensors" for number, fold in enumerate(self.fold, start=1) for name in fold
        }
        return lambda volume, name: find_liver(volume, weights=weights[name], device=self.device, unlikely="accept")
