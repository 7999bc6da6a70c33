"""The verb that segments liver tumours."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.cli.scan import LiverScanVerb
from napari_liver_anomaly.cli.verb import changes_of, say, show
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.io.export_options import PLAIN, ExportOptions
from napari_liver_anomaly.models import DEFAULT
from napari_liver_anomaly.segmentation import AUTO_SETTINGS, SegmentSettings
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

LEAST_PACKING = 20  # voxels whose results take a byte at least, even where nothing is restored


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentVerb(LiverScanVerb):
    """Search a scan for tumours and write what was found."""

    out: Path = setting(REQUIRED, help="Folder for the results.")
    model: str = setting(DEFAULT, help="Name of a model, or a .safetensors file.")
    settings: dict[str, Any] = changes_of(AUTO_SETTINGS)
    export: ExportOptions = PLAIN
    replace: bool = setting(False, help="Take the place of the results of an earlier run in that folder.")

    def require_places(self) -> None:
        """Refuse a folder that cannot be written to, or holds an input; ask about one with results."""
        from napari_liver_anomaly.io.results import require_results_place

        require_results_place(self.out, self.inputs, replace=self.replace)

    def run(self, job: Job) -> None:
        """Search a scan and write everything that was found."""
        from napari_liver_anomaly.inference import segment
        from napari_liver_anomaly.io import write
        from napari_liver_anomaly.io.dicom_writing import require_source
        from napari_liver_anomaly.io.results import require_results_place

        volume = self.read(job)
        require_results_place(self.out, self.inputs, replace=self.replace, needed=volume.voxels.size // LEAST_PACKING)
        if self.export.dicom_seg or (self.export.patient and volume.images):
            require_source(volume)
        result = segment(
            volume, self.given_liver(volume), self.model, segment_settings(self.settings),
            find=self.find_liver, device=self.device, job=job,
        )  # fmt: skip
        show(result.findings)
        job.at("Writing", 0, 1)
        write(result, self.out, inputs=self.inputs, replace=self.replace, also=self.export)
        say(f"{result.summary} {result.ran_on} {result.timings_s['total']:.1f} s.")
        say(NOT_A_MEDICAL_DEVICE)


def segment_settings(given: dict[str, Any]) -> SegmentSettings:
    """How tumours are cut from the score: by the scan's own threshold, until one is given."""
    by_hand = {"auto_threshold": False} if "threshold" in given else {}
    return dataclasses.replace(AUTO_SETTINGS, **by_hand | given)
