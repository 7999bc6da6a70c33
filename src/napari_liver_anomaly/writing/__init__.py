"""Results and samples as files: NIfTI on the scan's own grid, a lesion table, a report.

Never a patient's name, never half a file.
"""

from napari_liver_anomaly.writing.nifti import write_image, write_labels
from napari_liver_anomaly.writing.results import write
from napari_liver_anomaly.writing.samples import write_sample

__all__ = ["write", "write_image", "write_labels", "write_sample"]
