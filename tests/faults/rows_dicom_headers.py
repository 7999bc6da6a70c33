"""Rows about DICOM series whose files or headers are not quite what they should be: lost, rounded, mislabelled, oddly written."""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from builders import SECONDARY_CAPTURE, ct, dicom_series, enhanced_file, packed
from faults.rows_dicom import codes, doubt_of, fresh, same, second, voxels_of
from faults.table import Kit, row
from napari_liver_anomaly.errors import Level
from napari_liver_anomaly.io import can_read, read, series_in, splitting
from napari_liver_anomaly.io.dicom_slices import headers_of
from napari_liver_anomaly.io.header_stream import HeaderStream
from napari_liver_anomaly.io.read_options import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ACCEPT, FOLLOW, HOUNSFIELD = ReadOptions(incomplete="accept"), ReadOptions(links="follow"), ReadOptions(values="hounsfield")


def flags(told: Any) -> list[str]:
    return [answer.flag for answer in told.answers]


def folder_of(kit: Kit) -> Path:
    return kit.folder / "case"


def rewritten(folder: Path, change: Callable[[Any], Any], **how: Any) -> Path:
    """Every file of a series read, changed and written again."""
    from pydicom import dcmread

    for path in folder.iterdir():
        one = dcmread(path)
        change(one)
        one.save_as(path, **({"enforce_file_format": True} | how))
    return folder


def as_text(one: Any, name: str, text: str) -> None:
    """Put text into a number's field as it stands."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    tag = Tag(tag_for_keyword(name))
    block = text.encode() + b" " * (len(text) % 2)
    one._dict[tag] = RawDataElement(tag, dictionary_VR(tag), len(block), block, 0, False, True)


@row(70)
def slices_lost_at_an_end_are_asked_about(kit: Kit) -> None:
    """Files at an end of a series are empty, cut short or links: the scan would be shorter, and the liver's volume too small."""

    def away(path: Path) -> None:
        shutil.move(path, kit.folder / f"away-{path.name}")
        path.symlink_to(kit.folder / f"away-{path.name}")

    def gone(path: Path) -> None:
        path.unlink()
        path.symlink_to(path.with_name("nothing"))

    ways: dict[str, Callable[[Path], object]] = {
        "2 empty": lambda path: path.write_bytes(b""), "2 cut short": lambda path: os.truncate(path, 100),
        "2 not DICOM": lambda path: path.write_bytes(b"x" * 900), "2 linked to another folder": away, "2 a broken link": gone,
    }  # fmt: skip
    for way, spoil in ways.items():
        for lost in ((9, 10), (0, 1), (0, 10)):
            folder = dicom_series(fresh(kit, "case"))
            for k in lost:
                spoil(folder / f"slice{k:02}.dcm")
            for path in (folder, folder / "slice04.dcm"):
                told = doubt_of(path)
                assert (told.level, told.code) == (Level.ASK, "slices-lost"), (way, lost)
                assert told.what == f"2 files are named like the slices of this series and cannot be read: {way}.", told.what
                assert flags(told)[-1] == "--incomplete accept"
                volume = read(path, ACCEPT)
                np.testing.assert_array_equal(voxels_of(volume), np.delete(ct(), lost, axis=2))
                assert "slices-lost-accepted" in codes(volume.findings), (way, lost)
            if spoil is away:
                assert flags(told)[0] == "--links follow"
                assert same(folder, FOLLOW) == []
    # A file whose gap was filled is no loss at an end.
    folder = dicom_series(fresh(kit, "case"))
    (folder / "slice05.dcm").write_bytes(b"")
    assert doubt_of(folder).code == "slices-missing"
    assert codes(read(folder, ReadOptions(gaps="fill")).findings) == ["slices-filled", "files-left-out"]
    # What the images say of their number.
    assert codes(read(dicom_series(fresh(kit, "case"), tags={"ImagesInAcquisition": 11})).findings) == []
    (note,) = read(dicom_series(fresh(kit, "case"), tags={"ImagesInAcquisition": 13})).findings
    assert (note.code, note.what) == ("slices-fewer", "11 images were read, but their acquisition had 13.")
    (note,) = read(dicom_series(fresh(kit, "case"), drop=[0, 1])).findings
    assert (note.code, note.what) == ("slices-fewer", "9 images were read, but they are numbered from 3 on.")


@row(71)
def maps_and_projections_are_asked_about(kit: Kit) -> None:
    """Perfusion and iodine maps, projections, images of an unknown kind and unit: their values would be taken for Hounsfield units."""
    maps = (
        (["DERIVED", "PRIMARY", "PERFUSION", "RCBF"], "US"), (["DERIVED", "PRIMARY", "PERFUSION", "RCBF"], "HU"),
        (["DERIVED", "SECONDARY", "AXIAL", "GSI MD"], None), (["DERIVED", "PRIMARY", "AXIAL", "IODINE_NO_WATER"], "HU"),
        (["ORIGINAL", "PRIMARY", "VOLUME", "MAT_SPECIFIC"], "HU"), (["DERIVED", "PRIMARY", "AXIAL", "SUBTRACTION"], "HU"),
        (["DERIVED", "SECONDARY", "OTHER", "ZYXWV"], "US"), (["ORIGINAL", "PRIMARY", "AXIAL"], "MGML"),
    )  # fmt: skip
    for words, unit in maps:
        tags = {"ImageType": words} | ({"RescaleType": unit} if unit else {})
        folder = dicom_series(fresh(kit, "case"), tags=tags)
        told = doubt_of(folder)
        assert (told.level, told.code, flags(told)) == (Level.ASK, "series-not-hu", ["--values hounsfield"]), (words, unit)
        assert same(folder, HOUNSFIELD) == ["hounsfield-chosen"], (words, unit)
        if unit == "HU":
            path = enhanced_file(folder, fresh(kit, "enhanced") / "a.dcm")
            assert doubt_of(path).code == "series-not-hu", words
    for words in (["DERIVED", "SECONDARY", "AXIAL", "MIP"], ["DERIVED", "SECONDARY", "REFORMATTED", "MIN IP"]):
        folder = dicom_series(fresh(kit, "case"), tags={"ImageType": words, "RescaleType": "HU"})
        told = doubt_of(folder)
        assert (told.level, told.code, flags(told)) == (Level.ASK, "series-projected", ["--values hounsfield"]), words
        assert same(folder, HOUNSFIELD) == ["hounsfield-chosen"]
    usual = (
        ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"], ["ORIGINAL", "PRIMARY"], ["DERIVED", "SECONDARY", "AXIAL", "CSA RESAMPLED"],
        ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"], ["DERIVED", "SECONDARY", "OTHER", "CSA MPR", "", "CSAPARALLEL"],
        ["DERIVED", "PRIMARY", "AXIAL", "VMI"], ["ORIGINAL", "PRIMARY", "AXIAL", "ZYXWV"], ["DERIVED", "PRIMARY", "AXIAL", "MAT_REMOVED"],
    )  # fmt: skip
    for words in usual:
        for unit in ("HU", "US", ""):
            assert same(dicom_series(fresh(kit, "case"), tags={"ImageType": words, "RescaleType": unit})) == [], (words, unit)


@row(72)
def rounded_numbers_do_not_move_anything(kit: Kit) -> None:
    """Directions or positions are rounded: voxels would be stretched, or a sound scan be refused or resampled."""
    for scale in (1.0009, 0.9991, 1.00002):
        assert same(dicom_series(fresh(kit, "case"), tags={"ImageOrientationPatient": [scale, 0, 0, 0, scale, 0]})) == [], scale
    for scale in (1.01, 0.5, 2):
        told = doubt_of(dicom_series(fresh(kit, "case"), tags={"ImageOrientationPatient": [scale, 0, 0, 0, 1, 0]}))
        assert (told.level, told.code) == (Level.REFUSE, "slices-directions"), scale
        assert f"{scale:.4g} and 1 instead of 1" in told.what
    for spacing in ([-1, 0.7], [0.8, -0.7], [0, 0.7]):
        told = doubt_of(dicom_series(fresh(kit, "case"), tags={"PixelSpacing": spacing}))
        assert told.code == "spacing-impossible", spacing
        assert f"a voxel measures {spacing[0]:.4g} × {spacing[1]:.4g} mm" in told.what
    # Positions in whole tenths at slices of 0.625 mm: up to 0.05 mm off, stacked as they are; the same in finer numbers is uneven.
    heights = 30 + 0.625 * np.arange(11)
    aside = np.round(heights, 1) - heights
    volume = read(dicom_series(fresh(kit, "case"), spacing=0.625, shift={k: (0, 0, mm) for k, mm in enumerate(aside)}))
    assert codes(volume.findings) == ["positions-rounded"]
    np.testing.assert_array_equal(voxels_of(volume), ct())
    assert volume.geometry.spacing_mm[0] == pytest.approx(0.625, abs=0.006)
    finer = {k: (0, 0, mm + 0.003 * (-1) ** k) for k, mm in enumerate(aside)}
    assert doubt_of(dicom_series(fresh(kit, "case"), spacing=0.625, shift=finer)).code == "slices-uneven"
    # A fine and a coarse part are no lost slices.
    for drop in ((1, 3, 5), (5, 7, 9), (1, 3, 5, 7)):
        told = doubt_of(dicom_series(fresh(kit, "case"), drop=drop))
        if len(drop) == 4:
            assert told.code in ("distance-changes", "slices-uneven")
            continue
        assert (told.code, flags(told)) == ("distance-changes", ["--tilt straighten"]), drop
        assert "from 4 to 2 mm at slice 4" in told.what or "from 2 to 4 mm at slice 5" in told.what, told.what
        assert codes(read(folder_of(kit), ReadOptions(tilt="straighten")).findings)[0] == "stack-straightened"


@row(73)
def two_scans_in_one_stack_are_told_apart(kit: Kit) -> None:
    """Slices of a second phase or kernel lie between those of the first, or of a second examination above: read as one stack."""
    later = ct()
    later[later > -1000] += 80
    ways: dict[str, tuple[dict[str, object], dict[str, object]]] = {
        "acquisition": ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
        "kernel": ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B80f"}),
        "time": ({"AcquisitionTime": "101000"}, {"AcquisitionTime": "101045"}),
        "words": ({}, {"ImageType": ["DERIVED", "PRIMARY", "AXIAL"]}),
    }
    for way, (first, other) in ways.items():
        for origin in (31.0, 31.3, 29.5):
            folder = dicom_series(fresh(kit, "case"), tags=first)
            change = {k: {"SOPInstanceUID": f"1.9.1.{k}"} for k in range(11)}
            names = [f"b{k:02}" for k in range(11)]
            dicom_series(folder, later, names=names, change=change, tags=other, origin=(-5, -7, origin))
            told = doubt_of(folder)
            assert (told.level, told.code) == (Level.ASK, "slices-repeated"), (way, origin)
            assert flags(told) == ["--acquisition 1", "--acquisition 2"]
            found = {int(voxels_of(read(folder, ReadOptions(acquisition=n)))[4, 4, 0]) for n in (1, 2)}
            assert found == {int(ct()[4, 4, 0]), int(later[4, 4, 0])}, (way, origin)
    for tag in ("StudyInstanceUID", "FrameOfReferenceUID"):
        folder = dicom_series(fresh(kit, "case"), tags={tag: "1.5"})
        change = {k: {"SOPInstanceUID": f"1.9.1.{k}"} for k in range(11)}
        names = [f"b{k:02}" for k in range(11)]
        dicom_series(folder, later, names=names, change=change, tags={tag: "1.6"}, origin=(-5, -7, 52))
        assert doubt_of(folder).code == "several-series", tag
        assert same(folder / "slice04.dcm") == [], tag
    # One scan in several turns of the table, or in acquisitions that follow each other, stays one.
    change = {k: {"AcquisitionNumber": 1 + k // 4, "AcquisitionTime": f"10{10 + k // 4}00"} for k in range(11)}
    assert same(dicom_series(fresh(kit, "case"), change=change)) == []
    assert same(dicom_series(fresh(kit, "case"), change={k: {"AcquisitionNumber": k} for k in range(11)})) == []


@row(74)
def odd_but_sound_files_are_read(kit: Kit) -> None:
    """Bytes behind the picture, no preamble, no transfer syntax: sound files were refused, or said to be compressed."""

    def longer(one: Any) -> None:
        one.PixelData += bytes(64)
        one["PixelData"].VR = "OW"

    assert same(rewritten(dicom_series(fresh(kit, "case")), longer)) == []

    def rows_short(one: Any) -> None:
        one.Rows = 14  # what is left over are no zeros: the header is false

    assert doubt_of(rewritten(dicom_series(fresh(kit, "case")), rows_short)).code == "slice-damaged"

    from pydicom import dcmread

    for implicit in (True, False):
        folder = dicom_series(fresh(kit, "bare"))
        for path in folder.iterdir():
            one = dcmread(path)
            one.file_meta.clear()
            one.preamble = None
            one.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
            assert path.read_bytes()[:2] == b"\x08\0"
        assert can_read(folder)
        for path in (folder, folder / "slice03.dcm"):
            assert same(path) == ["encoding-untold"], implicit
        (folder / "slice03.dcm").rename(folder / "slice03")
        assert can_read(folder / "slice03")
        assert same(folder / "slice03") == ["encoding-untold"], implicit

        folder = dicom_series(fresh(kit, "untold"))
        for path in folder.iterdir():
            one = dcmread(path)
            del one.file_meta.TransferSyntaxUID
            one.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        assert same(folder) == ["encoding-untold"], implicit
    text = b"\x08\0\x05\0" + b"not DICOM at all, however it begins" * 9
    (kit.folder / "text").write_bytes(text)
    assert not can_read(kit.folder / "text") or pytest.fail("a file of text was taken for DICOM")


@row(75)
def numbers_written_oddly_are_read_or_named(kit: Kit) -> None:
    """A number has a comma, a unit, or several values: the whole file was called damaged."""

    def comma(one: Any) -> None:
        for name in ("PixelSpacing", "ImagePositionPatient", "RescaleIntercept", "ImageOrientationPatient"):
            value = one[name].value
            as_text(
                one, name, "\\".join(str(part) for part in (value if name != "RescaleIntercept" else [value])).replace(".", ",")
            )

    assert same(rewritten(dicom_series(fresh(kit, "case")), comma)) == ["decimal-comma"]
    for name, text in (
        ("SliceThickness", "2.0 mm"),
        ("InstanceNumber", "3a"),
        ("AcquisitionNumber", "1.5"),
        ("ImagesInAcquisition", "1\\2"),
    ):
        folder = rewritten(dicom_series(fresh(kit, "case")), lambda one, name=name, text=text: as_text(one, name, text))
        assert same(folder) == [], name
    for name, text in (
        ("RescaleSlope", "1\\1"), ("RescaleIntercept", "-1024 HU"), ("PixelSpacing", "0.8 mm\\0.7 mm"), ("ImagePositionPatient", "1.2.3\\0\\0"),
        ("NumberOfFrames", "one"), ("ImageOrientationPatient", "1\\0\\0\\0\\1\\zero"), ("RescaleSlope", "1_0"),
    ):  # fmt: skip
        folder = rewritten(dicom_series(fresh(kit, "case")), lambda one, name=name, text=text: as_text(one, name, text))
        told = doubt_of(folder)
        assert (told.level, told.code) == (Level.REFUSE, "dicom-number"), (name, text)
        assert f"The field {name} of a DICOM file holds" in told.what
        assert text not in str(told)


@row(76)
def the_same_images_under_other_identities_are_read_once(kit: Kit) -> None:
    """A series was sent twice and got new identities: a question without an answer."""
    for syntax in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"):
        folder = dicom_series(fresh(kit, "case"))
        second(folder, ct(), ContentTime="101010")
        if syntax.endswith("5"):
            packed(folder)
        for path in (folder, folder / "slice04.dcm"):
            assert same(path) == ["slices-read-once"], syntax
    later = ct()
    later[4, 4, 4] += 1  # one pixel is another: the numbers of the images tell the two apart, or nothing does
    folder = second(dicom_series(fresh(kit, "case")), later)
    assert doubt_of(folder).code == "slices-twice"
    folder = dicom_series(fresh(kit, "case"))
    change = {k: {"SOPInstanceUID": f"1.9.1.{k}", "InstanceNumber": 101 + k} for k in range(11)}
    dicom_series(folder, later, names=[f"b{k:02}" for k in range(11)], change=change)
    told = doubt_of(folder)
    assert (told.level, told.code, flags(told)) == (Level.ASK, "slices-repeated", ["--acquisition 1", "--acquisition 2"])
    assert same(folder, ReadOptions(acquisition=1)) == same(folder, ReadOptions(acquisition=2), later) == ["acquisition-chosen"]


@row(77)
def processed_series_are_asked_about(kit: Kit) -> None:
    """A CT kept as secondary capture, or without rescale: refused as no CT, without an option that leads on."""
    capture = {"SOPClassUID": SECONDARY_CAPTURE, "ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}
    folder = dicom_series(fresh(kit, "case"), tags=capture)
    for path in (folder, folder / "slice03.dcm"):
        told = doubt_of(path)
        assert (told.level, told.code, flags(told)) == (Level.ASK, "secondary-capture", ["--values hounsfield"])
        assert same(path, HOUNSFIELD) == ["hounsfield-chosen"]
    told = doubt_of(dicom_series(fresh(kit, "case"), tags=capture, remove=["ImagePositionPatient"]))
    assert (told.code, told.what) == ("no-ct", "There is no CT scan here, only secondary capture of CT 11.")
    folder = dicom_series(fresh(kit, "case"))  # beside the true series they are left out
    second(folder, ct()[..., :3], **capture)
    assert same(folder) == ["images-left-out"]
    folder = dicom_series(fresh(kit, "case"), signed=True, remove=["RescaleSlope", "RescaleIntercept"])
    told = doubt_of(folder)
    assert (told.level, told.code, flags(told)) == (Level.ASK, "rescale-unsaid", ["--values hounsfield"])
    assert same(folder, HOUNSFIELD) == ["hounsfield-chosen"]
    folder = dicom_series(fresh(kit, "case"), remove=["RescaleSlope", "RescaleIntercept"])  # no sign, so no air: surely not HU
    assert doubt_of(folder, HOUNSFIELD).code == "rescale-missing"


@row(78)
def no_header_costs_more_than_one_of_a_scan(kit: Kit) -> None:
    """Fields without an end, or without number, in a file of a few kilobytes on disk: minutes and gigabytes before its size was judged."""
    endless = struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, 0xFFFFFFFF)
    items = struct.pack("<HH2sHI", 0x0009, 0x1001, b"SQ", 0, 0xFFFFFFFF) + 200_000 * struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    taken = 0
    plain = HeaderStream.read

    def counted(stream: HeaderStream, count: int = -1) -> bytes:
        nonlocal taken
        block = plain(stream, count)
        taken += len(block)
        return block

    kit.patch.setattr(HeaderStream, "read", counted)
    for tail, size in ((endless, 300_000_000), (b"", 8_000_000), (items, 0), (endless, 2_000_000_000)):
        folder = dicom_series(fresh(kit, "case"))
        path = folder / "slice05.dcm"
        whole = path.read_bytes()
        path.write_bytes(whole[: whole.index(b"\x08\x00\x60\x00")] + tail)
        if size:
            os.truncate(path, size)
        taken = 0
        for asked in (folder, path):
            assert doubt_of(asked).code in ("dicom-header-large", "dicom-damaged"), size
        assert taken < 2 * 2**25 + 2**20, size
    kit.patch.undo()
    # And thousands of slices are sorted in time that grows with their number.
    ones = headers_of(dicom_series(fresh(kit, "case")) / "slice00.dcm")
    turned = [
        replace(
            ones[0],
            uid=f"1.{k}",
            orientation=(float(np.cos(k)), float(np.sin(k)), 0.0, 0.0, 0.0, 1.0),
            position_mm=(0.0, 0.0, float(k)),
        )
        for k in range(3000)
    ]
    calls = 0

    def measured(*pair: Any) -> float:
        nonlocal calls
        calls += 1
        return 1.0

    kit.patch.setattr(splitting, "_turned", measured)
    splitting.parts_of(turned)
    assert calls < 2 * splitting.MOST_KINDS * len(turned)


@row(79)
def a_disc_of_a_hospital_is_read(kit: Kit) -> None:
    """A DICOM CD with a DICOMDIR and nested folders, or a folder of links: said to hold no DICOM file."""
    disc = kit.folder / "disc"
    folder = dicom_series(disc / "DICOM" / "PAT00001" / "STU00001" / "SER00001", names=[f"IM{k:05}" for k in range(11)])
    assert same(disc) == []
    assert can_read(disc)
    (disc / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(200))
    (disc / "AUTORUN.INF").write_text("[autorun]", encoding="utf-8")
    assert same(disc) == same(disc / "DICOMDIR") == same(folder) == []
    second(disc / "DICOM" / "PAT00001" / "STU00001" / "SER00002", ct()[..., :7], series="1.2.3.9")
    assert doubt_of(disc).code == "several-series"
    assert [one.slices for one in series_in(disc)] == [11, 7]
    assert same(disc, ReadOptions(series=1)) == ["series-chosen"]
    (disc / "note.dcm").write_bytes(b"text" * 90)  # a file is that file alone
    assert doubt_of(disc / "note.dcm").code == "no-dicom"
    deep = kit.folder / "deep"
    dicom_series(deep.joinpath(*"abcdefghij"))
    assert doubt_of(deep).code == "no-dicom"
    linked = kit.folder / "linked"
    linked.mkdir()
    for path in folder.iterdir():
        (linked / path.name).symlink_to(path)
    for path in (linked, linked / "IM00003"):
        told = doubt_of(path)
        assert (told.level, told.code, flags(told)) == (Level.ASK, "dicom-links", ["--links follow"])
        assert "links to 11 files elsewhere" in told.what
        assert same(path, FOLLOW) == []
    (linked / "IM00004").unlink()
    (linked / "IM00004").symlink_to("/dev/zero")
    assert doubt_of(linked, FOLLOW).code == "slices-missing"
