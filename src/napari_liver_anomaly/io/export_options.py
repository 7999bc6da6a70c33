"""What is written of a result beside images, table and report for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_liver_anomaly.messages import make_finding
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.volume import Volume

RESAMPLED = {"stack-straightened", "slices-filled"}  # notes about slices that are none of the file's


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOptions(Settings):
    """What is written beside masks and measures; only what says so holds anything about the patient."""

    report: bool = setting(
        False, help="Write a report with pictures of every lesion, for people, as HTML and PDF; it does not name the patient."
    )
    patient: bool = setting(
        False,
        help="Name the patient on that report: name, number, birth date and study as the DICOM slices have them, else the name of the scan's file.",
    )
    scan_name: bool = setting(
        False, help="Name the scan's file or folder, which may be a patient's name, in report.json and on that report."
    )
    dicom_seg: bool = setting(
        False,
        help="Write liver and lesions as a DICOM segmentation of the scan's own DICOM series: it carries the patient's name as the slices do.",
    )


PLAIN = ExportOptions()


def why_no_segmentation(volume: Volume) -> Finding | None:
    """Say why no DICOM segmentation can be made of a scan; None where one can."""
    if volume.images:
        return None
    resampled = RESAMPLED & {finding.code for finding in volume.findings}
    return make_finding("seg-resampled" if resampled else "seg-no-dicom")
