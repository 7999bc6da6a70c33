"""Real scans: read as they are described, or refused for what is wrong with them."""

from __future__ import annotations

import zipfile

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from napari_liver_anomaly.errors import ImpossibleGeometry, UnreadableFile
from napari_liver_anomaly.io import can_read, pixels, read, read_mask

# Liver in ml as the data's own description counts it.
LIVER_ML = {"lits_029": 1605, "lits_046": 1147, "totalseg_example": 1123}


def unzipped(data_dir, tmp_path, name):
    with zipfile.ZipFile(data_dir / f"{name}.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path / name


@pytest.mark.parametrize("name", LIVER_ML)
def test_scans_and_their_masks(data_dir, name):
    path = data_dir / f"{name}_ct.nii.gz"
    assert can_read(path)
    volume = read(path)
    notes = volume.findings
    if name.startswith("lits"):
        assert [note.what for note in notes] == ["Values end at -45 and 160 HU: they were clipped."]
    else:
        assert notes == ()
    stored = nibabel.load(path)
    np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), np.asanyarray(stored.dataobj))
    np.testing.assert_allclose(volume.geometry.source_affine, stored.affine)
    liver = read_mask(data_dir / f"{name}_liver.nii.gz", volume, "liver mask")
    assert liver.ml == pytest.approx(LIVER_ML[name], abs=1)


def test_every_scan_of_the_folder_reads(data_dir):
    paths = sorted(data_dir.glob("lits_0[034]*_ct.nii.gz"))[:3]
    for path in paths:
        volume = read(path)
        notes = volume.findings
        assert volume.name == path.name.removesuffix(".nii.gz")
        assert {note.code for note in notes} <= {"values-clipped", "padding"}


def test_ircad_series_agrees_with_the_same_scan_as_nifti(data_dir, tmp_path):
    folder = unzipped(data_dir, tmp_path, "ircad_17_dicom")
    series = read(folder)
    assert [note.what for note in series.findings] == ["24 images were read, but they are numbered from 84 on."]  # an excerpt
    assert series.voxels.shape == (24, 512, 512)
    assert series.geometry.spacing_mm == pytest.approx((1.6, 0.743, 0.743))
    whole = read(data_dir / "ircad_17_ct.nii.gz")
    # The same place in both: the first voxel of the crop, in voxels of the series.
    low = np.linalg.inv(series.geometry.affine) @ [*whole.geometry.position_mm((0, 0, 0)), 1]
    np.testing.assert_allclose(low[:3], np.round(low[:3]), atol=0.01)
    z, y, x = np.round(low[:3]).astype(int)
    depth, rows, columns = whole.voxels.shape
    there = whole.voxels[-z : -z + 24]
    assert 0 <= -z <= depth - 24
    np.testing.assert_array_equal(series.voxels[:, y : y + rows, x : x + columns], there)


def test_a_series_compressed_with_jpeg_2000(data_dir, tmp_path, monkeypatch):
    folder = unzipped(data_dir, tmp_path, "totalseg_jp2k_dicom")
    if pixels.decoder_is_there("1.2.840.10008.1.2.4.90"):
        volume = read(folder)
        notes = volume.findings
        assert [note.code for note in notes] == ["thickness-differs", "slices-fewer"]
        assert volume.geometry.spacing_mm == pytest.approx((2.0, 0.977, 0.977), abs=1e-3)
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        theirs = sitk.GetArrayFromImage(reader.Execute()).transpose(2, 1, 0)
        np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), theirs)
    monkeypatch.setattr(pixels, "decoder_is_there", lambda syntax: False)
    with pytest.raises(UnreadableFile, match=r"compressed as JPEG 2000.*pip install pylibjpeg pylibjpeg-openjpeg"):
        read(folder)


def test_spacing_comes_from_positions_and_masks_from_nrrd(data_dir, tmp_path):
    folder = unzipped(data_dir, tmp_path, "dcmqi_ct3slice")
    volume = read(folder)
    notes = volume.findings
    assert volume.geometry.spacing_mm == pytest.approx((1.0, 0.811, 0.811), abs=1e-3)
    assert [note.code for note in notes] == ["thickness-differs", "images-left-out", "files-left-out", "padding"]
    assert "1 mm apart and 1.25 mm thick" in notes[0].what
    assert "SEG 1" in notes[1].what
    liver = read_mask(folder / "liver_seg.nrrd", volume, "liver mask")
    assert liver.ml > 1
    assert -50 < volume.voxels[liver.voxels].mean() < 200
    with pytest.raises(UnreadableFile, match="only SEG 1"):
        read(folder / "liver.dcm")


def test_gantry_tilt_is_named(data_dir, tmp_path):
    with pytest.raises(ImpossibleGeometry, match=r"tilted by 18\.5°"):
        read(unzipped(data_dir, tmp_path, "ge_tilt_dicom"))
