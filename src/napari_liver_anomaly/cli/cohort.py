"""The verb that segments many scans on several processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.cli.segment import segment_settings
from napari_liver_anomaly.cli.verb import Verb, changes_of, say
from napari_liver_anomaly.device import Device
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.io.read_options import ASK_ALL, ReadOptions
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models import DEFAULT
from napari_liver_anomaly.segmentation import AUTO_SETTINGS
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.many_scans import Study
    from napari_liver_anomaly.many_scans.workers import Workers

SESSIONS, RESULTS = "sessions", "results"


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortVerb(Verb):
    """Segment many scans on several processes, of this machine or of a cluster; started again, it goes on where it was."""

    scans: Path = setting(
        REQUIRED,
        positional=True,
        help="Folder of studies, each a file or a folder; or a .txt file with one of them in each line.",
    )
    out: Path = setting(REQUIRED, help="Folder for results, sessions and the table.")
    workers: int = setting(1, low=1, help="Processes of this machine.")
    scheduler: str = setting("", word="ADDRESS", help="Dask scheduler whose workers are used instead, as tcp://host:8786.")
    model: str = setting(DEFAULT, help="Name of a model, or a .safetensors file.")
    images: bool = setting(True, help="Write images, lesion table and report of each scan beside its session.")
    device: Device = setting("auto", help="Where to compute.")
    reading: ReadOptions = ASK_ALL
    settings: dict[str, Any] = changes_of(AUTO_SETTINGS)

    def places(self) -> dict[Path, bool]:
        """Name the folder that will be written to."""
        return {self.out: True}

    def run(self, job: Job) -> None:
        """Segment all scans, and write the table of what came of them."""
        from napari_liver_anomaly.many_scans import State, segment_cohort, write_summary
        from napari_liver_anomaly.many_scans.cohort import Task
        from napari_liver_anomaly.many_scans.listing import studies_of

        paths = studies_of(self.scans)
        sessions, results = self.out / SESSIONS, self.out / RESULTS
        sessions.mkdir(parents=True, exist_ok=True)
        task = Task(
            folder=sessions.absolute(), model=self.model, settings=segment_settings(self.settings), answers=self.reading,
            device=self.device, results=results.absolute() if self.images else None,
        )  # fmt: skip
        studies = segment_cohort(
            [path.absolute() for path in paths], task, workers=self.workers, scheduler=self.scheduler, told=_tell, opened=_opened, job=job
        )  # fmt: skip
        write_summary(studies, self.out)
        done = sum(study.state is State.DONE for study in studies)
        again = sum(study.again for study in studies)
        say(f"{done} of {len(studies)} scans segmented{f', {again} of them before' if again else ''}.")
        say(NOT_A_MEDICAL_DEVICE)
        if done < len(studies):
            raise make_refusal("scans-not-done", not_done=len(studies) - done, of=len(studies))


def _opened(workers: Workers) -> None:
    say(f"{workers.count} tasks at once." + (f" Dask's pages: {workers.dashboard}" if workers.dashboard else ""))


def _tell(number: int, study: Study) -> None:
    """Tell what came of a scan by its number: names of files may be patients'."""
    say(f"scan {number + 1}: {study.summary}")
