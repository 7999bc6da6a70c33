"""Pixels of DICOM slices: raw ones here, compressed ones in a child process, whose crash harms nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import warnings
from contextlib import contextmanager
from itertools import groupby
from threading import Timer
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from napari_liver_anomaly.io.coded_size import sizes_in
from napari_liver_anomaly.io.dicom_slices import BIG_ENDIAN, DAMAGE, EXPLICIT, IMPLICIT
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.storage import voxel_bytes
from napari_liver_anomaly.stored_values import HIGHEST, LOWEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding, Refusal
    from napari_liver_anomaly.io.dicom_slices import Slice

    Array = NDArray[np.generic]

PLAIN = {IMPLICIT, EXPLICIT, BIG_ENDIAN}
PIXEL_DATA = (0x7FE0, 0x0010)
JPEG = "1.2.840.10008.1.2.4."
CODECS = (
    ("JPEG", "pylibjpeg pylibjpeg-libjpeg", {JPEG + number for number in ("50", "51", "57", "70")}),
    ("JPEG-LS", "pyjpegls", {JPEG + number for number in ("80", "81")}),
    ("JPEG 2000", "pylibjpeg pylibjpeg-openjpeg", {JPEG + number for number in ("90", "91", "201", "202", "203")}),
    ("RLE", "pylibjpeg pylibjpeg-rle", {"1.2.840.10008.1.2.5"}),
)
PATIENCE_S, PATIENCE_PER_SLICE_S = 60.0, 1.0  # for one slice; and so much for all, with a second for each
CHILD = [sys.executable, "-P", "-m", "napari_liver_anomaly.io.decoding"]


def hounsfield(slices: Sequence[Slice], job: Job | None = None) -> NDArray[np.int16]:
    """Decode a stack, with each slice's own rescale."""
    first, job = slices[0], job or Job()
    voxel_bytes((first.columns, first.rows, len(slices)), 2)
    result = np.empty((len(slices), first.rows, first.columns), np.int16)
    packed = [one for one in slices if one.syntax not in PLAIN]
    blocks: dict[Path, tuple[int, int]] = {}
    with _child(packed) as unpacked:
        for index, one in enumerate(slices):
            job.at("Reading the slices", index, len(slices))
            stored = _plain(one, index + 1, blocks) if one.syntax in PLAIN else next(unpacked, None)
            if stored is None or stored.shape != (one.rows, one.columns):
                raise make_refusal("slice-damaged", number=index + 1)
            _require_sound(stored, one, index + 1)
            result[index] = _rescaled(stored, one)
    return result.transpose(2, 1, 0)


def decoded(path: Path, frames: Sequence[int], size: tuple[int, int]) -> Iterator[Array]:
    """Decode pictures of one compressed file in this process."""
    from pydicom.pixels import iter_pixels

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with path.open("rb") as stream:
                start, _ = pixel_place(stream, EXPLICIT)
                stream.seek(start)
                if any(claimed != size for claimed in sizes_in(stream)):
                    return  # a decoder would make room for what the picture claims
            yield from iter_pixels(path, indices=list(frames))
    except (*DAMAGE, RuntimeError):
        return


def pixel_hash(one: Slice) -> str:
    """SHA-256 of the stored pixels of a slice, packed as they are; empty where they cannot be found."""
    size = 2 * one.rows * one.columns
    try:
        with one.path.open("rb") as stream:
            start, length = pixel_place(stream, one.syntax)
            if length < 0 or (one.syntax not in PLAIN and one.frames > 1):
                return ""
            stream.seek(start + (size * one.frame if one.syntax in PLAIN else 0))
            return hashlib.sha256(stream.read(size if one.syntax in PLAIN else -1)).hexdigest()
    except DAMAGE:
        return ""


def undecodable(syntax: str) -> Finding | None:
    """Whether a decoder for a way of compression is missing."""
    if syntax in PLAIN or decoder_is_there(syntax):
        return None
    for name, packages, numbers in CODECS:
        if syntax in numbers:
            return make_finding("codec-missing", codec=name, packages=packages, python=sys.executable)
    return make_finding("codec-unknown")


def decoder_is_there(syntax: str) -> bool:
    """Whether this computer can decode a compressed syntax."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(get_decoder(UID(syntax)).is_available)
    except (NotImplementedError, ValueError):
        return False


def _plain(one: Slice, number: int, blocks: dict[Path, tuple[int, int]]) -> Array | None:
    """Take the stored values of an uncompressed slice word by word; None when there are too few or too many."""
    size = 2 * one.rows * one.columns
    try:
        with one.path.open("rb") as stream:
            if one.path not in blocks:
                blocks[one.path] = pixel_place(stream, one.syntax)
            start, length = blocks[one.path]
            stream.seek(start + size * one.frames)
            behind = (
                length - size * one.frames
            )  # the standard allows a few bytes behind the picture; more rows would not be zeros
            if not 0 <= behind < max(size, 2) or (behind > 1 and stream.read(behind).strip(b"\0")):
                return None
            stream.seek(start + size * one.frame)
            block = stream.read(size)
    except DAMAGE:
        return None
    if len(block) < size:
        return None
    words = np.frombuffer(block, ">u2" if one.syntax == BIG_ENDIAN else "<u2", one.rows * one.columns).astype(np.int32)
    unused = words >> one.bits_stored
    values = words & (2**one.bits_stored - 1)
    negative = values >> (one.bits_stored - 1) if one.signed else np.zeros_like(values)
    if not ((unused == 0) | (unused == negative * (2 ** (16 - one.bits_stored) - 1))).all():
        raise _outside_bits(one, number)
    return np.asarray(values - negative * 2**one.bits_stored).reshape(one.rows, one.columns)


def pixel_place(stream: BinaryIO, syntax: str) -> tuple[int, int]:
    """Where the pixels of an open file begin, and how many bytes they claim to be; -1 where there are none."""
    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcmread(stream, stop_before_pixels=True, specific_tags=[], force=True)
    order, head = "<>"[syntax == BIG_ENDIAN], stream.read(8)
    if head[:4] != struct.pack(f"{order}HH", *PIXEL_DATA):
        return 0, -1
    length = head[4:] if syntax == IMPLICIT else stream.read(4)
    return stream.tell(), int(struct.unpack(f"{order}I", length)[0])


def _outside_bits(one: Slice, number: int) -> Refusal:
    return make_refusal("slice-bits", number=number, bits=one.bits_stored)


def _require_sound(stored: Array, one: Slice, number: int) -> None:
    """Refuse what a broken decoder or header gives: values outside the declared bits, or a picture of one value only."""
    low, high = (-(2 ** (one.bits_stored - 1)), 2 ** (one.bits_stored - 1) - 1) if one.signed else (0, 2**one.bits_stored - 1)
    lowest, highest = int(stored.min()), int(stored.max())
    if lowest < low or highest > high or stored.dtype.itemsize * 8 < one.bits_stored:
        raise _outside_bits(one, number)
    if lowest == highest and one.syntax not in PLAIN:
        raise make_refusal("slice-constant", number=number)


def _rescaled(stored: Array, one: Slice) -> NDArray[np.float64]:
    values = np.rint(stored.astype(np.float64) * (one.slope or 1.0) + (one.intercept or 0.0))
    if values.min() < LOWEST or values.max() > HIGHEST:
        raise make_refusal("values-range", value=values.min() if values.min() < LOWEST else values.max())
    return values


@contextmanager
def _child(slices: Sequence[Slice]) -> Iterator[Iterator[Array | None]]:
    """Decode slices one after another in a child process; None, and then nothing more, where it fails, crashes or hangs."""
    if not slices:
        yield iter(())
        return
    child = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
        CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )  # fmt: skip
    clock = _Clock(child, len(slices))
    try:
        by_file = [(path, list(together)) for path, together in groupby(slices, lambda one: one.path)]
        files = [
            (str(path.absolute()), [one.frame for one in together], together[0].rows, together[0].columns)
            for path, together in by_file
        ]
        wanted = {"parent": os.getpid(), "pixels": max(one.rows * one.columns for one in slices), "files": files}
        yield _received(child, json.dumps(wanted).encode(), clock)
    finally:
        clock.stop()
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()


class _Clock:
    """Ends a child that takes too long for one slice, or for all of them."""

    def __init__(self, child: subprocess.Popen[bytes], slices: int) -> None:
        self.late = False
        self._child = child
        self._end_s = monotonic() + PATIENCE_S + PATIENCE_PER_SLICE_S * slices
        self._timer = self._started()

    def wind(self) -> None:
        """Begin anew: a slice has come."""
        self._timer.cancel()
        self._timer = self._started()

    def stop(self) -> None:
        """End: all have come."""
        self._timer.cancel()

    def _started(self) -> Timer:
        timer = Timer(max(0.0, min(PATIENCE_S, self._end_s - monotonic())), self._ring)
        timer.daemon = True
        timer.start()
        return timer

    def _ring(self) -> None:
        self.late = True
        self._child.kill()


def _received(child: subprocess.Popen[bytes], request: bytes, clock: _Clock) -> Iterator[Array | None]:
    """Arrays as the child sends them: a line that tells shape and kind, then the values."""
    stdin: Any = child.stdin
    stdout: Any = child.stdout
    try:
        stdin.write(request)
        stdin.close()
        while line := stdout.readline():
            told = json.loads(line)
            kind, rows, columns = np.dtype(told["kind"]), int(told["rows"]), int(told["columns"])
            block = stdout.read(voxel_bytes((columns, rows), kind.itemsize))
            clock.wind()
            yield np.frombuffer(block, kind).reshape(rows, columns)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if clock.late:
        raise make_refusal("slice-slow", seconds=PATIENCE_S)
