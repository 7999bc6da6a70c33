"""Compressed slices: decoded in a child process whose failure is a sentence, not a crash."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from builders import ct, dicom_series
from napari_liver_anomaly.errors import Refusal, UnreadableFile
from napari_liver_anomaly.io import pixels, read
from napari_liver_anomaly.io.coded_size import coded_size

RLE = "1.2.840.10008.1.2.5"
JPEG_2000 = "1.2.840.10008.1.2.4.90"


@pytest.fixture
def packed(tmp_path):
    """A series packed with RLE, which pydicom itself can unpack."""
    from pydicom import dcmread

    folder = dicom_series(tmp_path / "case", ct()[:, :, :4])
    for path in folder.iterdir():
        one = dcmread(path)
        one.compress(RLE, encoding_plugin="pydicom", generate_instance_uid=False)
        one.save_as(path)
    return folder


def child(monkeypatch, code: str) -> None:
    """Put another program in the place of the decoder."""
    monkeypatch.setattr(pixels, "CHILD", [sys.executable, "-c", code])


def test_packed_slices(packed):
    volume = read(packed)
    notes = volume.findings
    np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), ct()[:, :, :4])
    assert notes == ()


def test_a_missing_decoder_is_named_with_its_install_line(packed, monkeypatch):
    monkeypatch.setattr(pixels, "decoder_is_there", lambda syntax: False)
    with pytest.raises(UnreadableFile, match=r"compressed as RLE.*'\S*python\S* -m pip install pylibjpeg pylibjpeg-rle'\.$"):
        read(packed)


@pytest.mark.parametrize(
    ("syntax", "told"),
    [
        (JPEG_2000, "pylibjpeg-openjpeg"),
        ("1.2.840.10008.1.2.4.201", "pylibjpeg-openjpeg"),
        ("1.2.840.10008.1.2.4.70", "pylibjpeg-libjpeg"),
        ("1.2.840.10008.1.2.4.80", "pyjpegls"),
        (RLE, "pylibjpeg-rle"),
    ],
)
def test_every_codec_has_its_install_line(monkeypatch, syntax, told):
    monkeypatch.setattr(pixels, "decoder_is_there", lambda syntax: False)
    assert pixels.undecodable(syntax).action.endswith(f"{told}'.")


def test_a_syntax_that_nobody_knows():
    assert pixels.undecodable("1.2.840.10008.1.2.4.100").code in ("codec-unknown", "codec-missing")
    assert pixels.undecodable("1.2.3").code == "codec-unknown"
    assert pixels.undecodable("").code == "codec-unknown"


def test_a_damaged_slice_is_named(packed):
    path = packed / "slice02.dcm"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 150])
    with pytest.raises(UnreadableFile, match="Slice 3 could not be decoded"):
        read(packed)


@pytest.mark.parametrize(
    "code",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)" if sys.platform != "win32" else "import os; os.abort()",
        "raise SystemExit(3)",
        "print('hello')",
        """print('{"kind": "<u2", "rows": 16, "columns": 16}'); print('x' * 9)""",
        """print('{"kind": "<u2", "rows": 99999, "columns": 99999}')""",
        """print('{"kind": "O", "rows": 16, "columns": 16}'); print('x' * 4096)""",
    ],
)
def test_a_decoder_that_crashes_or_babbles(packed, monkeypatch, code):
    child(monkeypatch, code)
    with pytest.raises(Refusal, match=r"Slice 1 could not be decoded|99999 voxels"):
        read(packed)


def test_a_decoder_that_hangs_is_ended(packed, monkeypatch):
    monkeypatch.setattr(pixels, "PATIENCE_S", 0.3)
    monkeypatch.setattr(pixels, "PATIENCE_PER_SLICE_S", 0)
    child(monkeypatch, "import time; time.sleep(600)")
    start = time.monotonic()
    with pytest.raises(UnreadableFile, match="took too long"):
        read(packed)
    assert time.monotonic() - start < 300, "it waited for the child to end by itself"


BROKEN = """
import sys
sys.stdin.read()
for number in range(4):
    sys.stdout.buffer.write(b'{"kind": "<u2", "rows": 16, "columns": 16}\\n' + %s)
"""


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("bytes(512)", "Slice 1 was decoded to a single value"),
        ("b''.join((v * 16).to_bytes(2, 'little') for v in range(256))", "Slice 1 holds values outside its declared 11 bits"),
        ("b''.join((v // 16).to_bytes(2, 'little') for v in range(256))", "do not look like"),
    ],
)
def test_a_decoder_that_gives_nonsense(packed, monkeypatch, values, told):
    from pydicom import dcmread

    for path in packed.iterdir():
        one = dcmread(path)
        one.BitsStored, one.HighBit = 11, 10
        one.save_as(path)
    child(monkeypatch, BROKEN % values)
    with pytest.raises(Refusal, match=told):
        read(packed)


def test_the_size_in_the_picture_itself_is_read():
    siz = b"\xff\x4f\xff\x51" + bytes(4) + (20000).to_bytes(4) + (30000).to_bytes(4) + bytes(8)
    assert coded_size(siz + bytes(50)) == (30000, 20000)
    sof = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc4\x00\x03x\xff\xff\xc3\x00\x0b\x10\x01\x00\x02\x00\x01"
    assert coded_size(sof) == (256, 512)
    assert coded_size(sof.replace(b"\xc3", b"\xf7")) == (256, 512)
    for broken in (b"", b"\xff\xd8", sof[:14], b"\0" * 64, b"\xff\xd8" + b"\xff" * 40):
        assert coded_size(broken) is None


def test_a_picture_larger_than_its_header_is_not_decoded(packed, monkeypatch):
    from pydicom import dcmread
    from pydicom.encaps import encapsulate

    siz = b"\xff\x4f\xff\x51" + bytes(4) + (20000).to_bytes(4) * 2 + bytes(8)
    for path in packed.iterdir():
        one = dcmread(path)
        one.PixelData = encapsulate([siz + bytes(200)])
        one.save_as(path)
    monkeypatch.setattr("pydicom.pixels.iter_pixels", lambda *_, **__: pytest.fail("a decoder was asked"))
    assert list(pixels.decoded(packed / "slice00.dcm", [0], (16, 16))) == []


@pytest.mark.skipif(sys.platform != "linux", reason="limits and parents are those of Linux")
def test_the_child_is_limited_and_ends_with_its_parent(tmp_path):
    code = """
import os, resource, subprocess, sys, time
from napari_liver_anomaly.io import decoding
decoding._limit_memory(2**20)
try:
    bytearray(2**28)
except MemoryError:
    print("limited", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "limited\n", done.stderr
    parent = """
import subprocess, sys, os
code = "import os, time; from napari_liver_anomaly.io import decoding; decoding._end_with(os.getppid()); print('up', flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, check=False)
    place = Path(f"/proc/{int(done.stdout)}/stat")
    for _ in range(600):
        if not place.exists() or place.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the child outlived its parent")
