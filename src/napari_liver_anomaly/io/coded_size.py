"""The size that a compressed picture itself claims, before any decoder makes room for it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOKED_AT = 2**16  # bytes of a compressed picture in which its size must stand
CODESTREAM = b"\xff\x4f\xff\x51"  # JPEG 2000, in a file of its own kind or bare
JPEG = b"\xff\xd8"
FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # markers of JPEG and JPEG-LS that hold a size
BARE_MARKERS = {*range(0xD0, 0xD8), 0x01, 0xFF}
ITEM, UNDEFINED = b"\xfe\xff\x00\xe0", 0xFFFFFFFF


def sizes_in(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Rows and columns that the pieces of encapsulated pixels claim, from the first item on."""
    while (head := stream.read(8))[:4] == ITEM and len(head) == 8:
        length = struct.unpack("<I", head[4:])[0]
        here = stream.tell()
        size = coded_size(stream.read(min(length, LOOKED_AT)))
        if size is not None:
            yield size
        stream.seek(here + length)


def coded_size(start: bytes) -> tuple[int, int] | None:
    """Rows and columns that a compressed picture claims; None where it does not begin as one, or does not say."""
    if (at := start.find(CODESTREAM)) >= 0 and len(start) >= at + 24:
        right, low, left, top = struct.unpack(">4I", start[at + 8 : at + 24])
        return low - top, right - left
    return _jpeg_size(start) if start.startswith(JPEG) else None


def _jpeg_size(start: bytes) -> tuple[int, int] | None:
    """Go from marker to marker to the one with the size."""
    at = len(JPEG)
    while at + 9 <= len(start) and start[at] == 0xFF:
        marker = start[at + 1]
        if marker in FRAMES:
            rows, columns = struct.unpack(">2H", start[at + 5 : at + 9])
            return rows, columns
        at += 1 if marker == 0xFF else 2 if marker in BARE_MARKERS else 2 + struct.unpack(">H", start[at + 2 : at + 4])[0]
    return None
