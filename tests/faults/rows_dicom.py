"""Rows about slices: which belong together, where each of them lies, and what their values mean."""

from __future__ import annotations

import os
import random
import shutil
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from builders import SECONDARY_CAPTURE, ct, dicom_series, enhanced_file, nifti_file, nrrd_file, packed
from faults.table import Kit, row
from napari_liver_anomaly.errors import Finding, Level, Question, Refusal
from napari_liver_anomaly.io import pixels, read, series_in
from napari_liver_anomaly.io.read_options import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.volume import Volume

    Points = NDArray[np.float64]

ORIGIN = np.array([-5.0, -7.0, 30.0])
SOME = settings(max_examples=20, deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
STRAIGHTEN, FILL = ReadOptions(tilt="straighten"), ReadOptions(gaps="fill")
SLOPE = np.array([2.0, 3.0, 4.0])  # HU per mm of a ramp along left, back and head


def doubt_of(path: Path, answers: ReadOptions | None = None) -> Finding:
    """What keeps a scan from being read."""
    with pytest.raises(Refusal) as error:
        read(path, answers)
    assert f"{path.parent.name}{os.sep}{path.name}" not in str(error.value)
    return error.value.finding


def codes(notes: Sequence[Finding]) -> list[str]:
    return [note.code for note in notes]


def fresh(kit: Kit, name: str) -> Path:
    folder = kit.folder / name
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def voxels_of(volume: Volume) -> NDArray[Any]:
    return volume.geometry.to_source(volume.voxels)


def same(path: Path, answers: ReadOptions | None = None, wanted: NDArray[Any] | None = None) -> list[str]:
    """HU and place are those of the builder; gives the notes' codes."""
    volume = read(path, answers)
    notes = volume.findings
    np.testing.assert_array_equal(voxels_of(volume), ct() if wanted is None else wanted)
    place = [[-0.7, 0, 0, 5], [0, -0.8, 0, 7], [0, 0, 2, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.geometry.source_affine, place, atol=1e-9)
    return codes(notes)


def ramp_series(folder: Path, aside: Points, spacing: float = 2.0) -> Path:
    """A series whose HU tell where a voxel truly lies; slice k is ``aside[k]`` mm from its even place."""
    points = ORIGIN + np.arange(len(aside))[:, None] * (0, 0, spacing) + aside
    x, y = np.indices((16, 16))
    places = points[:, None, None] + (x * 0.7)[..., None] * (1, 0, 0) + (y * 0.8)[..., None] * (0, 1, 0)
    values = np.rint(10 * ((places - ORIGIN) @ SLOPE - 60)).astype(np.int16).transpose(1, 2, 0)
    shift = {k: tuple(mm) for k, mm in enumerate(aside)}
    return dicom_series(folder, values, spacing=spacing, shift=shift, signed=True)


def farthest(volume: Volume) -> float:
    """Largest distance, along the ramp in HU / 10, of a voxel's value from that of its place; air outside does not count."""
    values = voxels_of(volume).astype(float)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in values.shape], indexing="ij"), axis=-1)
    affine = volume.geometry.source_affine
    places = (index @ affine[:3, :3].T + affine[:3, 3]) * (-1, -1, 1)
    told = (places - ORIGIN) @ SLOPE - 60
    return float(np.abs(values / 10 - told)[values > -1024].max())


@row(4)
def every_missing_slice_is_noticed(kit: Kit) -> None:
    """A slice is missing: sizes and volumes would be wrong."""
    for lost in range(11):
        folder = dicom_series(fresh(kit, "case"), drop=[lost])
        if lost in (0, 10):  # nothing can tell that it ever was there: a shorter stack, every slice in its place
            volume = read(folder)
            np.testing.assert_array_equal(voxels_of(volume), np.delete(ct(), lost, axis=2), err_msg=f"slice {lost}")
            assert volume.geometry.source_affine[2, 3] == pytest.approx(32 if lost == 0 else 30)
            assert codes(volume.findings) == (["slices-fewer"] if lost == 0 else [])  # their numbers begin at 2
            continue
        told = doubt_of(folder)
        assert (told.level, told.code) == (Level.REFUSE, "slices-missing"), lost
        assert told.what == f"A slice is missing: a gap of 4.0 mm after slice {lost} (usual 2.0 mm)."
        assert [answer.flag for answer in told.answers] == ["--gaps fill"]
        wanted = ct()
        wanted[..., lost] = np.rint((wanted[..., lost - 1].astype(float) + wanted[..., lost + 1]) / 2)
        volume = read(folder, FILL)
        notes = volume.findings
        np.testing.assert_array_equal(voxels_of(volume), wanted, err_msg=f"filled {lost}")
        assert volume.geometry.source_affine[2].tolist() == pytest.approx([0, 0, 2, 30])
        assert [note.what for note in notes] == [f"Missing slices were filled in from their neighbours: 1 after slice {lost}."]


@row(5)
def images_of_another_kind_are_left_out(kit: Kit) -> None:
    """A localizer or a report belongs to the same series: it would be mixed into the stack."""
    alone = read(dicom_series(fresh(kit, "alone")))
    folder = dicom_series(fresh(kit, "case"), scout=True)
    report = {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"], "SOPInstanceUID": "1.2.3.1.77"}
    dicom_series(folder, ct()[..., :1], names=["report"], tags=report)
    capture = {"SOPClassUID": SECONDARY_CAPTURE, "Modality": "OT", "SOPInstanceUID": "1.2.3.1.78"}
    dicom_series(folder, ct()[..., :1], names=["capture"], tags=capture, remove=["ImagePositionPatient"])
    structured = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67", "Modality": "SR", "SOPInstanceUID": "1.2.3.1.79"}
    dicom_series(folder, ct()[..., :1], names=["structured"], tags=structured)
    for path in (folder, folder / "slice04.dcm"):
        volume = read(path)
        notes = volume.findings
        np.testing.assert_array_equal(volume.voxels, alone.voxels)
        np.testing.assert_array_equal(volume.geometry.affine, alone.geometry.affine)
        (told,) = notes
        assert (told.level, told.what) == (
            Level.NOTE, "Images of another kind were left out: OT 1, SR 1, localizer 1, report 1.",
        )  # fmt: skip
    assert [one.slices for one in series_in(folder)] == [11]


def second(folder: Path, values: NDArray[Any], *, series: str = "1.2.3.1", name: str = "b", **tags: object) -> Path:
    """Another phase in the same folder, under identities of its own."""
    change = {k: {"SOPInstanceUID": f"1.9.{name}.{k}".replace("b", "1").replace("c", "2")} for k in range(values.shape[2])}
    names = [f"{name}{k:02}" for k in range(values.shape[2])]
    return dicom_series(folder, values, series=series, names=names, change=change, tags=tags)


@row(6)
def repeated_positions_are_told_apart_or_asked_about(kit: Kit) -> None:
    """Two phases, or copies of files, belong to one series: slices of both would be interleaved."""
    later = ct()
    later[later > -1000] += 100
    ways: dict[str, tuple[dict[str, object], dict[str, object]]] = {
        "acquisition number": ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
        "acquisition time": ({"AcquisitionTime": "100203.5"}, {"AcquisitionTime": "100241.5"}),
        "content time": ({"ContentTime": "100203"}, {"ContentTime": "100241"}),
        "both": ({"AcquisitionNumber": 7, "ContentTime": "100203"}, {"AcquisitionNumber": 3, "ContentTime": "100241"}),
    }
    for way, (first_tags, later_tags) in ways.items():
        folder = dicom_series(fresh(kit, "case"), tags=first_tags)
        second(folder, later, **later_tags)
        told = doubt_of(folder)
        assert (told.level, told.code) == (Level.ASK, "slices-repeated"), way
        assert "acquisition 1: 11 slices" in told.what, way
        assert [answer.flag for answer in told.answers] == ["--acquisition 1", "--acquisition 2"]
        if way != "acquisition number":
            assert told.answers[1].words == "Acquisition 2: 11 slices, +38 s"
            assert "10:02" not in str(told)
        listed = series_in(folder)
        assert [(one.number, one.slices) for one in listed] == [(1, 11), (2, 11)], way
        for number, wanted in ((1, ct()), (2, later)):
            assert same(folder, ReadOptions(acquisition=number), wanted) == ["acquisition-chosen"], way
            assert same(folder, ReadOptions(series=number), wanted) == ["acquisition-chosen"], way
        assert doubt_of(folder, ReadOptions(acquisition=3)).code == "slices-repeated"
    # A later phase that covers but a part, by time alone.
    folder = dicom_series(
        fresh(kit, "part"), change={k: {"ContentTime": f"1002{20 + k}"} for k in range(11)}, remove=["AcquisitionNumber"]
    )
    change = {k: {"ContentTime": f"1003{10 + k}", "SOPInstanceUID": f"1.9.1.{k}"} for k in range(11)}
    dicom_series(folder, later, drop=range(5), names=[f"b{k}" for k in range(11)], change=change, remove=["AcquisitionNumber"])
    assert same(folder, ReadOptions(acquisition=1)) == ["acquisition-chosen"]
    assert read(folder, ReadOptions(acquisition=2)).voxels.shape == (6, 16, 16)
    # Nothing tells them apart.
    folder = second(dicom_series(fresh(kit, "alike")), later)
    told = doubt_of(folder, ReadOptions(acquisition=1))
    assert (told.level, told.code, told.answers) == (Level.REFUSE, "slices-twice", ())
    # Copies of files, and files that only pretend to be.
    folder = dicom_series(fresh(kit, "copies"))
    for k in (0, 3, 10):
        shutil.copy(folder / f"slice{k:02}.dcm", folder / f"copy{k}.dcm")
    assert same(folder) == ["copies-left-out"]
    dicom_series(folder, later, names=[f"x{k}" for k in range(11)], drop=set(range(11)) - {5})
    told = doubt_of(folder)
    assert (told.level, told.code) == (Level.REFUSE, "slices-clash")
    # Two series: the numbers that are shown are those that are taken.
    folder = second(dicom_series(fresh(kit, "two")), later[..., :7], series="1.2.3.9")
    told = doubt_of(folder)
    assert (told.level, told.code) == (Level.ASK, "several-series")
    assert [answer.flag for answer in told.answers] == ["--series 1", "--series 2"]
    assert told.answers[1].words.startswith("Series 2: 7 slices of 2 mm, 16 × 16, axial")
    assert same(folder, ReadOptions(series=1)) == ["series-chosen"]
    assert same(folder, ReadOptions(series=2), later[..., :7]) == ["series-chosen"]
    assert doubt_of(folder, ReadOptions(series=3)).code == "several-series"


@row(7)
def slices_off_their_place_are_found(kit: Kit) -> None:
    """Slices are unevenly spaced or drift slowly: positions and volumes would be wrong."""
    for k in (1, 5, 9):
        for mm in (0.5, -0.5):
            folder = ramp_series(fresh(kit, "one"), np.array([(0, 0, mm if n == k else 0) for n in range(11)]))
            told = doubt_of(folder)
            assert (told.level, told.code) == (Level.REFUSE, "slices-uneven"), (k, mm)
            assert f"slice {k + 1} lies 0." in told.what, (k, mm)
            assert [answer.flag for answer in told.answers] == ["--tilt straighten"]
            assert farthest(read(folder, STRAIGHTEN)) < 0.2, (k, mm)
    seen = set()

    still, apart = [(0.0, 0.0, 0.0)] * 11, [(0.0, 0.0, (-1.0) ** k) for k in range(11)]

    @example(drift=(0.0, 0.0, 0.0), jitter=still, size=0.0, spacing=2.0)
    @example(drift=(0.06, 0.06, 0.0), jitter=still, size=0.0, spacing=1.0)
    @example(drift=(0.0, 0.0, 0.0), jitter=apart, size=0.3, spacing=2.5)
    @SOME
    @given(
        drift=st.tuples(*[st.floats(-0.06, 0.06)] * 3),
        jitter=st.lists(st.tuples(*[st.floats(-1, 1)] * 3), min_size=11, max_size=11),
        size=st.sampled_from([0.0, 0.02, 0.3]),
        spacing=st.sampled_from([1.0, 1.5, 2.0, 2.5]),
    )
    def drift_and_jitter(drift: Any, jitter: Any, size: float, spacing: float) -> None:
        aside = np.arange(11)[:, None] * np.array(drift) + size * np.array(jitter)
        folder = ramp_series(fresh(kit, "drift"), aside, spacing)
        try:
            volume = read(folder)
        except Refusal as refusal:
            seen.add(refusal.finding.code)
            assert refusal.finding.code in ("slices-uneven", "slices-tilted", "slices-missing")
            # In their true places, within the ½ HU that is lost twice to whole numbers.
            assert farthest(read(folder, ReadOptions(tilt="straighten", gaps="fill"))) < 0.2
        else:
            seen.add("")
            off = min(0.1, 0.05 * spacing)
            # Drift of half a voxel at most, and each slice near its place on the line (fitted; here it begins at the first slice).
            assert farthest(volume) < np.abs(SLOPE[:2]).max() * np.sqrt(2) * (0.35 + 2 * off) + SLOPE[2] * 2 * off + 0.1

    drift_and_jitter()
    assert seen >= {"", "slices-uneven", "slices-tilted"}, seen


@row(8)
def a_tilted_gantry_is_named(kit: Kit) -> None:
    """Gantry tilt: stacked straight, shapes and positions would be wrong."""
    for angle in (0.1, 0.5, 0.9, 1, 1.1, 2.4, 2.5, 2.6, 5, 15, 18.5, 30):
        sideways = 20 * np.tan(np.radians(angle))
        aside = np.array([(0, 2 * k * np.tan(np.radians(angle)), 0) for k in range(11)])
        folder = ramp_series(fresh(kit, "case"), aside)
        if sideways <= 0.35:
            volume = read(folder)
            last = volume.geometry.source_affine @ (0, 0, 10, 1)
            assert np.abs(last[:3] * (-1, -1, 1) - ORIGIN - (0, sideways, 20)).max() <= 0.35, angle
            continue
        told = doubt_of(folder)
        assert (told.level, told.code) == (Level.REFUSE, "slices-tilted"), angle
        assert f"tilted by {angle:.3g}°" in told.what
        assert f"shifted sideways by {sideways:.1f} mm" in told.what
        assert [answer.flag for answer in told.answers] == ["--tilt straighten"]
        volume = read(folder, STRAIGHTEN)
        notes = volume.findings
        assert farthest(volume) < 0.2, angle
        assert f"tilt {angle:.3g}°" in {note.code: note.what for note in notes}["stack-straightened"]
        assert (voxels_of(volume) > -1024).sum() >= 15 * 16 * 11, angle  # all of the slices is there


@row(9)
def a_change_within_the_series_is_named(kit: Kit) -> None:
    """Size, voxel size or direction changes inside the series: it is not one stack."""
    changes = {
        "voxel size": {"PixelSpacing": [0.8, 0.75]},
        "direction": {"ImageOrientationPatient": [1, 0, 0, 0, 0.9998, 0.02]},
    }
    for k in (0, 1, 4, 9, 10):
        for what, change in changes.items():
            told = doubt_of(dicom_series(fresh(kit, "case"), change={k: change}))
            assert (told.level, told.code) == (Level.REFUSE, "slices-mixed"), (what, k)
            assert told.what == f"The {what} changes within the series, first in slice {k + 1} of 11."
        folder, other = dicom_series(fresh(kit, "case")), dicom_series(fresh(kit, "other"), ct(20, 16))
        shutil.copy(other / f"slice{k:02}.dcm", folder / f"slice{k:02}.dcm")
        told = doubt_of(folder)
        assert told.what == f"The number of rows and columns changes within the series, first in slice {k + 1} of 11."
        told = doubt_of(dicom_series(fresh(kit, "case"), change={k: {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}}))
        assert told.code == "slices-mixed", k
        assert "direction changes" in told.what
    for k in (3, 7):  # for good, from one slice on
        for what, change in changes.items():
            told = doubt_of(dicom_series(fresh(kit, "case"), change=dict.fromkeys(range(k, 11), change)))
            assert told.what.startswith(f"The {what} changes within the series, first in slice"), (what, k)
        folder = dicom_series(fresh(kit, "case"), drop=range(k, 11))
        dicom_series(folder, ct(20, 16), drop=range(k))
        assert doubt_of(folder).code == "slices-mixed", k


@row(10)
def order_is_by_place_only(kit: Kit) -> None:
    """Slices are named or numbered in another order than their positions: head and feet, or all slices, would be mixed up."""
    chance = random.Random(0)
    orders = [list(range(11)), list(range(10, -1, -1)), *(chance.sample(range(11), 11) for _ in range(4))]
    for names in orders:
        for numbers in orders[1:3]:
            change = {k: {"InstanceNumber": number} for k, number in enumerate(numbers)}
            folder = dicom_series(fresh(kit, "case"), names=[f"image_{n}" for n in names], change=change)
            assert same(folder) == [], (names, numbers)
    assert same(dicom_series(fresh(kit, "case"), remove=["InstanceNumber"])) == []


@row(11)
def values_without_calibration_are_refused(kit: Kit) -> None:
    """Rescale tags are missing or not numbers: raw values would be taken for Hounsfield units."""
    for missing in (["RescaleSlope"], ["RescaleIntercept"], ["RescaleSlope", "RescaleIntercept"]):
        told = doubt_of(dicom_series(fresh(kit, "case"), remove=missing))
        assert (told.level, told.code) == (Level.REFUSE, "rescale-missing"), missing
        assert told.what.startswith("No Hounsfield calibration in this series"), missing
        folder = dicom_series(fresh(kit, "framed"), remove=missing)
        assert doubt_of(enhanced_file(folder, kit.folder / "enhanced" / "a.dcm").parent).code == "rescale-missing", missing
    for tag in ("RescaleSlope", "RescaleIntercept"):
        for value in (0.0, float("nan"), float("inf"), ""):
            if tag == "RescaleIntercept" and value == 0.0:
                continue  # an ordinary value
            for slices in ([6], range(11)):
                folder = dicom_series(fresh(kit, "case"), change={k: {tag: value} for k in slices})
                assert doubt_of(folder).code == "rescale-missing", (tag, value, slices)


@row(12)
def every_slice_has_its_own_scale(kit: Kit) -> None:
    """Rescale differs from slice to slice, wraps, or is applied twice: Hounsfield units would be wrong."""
    scales: dict[int, tuple[float, float]] = {k: (1, -1000 - 3 * k) for k in range(11)}
    scales |= {3: (0.5, -1024), 4: (0.02, -1000), 5: (0.01, -200), 6: (2, -1000)}
    wanted = ct()
    wanted[..., 5] = np.maximum(wanted[..., 5], -100)  # so that all fits 16 bits when divided by 0.01
    wanted[..., 6] -= wanted[..., 6] % 2
    assert same(dicom_series(fresh(kit, "case"), wanted, rescale=scales), wanted=wanted) == []
    folder = dicom_series(fresh(kit, "framed"), wanted, rescale=scales)
    volume = read(enhanced_file(folder, kit.folder / "enhanced" / "a.dcm"))
    np.testing.assert_array_equal(voxels_of(volume), wanted)
    high = ct()
    high[4, 4, 4] = 32767  # stored as 33,791, more than 16 bits with a sign can hold
    assert same(dicom_series(fresh(kit, "case"), high), wanted=high) == []
    folder = dicom_series(fresh(kit, "case"), np.where(ct() == high, ct(), 64511))  # stored as 65,535
    told = doubt_of(folder)
    assert told.code == "values-range"  # and not -1,025 HU
    stored = ct() // 2 + 512
    for scaling, hounsfield in (((2.0, -1024.0), 2 * stored - 1024), ((0.5, -3.0), np.rint(stored / 2 - 3))):
        volume = read(
            nifti_file(kit.folder / "a.nii", stored.astype(np.int16), scaling=scaling), ReadOptions(values="hounsfield")
        )
        np.testing.assert_array_equal(voxels_of(volume), hounsfield, err_msg=str(scaling))
    for slope in (0.0, float("nan")):  # in this format: as stored, whatever the intercept
        volume = read(nifti_file(kit.folder / "a.nii", scaling=(slope, -1024.0)))
        np.testing.assert_array_equal(voxels_of(volume), ct(), err_msg=str(slope))
    assert doubt_of(nifti_file(kit.folder / "a.nii", scaling=(1.0, float("inf")))).code == "rescale-invalid"


STUB = """
import sys
sys.stdin.read()
for number in range(11):
    values = {values}
    sys.stdout.buffer.write(b'{{"kind": "{kind}", "rows": 16, "columns": 16}}\\n' + b"".join(values))
    sys.stdout.buffer.flush()
    {then}
"""


def stub(kit: Kit, values: str, kind: str = "<u2", then: str = "pass") -> None:
    """Another program in the place of the decoder."""
    kit.patch.setattr(pixels, "CHILD", [sys.executable, "-c", STUB.format(values=values, kind=kind, then=then)])


@row(19)
def a_broken_decoder_is_noticed(kit: Kit) -> None:
    """A decoder returns zeros or values of another depth: the image would be black, or Hounsfield units wrong."""
    few = {"BitsStored": 12, "HighBit": 11}
    folder = packed(dicom_series(kit.folder / "case", tags=few))
    assert same(folder) == []  # the true decoder
    good = "[(1000 + v).to_bytes(2, 'little') for v in range(256)]"
    ways = {
        "zeros": ("[bytes(512)]", "<u2", "Slice 1 was decoded to a single value."),
        "one value": ("[(1024).to_bytes(2, 'little')] * 256", "<u2", "Slice 1 was decoded to a single value."),
        "zeros later": (f"{good} if number < 4 else [bytes(512)]", "<u2", "Slice 5 was decoded to a single value."),
        "16 times": ("[(16 * (1000 + v)).to_bytes(2, 'little') for v in range(256)]", "<u2", "outside its declared 12 bits"),
        "8 bits": ("[bytes(range(256))]", "|u1", "outside its declared 12 bits"),
        "signed": ("[(v - 100).to_bytes(2, 'little', signed=True) for v in range(256)]", "<i2", "outside its declared 12 bits"),
        "32 bits": ("[(70000 * v).to_bytes(4, 'little') for v in range(256)]", "<u4", "outside its declared 12 bits"),
        "half a slice": (f"{good}[:100] if number == 10 else {good}", "<u2", "Slice 11 could not be decoded"),
    }
    for way, (values, kind, told) in ways.items():
        stub(kit, values, kind)
        finding = doubt_of(folder)
        assert (finding.level, told in finding.what) == (Level.REFUSE, True), (way, finding.what)
    stub(kit, "[bytes(512)]")
    assert series_in(folder)[0].thumbnail() is None


@row(33)
def only_one_grey_volume_is_read(kit: Kit) -> None:
    """A file holds several volumes, channels, colours or a single image: the wrong one, or nonsense, would be read."""
    four = np.stack([ct(), ct() + 50, ct() + 90], axis=-1).astype(np.int16)
    path = nifti_file(kit.folder / "four.nii", four)
    told = doubt_of(path)
    assert (told.level, told.code) == (Level.ASK, "many-volumes")
    assert [answer.flag for answer in told.answers] == ["--volume 1", "--volume 2", "--volume 3"]
    for number in (1, 2, 3):
        volume = read(path, ReadOptions(volume=number))
        notes = volume.findings
        np.testing.assert_array_equal(voxels_of(volume), four[..., number - 1])
        assert "volume-chosen" in codes(notes)
    for refused, code in (
        (nifti_file(kit.folder / "rgb.nii", colour=True), "colour"),
        (
            nrrd_file(
                kit.folder / "rgb.nrrd", dimension="4", sizes="3 16 16 11", space_directions="none (1,0,0) (0,1,0) (0,0,1)"
            ),
            "colour",
        ),
        (nifti_file(kit.folder / "flat.nii", ct()[..., :1]), "single-slice"),
        (dicom_series(fresh(kit, "flat"), ct()[..., :1]), "single-slice"),
        (
            dicom_series(fresh(kit, "red-green-blue"), tags={"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}),
            "picture-colour",
        ),
        (dicom_series(fresh(kit, "luma"), tags={"PhotometricInterpretation": "YBR_FULL"}), "picture-colour"),
        (dicom_series(fresh(kit, "capture"), tags={"SOPClassUID": SECONDARY_CAPTURE, "Modality": "OT"}), "no-ct"),
        (dicom_series(fresh(kit, "movie"), tags={"NumberOfFrames": 4}), "picture-frames"),
        (dicom_series(fresh(kit, "eight"), tags={"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}), "picture-8-bit"),
    ):
        told = doubt_of(refused)
        assert (told.level, told.code) == (Level.REFUSE, code), refused.name
    # Inverted: only a person can see whether the values are, too.
    folder = dicom_series(fresh(kit, "inverted"), tags={"PhotometricInterpretation": "MONOCHROME1"})
    told = doubt_of(folder)
    assert (told.level, told.code) == (Level.ASK, "values-inverted")
    assert same(folder, ReadOptions(values="hounsfield")) == ["hounsfield-chosen"]
    # All slices in one file, each with its place: read like any other series, and checked like it.
    for syntax in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"):
        shuffled = [f"{(7 * k) % 11:02}" for k in range(11)]
        folder = dicom_series(fresh(kit, "slices"), names=shuffled)
        path = enhanced_file(folder, fresh(kit, "enhanced") / "a.dcm", syntax, shared=["PixelMeasuresSequence"])
        assert same(path) == same(path.parent) == [], syntax
    folder = dicom_series(fresh(kit, "slices"), drop=[4])
    assert doubt_of(enhanced_file(folder, fresh(kit, "enhanced") / "a.dcm")).code == "slices-missing"


@row(57)
def a_crashing_decoder_takes_nothing_with_it(kit: Kit) -> None:
    """A native decoder crashes or hangs: the program, and unsaved work, would be lost."""
    folder = packed(dicom_series(kit.folder / "case"))
    good = "[(1000 + v).to_bytes(2, 'little') for v in range(256)]"
    crash = "import os, signal; number == 4 and os.kill(os.getpid(), signal.{})"
    ends = ["SIGSEGV", "SIGABRT", "SIGKILL", "SIGBUS"] if sys.platform != "win32" else ["SIGTERM"]
    for end in ends:
        stub(kit, good, then=crash.format(end))
        told = doubt_of(folder)
        assert (told.level, told.code) == (Level.REFUSE, "slice-damaged"), end
        assert told.what.startswith("Slice 6 could not be decoded"), end
    kit.patch.setattr(pixels, "PATIENCE_S", 0.5)
    kit.patch.setattr(pixels, "PATIENCE_PER_SLICE_S", 0.0)
    stub(kit, good, then="import time; time.sleep(30)")
    assert doubt_of(folder).code == "slice-slow"
    kit.patch.undo()
    assert same(folder) == []  # and reading goes on
    whole = (folder / "slice05.dcm").read_bytes()
    (folder / "slice05.dcm").write_bytes(whole[:-120] + bytes(120))  # a picture that the true decoder chokes on
    assert doubt_of(folder).what.startswith("Slice 6 could not be decoded")


@row(61)
def a_missing_decoder_is_named(kit: Kit) -> None:
    """The decoder of a compressed series is not installed: nobody would know what to do."""
    from pydicom import dcmread
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    ways = {
        "1.2.840.10008.1.2.4.50": ("JPEG", "pylibjpeg pylibjpeg-libjpeg"),
        "1.2.840.10008.1.2.4.51": ("JPEG", "pylibjpeg pylibjpeg-libjpeg"),
        "1.2.840.10008.1.2.4.57": ("JPEG", "pylibjpeg pylibjpeg-libjpeg"),
        "1.2.840.10008.1.2.4.70": ("JPEG", "pylibjpeg pylibjpeg-libjpeg"),
        "1.2.840.10008.1.2.4.80": ("JPEG-LS", "pyjpegls"),
        "1.2.840.10008.1.2.4.81": ("JPEG-LS", "pyjpegls"),
        "1.2.840.10008.1.2.4.90": ("JPEG 2000", "pylibjpeg pylibjpeg-openjpeg"),
        "1.2.840.10008.1.2.4.91": ("JPEG 2000", "pylibjpeg pylibjpeg-openjpeg"),
        "1.2.840.10008.1.2.4.201": ("JPEG 2000", "pylibjpeg pylibjpeg-openjpeg"),
        "1.2.840.10008.1.2.5": ("RLE", "pylibjpeg pylibjpeg-rle"),
    }
    for syntax, (name, packages) in ways.items():
        folder = packed(dicom_series(fresh(kit, "case"), ct()[..., :3]))
        for path in folder.iterdir():
            one = dcmread(path)
            one.file_meta.TransferSyntaxUID = syntax
            one.save_as(path)
        kit.patch.setattr(get_decoder(UID(syntax)), "_available", {})  # the plugins of every maker, hidden
        told = doubt_of(folder)
        assert (told.level, told.code) == (Level.REFUSE, "codec-missing"), syntax
        assert f"compressed as {name}, and its decoder is not installed" in told.what
        assert told.action == f"Install it with '{sys.executable} -m pip install {packages}'."
        (one,) = series_in(folder)
        assert not one.readable, syntax
        assert one.thumbnail() is None
    for syntax in ("1.2.840.10008.1.2.4.100", "1.2.3.4"):
        for path in folder.iterdir():
            one = dcmread(path)
            one.file_meta.TransferSyntaxUID = syntax
            one.save_as(path)
        assert doubt_of(folder).code in ("codec-unknown", "codec-missing"), syntax
    with pytest.raises(Refusal) as error:
        read(folder)
    assert not isinstance(error.value, Question)
