"""A region around a clicked voxel: what is connected with it and scores at least a part of what is scored there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FIRST_PART, STEP = 0.5, 0.1  # of the score at the click
LEAST = 13  # grey levels, 0.05: below there is nothing that could be grown


@dataclass(frozen=True, eq=False)
class Region:
    """A region that was grown, and how."""

    seed: tuple[int, int, int]
    part: float  # of the value at the seed that its voxels have at least
    where: NDArray[np.int64]  # flat and rising


def grow(
    value: NDArray[np.uint8],
    allowed: Callable[[tuple[slice, ...]], NDArray[np.bool_]],
    seed: tuple[int, int, int],
    spacing_mm: tuple[float, ...],
    farthest_mm: float,
    part: float = FIRST_PART,
) -> Region | None:
    """Grow a region in values, 0…255, among the voxels of a box that are allowed; None where the seed has next to no value.

    The value at the seed is the highest in the 3 × 3 × 3 voxels around it, as nobody clicks on the very voxel.
    """
    around = tuple(slice(max(at - 1, 0), at + 2) for at in seed)
    box = tuple(
        slice(max(at - round(farthest_mm / mm), 0), at + round(farthest_mm / mm) + 1)
        for at, mm in zip(seed, spacing_mm, strict=True)
    )
    free = allowed(box)
    inner = tuple(slice(one.start - b.start, one.stop - b.start) for one, b in zip(around, box, strict=True))
    near = np.where(free[inner], value[around], 0)
    if (highest := int(near.max(initial=0))) < LEAST:
        return None
    top = np.unravel_index(int(near.argmax()), near.shape)
    start = tuple(int(t) + i.start for t, i in zip(top, inner, strict=True))
    parts, _ = ndimage.label(free & (value[box] >= max(1, round(part * highest))))
    places = np.nonzero(parts == parts[start])
    flat = np.ravel_multi_index([axis + b.start for axis, b in zip(places, box, strict=True)], value.shape)
    return Region(seed, part, np.sort(flat).astype(np.int64))


def next_part(part: float, steps: int) -> float:
    """Give a lower part, which makes a region larger, or a higher one."""
    return round(min(max(part - steps * STEP, STEP), 1.0), 2)
