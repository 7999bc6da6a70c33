"""The verb that measures which lesions a model finds in one liver."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.cli.scan import LiverScanVerb
from napari_liver_anomaly.cli.segment import segment_settings
from napari_liver_anomaly.cli.verb import changes_of, say, show
from napari_liver_anomaly.detection.detection_limit import DetectionLimitSettings
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.models import DEFAULT
from napari_liver_anomaly.segmentation import AUTO_SETTINGS
from napari_liver_anomaly.settings import setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

BALLS = DetectionLimitSettings()


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionLimitVerb(LiverScanVerb):
    """Measure which lesions a model finds in this liver: dark balls of several sizes and contrasts are inserted and searched for."""

    model: str = setting(DEFAULT, help="Name of a model, or a .safetensors file.")
    out: Path | None = setting(None, help="Table of every inserted lesion: .csv, or .json with all settings.")
    limit: DetectionLimitSettings = BALLS
    settings: dict[str, Any] = changes_of(AUTO_SETTINGS)

    def run(self, job: Job) -> None:
        """Read the scan, measure, print the table and write it."""
        from napari_liver_anomaly.detection import detection_limit
        from napari_liver_anomaly.detection.limit_table import text_of, write_limit
        from napari_liver_anomaly.placing import require_not_an_input

        if self.out is not None:
            require_not_an_input(self.out, self.inputs)
        volume = self.read(job)
        liver = self.given_liver(volume) or self.find_liver(volume, device=self.device, job=job)
        show((*volume.findings, *liver.findings))
        found = detection_limit(
            volume, liver, self.model, self.limit, segment_settings(self.settings), device=self.device, job=job
        )
        if self.out is not None:
            write_limit(found, self.out)
        say(text_of(found))
        say(found.summary)
        if found.without_place:
            say(f"Not inserted, for want of room in the healthy tissue: {found.without_place}.")
        say(NOT_A_MEDICAL_DEVICE)
