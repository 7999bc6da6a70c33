"""What a run does, in counts that no machine changes: bytes read of a scan's file, copies of the scan, Python calls of one cut."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from napari_liver_anomaly import read, segment
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io import write_image
from napari_liver_anomaly.lesions import level_of
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.score_voxels import ScoreVoxels
from napari_liver_anomaly.segmentation import SegmentSettings, cut_voxels
from napari_liver_anomaly.storage import PIECE

MOST_COPIES = {"read": 2.5, "segment": 6.5}  # arrays of the size of the int16 scan at once, beside the scan
MOST_CALLS = 600  # of Python functions, for one cut
OTHER_READING = (
    PIECE + 100_000
)  # bytes: of a packed file, its header comes with a first piece; and what else is opened on the way


@pytest.fixture(scope="module")
def sample():
    return make_phantom(PhantomSettings(size_px=192, slices=64))


def bytes_read():
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not count what a process reads")
@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_the_file_of_a_scan_is_read_once(tmp_path, sample, ending):
    path = tmp_path / f"scan{ending}"
    write_image(sample.volume.voxels, sample.volume.geometry, path)
    read(path)  # loads libraries
    before = bytes_read()
    read(path)
    taken, size = bytes_read() - before, path.stat().st_size
    assert OTHER_READING < size <= taken <= size + OTHER_READING


def peak_copies(work, volume):
    work()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return (tracemalloc.get_traced_memory()[1] - before) / volume.voxels.nbytes
    finally:
        tracemalloc.stop()


def test_few_copies_of_the_scan_are_made(tmp_path, sample):
    path = tmp_path / "scan.nii.gz"
    write_image(sample.volume.voxels, sample.volume.geometry, path)
    copies = peak_copies(lambda: read(path), sample.volume)
    assert 1 <= copies <= MOST_COPIES["read"], f"reading takes {copies:.2f} scans"
    copies = peak_copies(lambda: segment(sample.volume, sample.liver, DarkRule(), unlikely="accept"), sample.volume)
    assert copies <= MOST_COPIES["segment"], f"a run takes {copies:.2f} scans"


def calls_of(work):
    """Count the calls of Python functions, also those in other libraries."""
    calls = [0]

    def count(frame, event, argument):
        calls[0] += event == "call"

    work()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls[0]


@pytest.mark.parametrize("lesions", [2, 40])
def test_one_cut_calls_few_functions_however_many_lesions_there_are(lesions):
    score = np.zeros((4, 60, 60), np.uint8)
    places = np.arange(lesions)
    for step in range(4):
        score[1:3, 3 + 8 * (places // 7) + step, 3 + 8 * (places % 7)] = 230
    settings = SegmentSettings(threshold=0.5, min_lesion_mm3=1)
    geometry = Geometry((60, 60, 4), np.diag([-1.0, -1.0, 1.0, 1.0]))
    voxels = ScoreVoxels.of(score, None, level_of(0.1))
    labels, _ = cut_voxels(voxels, geometry, settings)
    assert labels.dense().max() == lesions
    calls = calls_of(lambda: cut_voxels(voxels, geometry, settings))
    assert calls <= MOST_CALLS, f"{calls} calls"
