"""Compressed slices: decoded in a child process whose failure is a sentence, not a crash."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from builders import ct, dicom_series
from napari_liver_anomaly.errors import Refusal, UnreadableFile
from napari_liver_anomaly.io import pixels, read

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
    with pytest.raises(UnreadableFile, match=r"compressed as RLE.*'python -m pip install pylibjpeg pylibjpeg-rle'\.$"):
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
    with pytest.raises(UnreadableFile, match="Slice 1 could not be decoded"):
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
