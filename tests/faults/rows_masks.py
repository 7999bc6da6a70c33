"""Rows about masks of several segments, in files and in folders of cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from builders import dicom_segmentation, dicom_series, nifti_file
from faults.table import row
from faults.witness import codes_of, refused
from napari_liver_anomaly.errors import Question
from napari_liver_anomaly.io import read, read_mask

if TYPE_CHECKING:
    from faults.table import Kit

LIVER, TUMOUR = ("Leber", "10200004", "Liver"), ("Tumor", "86049000", "Neoplasm, Primary")


@row(103)
def segments_of_dicom_lie_where_their_slices_say(kit: Kit) -> None:
    """A DICOM segmentation: frames in any order, empty slices left out, segments that overlap or are fractions; its liver would lie elsewhere."""
    scan = read(dicom_series(kit.folder / "scan"))
    liver, tumour = np.zeros((2, 11, 16, 16, 1), np.uint8)
    liver[[2, 3, 6], 4:9, 3:7] = 1
    tumour[3:6, 5:7, 5:9] = 1
    path = kit.folder / "seg.dcm"
    mask = read_mask(dicom_segmentation(path, liver, [LIVER], shuffled=True), scan, "liver mask")
    assert np.array_equal(scan.geometry.to_source(mask.voxels).transpose(2, 1, 0), liver[..., 0])
    dicom_segmentation(path, np.concatenate([liver, tumour], axis=-1), [LIVER, TUMOUR])
    with refused("several", "mask-labels", kind=Question) as caught:
        read_mask(path, scan, "liver mask")
    assert "1 (Leber), 2 (Tumor)" in caught.finding.what
    mask = read_mask(path, scan, labels="10200004")
    assert np.array_equal(scan.geometry.to_source(mask.voxels).transpose(2, 1, 0), liver[..., 0])
    fractions = read_mask(dicom_segmentation(path, 0.7 * liver, [LIVER], kind="FRACTIONAL"), scan)
    assert fractions.ml == mask.ml and codes_of(fractions.findings) == {"mask-halves"}
    for about, knobs in {"moved": {"first": (-5, -6.5, 30)}, "other slices": {"step": 2.5}}.items():
        with refused(about, "mask-grid"):
            read_mask(dicom_segmentation(path, liver, [LIVER], **knobs), scan)
    with refused("contours, or a scan", "mask-dicom"):
        read_mask(kit.folder / "scan", scan)


@row(104)
def sizes_left_at_zero_are_taken_from_the_position(kit: Kit) -> None:
    """NIfTI without voxel sizes beside a sound position, NRRD whose voxels end their file: sound files were refused."""
    wanted = read(nifti_file(kit.folder / "plain.nii"))
    for odd in (0.0, np.nan):
        volume = read(nifti_file(kit.folder / "odd.nii", header={"pixdim": [1, *[odd] * 3, 1, 1, 1, 1]}))
        assert volume.geometry.same_grid(wanted.geometry) and codes_of(volume.findings) == {"sizes-missing"}
        with refused(odd, "spacing-impossible"):
            read(nifti_file(kit.folder / "odd.nii", codes=(0, 1), header={"pixdim": [1, *[odd] * 3, 1, 1, 1, 1]}))
