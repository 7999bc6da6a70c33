"""How much memory a scan will take, from its header alone: what decides whether two fit beside each other."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io.reading import header_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari_liver_anomaly.io.read_options import ReadOptions

# Python with torch and the models; and what scan, score, labels and a found liver take for each voxel.
FIXED_BYTES, VOXEL_BYTES = 700 * 10**6, 8


def bytes_for(path: Path, answers: ReadOptions) -> int:
    """Foresee the memory of a whole run; the least when the header cannot be read, which the run will tell."""
    from napari_liver_anomaly.liver.finder import needed_bytes

    try:
        source = header_of(path, answers)
    except (Refusal, OSError):
        return FIXED_BYTES
    shape, spacing = source.shape, np.linalg.norm(source.affine[:3, :3], axis=0)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        return FIXED_BYTES + VOXEL_BYTES * prod(shape)
    across, down, along = (float(length) for length in spacing)
    return FIXED_BYTES + VOXEL_BYTES * prod(shape) + needed_bytes(shape[::-1], (along, down, across))
