"""Rows about what bounds the work before it begins: how much a file may ask for, and what is told and can be stopped meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom import dcmread

from builders import dicom_segmentation, dicom_series
from faults.table import row
from faults.witness import refused
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.mask_labels import MOST_LABELS

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
