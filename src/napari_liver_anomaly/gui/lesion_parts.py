"""Which voxels are one lesion after a correction: disjoint parts are lesions of their own, unless the user merged them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_liver_anomaly.lesions import MOST
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.sparse_labels import SparseLabels

NEIGHBOURS = np.ones((3, 3, 3), bool)


def split(
    before: NDArray[np.uint16], now: NDArray[np.uint16], touched: set[int], merged: Sequence[NDArray[np.int64]] = ()
) -> NDArray[np.uint16]:
    """Give each disjoint part of a touched lesion a number of its own, or that of the lesion which a new stroke touches."""
    boxes = ndimage.find_objects(now)
    free = len(boxes) + 1
    for number in sorted(touched):
        box = boxes[number - 1] if number <= len(boxes) else None
        if box is None:
            continue
        parts, count = _parts(now[box] == number, box, now.shape, merged)
        if count < 2:
            continue
        main = _main_part(parts, before[box] == number, count)
        for part in set(range(1, count + 1)) - {main}:
            wide = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
            inner = tuple(slice(side.start - w.start, side.stop - w.start) for side, w in zip(box, wide, strict=True))
            mine = np.zeros(now[wide].shape, bool)
            mine[inner] = parts == part
            joined = _touching(mine, before[wide], now[wide], number)
            if joined == 0:
                joined, free = free, free + 1
            if joined > MOST:
                raise make_refusal("too-many-lesions", most=MOST)
            now[wide][mine] = joined
            touched.add(joined)
    return now


def _parts(
    mine: NDArray[np.bool_], box: tuple[slice, ...], shape: tuple[int, ...], merged: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.int32], int]:
    """Count the disjoint parts of a lesion, each with its number; those that the user merged are one."""
    parts, count = ndimage.label(mine, structure=NEIGHBOURS)
    for where in merged if count > 1 else ():
        places = np.stack(np.unravel_index(where, shape)) - np.array([[side.start] for side in box])
        inside = places[:, ((places >= 0) & (places < np.array(mine.shape)[:, None])).all(axis=0)]
        together = np.unique(parts[tuple(inside)])
        together = together[together > 0]
        parts[np.isin(parts, together[1:])] = together[:1].max(initial=0)
    used = np.unique(parts)
    return np.searchsorted(used[used > 0], parts, "left").astype(np.int32) + (parts > 0), int(np.count_nonzero(used))


def merged_in(labels: SparseLabels) -> Iterator[NDArray[np.int64]]:
    """Find the lesions of several parts, which only a user can have made."""
    for _number, where in labels.parts():
        places = np.stack(np.unravel_index(where, labels.shape))
        places -= places.min(axis=1)[:, None]
        shape = np.zeros(places.max(axis=1) + 1, bool)
        shape[tuple(places)] = True
        if ndimage.label(shape, structure=NEIGHBOURS)[1] > 1:
            yield where


def halves(where: NDArray[np.int64], shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> NDArray[np.int64] | None:
    """Split a lesion where it is narrowest, and give the smaller part; None when it is narrow nowhere.

    It is eroded until it falls apart; each voxel then belongs to the piece from which it is reached without passing a narrower place.
    """
    places = np.stack(np.unravel_index(where, shape))
    places += 1 - places.min(axis=1)[:, None]
    mask = np.zeros(places.max(axis=1) + 2, bool)
    mask[tuple(places)] = True
    parts, count = ndimage.label(mask, structure=NEIGHBOURS)
    if count < 2:
        depth = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
        seeds = _fallen_apart(depth, min(spacing_mm))
        if seeds is None:
            return None
        from skimage.segmentation import watershed

        parts = watershed(-depth, seeds, mask=mask)
    own = parts[tuple(places)]
    return where[own != np.bincount(own).argmax()]


def _fallen_apart(depth: NDArray[np.float64], step_mm: float) -> NDArray[np.int32] | None:
    """Erode step by step until there are two pieces, each at least two steps deeper than the place between them."""
    for level in np.arange(step_mm, depth.max(), step_mm / 2):
        pieces, count = ndimage.label(depth > level, structure=NEIGHBOURS)
        if count < 2:
            continue
        deepest = np.atleast_1d(ndimage.maximum(depth, pieces, np.arange(1, count + 1)))
        if np.sort(deepest)[-2] < level + 2 * step_mm:
            continue
        two = 1 + np.argsort(-deepest, kind="stable")[:2]
        return np.where(pieces == two[0], 1, np.where(pieces == two[1], 2, 0)).astype(np.int32)
    return None


def _main_part(parts: NDArray[np.int32], before: NDArray[np.bool_], count: int) -> int:
    """Find the part that keeps the number: what is left of most of the lesion, else the largest."""
    overlap = np.bincount(parts[before], minlength=count + 1)[1:]
    voxels = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    return int(np.lexsort((np.arange(count)[::-1], voxels, overlap))[-1]) + 1


def _touching(mine: NDArray[np.bool_], before: NDArray[np.uint16], now: NDArray[np.uint16], number: int) -> int:
    """Find the lesion that a new stroke touches most; 0 when it touches none, or is no new stroke."""
    if (before[mine] != 0).any():
        return 0
    rim = ndimage.binary_dilation(mine, NEIGHBOURS) & ~mine
    others = now[rim]
    others = others[(others > 0) & (others != number)]
    return int(np.bincount(others).argmax()) if others.size else 0
