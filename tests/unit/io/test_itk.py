"""NRRD and MetaImage files read exactly, or are refused with the right sentence."""

from __future__ import annotations

import gzip
import zlib

import numpy as np
import pytest

from builders import ct
from builders import metaimage_file as meta
from builders import nrrd_file as nrrd
from napari_liver_anomaly.errors import Question, Refusal
from napari_liver_anomaly.io import read
from napari_liver_anomaly.io.read_options import ReadOptions


def refused(path) -> str:
    with pytest.raises(Refusal) as error:
        read(path)
    assert path.parent.name not in str(error.value)
    return error.value.finding.code


def same(path, values=None) -> tuple[str, ...]:
    volume = read(path)
    notes = volume.findings
    np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), ct() if values is None else values)
    np.testing.assert_allclose(volume.geometry.source_affine, [[-0.7, 0, 0, -1], [0, -0.8, 0, -2], [0, 0, 2, 3], [0, 0, 0, 1]])
    return tuple(note.code for note in notes)


def test_plain_and_packed(tmp_path):
    data = ct().tobytes(order="F")
    assert same(nrrd(tmp_path / "a.nrrd")) == ()
    assert same(nrrd(tmp_path / "a.nrrd", end="\r\n")) == ()
    assert same(nrrd(tmp_path / "a.nrrd", gzip.compress(data), encoding="gzip")) == ()
    assert same(meta(tmp_path / "a.mha")) == ()
    assert same(meta(tmp_path / "a.mha", zlib.compress(data), CompressedData="True", CompressedDataSize="9")) == ()


def test_voxels_at_the_end_of_their_file(tmp_path):
    data = ct().tobytes(order="F")
    assert same(nrrd(tmp_path / "a.nrrd", b"something before" + data, byte_skip="-1")) == ()
    (tmp_path / "a.raw").write_bytes(bytes(352) + data)
    assert same(nrrd(tmp_path / "a.nhdr", b"", byte_skip="-1", data_file="a.raw")) == ()
    assert refused(nrrd(tmp_path / "a.nrrd", data[:-1], byte_skip="-1")) == "file-truncated"


def test_big_endian(tmp_path):
    data = ct().astype(">i2").tobytes(order="F")
    assert same(nrrd(tmp_path / "a.nrrd", data, endian="big")) == ()
    assert same(meta(tmp_path / "a.mha", data, BinaryDataByteOrderMSB="True")) == ()


def test_spaces_of_nrrd(tmp_path):
    assert same(nrrd(tmp_path / "a.nrrd", space="LPS")) == ()
    ras = {"space_directions": "(-0.7,0,0) (0,-0.8,0) (0,0,2)", "space_origin": "(-1,-2,3)"}
    assert same(nrrd(tmp_path / "a.nrrd", space="right-anterior-superior", **ras)) == ()
    las = {"space_directions": "(0.7,0,0) (0,-0.8,0) (0,0,2)", "space_origin": "(1,-2,3)"}
    assert same(nrrd(tmp_path / "a.nrrd", space="left-anterior-superior", **las)) == ()
    for space in (None, "scanner-xyz", "left-posterior-superior-time"):
        assert refused(nrrd(tmp_path / "a.nrrd", space=space)) == "orientation-unknown"
    assert refused(nrrd(tmp_path / "a.nrrd", space_directions=None, spacings="0.7 0.8 2")) in (
        "orientation-unknown",
        "spacing-impossible",
    )


def test_meta_without_orientation_or_size(tmp_path):
    assert refused(meta(tmp_path / "a.mha", TransformMatrix=None)) == "orientation-unknown"
    assert refused(meta(tmp_path / "a.mha", Offset=None)) == "orientation-unknown"
    assert refused(meta(tmp_path / "a.mha", ElementSpacing=None)) == "spacing-impossible"
    assert refused(meta(tmp_path / "a.mha", TransformMatrix="2 0 0 0 1 0 0 0 1")) == "spacing-impossible"


@pytest.mark.parametrize("bad", ["0", "nan", "-1", "1000000", "inf"])
def test_impossible_spacing(tmp_path, bad):
    assert refused(meta(tmp_path / "a.mha", ElementSpacing=f"0.7 {bad} 2")) == "spacing-impossible"
    if bad != "-1":  # a negative step is a direction
        assert refused(nrrd(tmp_path / "a.nrrd", space_directions=f"(0.7,0,0) (0,{bad},0) (0,0,2)")) == "spacing-impossible"


def test_units_of_nrrd(tmp_path):
    assert same(nrrd(tmp_path / "a.nrrd", space_units='"mm" "mm" "mm"')) == ()
    micron = {
        "space_directions": "(700,0,0) (0,800,0) (0,0,2000)",
        "space_origin": "(1000,2000,3000)",
        "space_units": '"um" "um" "um"',
    }
    assert same(nrrd(tmp_path / "a.nrrd", **micron)) == ("units-converted",)
    assert same(nrrd(tmp_path / "a.nrrd", space_units='"" "" ""')) == ("units-unknown",)
    assert refused(nrrd(tmp_path / "a.nrrd", space_units='"mm" "mm" "inch"')) == "units-strange"


def test_sheared_and_singular(tmp_path):
    assert refused(nrrd(tmp_path / "a.nrrd", space_directions="(0.7,0,0) (0,0.8,0) (0.5,0,2)")) == "geometry-sheared"
    assert refused(nrrd(tmp_path / "a.nrrd", space_directions="(0.7,0,0) (0.7,0,0) (0,0,2)")) == "geometry-singular"
    assert refused(meta(tmp_path / "a.mha", TransformMatrix="1 0 0 1 0 0 0 0 1")) == "geometry-singular"


def test_more_than_one_volume(tmp_path):
    channels = {"dimension": "4", "sizes": "3 16 16 11", "space_directions": "none (0.7,0,0) (0,0.8,0) (0,0,2)", "kinds": None}
    with pytest.raises(Refusal, match="holds 3 values"):
        read(nrrd(tmp_path / "a.nrrd", **channels))
    with pytest.raises(Refusal, match="holds 3 values"):
        read(meta(tmp_path / "a.mha", ElementNumberOfChannels="3"))


@pytest.mark.parametrize("volume", [1, 2, 3])
def test_one_of_several_volumes(tmp_path, volume):
    data = b"".join((ct() + 10 * n).astype("<i2").tobytes(order="F") for n in range(3))
    wide = {"NDims": "4", "DimSize": "16 16 11 3", "ElementSpacing": "0.7 0.8 2 1", "Offset": "0 0 0 0"}
    matrix = " ".join(str(n) for n in np.eye(4, dtype=int).ravel())
    steps = {"dimension": "4", "sizes": "16 16 11 3", "space_directions": "(0.7,0,0) (0,0.8,0) (0,0,2) none", "kinds": None}
    for path in (nrrd(tmp_path / "a.nrrd", data, **steps), meta(tmp_path / "a.mha", data, **wide, TransformMatrix=matrix)):
        with pytest.raises(Question) as error:
            read(path)
        assert [answer.flag for answer in error.value.finding.answers] == ["--volume 1", "--volume 2", "--volume 3"]
        chosen = read(path, ReadOptions(volume=volume))
        findings = chosen.findings
        assert "volume-chosen" in {finding.code for finding in findings}
        np.testing.assert_allclose(chosen.geometry.spacing_mm, (2, 0.8, 0.7))
        np.testing.assert_array_equal(chosen.geometry.to_source(chosen.voxels), ct() + 10 * (volume - 1))


@pytest.mark.parametrize("sizes", ["0 16 11", "-16 16 11", "4097 16 11", "4096 4096 4096", "1e30 1 1", "nan 16 11"])
def test_impossible_sizes(tmp_path, sizes):
    assert refused(nrrd(tmp_path / "a.nrrd", sizes=sizes)) == "sizes-impossible"
    assert refused(meta(tmp_path / "a.mha", DimSize=sizes)) in ("sizes-impossible", "file-damaged")


def test_length_of_the_data(tmp_path):
    data = ct().tobytes(order="F")
    for make, name in ((nrrd, "a.nrrd"), (meta, "a.mha")):
        for part in (b"", data[:1], data[:-1], data[: len(data) // 2]):
            assert refused(make(tmp_path / name, part)) == "file-truncated"
        assert refused(make(tmp_path / name, data + b"x")) == "file-longer"


def test_a_damaged_packing(tmp_path):
    packed = bytearray(gzip.compress(ct().tobytes(order="F"), mtime=0))
    packed[-6] ^= 4
    assert refused(nrrd(tmp_path / "a.nrrd", bytes(packed), encoding="gzip")) == "file-damaged"
    packed = bytearray(zlib.compress(ct().tobytes(order="F")))
    packed[-2] ^= 4
    assert refused(meta(tmp_path / "a.mha", bytes(packed), CompressedData="True")) == "file-damaged"


@pytest.mark.parametrize(
    "fields",
    [
        {"encoding": "bzip2"},
        {"encoding": "ascii"},
        {"type": "block"},
        {"endian": None},
        {"byte_skip": "-1", "encoding": "gzip"},
        {"byte_skip": "8"},
        {"line_skip": "2"},
    ],
)
def test_unusual_nrrd(tmp_path, fields):
    assert refused(nrrd(tmp_path / "a.nrrd", **fields)) == "file-unusual"


@pytest.mark.parametrize(
    "fields", [{"BinaryData": "False"}, {"HeaderSize": "7"}, {"ElementType": "MET_STRING"}, {"ElementType": None}]
)
def test_unusual_meta(tmp_path, fields):
    assert refused(meta(tmp_path / "a.mha", **fields)) == "file-unusual"


@pytest.mark.parametrize(
    "text", [b"", b"NRRD", b"NRRD0009\n\n", b"NRRD0004\nsizes 3\n\n", b"NRRD0004\n" + b"x" * 300_000, b"\n\n"]
)
def test_no_nrrd(tmp_path, text):
    (tmp_path / "a.nrrd").write_bytes(text)
    assert refused(tmp_path / "a.nrrd") in ("file-damaged", "file-unusual")


@pytest.mark.parametrize(
    "text", [b"", b"ObjectType = Image\n", b"x" * 300_000, b"DimSize = a b\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"]
)
def test_no_meta(tmp_path, text):
    (tmp_path / "a.mha").write_bytes(text)
    assert refused(tmp_path / "a.mha") == "file-damaged"


def test_voxels_in_a_second_file(tmp_path):
    (tmp_path / "a.raw").write_bytes(ct().tobytes(order="F"))
    assert same(nrrd(tmp_path / "a.nhdr", b"", data_file="a.raw")) == ()
    assert same(meta(tmp_path / "a.mhd", b"", ElementDataFile="a.raw")) == ()


@pytest.mark.parametrize(
    "name", ["../canary", "/etc/hostname", "missing.raw", "LIST", "link", ".", "sub/a.raw", "a%03d.raw 1 3 1"]
)
def test_nothing_is_read_outside_the_folder(tmp_path, name):
    folder = tmp_path / "case"
    folder.mkdir()
    (tmp_path / "canary").write_bytes(ct().tobytes(order="F"))
    (folder / "link").symlink_to(tmp_path / "canary")
    assert refused(nrrd(folder / "a.nhdr", b"", data_file=name)) in ("data-elsewhere", "data-in-slices")
    assert refused(meta(folder / "a.mhd", b"", ElementDataFile=name)) in ("data-elsewhere", "data-in-slices")
