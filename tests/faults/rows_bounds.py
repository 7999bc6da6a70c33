"""Rows about what bounds the work before it begins: how much a file may ask for, and what is told and can be stopped meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import dcmread

from builders import dicom_segmentation, dicom_series
from faults.table import row
from faults.witness import refused
from napari_liver_anomaly.errors import Cancelled
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.mask_labels import MOST_LABELS
from napari_liver_anomaly.job import Job

if TYPE_CHECKING:
    from faults.table import Kit


@row(155)
def segments_are_counted_before_they_are_read(kit: Kit) -> None:
    """A DICOM segmentation claims thousands of segments: hours of reading for a small file."""
    scan, path, blob = read(dicom_series(kit.folder / "scan")), kit.folder / "seg.dcm", np.zeros((11, 16, 16, 1), np.uint8)
    blob[3:7, 4:9, 3:7] = 1
    dicom_segmentation(path, blob, [("Leber", "10200004", "Liver")])
    assert read_mask(path, scan, "liver mask").voxels.any()
    fields = dcmread(path)
    fields.SegmentSequence = [fields.SegmentSequence[0]] * (MOST_LABELS + 1)
    fields.save_as(path)
    looked_at: list[object] = []
    kit.patch.setattr("highdicom.seg.Segmentation.from_dataset", lambda *_, **__: looked_at.append(1))
    with refused("segments", "mask-segments"):
        read_mask(path, scan, "liver mask")
    assert not looked_at


@row(156)
def the_search_of_a_disc_is_told_and_can_be_stopped(kit: Kit) -> None:
    """A CD with hundreds of folders: minutes of search that tell nothing and cannot be stopped."""
    for number in range(20):
        (kit.folder / "disc" / f"{number:02d}" / "below").mkdir(parents=True)
    dicom_series(kit.folder / "disc" / "19" / "below" / "series")
    phases: list[str] = []
    assert len(read(kit.folder / "disc", job=Job(report=lambda step: phases.append(step.phase))).voxels) == 11
    assert sum(phase.startswith("Searching folders") for phase in phases) > 20 and phases.count("Reading the headers") == 11
    opened: list[str] = []
    job = Job(report=lambda step: opened.append(step.phase) or (job.cancel() if len(opened) == 5 else None))
    with pytest.raises(Cancelled):
        read(kit.folder / "disc", job=job)
    assert len(opened) == 5  # it stopped at the very next folder
