"""A zip of plain data (``session.json``) and arrays in numpy's own format: written whole, read within limits, and nothing in it is ever run."""

from __future__ import annotations

import json
import math
import re
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.placing import replacing
from napari_liver_anomaly.storage import PIECE, opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MANIFEST = "session.json"
LARGEST_MANIFEST = 2**24
LARGEST_HEAD = 256  # of an array, as numpy writes it for at most three axes
MOST_MEMBERS = 64
# What stands before an array, as numpy writes it; numpy's own reader raises errors of many kinds when it is damaged.
NPY = re.compile(
    rb"\x93NUMPY\x01\0..\{'descr': '(?P<kind>[|<][a-z]\d)', 'fortran_order': False, 'shape': \((?P<shape>[0-9, ]{1,60})\), \} *\n",
    re.DOTALL,
)
BEGAN = (1980, 1, 1, 0, 0, 0)  # of every member, so that the same session is the same file
# What zipfile, json and numpy raise on files that are broken in one way or another, and settings out of range; an encrypted member is a RuntimeError.
DAMAGE = (
    OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def write_bundle(path: str | Path, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write plain data and arrays as one file, whole or not at all."""
    text = json.dumps({**about, "arrays": sorted(arrays)}, indent=1, allow_nan=False).encode("ascii")
    with replacing(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr(_member(MANIFEST), text, zipfile.ZIP_DEFLATED, 1)
        for name, array in arrays.items():
            with file.open(_member(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, BEGAN)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o600 << 16  # it says where a scan lies
    return member


class Bundle:
    """An open bundle: its plain data, and its arrays when they are asked for."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        members = file.infolist()
        packings = {member.compress_type for member in members} - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        if len(members) > MOST_MEMBERS or packings or len({member.filename for member in members}) < len(members):
            raise ValueError("members")
        with self._open(MANIFEST, LARGEST_MANIFEST) as stream:
            self.about: dict[str, Any] = json.loads(stream.read(LARGEST_MANIFEST), parse_constant=_no_number)
        if not isinstance(self.about, dict):
            raise TypeError(MANIFEST)
        self._arrays = self.about.pop("arrays")
        if {member.filename for member in members} != {MANIFEST, *(f"{name}.npy" for name in self._arrays)}:
            raise ValueError("arrays")  # one that is lost would be taken for one that never was

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def array(self, name: str, kind: type[np.generic], shape: tuple[int, ...]) -> NDArray[Any]:
        """Read an array of this kind and shape; -1 in the shape of a list is as many as there are, of the voxels that there may be."""
        with self._open(f"{name}.npy", math.prod(map(abs, shape)) * np.dtype(kind).itemsize + LARGEST_HEAD) as stream:
            start = stream.read(10)
            head = NPY.fullmatch(start + stream.read(min(int.from_bytes(start[8:], "little"), LARGEST_HEAD)))
            if head is None or head["kind"].decode() != np.dtype(kind).str:
                raise ValueError(name)
            found = tuple(int(size) for size in head["shape"].split(b",") if size.strip())
            fits = len(found) == 1 and found[0] <= -shape[0] if shape[0] < 0 else found == shape
            if not fits:
                raise ValueError(name)
            array = np.empty(found, kind)
            left = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
            while left and (count := stream.readinto(left[:PIECE])):
                left = left[count:]
            if left or stream.read(1):  # the checksum is looked at behind the last byte
                raise EOFError(name)
        return array

    def _open(self, name: str, most: int) -> Any:
        """Open a member of so many unpacked bytes at most, which is said before anything is unpacked."""
        if self._file.getinfo(name).file_size > most:
            raise ValueError(name)
        return self._file.open(name)


def _no_number(word: str) -> float:
    raise ValueError(word)


@contextmanager
def open_bundle(path: str | Path) -> Iterator[Bundle]:
    """Open a bundle to read; whatever is wrong with it is one refusal."""
    try:
        with opened(path) as stream, zipfile.ZipFile(stream) as file:
            yield Bundle(file)
    except (RecursionError, *DAMAGE):
        raise make_refusal("session-unreadable") from None
