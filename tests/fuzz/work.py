"""The work that reading one file makes: bytes that are read, and time on the processor; and how much of both a file of its size may make.

Both bounds grow with the size of the file, not faster: a reader whose work grows with the square of what a file repeats passes them long before the
largest files that are made here. They leave room for questions, after each of which a file is read again, and for asking the system about memory.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTERS = "/proc/self/io"
READ_BYTES = (2**17, 8)  # of any file, and of each of its bytes
# A sound DICOM segmentation takes an eighth of a second once highdicom is loaded, and a busy machine takes several times as long.
CPU_S = (1.0, 4e-6)


@dataclass
class Work:
    """Bytes read and seconds on the processor."""

    read_bytes: int = 0
    cpu_s: float = 0.0

    def least(self, other: Work) -> Work:
        """Of two measurements of the same work, what neither exceeds: a pause for another's rubbish is no work of the file's."""
        return Work(min(self.read_bytes, other.read_bytes), min(self.cpu_s, other.cpu_s))

    def shares(self, size: int) -> tuple[float, float]:
        """Parts of the two bounds that are used up, for files of this many bytes together."""
        return self.read_bytes / (READ_BYTES[0] + READ_BYTES[1] * size), self.cpu_s / (CPU_S[0] + CPU_S[1] * size)

    def excessive(self, size: int) -> bool:
        """Whether it is more than files of this size may make."""
        return max(self.shares(size)) > 1

    def words(self, size: int) -> str:
        """Tell what was too much."""
        return f"{self.read_bytes} bytes read and {self.cpu_s:.2f} s of computing for {size} bytes"


@contextmanager
def measured() -> Iterator[Work]:
    """Measure what is done inside; the bytes are zero where the system does not count them."""
    work, before, start = Work(), read_bytes(), time.process_time()
    try:
        yield work
    finally:
        work.cpu_s, work.read_bytes = time.process_time() - start, read_bytes() - before


def read_bytes() -> int:
    """Count the bytes that this process has asked the system for; not what is mapped into memory."""
    try:
        with open(COUNTERS, "rb", buffering=0) as stream:
            return int(stream.read(64).split()[1])
    except OSError:
        return 0
