"""The verbs that make a model: pack healthy livers, train on them, and combine several models."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.cli.parser import command_of, numbered
from napari_liver_anomaly.cli.verb import Verb, changes_of, say, show
from napari_liver_anomaly.device import Device
from napari_liver_anomaly.io.read_options import MaskOptions
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.config import Schedule
from napari_liver_anomaly.models.methods import BUDGET, CONFIG_NAMES, METHODS
from napari_liver_anomaly.models.registry import config_of
from napari_liver_anomaly.placing import require_not_an_input, require_place
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.models.config import ModelConfig

ASK = MaskOptions()
LEAST_PACKING = 200  # bytes of a scan's file for which a packed liver takes one at least; usual are 10 to 50
KEYS = tuple(method.key for method in METHODS if method.trains and method.key not in CONFIG_NAMES)


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareVerb(Verb):
    """Pack healthy livers into one small file to train from."""

    folders: tuple[Path, ...] = setting(
        REQUIRED, positional=True, help="Folders of NAME_ct, NAME_liver and, where known, NAME_tumour files."
    )
    out: Path = setting(REQUIRED, help="File to write, ends in .npz.")
    keep_names: bool = setting(False, help="Keep the names of the cases (never use it with patients' names).")
    masks: MaskOptions = ASK

    def run(self, job: Job) -> None:
        """Pack folders of cases into one training file."""
        from napari_liver_anomaly.io.cases import find_cases
        from napari_liver_anomaly.training.training_file import pack_training_set, write_training_set

        require_not_an_input(self.out, self.folders)
        scanned = sum(case.ct.stat().st_size for folder in self.folders for case in find_cases(folder))
        require_place(self.out, needed=scanned // LEAST_PACKING)
        scans = [
            scan
            for folder in self.folders
            for scan in pack_training_set(folder, keep_names=self.keep_names, masks=self.masks, tell=show, job=job)
        ]
        write_training_set(scans, self.out)
        say(f"Packed {len(scans)} scans with {sum(int(scan.healthy.sum()) for scan in scans)} healthy slices.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingVerb(Verb):
    """A verb that trains models on healthy livers."""

    healthy: tuple[Path, ...] = setting(REQUIRED, help="Files made by 'prepare', or folders of cases.")
    config: str = setting(
        "standard", was="preset", choices=CONFIG_NAMES, word="NAME", help=f"What the model is: {', '.join(CONFIG_NAMES)}."
    )
    seed: int = setting(0, low=0, help="Decides every random choice.")
    device: Device = setting("auto", help="Where to compute.")
    title: str = setting("", word="TEXT", help="One line for lists of models, kept in the model's card.")
    about_data: str = setting("", word="TEXT", help="Origin and licence of the scans, kept in the model's card.")
    schedule: dict[str, Any] = changes_of(Schedule)
    masks: MaskOptions = ASK

    def configured(self, budget: int = 0) -> ModelConfig:
        """Give the configuration that ``--config`` names, changed by the flags of the schedule."""
        config = config_of(self.config, budget)
        return dataclasses.replace(config, schedule=dataclasses.replace(config.schedule, **self.schedule))


def healthy_scans(paths: tuple[Path, ...], job: Job, masks: MaskOptions = ASK) -> list[Any]:
    """Read packed files, and pack folders, of healthy livers."""
    from napari_liver_anomaly.training.training_file import pack_training_set, read_training_set

    return [
        scan
        for path in paths
        for scan in (pack_training_set(path, masks=masks, tell=show, job=job) if path.is_dir() else read_training_set(path))
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainVerb(TrainingVerb):
    """Train a model on healthy livers."""

    config: str = setting(
        "standard", was="preset", choices=(*CONFIG_NAMES, *KEYS), word="NAME",
        help=f"What the model is: {', '.join(CONFIG_NAMES)}; or a method of 'liver-anomaly-study systems'.",
    )  # fmt: skip
    budget: int | None = setting(
        None, low=4, word="STEPS",
        help=f"Steps in all, for a method of 'liver-anomaly-study systems'; not for configurations whose stages have their own. Default {BUDGET}.",
    )  # fmt: skip
    restorer: Path | None = setting(
        None, word="FILE", help="Take the restorer of this model, of the same configuration and scans; train the segmenter."
    )
    without: tuple[str, ...] = setting((), word="NAME", help="Cases to leave out, by name or identity.")
    metrics: Path | None = setting(None, help="JSON of an evaluation, whose summary is kept in the model's card.")
    out: Path = setting(REQUIRED, help="File to write, ends in .safetensors.")

    def run(self, job: Job) -> None:
        """Train a model and write its weights with a card."""
        from napari_liver_anomaly.evaluation.tables import read_json
        from napari_liver_anomaly.training.fit import fit_and_save

        require_not_an_input(self.out, [path for path in (*self.healthy, self.restorer, self.metrics) if path])
        config = self.configured(self.budget or 0)
        scans = healthy_scans(self.healthy, job, self.masks)
        left_out = set(self.without)
        if unknown := left_out - {word for scan in scans for word in (scan.name, scan.scan)}:
            raise make_refusal("case-unknown", cases=", ".join(sorted(unknown)), option="--without")
        scans = [scan for scan in scans if not left_out & {scan.name, scan.scan}]
        figures = fit_and_save(
            scans, config, self.out, seed=self.seed, restorer=self.restorer, device=self.device, title=self.title,
            about=self.about_data, command=self.command(), metrics=read_json(self.metrics) if self.metrics else None, job=job,
        )  # fmt: skip
        say(f"Wrote {self.out.name}, trained on {figures['slices']} slices; scans: {len(scans)}.")

    def places(self) -> dict[Path, bool]:
        """Name the model, and beside it what is kept of an unfinished training."""
        return {self.out: False, self.out.with_name(f"{self.out.stem}.unfinished.stage2.safetensors"): False}

    def command(self) -> str:
        """Say how the model can be trained again; folders and files of scans get numbers, for their names may be those of patients."""
        left_out = ("device", "title", "about_data", "metrics")
        return command_of(
            ("liver-anomaly", "train"), self, leave_out=left_out,
            healthy=numbered("HEALTHY", self.healthy), without=numbered("CASE", self.without),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class CombineVerb(Verb):
    """Put several trained models into one file: an ensemble."""

    models: tuple[Path, ...] = setting(
        REQUIRED, positional=True, help="Files made by 'train' with one configuration, other seeds or other scans."
    )
    title: str = setting("", word="TEXT", help="One line for lists of models, kept in the model's card.")
    about_data: str = setting("", word="TEXT", help="Origin and licence of the scans, kept in the model's card.")
    restore_with: tuple[Path, ...] = setting((), word="FILE", help="Models that only restore, for the eye; they do not score.")
    mirror: bool = setting(False, help="Score every slice mirrored, too: a little better, twice as slow.")
    metrics: Path | None = setting(None, help="JSON of an evaluation, whose summary is kept in the model's card.")
    healthy: tuple[Path, ...] = setting(
        (),
        help="What they were trained on: files made by 'prepare', or folders of cases. Measured for the marks beside the threshold.",
    )
    masks: MaskOptions = ASK
    out: Path = setting(REQUIRED, help="File to write, ends in .safetensors.")

    def run(self, job: Job) -> None:
        """Put several trained models into one file."""
        from napari_liver_anomaly.evaluation.tables import read_report
        from napari_liver_anomaly.models import combine
        from napari_liver_anomaly.training.training_set import slices_of

        require_not_an_input(self.out, [path for path in (*self.models, *self.restore_with, *self.healthy, self.metrics) if path])
        scans = healthy_scans(self.healthy, job, self.masks)
        job.at("Putting models together", 0, 1)
        combine(
            self.models, self.out, shown=self.restore_with, title=self.title, about=self.about_data, mirror=self.mirror,
            metrics=read_report(self.metrics) if self.metrics else None, healthy=partial(slices_of, scans) if scans else None,
        )  # fmt: skip
        say(f"Wrote {self.out.name} with {len(self.models) + len(self.restore_with)} models.")
