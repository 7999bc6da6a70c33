"""Masks: any whole numbers on the scan's own grid, and nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest
import SimpleITK as sitk

from builders import PLAIN_AFFINE, ct, dicom_series, nifti_file
from napari_liver_anomaly.errors import InvalidNumbers, Refusal, UnreadableFile, WrongGrid
from napari_liver_anomaly.io import read, read_mask

BLOB = np.zeros((16, 16, 11), np.uint8)
BLOB[3:9, 4:7, 2:10] = 1
BLOB[5, 5, 5] = 7


@pytest.fixture
def volume(tmp_path):
    return read(nifti_file(tmp_path / "ct.nii.gz"))


def blob(path, volume) -> None:
    mask = read_mask(path, volume, labels="all")
    np.testing.assert_array_equal(volume.geometry.to_source(mask.voxels), BLOB > 0)
    assert mask.scan == volume.identity
    assert mask.ml == pytest.approx(6 * 3 * 8 * 0.7 * 0.8 * 2 / 1000, rel=1e-6)


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u8", "f4", "f8"])
def test_every_kind_of_number(tmp_path, volume, kind):
    blob(nifti_file(tmp_path / "liver.nii.gz", BLOB.astype(kind)), volume)


def test_other_formats(tmp_path, volume):
    image = sitk.ReadImage(str(nifti_file(tmp_path / "liver.nii", BLOB)))
    for key in image.GetMetaDataKeys():
        image.EraseMetaData(key)
    for name in ("liver.nrrd", "liver.mha"):
        sitk.WriteImage(image, str(tmp_path / name), useCompression=True)
        blob(tmp_path / name, volume)


def test_the_same_grid_in_another_axis_order(tmp_path, volume):
    flipped = PLAIN_AFFINE @ np.array([[0, -1, 0, 15], [1, 0, 0, 0], [0, 0, -1, 10], [0, 0, 0, 1.0]])
    turned = BLOB.transpose(1, 0, 2)[:, ::-1, ::-1]
    # index (i, j, k) of the file is (15 - j, i, 10 - k) of the scan
    blob(nifti_file(tmp_path / "liver.nii", turned, affine=flipped), volume)


@pytest.mark.parametrize("moved", [(0.7, 0, 0), (0, -0.4, 0), (0, 0, 1.0), (0, 0, 0.15), (0.08, 0, 0)])
def test_a_shifted_mask_is_refused_with_both_grids(tmp_path, volume, moved):
    affine = PLAIN_AFFINE.copy()
    affine[:3, 3] = moved
    with pytest.raises(WrongGrid) as error:
        read_mask(nifti_file(tmp_path / "liver.nii", BLOB, affine=affine), volume, "liver mask")
    first, second = re.findall(r"\((16 × .*? mm)\)", str(error.value))
    assert first != second
    assert str(error.value).startswith("The liver mask (16 × 16 × 11 voxels")


@pytest.mark.parametrize("shape", [(15, 16, 11), (16, 16, 12), (16, 17, 11)])
def test_another_shape_is_refused(tmp_path, volume, shape):
    with pytest.raises(WrongGrid):
        read_mask(nifti_file(tmp_path / "liver.nii", np.ones(shape, np.uint8)), volume)


def test_grids_that_differ_by_their_turn_alone_are_told_apart(tmp_path, volume):
    turn = np.array([[np.cos(0.02), -np.sin(0.02), 0, 0], [np.sin(0.02), np.cos(0.02), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    corner = volume.geometry.position_mm((0, 0, 0))
    affine = np.eye(4)
    affine[:3, 3] = corner
    turned = affine @ turn @ np.linalg.inv(affine) @ PLAIN_AFFINE
    with pytest.raises(WrongGrid) as error:
        read_mask(nifti_file(tmp_path / "liver.nii", BLOB, affine=turned), volume)
    first, second = re.findall(r"\((16 × .*? mm)\)", str(error.value))
    assert first != second


@pytest.mark.parametrize("moved", [(0.02, 0, 0), (0, -0.05, 0), (0, 0, 0.09)])
def test_a_mask_off_by_rounding_is_taken_with_a_note(tmp_path, volume, moved):
    affine = PLAIN_AFFINE.copy()
    affine[:3, 3] = moved
    mask = read_mask(nifti_file(tmp_path / "liver.nii", BLOB, affine=affine), volume, labels="all")
    assert np.array_equal(volume.geometry.to_source(mask.voxels), BLOB > 0)
    assert mask.geometry is volume.geometry
    (note,) = (finding for finding in mask.findings if finding.code == "mask-rounded")
    assert f"{max(map(abs, moved)):.2g} mm" in note.what


def test_a_mask_on_part_of_the_grid_is_filled_up(tmp_path, volume):
    low, high = np.argwhere(BLOB).min(axis=0), np.argwhere(BLOB).max(axis=0) + 1
    for before, after in ((0, 0), (1, 0), (2, 1)):
        low_, high_ = low - before, high + after
        part = np.zeros(high_ - low_, np.uint8)
        inside = tuple(slice(before, before + n) for n in high - low)
        part[inside] = BLOB[tuple(map(slice, low, high))]
        affine = PLAIN_AFFINE.copy()
        affine[:3, 3] = PLAIN_AFFINE[:3, :3] @ low_ + PLAIN_AFFINE[:3, 3]
        mask = read_mask(nifti_file(tmp_path / "liver.nii", part, affine=affine), volume, labels="all")
        assert np.array_equal(volume.geometry.to_source(mask.voxels), BLOB > 0)
        assert "mask-part-of-grid" in {finding.code for finding in mask.findings}
    one = read_mask(nifti_file(tmp_path / "one.nii", BLOB[:, :, 5:6], PLAIN_AFFINE @ shifted(0, 0, 5)), volume, labels="all")
    assert one.voxels.sum() == np.count_nonzero(BLOB[:, :, 5])


def shifted(x: float, y: float, z: float):
    affine = np.eye(4)
    affine[:3, 3] = x, y, z
    return affine


def test_fractions_are_refused(tmp_path, volume):
    with pytest.raises(InvalidNumbers, match="not whole"):
        read_mask(nifti_file(tmp_path / "liver.nii", BLOB * 0.5), volume)
    with pytest.raises(InvalidNumbers, match="not whole"):
        read_mask(nifti_file(tmp_path / "liver.nii", BLOB, scaling=(1 / 255, 0)), volume)


def test_an_empty_mask(tmp_path, volume):
    path = nifti_file(tmp_path / "liver.nii", np.zeros_like(BLOB))
    with pytest.raises(UnreadableFile, match="The liver mask is empty"):
        read_mask(path, volume, "liver mask")
    assert read_mask(path, volume, may_be_empty=True).ml == 0


def test_findings_about_the_header_count_for_masks_too(tmp_path, volume):
    for path in (nifti_file(tmp_path / "a.nii", BLOB, codes=(0, 0)), nifti_file(tmp_path / "b.nii", np.stack([BLOB, BLOB], 3))):
        with pytest.raises(Refusal):
            read_mask(path, volume)


def test_a_scan_of_dicom_is_no_mask(tmp_path, volume):
    folder = dicom_series(tmp_path / "case", ct())
    for path in (folder, folder / "slice04.dcm"):
        with pytest.raises(UnreadableFile, match="DICOM, but not one segmentation"):
            read_mask(path, volume)


def test_a_wrong_path_says_what_it_was_of(tmp_path, volume):
    with pytest.raises(UnreadableFile, match=r"The scan is not there"):
        read(tmp_path / "none.nii")
    with pytest.raises(UnreadableFile, match=r"The liver mask is not there"):
        read_mask(tmp_path / "none.nii", volume, "liver mask")
