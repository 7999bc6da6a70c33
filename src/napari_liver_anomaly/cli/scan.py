"""What the verbs share that read one scan: the questions of reading, and where the liver comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_liver_anomaly.cli.verb import Verb
from napari_liver_anomaly.device import Device
from napari_liver_anomaly.io.read_options import ASK_ALL, ReadOptions
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.volume import Mask, Volume

# With less, a run never gets as far as its own estimate: the system ends the program while torch is loaded. Runs that succeed take more than this.
LEAST_BYTES = 200 * 10**6


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanVerb(Verb):
    """A verb that reads one scan and can find the liver in it."""

    scan: Path = setting(REQUIRED, positional=True, help="CT: .nii, .nii.gz, .nrrd, .mha, a DICOM folder or one file of it.")
    find_with: Literal["own", "totalsegmentator"] = setting(
        "own", help="What finds the liver: our own networks, or TotalSegmentator where it is installed with its weights."
    )
    device: Device = setting("auto", help="Where to compute.")
    reading: ReadOptions = ASK_ALL

    def read(self, job: Job) -> Volume:
        """Read the scan."""
        from napari_liver_anomaly.io import read
        from napari_liver_anomaly.memory import require_memory

        require_memory(LEAST_BYTES)
        job.at("Reading the scan", 0, 1)
        return read(self.scan, self.reading, job=job)

    def find_liver(self, volume: Volume, *, device: str, job: Job) -> Mask:
        """Find the liver with what ``--find-with`` says."""
        if self.find_with == "totalsegmentator":
            from napari_liver_anomaly.liver.totalsegmentator import find_with_totalsegmentator as find
        else:
            from napari_liver_anomaly.liver import find_liver as find
        return find(volume, device=device, job=job, unlikely=self.reading.found_liver)


@dataclass(frozen=True, kw_only=True, slots=True)
class LiverScanVerb(ScanVerb):
    """A verb that works in the liver of one scan."""

    liver: Path | None = setting(None, help="Liver mask on the scan's grid; without it the liver is found.")

    @property
    def inputs(self) -> tuple[Path, ...]:
        """Files that are read, which no result may replace."""
        return (self.scan, self.liver) if self.liver else (self.scan,)

    def given_liver(self, volume: Volume) -> Mask | None:
        """Read and judge the mask that was given, if one was."""
        if not self.liver:
            return None
        from napari_liver_anomaly.liver import read_given_liver

        return read_given_liver(self.liver, volume, self.reading)
