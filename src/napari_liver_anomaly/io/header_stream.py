"""A file whose header is parsed: it counts the work as it is asked for, so that no header costs more than headers of scans do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

MOST_BYTES = 2**25
MOST_READS = 100_000  # about three for an element; headers of CT have some hundreds of elements
BYTES_PER_READ = 400  # where one file holds all slices: their header grows with their pixels
MOST_READS_OF_FRAMES = 1_000_000


class HeaderStream:
    """Gives the bytes of a file until its header has taken too many of them, or too many steps.

    Parameters
    ----------
    path : Path
        A regular file.
    framed : bool
        Whether the file may hold many slices, so that its header grows with its size.
    """

    def __init__(self, path: Path, *, framed: bool = False) -> None:
        self._stream: BinaryIO = path.open("rb")
        size = path.stat().st_size
        self._bytes_left = 2 * MOST_BYTES if framed else MOST_BYTES
        self._reads_left = min(MOST_READS + size // BYTES_PER_READ, MOST_READS_OF_FRAMES) if framed else MOST_READS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def read(self, count: int = -1) -> bytes:
        """Take bytes, or refuse."""
        self._reads_left -= 1
        wanted = self._bytes_left + 1 if count is None or count < 0 else min(count, self._bytes_left + 1)
        taken = self._stream.read(wanted)
        self._bytes_left -= len(taken)
        if self._bytes_left < 0 or self._reads_left < 0:
            raise make_refusal("dicom-header-large")
        return taken

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Say the place."""
        return self._stream.tell()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
