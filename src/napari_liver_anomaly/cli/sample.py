"""The verbs of the built-in sample: write it as files, or open it in napari."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.cli.verb import Verb, say
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.phantom import PhantomSettings
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

HEALTHY = PhantomSettings(tumours=False)  # on the command line tumours are asked for


@dataclass(frozen=True, kw_only=True, slots=True)
class PhantomVerb(Verb):
    """Write the built-in sample scan with its masks."""

    out: Path = setting(REQUIRED, help="Folder to write to.")
    dicom: bool = setting(False, help="Write the scan as a DICOM series, too, in a folder 'dicom' there.")
    phantom: PhantomSettings = HEALTHY

    def places(self) -> dict[Path, bool]:
        """Name the folder that is written."""
        return {self.out: True}

    def run(self, job: Job) -> None:
        """Write the built-in sample."""
        from napari_liver_anomaly.io import write_case
        from napari_liver_anomaly.phantom import make_phantom

        job.at("Building the phantom", 0, 1)
        sample = make_phantom(self.phantom)
        for path in write_case(sample.volume, sample.liver, sample.tumours, self.out, "phantom"):
            say(f"Wrote {path.name}.")
        if self.dicom:
            from napari_liver_anomaly.io.dicom_study import write_study

            say(f"Wrote {len(write_study(sample.volume, self.out / 'dicom'))} files to the folder dicom.")


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoVerb(Verb):
    """Open napari on the built-in sample and search it."""

    screenshot: Path | None = setting(None, help="Write a picture and close, instead of staying open.")

    def run(self, job: Job) -> None:
        """Open napari on the built-in sample."""
        require_napari()
        from napari_liver_anomaly.gui.demo import demo

        try:
            demo(self.screenshot)
        except ImportError as error:
            raise make_refusal("napari-incomplete", python=sys.executable) from error


def require_napari() -> None:
    """Refuse what needs napari where there is none."""
    if not _installed("napari"):
        raise make_refusal("napari-missing", python=sys.executable)


def _installed(name: str) -> bool:
    """Whether a package can be imported."""
    try:
        return find_spec(name) is not None
    except ImportError:
        return False
