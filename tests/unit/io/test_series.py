"""What a folder holds: every stack under the number that reading takes, in words that give nobody away."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from builders import ct, dicom_series, enhanced_file, nifti_file
from napari_liver_anomaly.errors import Question, Refusal, UnreadableFile
from napari_liver_anomaly.io import read, series_in
from napari_liver_anomaly.io.read_options import ReadOptions

SAGITTAL = (0, 1, 0, 0, 0, -1)


def add(folder, values, letter, **knobs):
    """Put further slices into a folder, under file names of their own."""
    return dicom_series(folder, values, names=[f"{letter}{k:02}" for k in range(values.shape[2])], **knobs)


def uids(letter, count=11):
    return {k: {"SOPInstanceUID": f"1.9.{ord(letter)}.{k}"} for k in range(count)}


def test_one_series(tmp_path):
    tags = {
        "ConvolutionKernel": "B30f",
        "ContrastBolusAgent": "Omnipaque",
        "SeriesDescription": "Zyxwv arterial",
        "SeriesNumber": 502,
    }
    (one,) = series_in(dicom_series(tmp_path / "case", tags=tags))
    assert one.archive_number == 502, "as in the archive, beside the number of our own"
    assert (one.number, one.slices, one.rows, one.columns) == (1, 11, 16, 16)
    assert one.spacing_mm == pytest.approx((2.0, 0.8, 0.7))
    assert one.thickness_mm == 2.0
    assert one.kind == "axial, kernel B30f, contrast given"
    assert one.phase == ""
    assert one.description == "Zyxwv arterial"
    assert one.readable
    assert str(one) == "11 slices of 2 mm, 16 × 16, axial, kernel B30f, contrast given"
    assert "Zyxwv" not in repr(one) + str(one)


def test_words_of_the_file_are_not_repeated(tmp_path, capfd, caplog):
    name = "ZYXWV"
    tags = dict.fromkeys(("SeriesDescription", "ConvolutionKernel", "ContrastBolusAgent", "PatientName"), name)
    tags |= {"ImageType": ["ORIGINAL", "PRIMARY", name], "SeriesDescription": name * 20}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the description is longer than it may be
        folder = dicom_series(tmp_path / "case", tags=tags)
        add(folder, ct()[..., :5], "b", series="1.2.3.2", tags=tags)
    caplog.clear()
    capfd.readouterr()
    with pytest.raises(Question) as error:
        read(folder)
    listed = series_in(folder)
    assert name not in repr(error.value.finding) + repr(listed) + "".join(str(one) for one in listed)
    assert listed[0].description == name * 20
    assert name not in caplog.text + "".join(capfd.readouterr())


def test_the_same_numbers_are_shown_and_taken(tmp_path):
    study = {"StudyInstanceUID": "1.5"}
    folder = dicom_series(tmp_path / "case", series="1.2.3.9", tags=study | {"AcquisitionTime": "235950"})
    add(folder, ct()[..., :7] + 9, "b", series="1.2.3.4", tags=study | {"AcquisitionTime": "235912"})
    add(folder, ct() + 5, "c", series="1.2.3.2", origin=(-5, -7, 200), tags={"StudyInstanceUID": "1.6"})
    listed = series_in(folder)
    assert [(one.number, one.slices, one.phase) for one in listed] == [(1, 11, "+38 s"), (2, 11, ""), (3, 7, "+0 s")]
    with pytest.raises(Question, match="3 CT series") as error:
        read(folder)
    assert [answer.words for answer in error.value.finding.answers] == [f"Series {one.number}: {one}" for one in listed]
    for one, values in zip(listed, (ct(), ct() + 5, ct()[..., :7] + 9), strict=True):
        volume = read(folder, ReadOptions(series=one.number))
        notes = volume.findings
        np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), values)
        assert [note.code for note in notes] == ["series-chosen"]
    (alone,) = series_in(folder / "b03")
    assert alone.slices == 7
    assert read(folder / "b03").voxels.shape == (7, 16, 16)


def test_planes_and_sizes_under_one_series(tmp_path):
    folder = dicom_series(tmp_path / "case")
    add(folder, ct()[..., :9], "s", directions=SAGITTAL, change=uids("s"))
    add(folder, ct(20, 12)[..., :6], "z", change=uids("z"))
    listed = series_in(folder)
    assert [(one.slices, one.columns, one.rows, one.kind.split(",")[0]) for one in listed] == [
        (11, 16, 16, "axial"), (9, 16, 16, "sagittal"), (6, 20, 12, "axial"),
    ]  # fmt: skip
    volume = read(folder, ReadOptions(series=3))
    np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), ct(20, 12)[..., :6])
    assert read(folder / "s04").geometry.source_shape == (16, 16, 9)


def test_phases_and_series_together(tmp_path):
    folder = dicom_series(tmp_path / "case", tags={"AcquisitionTime": "100000"})
    add(folder, ct() + 5, "b", change=uids("b"), tags={"AcquisitionTime": "100030"})
    add(folder, ct()[..., :5] + 9, "c", series="1.2.3.2")
    assert [(one.slices, one.phase) for one in series_in(folder)] == [(11, "+0 s"), (11, "+30 s"), (5, "")]
    for answers, first in (
        (ReadOptions(series=1), 0),
        (ReadOptions(series=2), 5),
        (ReadOptions(series=1, acquisition=2), 5),
        (ReadOptions(series=3), 9),
    ):
        volume = read(folder, answers)
        assert volume.geometry.to_source(volume.voxels)[1, 1, 0] == ct()[1, 1, 0] + first, answers
    with pytest.raises(Question, match="CT series"):
        read(folder, ReadOptions(acquisition=2))


def test_what_cannot_be_read_is_listed_so(tmp_path):
    folder = dicom_series(tmp_path / "case")
    add(folder, ct()[..., :5], "b", series="1.2.3.2", remove=["RescaleSlope"])
    add(folder, ct()[..., :4], "c", series="1.2.3.3", remove=["ImagePositionPatient"])
    add(folder, ct()[..., :3], "d", series="1.2.3.4", tilt_deg=20)
    assert [one.readable for one in series_in(folder)] == [True, False, False, True]  # the last one can be straightened
    assert str(series_in(folder)[1]).endswith("(cannot be read)")
    assert read(folder, ReadOptions(series=1)).voxels.shape == (11, 16, 16)  # it does not bar the others
    with pytest.raises(Refusal, match="No Hounsfield calibration"):
        read(folder, ReadOptions(series=2))


def test_other_files(tmp_path):
    assert series_in(nifti_file(tmp_path / "a.nii")) == ()
    with pytest.raises(UnreadableFile, match="no such file"):
        series_in(tmp_path / "none")
    with pytest.raises(UnreadableFile, match="no DICOM file"):
        series_in(tmp_path)


@pytest.mark.parametrize(
    ("directions", "corner"),
    [
        ((1, 0, 0, 0, 1, 0), (0, 0)),
        ((-1, 0, 0, 0, 1, 0), (0, 63)),
        ((1, 0, 0, 0, -1, 0), (63, 0)),
        ((0, 1, 0, 0, 0, -1), (0, 0)),
        ((0, 1, 0, 0, 0, 1), (63, 0)),
        ((1, 0, 0, 0, 0, -1), (0, 0)),
    ],
)
def test_thumbnails_lie_as_one_is_used_to(tmp_path, directions, corner):
    values = np.full((16, 16, 3), 50, np.int16)
    values[0, 0] = 400
    values[1:4, 5] = -1000
    (one,) = series_in(dicom_series(tmp_path / "case", values, pixel=(0.7, 0.7), directions=directions))
    picture = one.thumbnail()
    assert picture.shape == (64, 64)
    assert picture.dtype == np.uint8
    assert picture[corner] == 255
    assert picture[32, 32] == 127
    assert picture.min() == 0


def test_a_thumbnail_keeps_its_shape(tmp_path):
    values = np.full((16, 8, 3), 50, np.int16)
    values[0] = -1000
    (one,) = series_in(dicom_series(tmp_path / "case", values, pixel=(0.7, 0.7)))
    picture = one.thumbnail()
    assert (picture[:16] == 0).all()
    assert (picture[48:] == 0).all()
    assert (picture[16:48, 8:] == 127).all()


def test_enhanced_ct_is_listed_and_read_like_any_series(tmp_path):
    shared = ("PixelMeasuresSequence", "PlaneOrientationSequence", "PixelValueTransformationSequence", "CTImageFrameTypeSequence")
    path = enhanced_file(dicom_series(tmp_path / "case"), tmp_path / "one" / "a.dcm", shared=shared)
    (one,) = series_in(path)
    assert (one.slices, one.spacing_mm) == (11, pytest.approx((2.0, 0.8, 0.7)))
    assert one.thumbnail() is not None
    volume = read(path.parent)
    notes = volume.findings
    np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), ct())
    assert notes == ()


def test_phases_of_enhanced_ct(tmp_path):
    folder = dicom_series(tmp_path / "case")
    add(folder, ct() + 5, "b", tags={"AcquisitionNumber": 2}, change=uids("b"))
    path = enhanced_file(folder, tmp_path / "one" / "a.dcm")
    with pytest.raises(Question, match="the same place more than once"):
        read(path)
    volume = read(path, ReadOptions(acquisition=2))
    wanted = ct() + 5
    assert {*np.unique(volume.geometry.to_source(volume.voxels) - wanted).tolist()} in ({0}, {-5})


def test_enhanced_ct_that_ends_early(tmp_path):
    path = enhanced_file(dicom_series(tmp_path / "case"), tmp_path / "one" / "a.dcm")
    whole = path.read_bytes()
    for cut in (300, len(whole) // 2, len(whole) - 600, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(Refusal):
            read(path)
