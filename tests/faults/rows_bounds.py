"""Rows about what bounds the work before it begins: how much a file may ask for, and what is told and can be stopped meanwhile."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import dcmread

from builders import dicom_segmentation, dicom_series
from faults.stubs import Grey
from faults.table import row
from faults.witness import refused
from napari_liver_anomaly.errors import Cancelled
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.inference import needed_bytes
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.mask_labels import MOST_LABELS
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver import shape
from napari_liver_anomaly.preprocessing import PreprocessSettings
from napari_liver_anomaly.volume import Mask, Volume

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


class Lean(Grey):
    """Sees slices at a distance, and says what it needs for each pixel, as models do."""

    preprocess = PreprocessSettings(pixel_mm=1.5, plane_mm=4.0)
    pixel_bytes = 1500


@row(158)
def a_thousand_slices_whose_liver_is_found_fit_into_4_gb(kit: Kit) -> None:
    """A liver is found in 1,000 slices: judging it takes three times the scan, or the search in it is refused though there is room."""
    probability = np.zeros((64, 128, 128), np.uint8)
    probability[8:56, 20:108, 20:108] = 200
    found = probability > 127
    liver = Mask(found, Geometry(found.shape[::-1], np.diag([-2.0, -2.0, 2.0, 1.0])), probability=probability)
    scan = Volume(np.zeros(found.shape, np.int16), liver.geometry)
    tracemalloc.start()
    shape.found_doubts(scan, liver)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < found.size, peak
    tall = np.zeros((1000, 512, 512), bool)
    tall[50:950, 150:380, 110:390] = True
    scan = Volume(np.zeros(tall.shape, np.int16), Geometry(tall.shape[::-1], np.diag([-0.8, -0.8, 0.2, 1.0])))
    needed = needed_bytes(scan, Mask(tall, scan.geometry), Lean(), 8)
    assert 2 * tall.size < needed < 2_500_000_000, needed
