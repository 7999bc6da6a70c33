"""A result becomes a folder: complete or not at all, on the scan's grid, with figures a person and a program can read."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import nibabel
import numpy as np
import pandas as pd
import pytest

from former_cut import label_components
from napari_liver_anomaly import placing
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, Finding, Level, NotWritten, WrongGrid
from napari_liver_anomaly.io import read_mask, write, write_case
from napari_liver_anomaly.lesions import measure
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.result import Result
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.volume import Mask, Volume

NAMES = [
    "restored.nii.gz",
    "residual.nii.gz",
    "score.nii.gz",
    "tumours.nii.gz",
    "lesions.nii.gz",
    "liver.nii.gz",
    "lesions.csv",
    "report.json",
]
PATIENT = "MUSTERMANN^ERIKA"


@pytest.fixture(scope="module")
def sample():
    return make_phantom(PhantomSettings(slices=12, size_px=64))


def made(sample, tumours=True, restores=True):
    volume = Volume(sample.volume.voxels, sample.volume.geometry, PATIENT)
    score = np.where(sample.tumours.voxels, 200, np.where(sample.liver.voxels, 30, 0)).astype(np.uint8)
    score = score if tumours else np.minimum(score, 30)
    residual = np.where(sample.tumours.voxels, -40, 0).astype(np.int16)
    labels = label_components(score, 0.5, 50, volume.geometry)
    return Result(
        volume=volume,
        liver=sample.liver,
        restored=(volume.voxels - residual) if restores else None,
        residual=residual if restores else None,
        score=score,
        labels=labels,
        lesions=measure(labels, volume, sample.liver),
        settings=SegmentSettings(),
        model="compact",
        model_hash="ab" * 32,
        device="cpu",
        ran_on="Ran on CPU.",
        timings_s={"total": 1.25},
        findings=(Finding(level=Level.NOTE, code="a-note", what="A.", meaning="B.", action="C."),),
    )


def image(folder, name):
    return np.asarray(nibabel.load(folder / f"{name}.nii.gz").dataobj)


def test_images_come_back_as_they_were(sample, tmp_path):
    result = made(sample)
    paths = write(result, tmp_path / "new" / "folder")
    folder = tmp_path / "new" / "folder"
    assert [path.name for path in paths] == NAMES and sorted(p.name for p in folder.iterdir()) == sorted(NAMES)
    back = result.volume.geometry.to_canonical
    for name, array, kind in (
        ("restored", result.restored, "int16"),
        ("residual", result.residual, "int16"),
        ("tumours", result.labels > 0, "uint8"),
        ("lesions", result.labels, "uint8"),
        ("liver", result.liver.voxels, "uint8"),
    ):
        read = image(folder, name)
        assert read.dtype == kind and np.array_equal(back(read), array), name
    score = image(folder, "score")
    assert score.dtype == np.float32 and np.array_equal(np.rint(back(score) * 255), result.score) and score.max() <= 1
    assert read_mask(folder / "liver.nii.gz", result.volume).ml == pytest.approx(result.liver.ml)


def test_labels_are_the_numbers_of_the_table(sample, tmp_path):
    """Read by another library, each label has the volume and the place that its row of the table says."""
    import SimpleITK

    result = made(sample)
    write(result, tmp_path)
    image = SimpleITK.ReadImage(str(tmp_path / "lesions.nii.gz"), SimpleITK.sitkUInt16)
    shapes = SimpleITK.LabelShapeStatisticsImageFilter()
    shapes.Execute(image)
    table = pd.read_csv(tmp_path / "lesions.csv").set_index("number")
    assert sorted(shapes.GetLabels()) == list(table.index) and len(table) >= 2
    for number, row in table.iterrows():
        assert shapes.GetPhysicalSize(number) / 1000 == pytest.approx(row.volume_ml, abs=6e-4)
        x, y, z = shapes.GetCentroid(number)  # LPS
        assert (-x, -y, z) == pytest.approx((row.centroid_x_mm, row.centroid_y_mm, row.centroid_z_mm), abs=2e-3)
    binary = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "tumours.nii.gz")))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image) > 0, binary == 1)


def test_numbers_given_by_hand_arrive_exactly(sample, tmp_path):
    labels = np.zeros(sample.volume.voxels.shape, np.int64)
    labels[5, 20:24, 20:24], labels[6, 30:34, 30:34] = 1, 70000
    write(replace(made(sample), labels=labels), tmp_path)
    assert set(np.unique(image(tmp_path, "lesions"))) == {0, 1, 70000}


def test_the_table_reads_cleanly(sample, tmp_path):
    result = made(sample)
    write(result, tmp_path)
    table = pd.read_csv(tmp_path / "lesions.csv")
    assert len(table) == len(result.lesions) >= 2
    assert list(table.number) == [lesion.number for lesion in result.lesions]
    assert table.volume_ml.to_numpy() == pytest.approx([lesion.volume_ml for lesion in result.lesions], abs=6e-4)
    first = table.iloc[0]
    place = result.lesions[0].centroid_mm
    assert (first.centroid_x_mm, first.centroid_y_mm, first.centroid_z_mm) == pytest.approx(place, abs=6e-4)
    assert first.centroid_z_index == pytest.approx(result.lesions[0].centroid_index[0], abs=6e-4)
    assert set(table.notice) == {NOT_A_MEDICAL_DEVICE} and table.image.isna().all(), "of no DICOM series"
    for row in table.itertuples():
        sizes = (result.labels == row.number).sum(axis=(1, 2))
        assert sizes[row.largest_slice] == sizes.max()
        assert row.largest_slice_mm == pytest.approx(result.volume.geometry.affine[2] @ (row.largest_slice, 0, 0, 1), abs=6e-4)


def test_the_report_says_what_was_done(sample, tmp_path):
    result = made(sample)
    write(result, tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["notice"] == NOT_A_MEDICAL_DEVICE
    assert report["scan"] == result.volume.identity and report["model_hash"] == "ab" * 32
    assert report["settings"] == SegmentSettings().to_dict() and report["findings"][0]["level"] == "note"
    assert report["number_of_lesions"] == len(result.lesions) and report["files"] == NAMES
    assert report["tumour_ml"] == pytest.approx(sum(lesion.volume_ml for lesion in result.lesions), abs=2e-3)
    assert set(report["versions"]) == {"napari-liver-anomaly", "torch", "numpy", "nibabel"}
    assert re.fullmatch(r"Searched 1,\d{3} ml of liver, threshold 0\.50: \d lesions, [\d.]+ ml in all\.", report["summary"])


def test_nothing_found_is_said_in_words(sample, tmp_path):
    write(made(sample, tumours=False), tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert re.fullmatch(r"Searched 1,\d{3} ml of liver, threshold 0\.50: nothing found\.", report["summary"])
    assert report["pieces_left_out"] == 0 and report["settings"]["min_liver_probability"] == 0.5
    assert report["number_of_lesions"] == 0 and len(pd.read_csv(tmp_path / "lesions.csv")) == 0
    assert not image(tmp_path, "tumours").any()


def test_a_method_that_restores_nothing_writes_no_restoration(sample, tmp_path):
    assert [path.name for path in write(made(sample, restores=False), tmp_path)] == NAMES[2:]


def test_numbers_without_meaning_stay_empty(sample, tmp_path):
    result = made(sample)
    whole = Mask(result.labels > 0, result.volume.geometry)
    lesions = measure(result.labels, result.volume, whole)
    write(Result(**{f: getattr(result, f) for f in result.__dataclass_fields__} | {"lesions": lesions}), tmp_path)
    assert pd.read_csv(tmp_path / "lesions.csv").liver_hu.isna().all()


def test_no_name_leaves_the_program(sample, tmp_path):
    import gzip

    for path in write(made(sample), tmp_path):
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        assert PATIENT.encode() not in content and str(tmp_path).encode() not in content


def test_a_liver_of_another_scan_is_refused(sample, tmp_path):
    result = made(sample)
    other = Mask(result.liver.voxels, result.volume.geometry, "0" * 16)
    with pytest.raises(WrongGrid):
        write(Result(**{f: getattr(result, f) for f in result.__dataclass_fields__} | {"liver": other}), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("others", [[], ["notes.txt"]])  # beside other files they take their places one by one
@pytest.mark.parametrize("fails", range(7))
def test_all_or_nothing(sample, tmp_path, monkeypatch, fails, others):
    """The disk fills up at the nth file: every earlier file is as it was, and nothing is left beside them."""
    out = tmp_path / "out"
    out.mkdir()
    for name in (*NAMES, *others):
        (out / name).write_bytes(b"before")
    real, asked = placing.os.fsync, []

    def full(number):
        asked.append(number)
        if len(asked) == fails + 1:
            raise OSError(28, "No space left on device")
        real(number)

    monkeypatch.setattr(placing.os, "fsync", full)
    with pytest.raises(NotWritten):
        write(made(sample), out, replace=True)
    assert sorted(path.name for path in out.iterdir()) == sorted([*NAMES, *others]) and list(tmp_path.iterdir()) == [out]
    assert all(path.read_bytes() == b"before" for path in out.iterdir())


def test_the_scan_in_the_same_folder_is_safe(sample, tmp_path):
    scan = tmp_path / "liver.nii.gz"
    scan.write_bytes(b"the liver that was read")
    with pytest.raises(NotWritten):
        write(made(sample), tmp_path, inputs=(scan,))
    assert [path.name for path in tmp_path.iterdir()] == ["liver.nii.gz"]
    assert scan.read_bytes() == b"the liver that was read"


def test_a_folder_that_is_a_file_is_refused(sample, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(NotWritten):
        write(made(sample), tmp_path / "out")


def test_samples_are_named_as_cases_are(sample, tmp_path):
    from napari_liver_anomaly.io import read
    from napari_liver_anomaly.io.cases import find_cases

    write_case(sample.volume, sample.liver, sample.tumours, tmp_path, "phantom")
    (case,) = find_cases(tmp_path)
    volume = read(case.ct)
    assert np.array_equal(volume.voxels, sample.volume.voxels) and volume.geometry.same_grid(sample.volume.geometry)
    assert volume.identity == sample.volume.identity
    assert np.array_equal(read_mask(case.tumours, volume).voxels, sample.tumours.voxels)
    for odd in ("", "../x", "a/b", ".x"):
        with pytest.raises(NotWritten):
            write_case(sample.volume, sample.liver, sample.tumours, tmp_path, odd)


@pytest.mark.parametrize(("pieces", "words"), [(1, "1 piece left out"), (3, "3 pieces left out")])
def test_what_was_left_out_is_counted(sample, tmp_path, pieces, words):
    write(replace(made(sample, tumours=False), left_out=pieces), tmp_path)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["pieces_left_out"] == pieces
    assert report["summary"].endswith(f"threshold 0.50: nothing found; {words}, where the found liver is unsure.")
