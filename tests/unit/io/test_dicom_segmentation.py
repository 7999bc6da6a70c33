"""DICOM segmentations as masks: frames in any order, empty slices left out, segments by label or code, layers that overlap."""

from __future__ import annotations

import os

import numpy as np
import pytest
from pydicom import dcmread

from builders import RLE, dicom_segmentation, dicom_series, nifti_file
from napari_liver_anomaly.errors import Question, Refusal
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.mask_labels import MOST_LABELS

LIVER, TUMOUR, SPLEEN = (
    ("Leber", "10200004", "Liver"),
    ("Tumor 1", "86049000", "Neoplasm, Primary"),
    ("Spleen", "78961009", "Spleen"),
)
BLOB = np.zeros((11, 16, 16, 1), np.uint8)  # slices, rows, columns
BLOB[3:7, 4:9, 3:7] = 1
SPOT = np.zeros_like(BLOB)
SPOT[4:6, 5:7, 6:9] = 1


@pytest.fixture
def volume(tmp_path):
    return read(dicom_series(tmp_path / "scan"))


def placed(mask, volume):
    """Voxels in the order of slices, rows and columns of the series, lowest slice first."""
    return volume.geometry.to_source(mask.voxels).transpose(2, 1, 0)


@pytest.mark.parametrize("knobs", [{}, {"shuffled": True}, {"kind": "LABELMAP"}, {"kind": "LABELMAP", "syntax": RLE}])
def test_one_segment_is_taken_wherever_its_slices_lie(tmp_path, volume, knobs):
    gap = BLOB.copy()
    gap[4] = 0  # a slice without a voxel is not stored
    for masks in (BLOB, gap, BLOB * (np.arange(11) == 5)[:, None, None, None], np.ones_like(BLOB)):
        mask = read_mask(dicom_segmentation(tmp_path / "seg.dcm", masks, [LIVER], **knobs), volume, "liver mask")
        assert np.array_equal(placed(mask, volume), masks[..., 0])
        assert mask.findings == () and mask.scan == volume.identity
    most = np.ones_like(BLOB)
    most[0] = 0
    assert np.array_equal(
        placed(read_mask(dicom_segmentation(tmp_path / "seg.dcm", most, [LIVER]), volume), volume), most[..., 0]
    )


def test_slices_may_run_the_other_way_and_the_scan_may_be_no_dicom(tmp_path, volume):
    down = dicom_segmentation(tmp_path / "down.dcm", BLOB[::-1], [LIVER], first=(-5, -7, 50), step=-2)
    assert np.array_equal(placed(read_mask(down, volume), volume), BLOB[..., 0])
    scan = read(nifti_file(tmp_path / "ct.nii", affine=np.array([[-0.7, 0, 0, 5], [0, -0.8, 0, 7], [0, 0, 2, 30], [0, 0, 0, 1]])))
    mask = read_mask(dicom_segmentation(tmp_path / "seg.dcm", BLOB, [LIVER]), scan)
    assert np.array_equal(scan.geometry.to_source(mask.voxels), BLOB[..., 0].transpose(2, 1, 0))


def test_several_segments_are_asked_about_by_label_and_code(tmp_path, volume):
    path = dicom_segmentation(tmp_path / "seg.dcm", np.concatenate([SPOT & (1 - BLOB), BLOB], axis=-1), [TUMOUR, LIVER])
    with pytest.raises(Question) as error:
        read_mask(path, volume, "liver mask")
    assert error.value.finding.what == "The liver mask holds 2 labels: 1 (Tumor 1), 2 (Leber)."
    assert [answer.value for answer in error.value.finding.answers] == ["2", "1", "all"]  # the liver first
    for label in ("2", "Leber", "leber", "10200004", "liver"):
        assert np.array_equal(placed(read_mask(path, volume, labels=label), volume), BLOB[..., 0])
    assert np.array_equal(placed(read_mask(path, volume, labels="2+1"), volume), (BLOB | SPOT)[..., 0])
    assert np.array_equal(placed(read_mask(path, volume, "tumour mask", may_be_empty=True), volume), (BLOB | SPOT)[..., 0])


def test_segments_may_overlap(tmp_path, volume):
    path = dicom_segmentation(tmp_path / "seg.dcm", np.concatenate([BLOB, SPOT], axis=-1), [LIVER, TUMOUR])
    assert (BLOB & SPOT).any()
    for label, wanted in {"Leber": BLOB, "Tumor 1": SPOT, "all": BLOB | SPOT}.items():
        assert np.array_equal(placed(read_mask(path, volume, labels=label), volume), wanted[..., 0])


def test_fractions_count_from_one_half(tmp_path, volume):
    part = np.where(BLOB, 0.6, 0.0) + np.where(SPOT & (1 - BLOB), 0.4, 0.0)
    mask = read_mask(dicom_segmentation(tmp_path / "seg.dcm", part, [LIVER], kind="FRACTIONAL"), volume)
    assert np.array_equal(placed(mask, volume), BLOB[..., 0])
    assert [finding.code for finding in mask.findings] == ["mask-halves"]


def test_a_map_of_labels(tmp_path, volume):
    path = dicom_segmentation(
        tmp_path / "seg.dcm", np.concatenate([BLOB, SPOT & (1 - BLOB)], axis=-1), [LIVER, TUMOUR], kind="LABELMAP"
    )
    assert np.array_equal(placed(read_mask(path, volume, labels="10200004"), volume), BLOB[..., 0])


@pytest.mark.parametrize("knobs", [{"first": (-5, -7.4, 30)}, {"step": 2.5}, {"pixel": (0.8, 0.8)}, {"first": (-5, -7, 31)}])
def test_a_segmentation_of_another_scan_is_refused(tmp_path, volume, knobs):
    with pytest.raises(Refusal) as error:
        read_mask(dicom_segmentation(tmp_path / "seg.dcm", BLOB, [LIVER], **knobs), volume, "liver mask")
    assert error.value.finding.code == "mask-grid"


def test_the_folder_of_a_segmentation_will_do(tmp_path, volume):
    (tmp_path / "seg").mkdir()
    path = dicom_segmentation(tmp_path / "seg" / "no_ending", BLOB, [LIVER])
    assert np.array_equal(placed(read_mask(tmp_path / "seg", volume), volume), BLOB[..., 0])
    dicom_segmentation(tmp_path / "seg" / "second.dcm", BLOB, [LIVER])
    for wrong in (tmp_path / "seg", tmp_path / "scan", next((tmp_path / "scan").iterdir())):
        with pytest.raises(Refusal) as error:
            read_mask(wrong, volume, "liver mask")
        assert error.value.finding.code == "mask-dicom"
    assert read_mask(path, volume).ml > 0


def test_damaged_and_packed_files_are_refused(tmp_path, volume):
    path = dicom_segmentation(tmp_path / "seg.dcm", BLOB, [LIVER])
    whole = path.read_bytes()
    codes = set()
    for end in range(200, len(whole), 97):
        path.write_bytes(whole[:end])
        with pytest.raises(Refusal) as error:
            read_mask(path, volume)
        codes.add(error.value.finding.code)
    assert codes <= {"file-damaged", "mask-dicom"}
    path.write_bytes(whole)
    fields = dcmread(path)
    fields.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"
    fields["PixelData"].is_undefined_length = True
    from pydicom.encaps import encapsulate

    fields.PixelData = encapsulate([b"\0\0"])
    fields.save_as(path)
    with pytest.raises(Refusal) as error:
        read_mask(path, volume)
    assert error.value.finding.code == "mask-packed"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_segmentation(tmp_path, volume):
    os.mkfifo(tmp_path / "pipe.dcm")
    with pytest.raises(Refusal) as error:
        read_mask(tmp_path / "pipe.dcm", volume)
    assert error.value.finding.code == "mask-dicom"


def test_slices_at_uneven_places_are_refused(tmp_path, volume):
    path = dicom_segmentation(tmp_path / "seg.dcm", BLOB, [LIVER])
    fields = dcmread(path)
    fields.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient = [-4, -7, 38]
    fields.save_as(path)
    with pytest.raises(Refusal) as error:
        read_mask(path, volume)
    assert error.value.finding.code == "mask-uneven"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_opened(tmp_path, volume):
    os.mkfifo(tmp_path / "mask.dcm")
    with pytest.raises(Refusal):
        read_mask(tmp_path / "mask.dcm", volume)


def test_more_segments_than_any_organs_are_refused_by_the_header(tmp_path, volume, monkeypatch):
    path = dicom_segmentation(tmp_path / "seg.dcm", np.concatenate([BLOB, SPOT], axis=-1), [LIVER, TUMOUR])
    fields = dcmread(path)
    fields.SegmentSequence = [fields.SegmentSequence[number % 2] for number in range(MOST_LABELS + 1)]
    fields.save_as(path)
    monkeypatch.setattr("highdicom.seg.Segmentation.from_dataset", lambda *_, **__: pytest.fail("its segments were looked at"))
    with pytest.raises(Refusal) as error:
        read_mask(path, volume, "liver mask")
    assert error.value.finding.code == "mask-segments" and "257 segments" in error.value.finding.what
