"""Whatever is done to a file, reading gives the same scan or a refusal: never another exception, never other voxels."""

from __future__ import annotations

import gzip
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import ct, dicom_series, metaimage_file, nifti_file, nrrd_file
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io import ENDINGS, can_read, read, read_mask

QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def attempt(path):
    """The scan, or None where it was refused; anything else is an error of this test."""
    can_read(path)
    try:
        return read(path)
    except Refusal as refusal:
        assert path.parent.name not in str(refusal)
        return None


def same(one, other) -> bool:
    return np.array_equal(one.voxels, other.voxels) and np.array_equal(one.geometry.affine, other.geometry.affine)


def test_a_flipped_byte_in_a_packed_nifti(tmp_path):
    path = nifti_file(tmp_path / "case.nii.gz")
    whole, before = path.read_bytes(), read(path)
    seen = set()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        after = attempt(path)
        seen.add(after is None)
        assert after is None or same(before, after), place
    assert seen == {True, False}  # bytes of the packing's own header change nothing


@QUICK
@given(place=st.integers(0), value=st.integers(1, 255), ending=st.sampled_from(["nii.gz", "nrrd"]))
def test_any_flip_in_a_packed_file_is_equal_or_refused(tmp_path, place, value, ending):
    path = tmp_path / f"case.{ending}"
    data = gzip.compress(ct().tobytes(order="F"), 1, mtime=0)
    nifti_file(path) if ending == "nii.gz" else nrrd_file(path, data, encoding="gzip")
    whole, before = bytearray(path.read_bytes()), read(path)
    start = 0 if ending == "nii.gz" else len(whole) - len(data)
    place = start + place % (len(whole) - start)
    whole[place] ^= value
    path.write_bytes(whole)
    after = attempt(path)
    assert after is None or same(before, after)


@QUICK
@given(
    flips=st.lists(st.tuples(st.integers(0, 700), st.integers(1, 255)), min_size=1, max_size=4),
    ending=st.sampled_from(["nii", "nrrd", "mha"]),
)
def test_damaged_headers_never_escape(tmp_path, flips, ending):
    path = tmp_path / f"case.{ending}"
    whole = bytearray({"nii": nifti_file, "nrrd": nrrd_file, "mha": metaimage_file}[ending](path).read_bytes())
    for place, value in flips:
        whole[place] ^= value
    path.write_bytes(whole)
    attempt(path)


@settings(QUICK, max_examples=60)
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4), cut=st.integers(0, 4))
def test_damaged_dicom_never_escapes(tmp_path_factory, flips, cut):
    folder = tmp_path_factory.getbasetemp() / "damaged-dicom"
    pristine = tmp_path_factory.getbasetemp() / "pristine-dicom"
    if not folder.exists():
        dicom_series(pristine, ct(8, 8, 3))
        dicom_series(folder, ct(8, 8, 3))
    whole = bytearray((pristine / "slice01.dcm").read_bytes())
    for place, value in flips:
        whole[place % len(whole)] ^= value
    (folder / "slice01.dcm").write_bytes(whole[: len(whole) - cut * 40])
    attempt(folder)
    attempt(folder / "slice01.dcm")


STARTS = [
    b"", b"\x1f\x8b\x08",
    b"NRRD0004\ntype: short\nsizes: 4 4 4\ndimension: 3\nencoding: raw\n", b"ObjectType = Image\nNDims = 3\n",
    b"\x5c\x01\0\0", bytes(128) + b"DICM", bytes(128) + b"DICM\x02\0\0\0UL\x04\0\xb0\0\0\0",
]  # fmt: skip


@settings(QUICK, max_examples=150)
@given(start=st.sampled_from(STARTS), data=st.binary(max_size=700), ending=st.sampled_from([*ENDINGS, "", ".pt", ".xyz"]))
def test_random_bytes_are_refused(tmp_path, start, data, ending):
    path = tmp_path / f"case{ending}"
    path.write_bytes(start + data)
    assert attempt(path) is None
    path.unlink()


@pytest.mark.parametrize(
    "name", ["model.pt", "model.pkl", "scan.npy", "scan.zip", "scan.hdr", "scan.img", "scan", "scan.gz", "a.nii.bz2"]
)
def test_unknown_kinds_of_files(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"cos\nsystem\n(S'touch canary'\ntR.")
    assert not can_read(path)
    with pytest.raises(Refusal) as error:
        read(path)
    assert error.value.finding.code == "file-kind"
    path.unlink()
    with pytest.raises(Refusal, match="no such file"):
        read(path)


@pytest.mark.parametrize("name", ["none.nii", "none.dcm", "none", "x" * 5000 + ".nii", "a\0b.nii", "y" * 5000])
def test_missing_files(tmp_path, name):
    volume = read(nifti_file(tmp_path / "ct.nii"))
    for attempted in (read, lambda path: read_mask(path, volume)):
        with pytest.raises(Refusal) as error:
            attempted(tmp_path / name)
        assert error.value.finding.code in ("file-missing", "mask-dicom")


def test_can_read_looks_and_never_fails(tmp_path):
    folder = dicom_series(tmp_path / "dicom", ct()[:, :, :2], names=["IM0", "IM1"])
    assert can_read(folder)
    assert can_read(str(folder / "IM0"))
    assert can_read(nifti_file(tmp_path / "A.NII.GZ"))
    assert can_read(tmp_path)  # the folder above, as that of a disc
    (tmp_path / "text.dcm").write_text("hello")
    (tmp_path / "empty").mkdir()
    for path in (
        tmp_path / "empty",
        tmp_path / "none.nii",
        tmp_path / "text.dcm",
        tmp_path / ("x" * 5000),
        "a\0b",
        7,
        None,
    ):
        assert not can_read(path)


LIMITED = """
import resource, sys
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io import read
import napari_liver_anomaly.io.nifti, nibabel.nifti1, nibabel.nifti2, nibabel.orientations
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        read(path)
        print("read")
    except Refusal as refusal:
        print(refusal.finding.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""


def test_bombs(tmp_path):
    pytest.importorskip("resource")
    paths = [nifti_file(tmp_path / "claim.nii.gz", header={"dim": np.array([3, 1024, 1024, 1000, 1, 1, 1, 1])})]
    paths.append(nifti_file(tmp_path / "holds.nii.gz", extra=bytes(2**28)))
    done = subprocess.run([sys.executable, "-c", LIMITED, *paths], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] in (["file-truncated", "file-longer"], ["scan-too-large", "file-longer"])
    assert max(int(line[1]) for line in lines) < 100_000


def test_a_mask_of_random_bytes(tmp_path):
    volume = read(nifti_file(tmp_path / "ct.nii"))
    (tmp_path / "mask.nii.gz").write_bytes(b"\x1f\x8b" + bytes(200))
    with pytest.raises(Refusal):
        read_mask(tmp_path / "mask.nii.gz", volume)
