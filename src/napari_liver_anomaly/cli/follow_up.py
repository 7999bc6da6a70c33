"""The verb that compares the lesions of two scans of one patient."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.cli.verb import Verb, changes_of, say, show
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.follow_up import FollowUpSettings
from napari_liver_anomaly.io.read_options import ASK_ALL_EARLIER, EarlierOptions
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowUpVerb(Verb):
    """Compare the lesions of two scans of one patient."""

    then: Path = setting(
        REQUIRED, positional=True, help="Last time: a session, or a lesion mask with --then-scan and --then-liver."
    )
    now: Path = setting(REQUIRED, positional=True, help="Now: a session, or a lesion mask with --now-scan and --now-liver.")
    out: Path = setting(REQUIRED, help="Table to write: .csv, or .json with alignment and notes.")
    then_scan: Path | None = setting(None, help="CT of last time, when a lesion mask is given.")
    then_liver: Path | None = setting(None, help="Liver mask of last time, when a lesion mask is given.")
    now_scan: Path | None = setting(None, help="CT of now, when a lesion mask is given.")
    now_liver: Path | None = setting(None, help="Liver mask of now, when a lesion mask is given.")
    settings: dict[str, Any] = changes_of(FollowUpSettings)
    reading: EarlierOptions = ASK_ALL_EARLIER

    def run(self, job: Job) -> None:
        """Read both, compare, write the table."""
        from napari_liver_anomaly.follow_up import follow_up
        from napari_liver_anomaly.io.earlier_reading import Place, read_reading
        from napari_liver_anomaly.io.follow_up_table import write_follow_up
        from napari_liver_anomaly.placing import require_not_an_input

        inputs = [self.then, self.now, self.then_scan, self.then_liver, self.now_scan, self.now_liver]
        require_not_an_input(self.out, [path for path in inputs if path is not None])
        job.at("Reading", 0, 2)
        then = read_reading(Place(self.then, self.then_scan, self.then_liver, self.reading), job=job)
        job.at("Reading", 1, 2)
        now = read_reading(Place(self.now, self.now_scan, self.now_liver, self.reading), job=job)
        found = follow_up(then, now, FollowUpSettings(**self.settings), job=job)
        write_follow_up(found, self.out)
        show(found.findings)
        say(found.summary)
        say(NOT_A_MEDICAL_DEVICE)
