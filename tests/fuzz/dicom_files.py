"""Small DICOM files, made from a list of lines ``ggggeeee VR value``, so that a changed value still has the right length around it."""

from __future__ import annotations

import struct

EXPLICIT, IMPLICIT, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
CT_IMAGE, ENHANCED = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
LONG = {"OB", "OW", "SQ", "UN", "UT", "OF"}
PIXELS = (0x7FE0, 0x0010)


def lines_of(syntax: str, size: tuple[int, int], place: int, frames: int = 0) -> bytes:
    """Describe one slice, or one file of many."""
    kind = ENHANCED if frames else CT_IMAGE
    rows, columns = size
    lines = [
        f"00020002 UI {kind}", f"00020003 UI 1.2.3.{place + 1}", f"00020010 UI {syntax}", "00080005 CS ISO_IR 100",
        "00080008 CS ORIGINAL\\PRIMARY\\AXIAL", f"00080016 UI {kind}", f"00080018 UI 1.2.3.{place + 1}", "00080060 CS CT",
        "00100010 PN CANARY^PATIENT", "00180050 DS 2.0", "0020000D UI 1.2.5", "0020000E UI 1.2.4", "00200012 IS 1", f"00200013 IS {place + 1}",
    ]  # fmt: skip
    if frames:
        lines += [f"00280008 IS {frames}", f"52009229 SQ {_shared().hex()}", f"52009230 SQ {_each(frames).hex()}"]
    else:
        lines += [
            f"00200032 DS -5.0\\-7.0\\{30 + 2 * place}.0", "00200037 DS 1\\0\\0\\0\\1\\0", "00280030 DS 0.8\\0.7",
            "00281052 DS -1024", "00281053 DS 1",
        ]  # fmt: skip
    lines += [
        "00280002 US 1", "00280004 CS MONOCHROME2", f"00280010 US {rows}", f"00280011 US {columns}", "00280100 US 16", "00280101 US 16",
        "00280102 US 15", "00280103 US 0",
    ]  # fmt: skip
    return "\n".join(sorted(lines)).encode() + b"\n"


def file_of(lines: bytes, pixels: bytes) -> bytes:
    """Make a file of lines and pixels; a line that says nothing sensible becomes an element that says nothing sensible."""
    syntax, meta, body = EXPLICIT, b"", b""
    for line in lines.split(b"\n"):
        word, _, rest = line.partition(b" ")
        kind, _, value = rest.partition(b" ")
        if len(word) != 8 or word.strip(b"0123456789abcdefABCDEF"):
            continue
        tag = (int(word[:4], 16), int(word[4:], 16))
        vr = kind[:2].decode("latin-1").ljust(2)
        if tag[0] == 2:
            meta += _element(tag, vr, _value(vr, value, "<"), EXPLICIT)
            syntax = value.decode("latin-1") if tag[1] == 0x10 else syntax
        else:
            body += _element(tag, vr, _value(vr, value, ">" if syntax == BIG else "<"), syntax)
    body += _element(PIXELS, "OW", pixels, syntax)
    start = _element((2, 0), "UL", struct.pack("<I", len(meta)), EXPLICIT)
    return bytes(128) + b"DICM" + start + meta + body


def _value(vr: str, value: bytes, order: str) -> bytes:
    if vr == "US" and value.isdigit() and len(value) < 20:
        number = int(value)
        return struct.pack(order + "H", number) if number < 2**16 else struct.pack(order + "Q", number % 2**64)
    if vr == "SQ" and len(value) % 2 == 0 and not value.strip(b"0123456789abcdef"):
        return bytes.fromhex(value.decode())
    return value + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)


def _element(tag: tuple[int, int], vr: str, value: bytes, syntax: str) -> bytes:
    order = ">" if syntax == BIG else "<"
    head = struct.pack(order + "HH", *tag)
    if syntax == IMPLICIT:
        return head + struct.pack("<I", len(value)) + value
    if vr in LONG:
        return head + vr.encode("latin-1") + b"\0\0" + struct.pack(order + "I", len(value)) + value
    return head + vr.encode("latin-1")[:2] + struct.pack(order + "H", len(value) % 2**16) + value


def _sequence(tag: tuple[int, int], *items: bytes) -> bytes:
    packed = b"".join(_item(item) for item in items)
    return _element(tag, "SQ", packed, EXPLICIT)


def _item(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def _text(tag: tuple[int, int], vr: str, value: str) -> bytes:
    return _element(tag, vr, _value(vr, value.encode(), "<"), EXPLICIT)


def _shared() -> bytes:
    """Give what all slices of a file of many share: voxel size, direction, rescale."""
    size = _text((0x18, 0x50), "DS", "2.0") + _text((0x28, 0x30), "DS", "0.8\\0.7")
    scale = _text((0x28, 0x1052), "DS", "-1024") + _text((0x28, 0x1053), "DS", "1") + _text((0x28, 0x1054), "LO", "HU")
    way = _text((0x20, 0x37), "DS", "1\\0\\0\\0\\1\\0")
    return _item(_sequence((0x20, 0x9116), way) + _sequence((0x28, 0x9110), size) + _sequence((0x28, 0x9145), scale))


def _each(frames: int) -> bytes:
    """Give what each slice says for itself: its position."""
    places = (_text((0x20, 0x32), "DS", f"-5.0\\-7.0\\{30 + 2 * place}.0") for place in range(frames))
    return b"".join(_item(_sequence((0x20, 0x9113), place)) for place in places)
