"""Liver and lesions as a DICOM segmentation: on the slices they were found on, described, and refused where that cannot be."""

from __future__ import annotations

import shutil
import subprocess

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from scipy.spatial import cKDTree

from builders import STUDY, ct, dicom_series, enhanced_file, nifti_file, searched
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io import dicom_writing, read, read_mask, write
from napari_liver_anomaly.io.dicom_writing import require_source
from napari_liver_anomaly.io.export_options import ExportOptions, why_no_segmentation
from napari_liver_anomaly.io.read_options import ReadOptions

WITH_SEG = ExportOptions(dicom_seg=True)
OBLIQUE = (0.8, 0.0, 0.6, 0.0, 1.0, 0.0)


def written(result, folder):
    write(result, folder, also=WITH_SEG)
    return folder / "segmentation.dcm"


def places_of(path):
    """Where the voxels of each segment lie, LPS mm: read from the bits of the file by nothing but its fields."""
    fields = dcmread(path)
    size = fields.Rows * fields.Columns
    bits = np.unpackbits(np.frombuffer(fields.PixelData, np.uint8), bitorder="little")
    shared, found = fields.SharedFunctionalGroupsSequence[0], {}
    between = [float(mm) for mm in shared.PixelMeasuresSequence[0].PixelSpacing]
    axes = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    for number, frame in enumerate(fields.PerFrameFunctionalGroupsSequence):
        first = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        rows, columns = np.nonzero(bits[number * size : (number + 1) * size].reshape(fields.Rows, fields.Columns))
        label = fields.SegmentSequence[frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1].SegmentLabel
        found.setdefault(label, []).append(first + columns[:, None] * axes[0] * between[1] + rows[:, None] * axes[1] * between[0])
    return {label: np.concatenate(places) for label, places in found.items()}


def same_places(one, other):
    """Whether each place of one has another of its own within a hundredth of a millimetre."""
    apart, which = cKDTree(one).query(other)
    return len(one) == len(other) == np.unique(which).size and apart.max() < 0.01


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"names": [f"{(7 * k) % 11:02}.dcm" for k in range(11)]},
        {"directions": (-1, 0, 0, 0, -1, 0)},
        {"directions": (1, 0, 0, 0, 0, -1)},
        {"directions": OBLIQUE},
        {"pixel": (0.7, 0.9), "spacing": 3.0},
    ],
)
def test_every_segment_lies_where_the_result_has_it(tmp_path, knobs):
    volume = read(dicom_series(tmp_path / "ct", tags=STUDY, **knobs))
    result = searched(volume)
    path = written(result, tmp_path / "out")
    wanted = {"Liver": result.liver.voxels, "Lesion 1": result.labels == 1, "Lesion 2": result.labels == 2}
    places = places_of(path)
    assert places.keys() == wanted.keys()
    for label, voxels in wanted.items():
        mm = np.array([volume.geometry.position_mm(tuple(index)) for index in np.argwhere(voxels)]) * (-1, -1, 1)
        assert same_places(places[label], mm), label
        assert np.array_equal(read_mask(path, volume, labels=label).voxels, voxels), label


def test_highdicom_reads_it_with_the_slices_it_belongs_to(tmp_path):
    volume = read(dicom_series(tmp_path / "ct", tags=STUDY))
    result = searched(volume)
    seg = highdicom.seg.segread(written(result, tmp_path / "out"))
    whole = seg.get_volume()
    assert whole.array.shape[-1] == 3 and whole.array.sum() == result.liver.voxels.sum() + 14
    series = {one.series_instance_uid if hasattr(one, "series_instance_uid") else one[1] for one in seg.get_source_image_uids()}
    assert series == {"1.2.3.1"}
    assert (seg.StudyInstanceUID, seg.FrameOfReferenceUID, seg.PatientID) == ("1.2.3.0", "1.2.3.5", "4711")
    assert seg.SeriesInstanceUID != "1.2.3.1" and seg.Modality == "SEG"


def test_segments_say_what_they_are_and_who_drew_them(tmp_path):
    volume = read(dicom_series(tmp_path / "ct", tags=STUDY))
    seg = highdicom.seg.segread(written(searched(volume, liver_from="found", origins={2: "corrected"}), tmp_path / "out"))
    liver, *lesions = (seg.get_segment_description(number) for number in seg.segment_numbers)
    kinds = [(one.segmented_property_category.value, one.segmented_property_type.value) for one in (liver, *lesions)]
    assert kinds == [("91723000", "10200004"), *[("49755003", "108369006")] * 2]
    assert [one.algorithm_type.value for one in (liver, *lesions)] == ["AUTOMATIC", "AUTOMATIC", "SEMIAUTOMATIC"]
    told = lesions[0].algorithm_identification
    assert told.source == "compact" and told.parameters["weights"] == "ab" * 32 and told.version
    assert [one.tracking_id for one in lesions] == ["Liver lesion 1", "Liver lesion 2"]
    again = highdicom.seg.segread(written(searched(volume), tmp_path / "again"))
    uids = [[again.get_segment_description(n).tracking_uid, seg.get_segment_description(n).tracking_uid] for n in (2, 3)]
    assert all(one == other for one, other in uids) and uids[0][0] != uids[1][0]
    assert again.SOPInstanceUID != seg.SOPInstanceUID
    assert again.get_segment_description(1).algorithm_type.value == "MANUAL"  # that liver was given


def test_what_the_viewers_of_archives_need(tmp_path):
    """3D Slicer and OHIF name, colour and place a segment by these fields, and take none without pixels or without its slice."""
    volume = read(dicom_series(tmp_path / "ct", tags=STUDY))
    fields = dcmread(written(searched(volume), tmp_path / "out"))
    segments, frames = fields.SegmentSequence, fields.PerFrameFunctionalGroupsSequence
    assert (fields.SegmentationType, fields.BitsAllocated, fields.NumberOfFrames) == ("BINARY", 1, len(frames))
    assert [one.SegmentNumber for one in segments] == [1, 2, 3] and len({one.SegmentLabel for one in segments}) == 3
    colours = [tuple(one.RecommendedDisplayCIELabValue) for one in segments]
    assert all(len(one) == 3 for one in colours) and colours[0] not in colours[1:], "liver and lesions are told apart"
    shown = [frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber for frame in frames]
    assert set(shown) == {1, 2, 3}, "no segment is empty"
    size = fields.Rows * fields.Columns
    bits = np.unpackbits(np.frombuffer(fields.PixelData, np.uint8), bitorder="little")[: size * len(frames)]
    assert bits.reshape(len(frames), size).any(axis=1).all(), "no frame is empty"
    slices = {one.SOPInstanceUID for one in map(dcmread, sorted((tmp_path / "ct").glob("*.dcm")))}
    of = [frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID for frame in frames]
    listed = {one.ReferencedSOPInstanceUID for one in fields.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert set(of) <= slices and set(of) <= listed
    ordered = [frame.FrameContentSequence[0].DimensionIndexValues for frame in frames]
    assert len({tuple(one) for one in ordered}) == len(frames), "each frame has a place of its own"


LETTERS = {
    "": "MUSTERMANN^ERIKA", "ISO_IR 6": "MUSTERMANN^ERIKA", "ISO_IR 100": "MÜLLER^ERIKA", "ISO_IR 192": "王^小東",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎",
}  # fmt: skip  # names, by the character sets that their headers name


@pytest.mark.parametrize(("sets", "name"), LETTERS.items())
def test_names_keep_their_letters(tmp_path, sets, name):
    volume = read(dicom_series(tmp_path / "ct", tags={"SpecificCharacterSet": sets.split("\\"), **STUDY, "PatientName": name}))
    assert str(dcmread(written(searched(volume), tmp_path / "out")).PatientName) == name


def test_nothing_found_is_said(tmp_path):
    volume = read(dicom_series(tmp_path / "ct", tags=STUDY))
    seg = highdicom.seg.segread(written(searched(volume, lesions=0), tmp_path / "out"))
    assert seg.number_of_segments == 1 and seg.ContentDescription.endswith("nothing found")


def test_slices_that_lie_in_one_file(tmp_path):
    dicom_series(tmp_path / "ct", tags=STUDY)
    enhanced_file(tmp_path / "ct", tmp_path / "one" / "all.dcm", shared=["PlaneOrientationSequence", "PixelMeasuresSequence"])
    volume = read(tmp_path / "one")
    result = searched(volume)
    path = written(result, tmp_path / "out")
    assert np.array_equal(read_mask(path, volume, labels="Lesion 1").voxels, result.labels == 1)


def test_a_scan_without_its_slices_is_refused(tmp_path):
    nifti = read(nifti_file(tmp_path / "ct.nii"))
    tilted = read(dicom_series(tmp_path / "tilted", tags=STUDY, tilt_deg=15), ReadOptions(tilt="straighten"))
    filled = read(dicom_series(tmp_path / "filled", tags=STUDY, drop=[5]), ReadOptions(gaps="fill"))
    for volume, code in ((nifti, "seg-no-dicom"), (tilted, "seg-resampled"), (filled, "seg-resampled")):
        assert why_no_segmentation(volume).code == code
        with pytest.raises(Refusal) as error:
            require_source(volume)
        assert error.value.finding.code == code
    with pytest.raises(Refusal):
        write(searched(nifti), tmp_path / "out", also=WITH_SEG)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", ["gone", "other", "moved"])
def test_slices_that_changed_are_refused(tmp_path, change):
    folder = dicom_series(tmp_path / "ct", tags=STUDY)
    volume = read(folder)
    if change == "gone":
        (folder / "slice04.dcm").unlink()
    else:
        shutil.rmtree(folder)
        moved = {"origin": (-5.0, -7.0, 45.0)} if change == "moved" else {"series": "1.2.3.7"}
        dicom_series(folder, tags=STUDY, **moved)
    with pytest.raises(Refusal) as error:
        write(searched(volume), tmp_path / "out", also=WITH_SEG)
    assert error.value.finding.code == "seg-source-gone" and not (tmp_path / "out").exists()


def test_slices_without_what_the_standard_demands(tmp_path):
    bare = read(dicom_series(tmp_path / "bare", tags={**STUDY, "FrameOfReferenceUID": ""}))
    odd = read(dicom_series(tmp_path / "odd", tags={**STUDY, "PatientSex": "X"}))
    for volume in (bare, odd):
        with pytest.raises(Refusal) as error:
            write(searched(volume), tmp_path / "out", also=WITH_SEG)
        assert error.value.finding.code == "seg-source-unfit"
    thin = {name: STUDY[name] for name in ("StudyInstanceUID", "FrameOfReferenceUID")}  # as after anonymisation
    seg = dcmread(written(searched(read(dicom_series(tmp_path / "thin", tags=thin))), tmp_path / "out"))
    assert seg.PatientName == "" and seg.PatientID in ("", None)


def test_many_lesions_are_refused_before_memory_runs_out(tmp_path, monkeypatch):
    volume = read(dicom_series(tmp_path / "ct", tags=STUDY))
    monkeypatch.setattr(dicom_writing, "memory_budget", lambda: 10_000)
    with pytest.raises(Refusal) as error:
        write(searched(volume), tmp_path / "out", also=WITH_SEG)
    assert error.value.finding.code == "seg-too-large"


def test_a_conformance_checker_finds_no_error(tmp_path):
    if not (checker := shutil.which("dciodvfy")):
        pytest.skip("dciodvfy is not installed: it comes with Debian's package dicom3tools")
    for name, said in {"two": {}, "none": {"lesions": 0}, "corrected": {"origins": {1: "manual", 2: "corrected"}}}.items():
        volume = read(dicom_series(tmp_path / name / "ct", ct(16, 16, 11), tags={**STUDY, "StudyTime": "101112", "StudyID": "1"}))
        path = written(searched(volume, **said), tmp_path / name / "out")
        done = subprocess.run([checker, str(path)], capture_output=True, text=True, check=False)
        assert "Segmentation" in done.stdout + done.stderr
        assert not [line for line in done.stderr.splitlines() if line.startswith(("Error", "Warning"))], done.stderr
