"""Damage: a list of small edits that turn a sound file into another, plain enough to be kept as JSON and done again.

An edit is one of ``["put", at, removed, hexadecimal bytes, how often]``, ``["cut", at]``, ``["copy", from, count, at, removed]`` (of the file
itself) and ``["take", name, from, count, at, removed]`` (of another sound file). They are done one after another.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from .golden import Golden

    Edit = list[Any]
    Maker = Callable[[random.Random, bytes, int], Edit]

MOST_EDITS = 4
SHORT = 8
MOST_BYTES = 2**17
IN_HEADER = 0.7  # share of places that are chosen in the header, which is small beside the voxels
WHOLE = (
    0,
    1,
    -1,
    2,
    3,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**62,
    2**63 - 1,
    2**63,
)
REAL = (0.0, -0.0, 1.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 1e-30, 1e300, 5e-324, 0.5, 1e6)
TOKENS = (
    "0", "-0", "-1", "1", "2", "3", "4", "7", "8", "00", "1.5", "0.0", "2147483647", "2147483648", "4294967296", "9223372036854775807",
    "9223372036854775808", "1e30", "-1e30", "1e-30", "1e400", "nan", "NaN", "inf", "-inf", "Infinity", "none", "", " ", "1 1", "1,1", "(1,0,0)",
    "1\\1", "0x10", "1_0", "\u0661", "\u00e9", "\0", "null", "true", "false", "[]", "{}", '""', '"x"', "[[1]]", "..", "../x", "/", "LIST", "%d",
    "9" * 30, "9" * 400, "9" * 5000, "a" * 3000, "[" * 20000, "((((",
)  # fmt: skip
WORDS = (
    "raw", "ascii", "text", "hex", "gzip", "gz", "bzip2", "bz2", "big", "little", "short", "ushort", "int", "float", "double", "block", "uchar",
    "True", "False", "true", "MET_FLOAT", "MET_UCHAR", "MET_ULONG_LONG", "LOCAL", "left-posterior-superior", "scanner-xyz", "3D-right-handed",
    "right-anterior-superior", "mm", "um", "domain", "space", "list", "vector", "F16", "F32", "F64", "I8", "BOOL", "BF16", "U8", "US", "DS", "SQ",
    "OB", "UN", "IS", "FD", "<f8", "|O", "<i2", ">u2", "CT", "MR", "MONOCHROME1", "RGB", "LOCALIZER", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)  # fmt: skip
PIECES = (  # what costs a reader most for each of its bytes
    *map(bytes.fromhex, (
        "1f8b080000000000000303000000000000000000",  # a gzip file that holds nothing
        "feff00e000000000", "feff00e0ffffffff",  # a DICOM item that is empty, and one without an end
        "08004011ffffffff", "0800401153510000ffffffff", "080040115351000000000000", "0800000643530000",  # sequences, and an element
    )),
    b"1 ", b"1,", b"[", b'{"a":', b"a=1\n", b"\n", b"(0,0,0) ", b"1\\", bytes(8),
)  # fmt: skip
NUMBER = re.compile(rb"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
NEW_LINE = re.compile(rb"\n")
WORD = re.compile(rb"[A-Za-z][\w.-]*")


def changed(data: bytes, edits: list[Edit], others: Mapping[str, bytes]) -> bytes:
    """Do the edits."""
    for verb, *rest in edits:
        if verb == "cut":
            data = data[: rest[0]]
            continue
        if verb == "put":
            at, removed, new = rest[0], rest[1], bytes.fromhex(rest[2]) * rest[3]
        else:
            source = others[rest.pop(0)] if verb == "take" else data
            start, count, at, removed = rest
            new = source[start : start + count]
        data = data[:at] + new + data[at + removed :]
    return data[:MOST_BYTES]


def damage(rng: random.Random, golden: Golden, data: bytes, header: int, text: bool, others: Mapping[str, bytes]) -> list[Edit]:
    """Think of some edits."""
    edits: list[Edit] = []
    while not edits or (len(edits) < MOST_EDITS and rng.random() < 0.35):
        if (chance := rng.random()) < 0.04:
            edit = _splice(rng, golden, data, others)
        elif chance < 0.08:
            edit = _repeat(rng, data, header)
        else:
            edit = rng.choice(IN_TEXT if text and rng.random() < 0.7 else IN_BYTES)(rng, data, header)
        edits.append(edit)
        data = changed(data, [edit], others)
    return edits


def _place(rng: random.Random, data: bytes, header: int) -> int:
    end = min(header, len(data)) if rng.random() < IN_HEADER else len(data)
    return rng.randrange(end) if end else 0


def _put(at: int, removed: int, new: bytes) -> Edit:
    if len(new) > SHORT and new.count(new[:1]) == len(new):
        return ["put", at, removed, new[:1].hex(), len(new)]
    return ["put", at, removed, new.hex(), 1]


def _byte(rng: random.Random, data: bytes, header: int) -> Edit:
    return _put(_place(rng, data, header), 1, bytes([rng.randrange(256)]))


def _bit(rng: random.Random, data: bytes, header: int) -> Edit:
    at = _place(rng, data, header)
    return _put(at, 1, bytes([data[at] ^ (1 << rng.randrange(8))])) if data else _put(0, 0, b"\1")


def _number(rng: random.Random, data: bytes, header: int) -> Edit:
    """Put a whole or real number that often breaks programs, of any width and byte order, mostly where one may stand."""
    order = rng.choice("<>")
    if rng.random() < 0.4:
        kind, value = rng.choice("fd"), rng.choice(REAL)
        new = struct.pack(order + kind, value if kind == "d" or not 3e38 < abs(value) < 1e301 else 3e38)
    else:
        width = rng.choice((1, 2, 4, 8))
        new = (rng.choice(WHOLE) % 2 ** (8 * width)).to_bytes(width, "little" if order == "<" else "big")
    at = _place(rng, data, header)
    return _put(at - at % len(new) if rng.random() < 0.8 else at, len(new), new)


def _zeros(rng: random.Random, data: bytes, header: int) -> Edit:
    count = rng.choice((2, 4, 16, 64, 512))
    return _put(_place(rng, data, header), count, rng.choice((b"\0", b"\xff", b" ")) * count)


def _cut(rng: random.Random, data: bytes, header: int) -> Edit:
    return ["cut", rng.choice((_place(rng, data, header), max(0, len(data) - rng.randrange(1, 17)), header, rng.randrange(16)))]


def _more(rng: random.Random, data: bytes, header: int) -> Edit:
    at = len(data) if rng.random() < 0.5 else _place(rng, data, header)
    return _put(at, 0, rng.choice((bytes(rng.randrange(1, 40)), rng.randbytes(rng.randrange(1, 40)))))


def _block(rng: random.Random, data: bytes, header: int) -> Edit:
    """Put a block a second time, over or between what stands elsewhere."""
    count = rng.choice((1, 2, 4, 8, 16, 64, 256, 1024))
    return ["copy", _place(rng, data, header), count, _place(rng, data, header), rng.choice((0, count))]


def _repeat(rng: random.Random, data: bytes, header: int) -> Edit:
    """Say a piece again and again, up to the largest file: work that grows faster than the file is seen."""
    at = _place(rng, data, header)
    piece = rng.choice(PIECES)
    if rng.random() < 0.5:
        start = rng.choice((at, _place(rng, data, header)))
        piece = data[start : start + rng.choice((4, 8, 16, 32, 64, 128))] or piece
    return ["put", rng.choice((at, len(data))), 0, piece.hex(), rng.choice((20, 300, MOST_BYTES // len(piece)))]


def _splice(rng: random.Random, golden: Golden, data: bytes, others: Mapping[str, bytes]) -> Edit:
    near = [name for name in others if name.split("-")[0] == golden.name.split("-")[0]]
    name = rng.choice(near if rng.random() < 0.7 else list(others))
    at, start = rng.randrange(len(data) + 1), rng.randrange(len(others[name]))
    if rng.random() < 0.6:
        start = min(at, len(others[name]))
    count = rng.choice((4, 16, 64, 512, 2**16))
    return ["take", name, start, count, at, rng.choice((0, count))]


def _token(rng: random.Random, data: bytes, header: int) -> Edit:
    """Another number in place of a number."""
    found = list(NUMBER.finditer(data, 0, header))
    if not found:
        return _byte(rng, data, header)
    spot = rng.choice(found)
    new = rng.choice(found).group() if rng.random() < 0.25 else rng.choice(TOKENS).encode()
    return _put(spot.start(), len(spot.group()), new)


def _word(rng: random.Random, data: bytes, header: int) -> Edit:
    """Another word in place of a word."""
    found = list(WORD.finditer(data, 0, header))
    if not found:
        return _byte(rng, data, header)
    spot = rng.choice(found)
    new = rng.choice(found).group() if rng.random() < 0.4 else rng.choice(WORDS if rng.random() < 0.8 else TOKENS).encode()
    return _put(spot.start(), len(spot.group()), new)


def _line(rng: random.Random, data: bytes, header: int) -> Edit:
    """Take a line away, or put it a second time elsewhere."""
    starts = [0, *(spot.end() for spot in NEW_LINE.finditer(data, 0, header))]
    if len(starts) < 2:
        return _block(rng, data, header)
    one, other = rng.randrange(len(starts) - 1), rng.randrange(len(starts) - 1)
    start, count = starts[one], starts[one + 1] - starts[one]
    if rng.random() < 0.4:
        return _put(start, count, b"")
    return ["copy", start, count, starts[other], rng.choice((0, starts[other + 1] - starts[other]))]


IN_BYTES: tuple[Maker, ...] = (_byte, _byte, _bit, _bit, _number, _number, _number, _zeros, _cut, _more, _block)
IN_TEXT: tuple[Maker, ...] = (_token, _token, _token, _word, _word, _line)
