"""Real DICOM series: what each of them gives, before and after the user's answers."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import numpy as np
import pytest

from builders import searched
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.errors import ImpossibleGeometry, NotWritten
from napari_liver_anomaly.io import pixels, read, read_mask, series_in, write
from napari_liver_anomaly.io.dicom_writing import require_source
from napari_liver_anomaly.io.export_options import ExportOptions
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.lesions import measure
from napari_liver_anomaly.volume import Mask


@pytest.fixture
def unzipped(data_dir, tmp_path):
    """Folder of a series by its name; the test is skipped where it is absent."""

    def get(name):
        archive = data_dir / f"{name}.zip"
        if not archive.is_file():
            pytest.skip(f"no real DICOM series {name}")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path)
        return tmp_path / name

    return get


@pytest.mark.parametrize(
    ("name", "words", "notes"),
    [
        ("ircad_17_dicom", "24 slices of 1.6 mm, 512 × 512, axial, no contrast noted", ["slices-fewer"]),  # an excerpt
        ("totalseg_jp2k_dicom", "20 slices of 2 mm, 512 × 512, axial, kernel Br38f, contrast given", ["thickness-differs", "slices-fewer"]),
        (
            "dcmqi_ct3slice", "3 slices of 1 mm, 512 × 512, axial, kernel STANDARD, no contrast noted",
            ["thickness-differs", "images-left-out", "files-left-out", "padding"],
        ),
    ],
)  # fmt: skip
def test_sound_series(unzipped, name, words, notes):
    folder = unzipped(name)
    (one,) = series_in(folder)
    if name.startswith("totalseg") and not pixels.decoder_is_there("1.2.840.10008.1.2.4.90"):
        assert not one.readable
        pytest.skip("no decoder for JPEG 2000")
    assert str(one) == words
    assert one.readable
    picture = one.thumbnail()
    assert picture.shape == (64, 64)
    assert 10 < picture.mean() < 120
    volume = read(folder)
    findings = volume.findings
    assert volume.geometry.spacing_mm == pytest.approx(one.spacing_mm)
    assert [finding.code for finding in findings] == notes
    after = read(folder, ReadOptions(tilt="straighten", gaps="fill"))  # nothing to mend, nothing changed
    np.testing.assert_array_equal(after.voxels, volume.voxels)


def test_a_tilted_series_is_straightened_on_request(unzipped, capsys):
    folder = unzipped("ge_tilt_dicom")
    assert series_in(folder)[0].readable
    with pytest.raises(ImpossibleGeometry, match=r"tilted by 18\.5°"):
        read(folder)
    assert main(["liver", str(folder), "--out", str(folder.parent / "out.nii.gz")]) != 0
    told = capsys.readouterr()
    assert "--tilt straighten" in told.out + told.err
    assert not (folder.parent / "out.nii.gz").exists()
    volume = read(folder, ReadOptions(tilt="straighten"))
    findings = volume.findings
    assert volume.voxels.shape == (37, 611, 512)
    assert volume.geometry.spacing_mm == pytest.approx((4.0025, 0.488, 0.488), abs=1e-3)
    assert [finding.code for finding in findings] == ["stack-straightened"]
    # The skull is one closed shell: from slice to slice, the middle of the head moves by a few millimetres at most.
    middles = np.array([np.argwhere(one > -200).mean(axis=0) for one in volume.voxels[4:-4]]) * 0.488
    assert np.linalg.norm(np.diff(middles, axis=0), axis=1).max() < 6


def test_a_segmentation_on_real_slices_comes_back(unzipped, tmp_path):
    """Its headers name no character set, which the standard allows."""
    volume = read(unzipped("dcmqi_ct3slice"), ReadOptions(incomplete="accept"))
    labels = np.zeros(volume.geometry.shape, np.uint16)
    labels[1, 200:220, 150:180] = 1
    liver = Mask(np.zeros(labels.shape, bool) | (labels > 0), volume.geometry).of(volume)
    result = replace(searched(volume, 0), liver=liver, labels=labels, lesions=measure(labels, volume, liver))
    write(result, tmp_path / "out", also=ExportOptions(dicom_seg=True))
    back = read_mask(tmp_path / "out" / "segmentation.dcm", volume, labels="Lesion 1")
    assert np.array_equal(back.voxels, labels > 0)


@pytest.mark.parametrize(
    ("name", "lacks"), [("ircad_17_dicom", "FrameOfReferenceUID"), ("totalseg_jp2k_dicom", "StudyInstanceUID")]
)
def test_slices_that_anonymisation_left_without_a_place_get_no_segmentation(unzipped, name, lacks):
    volume = read(unzipped(name), ReadOptions(incomplete="accept"))
    with pytest.raises(NotWritten, match=lacks):
        require_source(volume)
