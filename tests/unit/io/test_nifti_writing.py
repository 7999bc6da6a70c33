"""Images come back at the same place by two other libraries, whatever way the source lay; inputs are never overwritten."""

from __future__ import annotations

import gzip
import itertools
import math
import os
import struct
import tracemalloc
from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest
import SimpleITK

from napari_liver_anomaly.errors import InvalidNumbers, NotWritten, WrongGrid
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io import nifti_writing, write_image, write_labels

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (5, 6, 7)
PLAIN = Geometry(SHAPE, np.diag([-0.7, -0.8, 2.0, 1.0]))
ORDERS = [(order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]


def oblique(order, signs, degrees):
    """A grid whose axes are permuted, flipped and turned about a skew axis."""
    axis = np.array([0.3, -0.5, 0.81])
    axis /= np.linalg.norm(axis)
    a, cross = math.radians(degrees), np.cross(np.eye(3), axis)
    turn = np.eye(3) * math.cos(a) + math.sin(a) * cross + (1 - math.cos(a)) * np.outer(axis, axis)
    affine = np.eye(4)
    affine[:3, :3] = turn @ (np.eye(3)[:, list(order)] * np.array(signs) * (0.7, 0.9, 2.5))
    affine[:3, 3] = (-31.5, 12.25, 700.0)
    return Geometry(SHAPE, affine)


@pytest.mark.parametrize("degrees", [0, 17])
def test_a_marker_stays_in_its_place_in_the_patient(tmp_path, degrees):
    path = tmp_path / "marker.nii"
    for order, signs in ORDERS:
        geometry = oblique(order, signs, degrees)
        index = (geometry.shape[0] - 1, 0, 1)
        array = np.zeros(geometry.shape, np.int16)
        array[index] = 1234
        place = geometry.position_mm(index)
        write_image(array, geometry, path)

        image = nibabel.load(path)
        assert image.shape == geometry.source_shape
        (found,) = np.argwhere(np.asarray(image.dataobj) == 1234)
        for affine in (image.affine, image.get_sform(), image.get_qform()):
            assert np.allclose(affine[:3] @ (*found, 1), place, atol=0.01)

        other = SimpleITK.ReadImage(str(path))
        z, y, x = (int(i) for i in np.argwhere(SimpleITK.GetArrayFromImage(other) == 1234)[0])
        there = np.array(other.TransformIndexToPhysicalPoint((x, y, z))) * (-1, -1, 1)  # ITK speaks LPS
        assert np.allclose(there, place, atol=0.01)


def test_the_header_says_scanner_mm_no_scaling_and_nothing_else(tmp_path):
    path = write_image(np.arange(210, dtype=np.int16).reshape(PLAIN.shape), PLAIN, tmp_path / "a.nii.gz")
    header = nibabel.load(path).header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm"
    assert struct.unpack_from("<2f", gzip.decompress(path.read_bytes()), 112) in ((0, 0), (1, 0)), "stored values are the values"
    assert all(bytes(header[field].tobytes()).strip(b"\0") == b"" for field in ("descrip", "aux_file", "intent_name", "db_name"))
    assert not list(header.extensions)
    packed = path.read_bytes()
    assert packed[3] == 0 and packed[4:8] == b"\0\0\0\0", "no file name and no time in the gzip header"


@pytest.mark.parametrize("piece", [1, 50, 10**6])
def test_written_piece_by_piece_the_file_is_that_of_another_library(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(nifti_writing, "PIECE", piece)
    for order, signs in ORDERS[::7]:
        geometry = oblique(order, signs, 17)
        array = np.random.default_rng(0).integers(-900, 900, geometry.shape).astype(np.int16)
        image = nibabel.Nifti1Image(geometry.to_source(array), geometry.source_affine, dtype=np.int16)
        image.header.set_xyzt_units("mm")
        image.set_sform(geometry.source_affine, 1)
        image.set_qform(geometry.source_affine, 1)
        assert write_image(array, geometry, tmp_path / "a.nii").read_bytes() == image.to_bytes()


def test_writing_takes_no_memory_of_the_size_of_the_image(tmp_path, monkeypatch):
    monkeypatch.setattr(nifti_writing, "PIECE", 2**14)
    geometry = Geometry((64, 64, 256), np.diag([-1.0, -1.0, 1.0, 1.0]))
    labels = np.zeros(geometry.shape, np.uint16)
    labels[100, 20:30, 20:30] = 3
    nifti_writing.image_writer(labels, geometry)(tmp_path / "first.nii.gz")  # what is imported at first use
    for write in (
        lambda: write_image(labels, geometry, tmp_path / "a.nii.gz"),
        lambda: write_image(labels > 0, geometry, tmp_path / "b.nii"),
        lambda: write_labels(labels, geometry, tmp_path / "c.nii.gz"),
    ):
        tracemalloc.start()
        write()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 1.1 * labels.size, "a copy of the image takes twice as much"


@pytest.mark.parametrize("kind", ["bool", "uint8", "uint16", "int16", "int32", "float32"])
def test_every_kind_arrives_exactly(tmp_path, kind):
    rng = np.random.default_rng(0)
    array = (rng.normal(0, 500, PLAIN.shape) if kind[0] in "fi" else rng.integers(0, 2, PLAIN.shape)).astype(kind)
    path = write_image(array, PLAIN, tmp_path / "a.nii.gz")
    read = np.asarray(nibabel.load(path).dataobj)
    assert read.dtype == (np.uint8 if kind == "bool" else kind)
    assert np.array_equal(PLAIN.to_canonical(read), array)


def test_odd_kinds_shapes_and_endings_are_refused(tmp_path):
    with pytest.raises(TypeError):
        write_image(np.zeros(PLAIN.shape), PLAIN, tmp_path / "a.nii.gz")
    with pytest.raises(WrongGrid):
        write_image(np.zeros(SHAPE, np.uint8), PLAIN, tmp_path / "a.nii.gz")
    for name in ("a.mha", "a.nii.zip", "nii"):
        with pytest.raises(NotWritten):
            write_image(np.zeros(PLAIN.shape, np.uint8), PLAIN, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("highest", "kind"), [(1, "uint8"), (255, "uint8"), (256, "uint16"), (65535, "uint16"), (65536, "int32")]
)
def test_labels_arrive_exactly(tmp_path, highest, kind):
    labels = np.zeros(PLAIN.shape, np.int64)
    labels[0, 0, :3] = (1, highest, max(highest - 1, 0))
    read = np.asarray(nibabel.load(write_labels(labels, PLAIN, tmp_path / "a.nii.gz")).dataobj)
    assert read.dtype == kind and np.array_equal(PLAIN.to_canonical(read), labels)


@pytest.mark.parametrize("odd", [np.full(PLAIN.shape, 0.5), np.full(PLAIN.shape, 2**40)])
def test_what_is_no_label_is_refused(tmp_path, odd):
    with pytest.raises(InvalidNumbers):
        write_labels(odd, PLAIN, tmp_path / "a.nii.gz")


def test_an_input_is_never_overwritten(tmp_path: Path, monkeypatch):
    array = np.zeros(PLAIN.shape, np.uint8)
    scan = tmp_path / "scan.nii.gz"
    scan.write_bytes(b"the scan")
    (tmp_path / "sub").mkdir()
    link = tmp_path / "link.nii.gz"
    link.symlink_to(scan)
    twin = tmp_path / "twin.nii.gz"
    os.link(scan, twin)
    monkeypatch.chdir(tmp_path)
    for target in (scan, tmp_path / "sub" / ".." / "scan.nii.gz", "scan.nii.gz", link, twin):
        with pytest.raises(NotWritten) as refused:
            write_image(array, PLAIN, target, inputs=(scan,))
        assert refused.value.finding.code == "would-overwrite-input"
    assert scan.read_bytes() == b"the scan"
    write_image(array, PLAIN, tmp_path / "other.nii.gz", inputs=(scan,))


def test_same_result_same_bytes(tmp_path):
    array = np.arange(210, dtype=np.int16).reshape(PLAIN.shape)
    one, two = (write_image(array, PLAIN, tmp_path / name).read_bytes() for name in ("one.nii.gz", "two.nii.gz"))
    assert one == two and gzip.decompress(one)
