"""Lesions at a threshold, with what the user decided: drawn lesions stay, erased voxels stay away, all other voxels follow the score.

Functions of this module know no window; they may be called on any thread.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, spatial

from napari_liver_anomaly import segmentation
from napari_liver_anomaly.gui.lesion_parts import NEIGHBOURS
from napari_liver_anomaly.lesions import MOST, box_of
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.decisions import Decisions
    from napari_liver_anomaly.gui.prepared_result import PreparedResult
    from napari_liver_anomaly.segmentation import SegmentSettings


def cut(prepared: PreparedResult, decided: Decisions, settings: SegmentSettings) -> tuple[SparseLabels, int]:
    """Cut lesions from the score where nobody decided; what was drawn is added as it is and keeps its number, the others are numbered by size."""
    voxels, result = prepared.voxels, prepared.result
    geometry, drawn = result.volume.geometry, decided.drawn
    if not decided:
        return segmentation.cut_voxels(voxels, geometry, settings)
    if drawn.where.size:
        voxels = voxels.without(drawn.where)
    labels, left_out = segmentation.cut_voxels(voxels, geometry, settings)
    gone = _gone(labels, decided, result.score, geometry.spacing_mm)
    if gone.size:
        whole = labels
        labels, left_out = segmentation.cut_voxels(voxels.without(gone), geometry, settings)
        labels = _with_remains(labels, whole, gone, decided.follows)
    if drawn.where.size:
        labels = _without_shoulders(labels, drawn.where, result.score)
    return _together(labels, drawn), left_out


def _gone(labels: SparseLabels, decided: Decisions, score: NDArray[np.uint8], spacing_mm: tuple[float, ...]) -> NDArray[np.int64]:
    """Find what is to be taken out of lesions: the voxels that were erased, and what a lower threshold grows around these.

    That is what lies nearer to an erased voxel than to what was left of its lesion, and scores no more than that voxel: another
    lesion that the threshold joins with it scores more, and stays.
    """
    erased = decided.erased[labels.at(decided.erased) > 0]
    if not erased.size:
        return erased
    around = labels.where[np.isin(labels.values, np.unique(labels.at(erased)))]
    seeds = np.union1d(decided.erased, decided.follows)
    others, seeds = np.setdiff1d(around, seeds, assume_unique=True), _rim(seeds, labels.shape)
    if not others.size:
        return erased
    tree = spatial.cKDTree(np.stack(np.unravel_index(seeds, labels.shape), axis=1) * spacing_mm)
    nearest = seeds[tree.query(np.stack(np.unravel_index(others, labels.shape), axis=1) * spacing_mm)[1]]
    flat = score.reshape(-1)
    return np.union1d(erased, others[np.isin(nearest, decided.erased) & (flat[others] <= flat[nearest])])


def _rim(where: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Give the outermost of some voxels: whatever lies outside is nearest to one of these."""
    inside = np.zeros(shape, bool)
    inside.reshape(-1)[where] = True
    places = np.stack(np.unravel_index(where, shape))
    deep: NDArray[np.bool_] = np.all((places > 0) & (places < np.array(shape)[:, None] - 1), axis=0)
    flat, inner = inside.reshape(-1), where[deep]
    surrounded = np.ones(inner.size, bool)
    for step in (1, shape[2], shape[1] * shape[2]):
        surrounded &= flat[inner - step] & flat[inner + step]
    deep[deep] = surrounded
    return where[~deep]


def _with_remains(labels: SparseLabels, whole: SparseLabels, gone: NDArray[np.int64], follows: NDArray[np.int64]) -> SparseLabels:
    """Keep what the user left of a lesion, even when its highest score was in the part that was erased."""
    rest = np.setdiff1d(np.setdiff1d(whole.where, gone, assume_unique=True), labels.where, assume_unique=True)
    if not np.isin(rest, follows, assume_unique=True).any():
        return labels
    mask = np.zeros(labels.shape, bool)
    mask.reshape(-1)[rest] = True
    box = box_of(mask) or (slice(0, 0),) * 3
    parts, _ = ndimage.label(mask[box], structure=NEIGHBOURS)
    numbers = np.zeros(labels.shape, parts.dtype)
    numbers[box] = parts
    values = numbers.reshape(-1)[rest]
    kept = np.isin(values, np.unique(values[np.isin(rest, follows, assume_unique=True)]))
    first = int(labels.values.max(initial=0))
    return _joined(labels, SparseLabels(labels.shape, rest[kept], values[kept] + first))


def _joined(one: SparseLabels, other: SparseLabels) -> SparseLabels:
    where, values = (
        np.concatenate([one.where, other.where]),
        np.concatenate([one.values.astype(np.int64), other.values.astype(np.int64)]),
    )
    order = np.argsort(where, kind="stable")
    return SparseLabels(one.shape, where[order], values[order])


def _together(labels: SparseLabels, drawn: SparseLabels) -> SparseLabels:
    """Add lesions that keep their numbers; the others have the numbers that are free, by falling volume."""
    taken, voxels = np.unique(drawn.values), np.bincount(labels.values.astype(np.int64))
    used = np.flatnonzero(voxels)
    if used.size + taken.size > MOST:
        raise make_refusal("too-many-lesions", most=MOST)
    free = np.setdiff1d(np.arange(1, used.size + taken.size + 1), taken)[: used.size]
    numbers = np.zeros(max(voxels.size, 1), np.int64)
    numbers[used[np.argsort(-voxels[used], kind="stable")]] = free
    made = _joined(SparseLabels(labels.shape, labels.where, numbers[labels.values]), drawn)
    return SparseLabels(made.shape, made.where, made.values.astype(np.uint16))


def _without_shoulders(labels: SparseLabels, drawn: NDArray[np.int64], score: NDArray[np.uint8]) -> SparseLabels:
    """Drop what a lower threshold grows around a corrected lesion: pieces that touch it and score nowhere more than it does there."""
    flat, dense = score.reshape(-1), labels.dense()
    highest, beside = np.full((2, int(labels.values.max(initial=0)) + 1), -1, np.int16)
    np.maximum.at(highest, labels.values, flat[labels.where])
    places, own = np.stack(np.unravel_index(drawn, labels.shape), axis=1), flat[drawn].astype(np.int16)
    for step in product((-1, 0, 1), repeat=3):
        near = dense[tuple(np.clip(places + step, 0, np.array(labels.shape) - 1).T)]  # clipped, it is a neighbour all the same
        np.maximum.at(beside, near, own)
    kept = (highest > beside)[labels.values]
    return SparseLabels(labels.shape, labels.where[kept], labels.values[kept])
