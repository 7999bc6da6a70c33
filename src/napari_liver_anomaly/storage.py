"""Files: hashed, and read with a limit; and how much memory there is for them."""

from __future__ import annotations

import hashlib
import os
import zlib
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_liver_anomaly.errors import Refusal

MAX_AXIS = 4096
MAX_VOXELS = 2**30
MAX_BYTES = 8 * 2**30
PIECE = 2**20
FIRST_FEED = 2**9  # bytes of a packed member that are inflated first
NO_LIMIT = 2**62
OWN_GROUPS = "/proc/self/cgroup"
# Of each version of control groups: its word in OWN_GROUPS, where the groups are, limit, use, and in "memory.stat" what of the use are files kept for
# later, which make room when it is needed.
GROUPS = (
    ("", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
MAX_RATIO = 1040  # deflate cannot pack more than 1032 bytes into one

GZIP_MAGIC = b"\x1f\x8b"
_WINDOW = {"gzip": 31, "zlib": 15}


def hash_of(path: str | Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def free_memory() -> int:
    """How much memory can be had now."""
    return _free_memory()


def memory_budget() -> int:
    """How much memory one array read from a file may take."""
    return min(MAX_BYTES, _free_memory() // 3)


def voxel_bytes(sizes: Sequence[int], item_bytes: int) -> int:
    """Bytes an array needs, checked before anything is allocated."""
    counts = [int(size) for size in sizes]
    if min(counts) < 1 or max(counts) > MAX_AXIS or prod(counts) > MAX_VOXELS:
        raise make_refusal("sizes-impossible", sizes=" × ".join(str(n) for n in counts))
    needed, budget = prod(counts) * item_bytes, memory_budget()
    if needed > budget:
        raise make_refusal("scan-too-large", needed=size_words(needed), budget=size_words(budget))
    return needed


class BoundedReader:
    """A file, packed or not, that gives exactly the bytes asked for and never inflates more.

    The checksum of a packed file is verified by :meth:`finish`, for which it has to be read to its end.

    Parameters
    ----------
    stream : binary file
        Stands at the first byte to read.
    packing : {"none", "gzip", "zlib"}
        How the bytes are packed from here on.
    """

    def __init__(self, stream: BinaryIO, packing: Literal["none", "gzip", "zlib"] = "none") -> None:
        self._stream = stream
        self._packing = packing
        self._inflate = None if packing == "none" else zlib.decompressobj(_WINDOW[packing])
        self._packed, self._at, self._feed = b"", 0, FIRST_FEED  # read from disk, how far it is inflated, and how much at once
        here = stream.tell()
        self._left_on_disk = stream.seek(0, os.SEEK_END) - here
        stream.seek(here)

    def read(self, count: int) -> bytearray:
        """Take the next bytes."""
        most = (
            self._left_on_disk
            if self._inflate is None
            else (self._left_on_disk + len(self._packed) - self._at + 1) * MAX_RATIO + PIECE
        )
        taken = bytearray()
        if count <= most:
            while len(taken) < count and (piece := self._piece(min(PIECE, count - len(taken)))):
                taken += piece
        if len(taken) < count:
            there = size_words(len(taken) if count <= most else most)
            raise make_refusal("file-truncated", how=f"{there} of {size_words(count)} are there")
        return taken

    def skip(self, count: int) -> None:
        """Pass over the next bytes without keeping them."""
        while count > 0:
            count -= len(self.read(min(PIECE, count)))

    def finish(self) -> None:
        """Make sure that nothing is left, and that the checksum of a packed file is right."""
        if self._piece(1):
            raise make_refusal("file-longer")

    def _piece(self, most: int) -> bytes:
        """Up to ``most`` unpacked bytes; empty at the end of sound data."""
        if self._inflate is None:
            piece = self._stream.read(most)
            self._left_on_disk -= len(piece)
            return piece
        while True:
            if self._inflate.eof and not self._next_member():
                return b""
            if self._at == len(self._packed):
                self._packed, self._at = self._stream.read(PIECE), 0
                self._left_on_disk -= len(self._packed)
            fed = self._packed[self._at : self._at + self._feed]
            try:
                piece = self._inflate.decompress(fed, most)
            except zlib.error as error:
                raise _damaged() from error
            self._at += len(fed) - len(self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail)
            self._feed = min(PIECE, 4 * self._feed)
            if piece:
                return piece
            if not fed and not self._inflate.eof:
                raise make_refusal("file-truncated", how="its packed data stop in the middle")

    def _next_member(self) -> bool:
        """Go on to the next member of a gzip file; False at the end. Zeros may pad the end, anything else is damage."""
        if len(self._packed) - self._at < len(GZIP_MAGIC):
            self._packed, self._at = self._packed[self._at :] + self._stream.read(PIECE), 0
        if self._packing == "gzip" and self._packed.startswith(GZIP_MAGIC, self._at):
            # Little is fed to a new member, because what lies behind its end is copied: the work stays a multiple of the file's size.
            self._inflate, self._feed = zlib.decompressobj(_WINDOW["gzip"]), FIRST_FEED
            return True
        rest = self._packed[self._at :]
        while rest:
            if rest.strip(b"\0"):
                raise _damaged()
            rest = self._stream.read(PIECE)
        self._packed, self._at = b"", 0
        return False


@contextmanager
def unpacking(path: str | Path) -> Iterator[BoundedReader]:
    """Open a file that may be packed with gzip; its first bytes decide, not its name."""
    with opened(path) as stream:
        packed = stream.read(2) == GZIP_MAGIC
        stream.seek(0)
        yield BoundedReader(stream, "gzip" if packed else "none")


@contextmanager
def opened(path: str | Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; a pipe or device, which could hang, is refused."""
    try:
        if not Path(path).is_file():
            raise make_refusal("file-missing", what="The file")
        with open(path, "rb") as stream:
            yield stream
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise make_refusal("file-unreadable", reason=reason) from None  # the system's own words quote the path


def size_words(count: int) -> str:
    """Say a number of bytes as people do."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _damaged() -> Refusal:
    return make_refusal("file-damaged", reason="its checksum or packing is wrong")


def _free_memory() -> int:
    """Bytes of main memory that can be had without swapping, within the limits set for this program; 1 at least."""
    return max(1, min(_free_here(), *_left_by_limits()))


def _free_here() -> int:
    """Bytes free on this computer; where the system does not say, half of what is built in."""
    if (kilobytes := _number_in("/proc/meminfo", "MemAvailable:")) is not None:
        return kilobytes * 1024
    try:
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) // 2
    except (AttributeError, ValueError, OSError):
        return 3 * MAX_BYTES


def _left_by_limits() -> Iterator[int]:
    """Bytes that a container's limit and the limit of address space leave, where there are such limits."""
    yield NO_LIMIT
    for word, mount, limit, used, kept in GROUPS:
        for group in _groups(word, mount):
            if (most := _number_in(f"{group}/{limit}")) is not None and (taken := _number_in(f"{group}/{used}")) is not None:
                yield most - taken + (_number_in(f"{group}/memory.stat", f"{kept} ") or 0)
    try:
        import resource  # not on Windows

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
    except (ImportError, ValueError, OSError):
        return
    taken = _number_in("/proc/self/status", "VmSize:")
    if most != resource.RLIM_INFINITY and taken is not None:
        yield most - taken * 1024


def _groups(word: str, mount: str) -> list[str]:
    """Give the folders of the control group of this program and of all above it; in a container that of the container is at the top."""
    folders = [mount]
    try:
        lines = Path(OWN_GROUPS).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return folders
    for line in lines:
        _, words, place = [*line.split(":", 2), "", ""][:3]
        if word in words.split(","):
            for part in place.split("/"):
                if part not in ("", ".", ".."):
                    folders.append(f"{folders[-1]}/{part}")
            break
    return folders


def _number_in(path: str, word: str = "") -> int | None:
    """Read the number behind a word at the start of a line of a system's file; None where there is none."""
    try:
        with open(path, encoding="ascii") as stream:
            for line in stream:
                if line.startswith(word):
                    return int(line.removeprefix(word).split()[0])
    except (OSError, ValueError, IndexError):
        pass
    return None
