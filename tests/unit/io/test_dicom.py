"""DICOM series: the right files in the right order, or a sentence that names what is wrong."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import CT_IMAGE, SECONDARY_CAPTURE, ct, dicom_series
from napari_liver_anomaly.errors import Cancelled, ImpossibleGeometry, Question, Refusal, UnreadableFile
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io import dicom_folder, read, series_in
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.volume import Volume


def refused(path) -> str:
    with pytest.raises(Refusal) as error:
        read(path)
    assert path.name not in str(error.value)
    return error.value.finding.code


def same(path) -> tuple[str, ...]:
    """HU and place as the builder made them; gives the codes of the notes."""
    volume = read(path)
    notes = volume.findings
    assert volume.geometry.source_shape == (16, 16, 11)
    np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), ct())
    wanted = [[-0.7, 0, 0, 5], [0, -0.8, 0, 7], [0, 0, 2, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.geometry.source_affine, wanted, atol=1e-9)
    return tuple(note.code for note in notes)


def test_a_folder_and_any_file_of_it(tmp_path):
    folder = dicom_series(tmp_path / "case")
    assert same(folder) == ()
    assert same(folder / "slice04.dcm") == ()
    assert read(folder).name == read(folder / "slice04.dcm").name == "case"


def test_files_without_ending(tmp_path):
    folder = dicom_series(tmp_path / "case", names=[f"image_{k}" for k in range(11)])
    assert same(folder) == ()
    assert same(folder / "image_3") == ()


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(11)), numbers=st.permutations(range(11)))
def test_order_is_by_position_only(tmp_path_factory, order, numbers):
    folder = tmp_path_factory.mktemp("order")
    change = {k: {"InstanceNumber": number} for k, number in enumerate(numbers)}
    assert same(dicom_series(folder, names=[f"{n:02}" for n in order], change=change)) == ()
    shutil.rmtree(folder)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize("signed", [False, True])
def test_plain_syntaxes(tmp_path, syntax, signed):
    assert same(dicom_series(tmp_path / "case", syntax=syntax, signed=signed)) == ()


def test_rescale_of_every_slice_counts(tmp_path):
    rescale = {k: (1, -1000 - 2 * k) for k in range(11)} | {3: (0.5, -1024), 4: (0.02, -1000)}
    assert same(dicom_series(tmp_path / "case", rescale=rescale)) == ()


def test_stored_values_do_not_wrap(tmp_path):
    values = ct()
    values[3, 3, 3] = 32000
    volume = read(dicom_series(tmp_path / "case", values))
    assert volume.voxels.max() == 32000
    change = {5: {"RescaleSlope": 100}}
    assert refused(dicom_series(tmp_path / "case", change=change)) == "values-range"


@pytest.mark.parametrize("missing", [("RescaleSlope",), ("RescaleIntercept",), ("RescaleSlope", "RescaleIntercept")])
def test_no_calibration(tmp_path, missing):
    assert refused(dicom_series(tmp_path / "case", remove=missing)) == "rescale-missing"


@pytest.mark.parametrize(("slope", "code"), [("0", "rescale-missing"), ("nan", "rescale-missing"), ("inf", "rescale-missing")])
def test_calibration_that_is_none(tmp_path, slope, code):
    assert refused(dicom_series(tmp_path / "case", change={4: {"RescaleSlope": float(slope)}})) == code


def test_values_that_are_no_hounsfield_units(tmp_path):
    assert refused(dicom_series(tmp_path / "case", tags={"RescaleType": "OD"})) == "series-not-hu"
    assert same(dicom_series(tmp_path / "case", tags={"RescaleType": "HU"})) == ()


def test_spacing_is_never_the_thickness(tmp_path):
    assert same(dicom_series(tmp_path / "case", tags={"SliceThickness": 5.0})) == ("thickness-differs",)
    assert same(dicom_series(tmp_path / "case", remove=["SliceThickness"])) == ()


@pytest.mark.parametrize("lost", range(11))
def test_a_missing_slice(tmp_path, lost):
    folder = dicom_series(tmp_path / "case", drop=[lost])
    if lost in (0, 10):  # a shorter stack, every slice in its place
        volume = read(folder)
        assert volume.voxels.shape == (10, 16, 16)
        np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), np.delete(ct(), lost, axis=2))
        return
    with pytest.raises(ImpossibleGeometry, match=rf"gap of 4\.0 mm after slice {lost} \(usual 2\.0 mm\)"):
        read(folder)


def test_uneven_slices_name_the_worst(tmp_path):
    with pytest.raises(ImpossibleGeometry, match=r"slice 5 lies 0\.[34]\d mm from its place"):
        read(dicom_series(tmp_path / "case", shift={4: (0, 0, 0.5)}))
    with pytest.raises(ImpossibleGeometry, match=r"slice 5 lies"):  # aside, not along
        read(dicom_series(tmp_path / "case", shift={4: (0.3, 0, 0)}))
    assert read(dicom_series(tmp_path / "case", shift={4: (0, 0, 0.05)})).findings == ()


@settings(max_examples=15, deadline=None)
@given(off=st.lists(st.floats(-0.4, 0.4), min_size=11, max_size=11), spacing=st.sampled_from([1.0, 2.0, 5.0]))
def test_whatever_is_accepted_lies_in_its_place(tmp_path_factory, off, spacing):
    folder = tmp_path_factory.mktemp("jitter")
    heights = np.array([30 + k * spacing + off[k] for k in range(11)])
    dicom_series(folder, spacing=spacing, shift={k: (0, 0, mm) for k, mm in enumerate(off)})
    try:
        volume = read(folder)
    except ImpossibleGeometry:
        assert max(abs(mm) for mm in off) > min(0.1, 0.05 * spacing) / 2
    else:
        placed = volume.geometry.source_affine[2, 3] + volume.geometry.source_affine[2, 2] * np.arange(11)
        assert np.abs(placed - heights).max() <= 2 * min(0.1, 0.05 * spacing) + 1e-6
    shutil.rmtree(folder)


@pytest.mark.parametrize("angle", [0.1, 0.5, 0.8, 1.2, 2.5, 5, 15, 30])
def test_gantry_tilt(tmp_path, angle):
    folder = dicom_series(tmp_path / "case", tilt_deg=angle)
    sideways = 20 * np.tan(np.radians(angle))
    if sideways > 0.35:  # half a voxel
        with pytest.raises(ImpossibleGeometry, match=f"tilted by {angle:.3g}°"):
            read(folder)
    else:
        volume = read(folder)
        last = volume.geometry.source_affine @ (0, 0, 10, 1)
        assert abs(-last[1] - (-7 + sideways)) <= 0.4


def test_repeated_positions(tmp_path):
    folder = dicom_series(tmp_path / "case")
    dicom_series(
        folder,
        ct() + 5,
        tags={"AcquisitionNumber": 2},
        names=[f"b{k}" for k in range(11)],
        change={k: {"SOPInstanceUID": f"1.9.{k}"} for k in range(11)},
    )
    with pytest.raises(Refusal, match="acquisition 1: 11 slices; acquisition 2: 11 slices"):
        read(folder)
    assert refused(folder) == "slices-repeated"


def test_copies_of_files(tmp_path):
    folder = dicom_series(tmp_path / "case")
    shutil.copy(folder / "slice03.dcm", folder / "copy.dcm")
    assert same(folder) == ("copies-left-out",)
    from pydicom import dcmread

    other = dcmread(folder / "slice03.dcm")
    other.SliceThickness = 1
    other.save_as(folder / "copy.dcm")
    assert refused(folder) == "slices-clash"


@pytest.mark.parametrize(
    ("tag", "value", "told"),
    [
        ("PixelSpacing", [0.8, 0.75], "voxel size"),
        ("ImageOrientationPatient", [1, 0, 0, 0, 0.9998, 0.02], "direction"),
        ("ImageOrientationPatient", [0, 1, 0, 0, 0, -1], "direction"),
    ],
)
def test_a_change_within_the_series(tmp_path, tag, value, told):
    with pytest.raises(ImpossibleGeometry, match=f"The {told} changes within the series, first in slice"):
        read(dicom_series(tmp_path / "case", change={6: {tag: value}}))


def test_a_change_of_size(tmp_path):
    folder = dicom_series(tmp_path / "case")
    dicom_series(tmp_path / "other", ct(20, 16))
    shutil.copy(tmp_path / "other" / "slice06.dcm", folder / "slice06.dcm")
    with pytest.raises(ImpossibleGeometry, match="number of rows and columns changes within the series, first in slice 7 of 11"):
        read(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"ImagePositionPatient": [0, 0, float("nan")]},
        {"ImagePositionPatient": [0, 0]},
        {"PixelSpacing": [0.8]},
        {"PixelSpacing": [float("nan"), 0.7]},
        {"ImageOrientationPatient": [1, 0, 0, 0, 0, float("inf")]},
    ],
)
def test_slices_without_place(tmp_path, change):
    assert refused(dicom_series(tmp_path / "case", change={4: change})) in ("slices-unplaced", "dicom-damaged")


@pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_missing_place(tmp_path, tag):
    assert refused(dicom_series(tmp_path / "case", remove=[tag])) == "slices-unplaced"


@pytest.mark.parametrize("pixel", [(0, 0.7), (-0.8, 0.7), (900, 900)])
def test_impossible_voxel_size(tmp_path, pixel):
    assert refused(dicom_series(tmp_path / "case", pixel=pixel)) in ("spacing-impossible", "slices-tilted")


def test_skewed_rows(tmp_path):
    assert refused(dicom_series(tmp_path / "case", tags={"ImageOrientationPatient": [1, 0, 0, 0.1, 1, 0]})) == "slices-skewed"


def test_one_slice_is_no_scan(tmp_path):
    assert refused(dicom_series(tmp_path / "case", ct()[:, :, :1])) == "single-slice"


def test_a_localizer_is_left_out(tmp_path):
    assert same(dicom_series(tmp_path / "case", scout=True)) == ("images-left-out",)
    with pytest.raises(UnreadableFile, match="no CT scan here"):
        read(tmp_path / "case" / "scout.dcm")


def test_an_odd_slice_that_does_not_say_it_is_a_localizer(tmp_path):
    folder = dicom_series(tmp_path / "case", scout=True)
    from pydicom import dcmread

    odd = dcmread(folder / "scout.dcm")
    odd.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    odd.save_as(folder / "scout.dcm")
    assert refused(folder) == "slices-mixed"


def test_two_series_in_a_folder(tmp_path):
    folder = dicom_series(tmp_path / "case")
    dicom_series(folder, ct()[:, :, :7], series="1.2.3.2", names=[f"b{k}" for k in range(7)])
    with pytest.raises(Question, match="2 CT series"):
        read(folder)
    assert same(folder / "slice04.dcm") == ()
    assert read(folder / "b3").voxels.shape == (7, 16, 16)


def test_other_kinds_of_objects(tmp_path):
    folder = dicom_series(tmp_path / "case")
    dicom_series(
        folder, ct()[:, :, :2], names=["s1", "s2"], tags={"SOPClassUID": SECONDARY_CAPTURE, "Modality": "OT"}, series="1.2.3.7"
    )
    volume = read(folder)
    notes = volume.findings
    assert volume.voxels.shape == (11, 16, 16)
    assert [str(note.what) for note in notes] == ["Images of another kind were left out: OT 2."]


def test_a_kind_left_empty_is_told_by_the_modality(tmp_path):
    assert same(dicom_series(tmp_path / "case", tags={"SOPClassUID": ""})) == ()
    assert refused(dicom_series(tmp_path / "other", tags={"SOPClassUID": "", "Modality": "MR"})) == "no-ct"


def test_magnetic_resonance_is_named(tmp_path):
    with pytest.raises(UnreadableFile, match="only MR 11"):
        read(dicom_series(tmp_path / "case", tags={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4", "Modality": "MR"}))


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ({"PhotometricInterpretation": "MONOCHROME1"}, "values-inverted"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "picture-colour"),
        ({"NumberOfFrames": 4}, "picture-frames"),
        ({"BitsStored": 0}, "picture-packed"),
        ({"HighBit": 11}, "picture-packed"),
        ({"BitsAllocated": 32}, "picture-packed"),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "picture-8-bit"),
    ],
)
def test_unusual_pictures(tmp_path, tags, code):
    assert refused(dicom_series(tmp_path / "case", tags=tags)) == code


def test_values_outside_their_bits(tmp_path):
    with pytest.raises(UnreadableFile, match="Slice 3 holds values outside its declared 10 bits"):
        read(dicom_series(tmp_path / "case", change={2: {"BitsStored": 10, "HighBit": 9}}))


def test_negative_numbers_in_fewer_bits(tmp_path):
    few = {"BitsStored": 12, "HighBit": 11}
    assert same(dicom_series(tmp_path / "case", signed=True, tags=few)) == ()
    folder = dicom_series(tmp_path / "bare", signed=True, tags=few)  # the unused bits are zero, not copies of the sign
    from pydicom import dcmread

    for path in folder.iterdir():
        one = dcmread(path)
        one.PixelData = (np.frombuffer(one.PixelData, "<u2") & 0x0FFF).tobytes()
        one["PixelData"].VR = "OW"
        one.save_as(path)
    assert same(folder) == ()


def test_padding_becomes_air(tmp_path):
    values = ct()
    values[0] = -2000
    volume = read(dicom_series(tmp_path / "case", values, signed=True, tags={"PixelPaddingValue": -2000}))
    notes = volume.findings
    values[0] = -1024
    np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), values)
    assert [note.code for note in notes] == ["padding"]


def test_each_slice_is_found_in_patient_and_archive(tmp_path):
    """By the position and the number that its own header has, whatever the order of the numbers."""
    numbers = {k: {"InstanceNumber": 40 - (7 * k) % 11} for k in range(11)}
    volume = read(dicom_series(tmp_path / "ct", change=numbers, origin=(-5, -7, -9)))
    for z in range(volume.geometry.shape[0]):
        header = pydicom.dcmread(volume.image_of(z).path)
        assert volume.geometry.slice_mm(z) == pytest.approx(header.ImagePositionPatient[2])
        assert volume.image_of(z).number == header.InstanceNumber
        assert np.array_equal(volume.voxels[z], header.pixel_array.astype(int) + int(header.RescaleIntercept))
    assert volume.place_of(0) == "H 11.0 mm, image 36" and volume.place_of(10) == "F 9.0 mm, image 40"
    coronal = read(dicom_series(tmp_path / "coronal", directions=(1, 0, 0, 0, 0, -1)))
    assert coronal.image_of(0) is None and coronal.place_of(0) == "H 30.0 mm", "its images are no axial slices"
    unnumbered = read(dicom_series(tmp_path / "bare", remove=["InstanceNumber"]))
    assert unnumbered.place_of(0) == "H 50.0 mm"
    unknown = Volume(volume.voxels, Geometry(volume.geometry.source_shape, volume.geometry.source_affine, oriented=False))
    assert unknown.place_of(0) == ""


def test_other_files_in_the_folder(tmp_path):
    folder = dicom_series(tmp_path / "case")
    for name in (".DS_Store", "Thumbs.db", "DICOMDIR", "notes.txt", "empty.doc"):
        (folder / name).write_bytes(b"" if name == "empty.doc" else b"x" * 500)
    (folder / "sub").mkdir()
    volume = read(folder)
    notes = volume.findings
    assert volume.voxels.shape == (11, 16, 16)
    assert [str(note.what) for note in notes] == ["Other files in the folder were left out: 2."]


def test_a_hostile_folder(tmp_path):
    canary = dicom_series(tmp_path / "canary") / "slice05.dcm"
    folder = dicom_series(tmp_path / "case")
    (folder / "slice05.dcm").unlink()
    (folder / "slice05.dcm").symlink_to(canary)
    (folder / "loop").symlink_to(folder / "loop")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.dcm")
    assert refused(folder) == "slices-missing"  # the link leads out of the folder and is not followed
    (folder / "slice05.dcm").unlink()
    shutil.copy(canary, folder / "slice05.dcm")
    assert refused(folder) == "slices-lost"  # the pipe is named like a slice
    assert [note.code for note in read(folder, ReadOptions(incomplete="accept")).findings] == [
        "slices-lost-accepted",
        "files-left-out",
    ]


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom_folder, "MOST_ENTRIES", 10)
    assert refused(dicom_series(tmp_path / "case")) == "folder-too-full"


@pytest.mark.parametrize("make", ["nothing", "text", "zero"])
def test_folders_without_dicom(tmp_path, make):
    folder = tmp_path / "case"
    folder.mkdir()
    if make != "nothing":
        (folder / "a.dcm").write_bytes(b"hello" * 50 if make == "text" else b"")
    assert refused(folder) == "no-dicom"


def test_damaged_files(tmp_path):
    folder = dicom_series(tmp_path / "case")
    whole = (folder / "slice05.dcm").read_bytes()
    for cut in (132, 140, 300, len(whole) // 2, len(whole) - 1):
        (folder / "slice05.dcm").write_bytes(whole[:cut])
        assert refused(folder) in (
            "dicom-damaged",
            "slice-damaged",
            "no-ct",
            "slices-unplaced",
            "picture-packed",
            "slices-missing",
        ), cut


def test_a_length_that_is_no_number_of_values(tmp_path):
    folder = dicom_series(tmp_path / "case")
    whole = (folder / "slice05.dcm").read_bytes()
    (folder / "slice05.dcm").write_bytes(whole[:138] + b"\x81" + whole[139:])  # pydicom has an error of its own for this
    with pytest.raises(UnreadableFile) as error:
        read(folder)
    assert error.value.finding.code == "dicom-damaged"
    assert error.value.__suppress_context__  # pydicom's words quote the header


def test_deflated_files_are_not_inflated(tmp_path):
    folder = dicom_series(tmp_path / "case")
    from pydicom import dcmread

    one = dcmread(folder / "slice05.dcm")
    one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    one.save_as(folder / "slice05.dcm")
    assert refused(folder) == "dicom-deflated"


def test_names_in_headers_never_come_out(tmp_path, capfd):
    folder = dicom_series(
        tmp_path / "case", tags={"PatientName": "Zyxwv^Quux", "PatientID": "Zyxwv"}, change={3: {"PatientName": "Zyxwv" * 12}}
    )
    volume = read(folder)
    notes = volume.findings
    assert "Zyxwv" not in repr((volume.name, notes))
    assert "Zyxwv" not in "".join(capfd.readouterr())


def test_a_class_of_ct_with_frames(tmp_path):
    assert (
        refused(dicom_series(tmp_path / "case", tags={"SOPClassUID": CT_IMAGE + ".1", "NumberOfFrames": 9})) == "picture-frames"
    )


def disc(tmp_path, folders=5):
    """Make a CD: a folder without DICOM files, and deep in it one series among folders of other files."""
    for number in range(folders):
        (tmp_path / "disc" / "IMAGES" / f"{number:03d}" / "more").mkdir(parents=True)
    (tmp_path / "disc" / "README.TXT").write_text("a viewer for Windows", encoding="utf-8")
    dicom_series(tmp_path / "disc" / "IMAGES" / "003" / "more" / "series")
    return tmp_path / "disc"


def test_the_search_of_a_disc_is_told(tmp_path):
    told = []
    read(disc(tmp_path), job=Job(report=told.append))
    phases = list(dict.fromkeys(one.phase.split(" · ")[0] for one in told))
    assert phases == ["Looking for DICOM files", "Searching folders", "Reading the headers", "Reading the slices"]
    assert len([one for one in told if one.phase.startswith("Searching")]) > 10  # at every folder
    assert [one.done for one in told if one.phase == "Reading the headers"] == list(range(11))


@pytest.mark.parametrize("phase", ["Searching folders", "Looking for DICOM files", "Reading the headers", "Reading the slices"])
@pytest.mark.parametrize("work", [read, series_in])
def test_the_search_of_a_disc_can_be_stopped(tmp_path, phase, work):
    steps = []

    def stop(progress):
        steps.append(progress.phase)
        if progress.phase.startswith(phase):
            job.cancel()

    job = Job(report=stop)
    if work is series_in and phase == "Reading the slices":
        assert work(disc(tmp_path), job=job)  # reads none
        return
    with pytest.raises(Cancelled):
        work(disc(tmp_path), job=job)
    assert len([step for step in steps if step.startswith(phase)]) == 1
