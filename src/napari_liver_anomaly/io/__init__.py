"""Scans, masks and results as files: read NIfTI, NRRD, MetaImage and DICOM; write masks, maps, the lesion table and the report.

Nothing is silently repaired on the way in; never a patient's name, never half a file on the way out.
"""

from napari_liver_anomaly.io.cases import write_case
from napari_liver_anomaly.io.nifti_writing import write_image, write_labels
from napari_liver_anomaly.io.reading import ENDINGS, can_read, read, read_mask, series_in
from napari_liver_anomaly.io.results import write
from napari_liver_anomaly.io.session import Session, read_session, write_session

__all__ = [
    "ENDINGS", "Session", "can_read", "read", "read_mask", "read_session", "series_in", "write", "write_case", "write_image",
    "write_labels", "write_session",
]  # fmt: skip
