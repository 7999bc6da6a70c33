"""How scans, masks and results look in a notebook: one axial slice with contours, as HTML that holds its picture and nothing of the file."""

from __future__ import annotations

import base64
import html
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

DARKEST_HU, BRIGHTEST_HU = -100, 200
WIDTH_PX = 320  # on screen
LIVER, TUMOUR = (42, 212, 200), (255, 70, 60)  # turquoise and red: told apart also by who cannot tell red from green


def slice_html(hu: NDArray[np.int16], mm: tuple[float, float], words: str, contours: Mapping[tuple[int, int, int], Bools]) -> str:
    """Show one axial slice with contours."""
    grey = np.clip((hu.astype(np.float32) - DARKEST_HU) * (255 / (BRIGHTEST_HU - DARKEST_HU)), 0, 255).astype(np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=-1)
    for colour, mask in contours.items():
        rgb[outline(mask)] = colour
    height = round(WIDTH_PX * hu.shape[0] * mm[0] / (hu.shape[1] * mm[1]))
    data = base64.b64encode(png(rgb)).decode("ascii")
    return (
        f'<figure><img width="{WIDTH_PX}" height="{height}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(words)}</figcaption></figure>"
    )


def largest_slice(mask: Bools) -> int:
    """Find the axial slice on which a mask has its largest area; the middle one for an empty mask."""
    areas = mask.sum(axis=(1, 2))
    return int(areas.argmax()) if areas.any() else len(mask) // 2


def outline(mask: Bools) -> Bools:
    """Pixels of a mask with one of their four neighbours outside it."""
    wide = np.pad(mask, 1)
    inside = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return np.asarray(mask & ~inside)


def png(rgb: NDArray[np.uint8]) -> bytes:
    """Pack a picture as PNG, without any text in it."""
    height, width, _ = rgb.shape
    rows = np.concatenate(
        [np.zeros((height, 1), np.uint8), rgb.reshape(height, -1)], axis=1
    )  # each row begins with its filter, none

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + chunk(b"IEND", b"")
