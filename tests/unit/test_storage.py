"""Bounded reads give exactly what is there or refuse; writes are old or new, never half."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_liver_anomaly import storage
from napari_liver_anomaly.errors import NotWritten, OutOfMemory, Refusal, UnreadableFile
from napari_liver_anomaly.placing import replacing
from napari_liver_anomaly.storage import BoundedReader, hash_of, opened, unpacking, voxel_bytes


def code_of(error: pytest.ExceptionInfo[Refusal]) -> str:
    return error.value.finding.code


def reader(data: bytes, packing: str = "none") -> BoundedReader:
    return BoundedReader(io.BytesIO(data), packing)


@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_packed_and_plain_give_the_same_bytes(parts, cuts):
    whole = b"".join(parts)
    for stream in (
        reader(whole),
        reader(b"".join(gzip.compress(part) for part in parts), "gzip"),
        reader(b"".join(gzip.compress(part) for part in parts) + b"\0" * 40, "gzip"),
        reader(zlib.compress(whole), "zlib"),
    ):
        taken, left = b"", len(whole)
        for cut in cuts:
            taken += stream.read(min(cut, left))
            left = len(whole) - len(taken)
        taken += stream.read(left)
        stream.finish()
        assert taken == whole


@pytest.mark.parametrize("packing", ["none", "gzip", "zlib"])
def test_an_early_end_is_refused_at_every_cut(packing):
    whole = os.urandom(700)
    packed = {"none": whole, "gzip": gzip.compress(whole, mtime=0), "zlib": zlib.compress(whole)}[packing]
    for cut in range(len(packed)):
        stream = reader(packed[:cut], packing)
        with pytest.raises(UnreadableFile) as error:
            stream.read(700)
            stream.finish()
        assert code_of(error) == "file-truncated", cut


def test_a_wrong_checksum_is_refused():
    packed = bytearray(gzip.compress(bytes(range(256)) * 8, mtime=0))
    packed[-6] ^= 1
    stream = reader(bytes(packed), "gzip")
    with pytest.raises(UnreadableFile) as error:
        stream.read(2048)
        stream.finish()
    assert code_of(error) == "file-damaged"


def test_what_is_left_over_is_refused():
    for stream in (reader(b"12345"), reader(gzip.compress(b"12345"), "gzip")):
        stream.read(4)
        with pytest.raises(UnreadableFile) as error:
            stream.finish()
        assert code_of(error) == "file-longer"
    stream = reader(gzip.compress(b"1234") + b"rubbish", "gzip")
    stream.read(4)
    with pytest.raises(UnreadableFile) as error:
        stream.finish()
    assert code_of(error) == "file-damaged"


def test_the_message_says_how_much_is_there():
    with pytest.raises(UnreadableFile, match=r"5 bytes of 2\.0 MB"):
        reader(b"12345").read(2_000_000)


BOMBS = """
import gzip, io, resource
from napari_liver_anomaly.storage import BoundedReader
from napari_liver_anomaly.errors import UnreadableFile
bomb = gzip.compress(bytes(512 * 2**20), 1)
liar = gzip.compress(b"x" * 400)
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
for data, claimed in ((bomb, 1000), (liar, 4 * 2**30)):
    try:
        stream = BoundedReader(io.BytesIO(data), "gzip")
        stream.read(claimed)
        stream.finish()
    except UnreadableFile as error:
        print(error.finding.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base)
"""


def test_bombs_cost_no_memory():
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", BOMBS], capture_output=True, text=True, check=True)
    codes = [line.split() for line in done.stdout.splitlines()]
    assert [code for code, _ in codes] == ["file-longer", "file-truncated"]
    assert max(int(kilobytes) for _, kilobytes in codes) < 50_000


@pytest.mark.parametrize("sizes", [(0, 4, 4), (-3, 4, 4), (4097, 4, 4), (4096, 4096, 4096), (2**31, 2**33, 1)])
def test_absurd_sizes_are_refused(sizes):
    with pytest.raises(UnreadableFile) as error:
        voxel_bytes(sizes, 2)
    assert code_of(error) == "sizes-impossible"


def test_the_budget_is_named(monkeypatch):
    monkeypatch.setattr(storage, "_free_memory", lambda: 3 * 10**9)
    assert voxel_bytes((512, 512, 100), 2) == 512 * 512 * 100 * 2
    with pytest.raises(OutOfMemory, match=r"needs 4\.3 GB.*1\.0 GB can be given"):
        voxel_bytes((1024, 1024, 1024), 4)
    monkeypatch.setattr(storage, "_free_memory", lambda: 10**12)
    assert storage.memory_budget() == storage.MAX_BYTES


def test_free_memory_is_a_credible_number():
    assert 2**26 < storage._free_memory() < 2**50


def test_pipes_and_missing_files_are_refused_at_once(tmp_path):
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.nii")
    for name in ("pipe.nii", "nothing.nii", "."):
        with pytest.raises(UnreadableFile) as error, unpacking(tmp_path / name):
            pass
        assert code_of(error) == "file-missing"


def test_a_failing_disk_becomes_a_sentence(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(UnreadableFile, match="Input/output error"), opened(tmp_path / "a"):
        raise OSError(5, "Input/output error")


def test_sizes_in_words():
    assert [storage.size_words(n) for n in (0, 999, 1000, 48_000_000, 2**33)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "48.0 MB",
        "8.6 GB",
    ]


def test_the_hash_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert hash_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_replacing_puts_the_new_file_in_place(tmp_path):
    target = tmp_path / "new" / "mask.nii.gz"
    for text in ("one", "two"):
        with replacing(target) as beside:
            assert beside.parent == target.parent
            assert beside.name.endswith(".nii.gz")
            beside.write_text(text)
        assert target.read_text() == text
        assert os.listdir(target.parent) == ["mask.nii.gz"]


def test_a_failure_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path):
    target = tmp_path / "mask.nii"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["mask.nii"]


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(NotWritten), replacing(tmp_path / "file" / "mask.nii"):
        pass


def test_a_locked_target_is_refused(tmp_path, monkeypatch):
    def locked(*_):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "mask.nii").write_text("old")
    monkeypatch.setattr(os, "replace", locked)
    with pytest.raises(NotWritten, match="Permission denied"), replacing(tmp_path / "mask.nii") as beside:
        beside.write_text("new")
    assert (tmp_path / "mask.nii").read_text() == "old"
    assert os.listdir(tmp_path) == ["mask.nii"]


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system cannot limit the size of files")
def test_a_full_disk_keeps_the_old_file(tmp_path):
    import resource

    target = tmp_path / "mask.nii"
    target.write_bytes(b"old")
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(NotWritten), replacing(target) as beside:
            beside.write_bytes(bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["mask.nii"]


def test_a_new_file_has_the_rights_the_user_gives_new_files(tmp_path, monkeypatch):
    """And the process's mask is never touched: another thread may be making a file at that moment."""
    (tmp_path / "plain").touch()
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the mask was set"))
    with replacing(tmp_path / "ours.nii.gz") as beside:
        beside.write_bytes(b"x")
    assert (tmp_path / "ours.nii.gz").stat().st_mode == (tmp_path / "plain").stat().st_mode
