"""The verbs of the study: the options of each, and what it runs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from liver_anomaly_study.record import DATASETS, STRICT
from napari_liver_anomaly.cli.completion import CompletionVerb
from napari_liver_anomaly.cli.verb import Verb, say, show
from napari_liver_anomaly.device import Device
from napari_liver_anomaly.io.read_options import MaskOptions
from napari_liver_anomaly.models.methods import BUDGET
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from liver_anomaly_study.figures.subject import Subject
    from napari_liver_anomaly.cli.parser import Parser
    from napari_liver_anomaly.job import Job


ASK = MaskOptions()


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemsVerb(Verb):
    """List every method with its paper, size and figures."""

    json: bool = setting(False, help="As data, instead of a table.")

    def run(self, job: Job) -> None:
        """List every method with its figures."""
        from liver_anomaly_study.listing import list_methods, table_of

        listed = list_methods()
        say(json.dumps(listed, indent=1, ensure_ascii=False) if self.json else table_of(listed))


@dataclass(frozen=True, kw_only=True, slots=True)
class RunVerb(Verb):
    """Train and measure what is missing; a stopped run goes on where it was."""

    data: Path | None = setting(None, help="Folder of NAME_ct, NAME_liver and NAME_tumour files; without it, phantom only.")
    fold: tuple[tuple[str, ...], ...] = setting((), word="NAME", help="Cases measured together; repeat for each fold.")
    only: tuple[str, ...] = setting((), word="KEY", help="These methods; 'liver-anomaly-study systems' lists them.")
    dataset: tuple[str, ...] = setting(
        DATASETS,
        choices=(*DATASETS, STRICT),
        was="world",
        help="Patients, phantom, or both; or patients, trained on those without tumour only.",
    )
    seeds: int = setting(1, low=1, help="Trainings of each method on each fold.")
    first_seed: int = setting(0, low=0, help="Seed of the first of them, where others are on record.")
    budget: int = setting(BUDGET, low=4, help="Steps of each training in all.")
    jobs: int = setting(1, low=1, help="Trainings at once.")
    threads: int = setting(1, low=1, help="Processors for each.")
    device: Device = setting("auto", help="Where to compute.")
    masks: MaskOptions = ASK
    out: Path = setting(REQUIRED, help="Folder for weights and figures; it will hold what patients look like.")

    def places(self) -> dict[Path, bool]:
        """Name the folder that is written."""
        return {self.out: True}

    def run(self, job: Job) -> None:
        """Train and measure the methods of the comparison, as far as that is not done yet."""
        from liver_anomaly_study.comparison import run_all
        from liver_anomaly_study.runs import RunFolder, plan_runs

        folder = RunFolder(self.out, self.data, self.fold, self.device, self.threads, self.masks)
        runs = plan_runs(
            folder, only=self.only, datasets=self.dataset, seeds=self.seeds, first=self.first_seed, budget=self.budget
        )
        done = run_all(runs, folder, jobs=self.jobs, job=job, tell=show)
        say(f"Runs asked for: {len(runs)}; done now: {done}; done before: {len(runs) - done}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TablesVerb(Verb):
    """Make the page of the comparison and its charts again from the record."""

    runs: Path | None = setting(None, help="Folder 'runs' of finished runs, to be brought into the record first.")
    budget: int = setting(
        BUDGET, low=4, help="Steps of the comparison's runs; those of another length have a table of their own."
    )
    record: Path | None = setting(None, help="Folder of the record. Default: the one that comes with the program.")
    out: Path = setting(Path("docs/evidence"), help="Folder of the page systems.md; charts go to ../images/evidence beside it.")

    def places(self) -> dict[Path, bool]:
        """Name the folder that is written."""
        return {self.out: True}

    def run(self, job: Job) -> None:
        """Bring finished runs to the record where they are given, then make the page and its charts."""
        from liver_anomaly_study.charts import require_matplotlib
        from liver_anomaly_study.page import write_page
        from liver_anomaly_study.record import RECORD, gather

        job.at("Making tables", 0, 1)
        require_matplotlib()
        if self.runs:
            say(f"Brought into the record: {', '.join(gather(self.runs, self.record or RECORD, self.budget)) or 'nothing'}.")
        say(f"Wrote {', '.join(write_page(self.out, self.record))}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class SubjectVerb(Verb):
    """A verb that looks at models and cases of the comparison."""

    out: Path = setting(REQUIRED, help="Folder that 'liver-anomaly-study run' filled.")
    data: Path | None = setting(
        None, help="Folder of cases, as for 'liver-anomaly-study run', where OUT does not hold them prepared."
    )
    dataset: str = setting("phantom", choices=DATASETS, was="world", help="Patients or phantom.")
    budget: int = setting(BUDGET, low=4, help="Steps of the trainings.")
    record: Path | None = setting(None, help="Folder of the record. Default: the one that comes with the program.")
    masks: MaskOptions = ASK

    def places(self) -> dict[Path, bool]:
        """Name the folder that is written."""
        return {self.out: True}

    def subject(self) -> Subject:
        """Give the models and cases that are looked at."""
        from liver_anomaly_study.figures.subject import Subject
        from liver_anomaly_study.record import RECORD
        from liver_anomaly_study.runs import RunFolder

        return Subject(RunFolder(self.out, self.data, (), masks=self.masks), self.dataset, self.budget, self.record or RECORD)


@dataclass(frozen=True, kw_only=True, slots=True)
class FiguresVerb(SubjectVerb):
    """Draw the figures that need models and images, as far as these are there."""

    only: tuple[str, ...] = setting((), word="NAME", help="These figures, for example p2-figure-2.")
    pictures: Path | None = setting(
        None, help="Folder for the pictures. Default: docs/images/evidence for the phantom, OUT/pictures for patients, never a repository."
    )  # fmt: skip
    page: Path | None = setting(
        None, help="Page of figures. Default: docs/evidence/figures.md for the phantom, beside the pictures for patients."
    )

    def run(self, job: Job) -> None:
        """Draw the figures that need models and images, and say which were left out."""
        from liver_anomaly_study.figures.figures_page import PAGE, draw_figures

        for_all = self.dataset == "phantom"
        folder = self.pictures or (Path("docs/images/evidence") if for_all else self.out / "pictures")
        page = self.page or ((Path("docs/evidence") if for_all else folder) / PAGE)
        for line in draw_figures(self.subject(), folder, page, only=self.only, job=job):
            say(line)


@dataclass(frozen=True, kw_only=True, slots=True)
class LongTrainingVerb(SubjectVerb):
    """Train one method for long and measure it on the way, for two of the figures."""

    what: Literal["segmenter", "cycles"] = setting("segmenter", help="Segmenter of the two-stage model, or ASC-Net's cycles.")
    seeds: int = setting(3, low=1, help="Trainings on each fold.")

    def run(self, job: Job) -> None:
        """Train one method for long, measured on the way, as far as that is not on record."""
        from liver_anomaly_study.long_training import run_special

        say(f"On record: {run_special(self.what, self.subject(), seeds=self.seeds, job=job).name}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportVerb(Verb):
    """Write models of the comparison as files for the panel and 'segment'."""

    data: Path = setting(REQUIRED, help="Folder of cases, as for 'liver-anomaly-study run'.")
    fold: tuple[tuple[str, ...], ...] = setting(REQUIRED, word="NAME", help="The folds, as for 'liver-anomaly-study run'.")
    healthy: tuple[Path, ...] = setting(REQUIRED, help="Files made by 'prepare --keep-names', for the cards.")
    only: tuple[str, ...] = setting(REQUIRED, word="KEY", help="Which methods.")
    number: int = setting(1, low=1, help="The model that never saw this fold, from 1.")
    seed: int = setting(0, low=0, help="Which training of several.")
    budget: int = setting(BUDGET, low=4, help="Steps that they were trained for.")
    about_data: str = setting("", word="TEXT", help="Origin and licence of the scans, kept in the card.")
    masks: MaskOptions = ASK
    out: Path = setting(REQUIRED, help="Folder of 'liver-anomaly-study run'.")
    to: Path = setting(REQUIRED, help="Folder for the models.")

    def places(self) -> dict[Path, bool]:
        """Name the folder that is written."""
        return {self.to: True}

    def run(self, job: Job) -> None:
        """Write models of the comparison as files for the model chooser."""
        from liver_anomaly_study.export import export
        from liver_anomaly_study.runs import Run, RunFolder
        from napari_liver_anomaly.cli.train import healthy_scans

        folder = RunFolder(self.out, self.data, self.fold, masks=self.masks)
        scans = healthy_scans(self.healthy, job, self.masks)
        for number, key in enumerate(self.only):
            job.at("Writing models", number, len(self.only))
            run = Run("patients", key, self.number, self.seed, self.budget)
            say(f"Wrote {export(run, folder, scans, self.to, about=self.about_data).name}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyCompletionVerb(CompletionVerb):
    """Print a script with which a shell completes verbs, flags and files."""

    def parser(self) -> Parser:
        """Give the parser of the study."""
        from liver_anomaly_study.cli import make_parser

        return make_parser()
