"""The verbs of the liver finder: find, train and cross-validate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.cli.parser import command_of, numbered
from napari_liver_anomaly.cli.scan import ScanVerb
from napari_liver_anomaly.cli.verb import Verb, say, show, write_json
from napari_liver_anomaly.device import Device
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.io.read_options import MaskOptions
from napari_liver_anomaly.liver.liver_schedule import LiverSchedule
from napari_liver_anomaly.placing import require_not_an_input, require_place
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

SCHEDULE = LiverSchedule()
ASK = MaskOptions()


@dataclass(frozen=True, kw_only=True, slots=True)
class LiverVerb(ScanVerb):
    """Find the liver in a scan and write its mask."""

    out: Path = setting(REQUIRED, help="File to write, ends in .nii.gz.")

    def require_places(self) -> None:
        """Refuse a file that cannot be written, has an ending of another kind, or is the scan."""
        from napari_liver_anomaly.io.nifti_writing import require_ending

        require_ending(self.out)
        require_not_an_input(self.out, (self.scan,))
        require_place(self.out)

    def run(self, job: Job) -> None:
        """Find the liver and write its mask."""
        from napari_liver_anomaly.io import write_image
        from napari_liver_anomaly.io.nifti_writing import least_bytes

        volume = self.read(job)
        require_place(self.out, needed=least_bytes(volume.voxels.size, masks=1))
        liver = self.find_liver(volume, device=self.device, job=job)
        show((*volume.findings, *liver.findings))
        write_image(liver.voxels, volume.geometry, self.out, inputs=(self.scan,))
        say(f"Wrote {self.out.name}: {liver.ml:,.0f} ml of liver. Check its outline before you rely on it.")
        say(NOT_A_MEDICAL_DEVICE)


@dataclass(frozen=True, kw_only=True, slots=True)
class LiverTrainingVerb(Verb):
    """A verb that trains the liver finder."""

    data: Path = setting(REQUIRED, help="Folder of NAME_ct and NAME_liver files.")
    seed: int = setting(0, low=0, help="Decides every random choice.")
    about_data: str = setting("", word="TEXT", help="Origin and licence of the scans, kept in the card.")
    schedule: LiverSchedule = SCHEDULE
    masks: MaskOptions = ASK
    out: Path = setting(REQUIRED, help="File to write.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainLiverVerb(LiverTrainingVerb):
    """Train a liver finder on scans with liver masks."""

    without: tuple[str, ...] = setting((), word="NAME", help="Cases to leave out, by name.")
    start: Path | None = setting(None, help="Weights of a liver finder to go on from, instead of from nothing.")
    metrics: Path | None = setting(None, help="JSON of a cross-validation, whose summary is kept in the card.")
    keep_names: bool = setting(False, help="Keep the names of the cases in the card (never use it with patients' names).")
    out: Path = setting(REQUIRED, help="File to write, ends in .safetensors.")

    def run(self, job: Job) -> None:
        """Train a liver finder and write its weights with a card."""
        from napari_liver_anomaly.evaluation.tables import read_json
        from napari_liver_anomaly.liver.train_liver import train_liver

        require_not_an_input(self.out, [path for path in (self.data, self.start, self.metrics) if path])
        card = train_liver(
            self.data, self.out, without=self.without, start=self.start, schedule=self.schedule, seed=self.seed,
            about=self.about_data, metrics=read_json(self.metrics) if self.metrics else None, keep_names=self.keep_names,
            masks=self.masks, tell=show, job=job,
            command=command_of(
                ("liver-anomaly", "train-liver"), self, leave_out=("about_data", "metrics"), data="DATA",
                without=self.without if self.keep_names else numbered("CASE", self.without),
            ),
        )  # fmt: skip
        say(f"Wrote {self.out.name}, trained on {len(card['data']['scans'])} scans.")


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossValidateLiverVerb(LiverTrainingVerb):
    """Train the liver finder on some patients, measure on the others, in turn."""

    fold: tuple[tuple[str, ...], ...] = setting(REQUIRED, word="NAME", help="Cases measured together; repeat for each fold.")
    models: Path = setting(REQUIRED, help="Folder for the finder of each fold; what is there is kept.")
    device: Device = setting("auto", help="Where the liver is searched.")
    out: Path = setting(REQUIRED, help="JSON file to write.")

    def run(self, job: Job) -> None:
        """Train and measure the liver finder, fold by fold."""
        from napari_liver_anomaly.liver.cross_validate_liver import cross_validate_liver

        require_not_an_input(self.out, (self.data,))
        found = cross_validate_liver(
            self.data, self.fold, models=self.models, schedule=self.schedule, seed=self.seed, about=self.about_data,
            masks=self.masks, device=self.device, job=job,
        )  # fmt: skip
        write_json(found, self.out)
