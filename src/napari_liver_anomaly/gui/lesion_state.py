"""The lesions of a result as they are now: one state, which is shown, tabled and exported. Corrections by hand outlive every cut.

Functions of this module know no window; they may be called on any thread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_liver_anomaly import segmentation
from napari_liver_anomaly.lesions import MOST, measure_again
from napari_liver_anomaly.liver_findings import about_pieces
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.prepared_result import PreparedResult
    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.result import Origin, Result

BY_HAND = make_finding("corrected-by-hand")
NEIGHBOURS = np.ones((3, 3, 3), bool)


@dataclass(frozen=True, eq=False)
class LesionState:
    """The lesions of a result as they are now."""

    labels: SparseLabels
    lesions: tuple[Lesion, ...]
    settings: SegmentSettings
    left_out: int
    by_hand: SparseLabels | None = None  # lesions that the user touched, and what was erased: no threshold moves them
    uncorrected: SparseLabels | None = None  # what these settings gave before the first correction

    @classmethod
    def of(cls, result: Result) -> LesionState:
        """Begin with what a run found."""
        return cls(SparseLabels.of(result.labels), result.lesions, result.settings, result.left_out)

    @cached_property
    def largest_slices(self) -> dict[int, int]:
        """Slice on which each lesion has its largest area, the first of several."""
        count = self.labels.shape[0]
        numbers, areas = np.unique(
            self.labels.values.astype(np.int64) * count + self.labels.where // math.prod(self.labels.shape[1:]),
            return_counts=True,
        )
        order = np.lexsort((-numbers, areas))  # so that the largest, and of equals the first, comes last
        return {int(n) // count: int(n) % count for n in numbers[order]}

    @cached_property
    def parts(self) -> dict[int, NDArray[np.int64]]:
        """Voxels of each lesion, flat and rising, by its number."""
        return dict(self.labels.parts())

    @cached_property
    def erased(self) -> NDArray[np.int64]:
        """Voxels that the user took out of lesions, flat and rising."""
        return self.by_hand.where[self.by_hand.values == 0] if self.by_hand is not None else np.empty(0, np.int64)

    @cached_property
    def origins(self) -> dict[int, Origin]:
        """Which lesions are not as the program found them, by number."""
        touched = np.unique(self.labels.at(self.by_hand.where)) if self.by_hand is not None else ()
        return {int(number): "corrected" for number in touched if number}

    @property
    def corrected(self) -> bool:
        """Whether the user corrected lesions."""
        return self.by_hand is not None


def seen_in(data: Any, labels: SparseLabels) -> SparseLabels:
    """Labels of a layer; the very ones that are known, when nobody changed them. Seen in one pass that copies nothing."""
    if data is None:
        return labels
    if is_plain(data) and data.shape == labels.shape:
        flat = data.reshape(-1)
        if np.count_nonzero(flat) == labels.where.size and np.array_equal(flat[labels.where], labels.values):
            return labels
    seen = SparseLabels.of(_whole_numbers(data, labels.shape))
    return labels if seen.same_as(labels) else seen


def is_plain(data: Any) -> bool:
    """Whether a layer's array is as the program made it, so that its voxels can be read and written flat."""
    return isinstance(data, np.ndarray) and data.dtype == np.uint16 and data.flags.c_contiguous and data.flags.writeable


def after_edits(prepared: PreparedResult, state: LesionState, data: Any) -> LesionState:
    """Take over what the user changed in the layer, and measure it."""
    return corrected(prepared, state, seen_in(data, state.labels))


def corrected(prepared: PreparedResult, state: LesionState, seen: SparseLabels) -> LesionState:
    """Take over the labels that were seen in the layer, and measure those that the user changed."""
    if seen is state.labels:
        return state
    changed = state.labels.changes_to(seen).where
    before, now = state.labels.dense(), seen.dense()
    touched = {int(n) for values in (now.flat[changed], before.flat[changed]) for n in np.unique(values)} - {0}
    labels = _split(before, now, touched)
    made, numbers = SparseLabels.of(labels), np.array(sorted(touched), np.uint16)
    regions = [changed, *(known.where[np.isin(known.values, numbers)] for known in (state.labels, made))]
    if state.by_hand is not None:
        regions.append(state.by_hand.where)
    where = np.unique(np.concatenate(regions))
    kept: SparseLabels | None = SparseLabels(labels.shape, where, labels.flat[where])
    uncorrected = state.uncorrected
    if state.by_hand is None:
        uncorrected = state.labels
    if uncorrected is not None and uncorrected.same_as(made):
        kept = uncorrected = None
    found = measure_again(made, prepared.scan, state.labels, state.lesions)
    return replace(state, labels=made, lesions=found, by_hand=kept, uncorrected=uncorrected)


def recut(prepared: PreparedResult, state: LesionState, settings: SegmentSettings) -> LesionState:
    """Cut the lesions anew; those that the user touched stay as they are."""
    if settings.auto_threshold:
        settings = replace(settings, threshold=prepared.auto)
    if state.by_hand is not None and how(settings) == how(state.settings):
        return replace(state, settings=settings)
    labels, left_out = cut(prepared, state.by_hand, settings)
    found = measure_again(labels, prepared.scan, state.labels, state.lesions)
    return LesionState(labels, found, settings, left_out, state.by_hand)


def carried_over(prepared: PreparedResult, earlier: LesionState) -> LesionState:
    """Keep the corrections that were made to the result of an earlier run on the same scan."""
    result = prepared.result
    if earlier.by_hand is None or earlier.labels.shape != result.labels.shape:
        return LesionState.of(result)
    labels, left_out = cut(prepared, earlier.by_hand, result.settings)
    return LesionState(labels, measure_again(labels, prepared.scan), result.settings, left_out, earlier.by_hand)


def cut(prepared: PreparedResult, by_hand: SparseLabels | None, settings: SegmentSettings) -> tuple[SparseLabels, int]:
    """Cut lesions from the score where nobody corrected; what was corrected is added as it is. All are numbered by size."""
    voxels, geometry = prepared.voxels, prepared.result.volume.geometry
    if by_hand is None:
        return segmentation.cut_voxels(voxels, geometry, settings)
    labels, left_out = segmentation.cut_voxels(voxels.without(by_hand.where), geometry, settings)
    labels = _without_shoulders(labels, by_hand, prepared.result.score)
    own, free = by_hand.values > 0, int(labels.values.max(initial=0))
    if free + int(by_hand.values.max(initial=0)) > MOST:
        raise make_refusal("too-many-lesions", most=MOST)
    where = np.concatenate([labels.where, by_hand.where[own]])
    values = np.concatenate([labels.values, by_hand.values[own] + np.uint16(free)])
    order = np.argsort(where, kind="stable")
    return SparseLabels(labels.shape, where[order], _numbered(values[order])), left_out


def result_of(result: Result, state: LesionState) -> Result:
    """Give the result with its lesions as they are now."""
    before = about_pieces(result.left_out)
    findings = tuple(finding for finding in result.findings if finding not in before)
    findings += about_pieces(state.left_out) + ((BY_HAND,) if state.corrected else ())
    labels = state.labels.dense()
    return replace(
        result,
        labels=labels,
        lesions=state.lesions,
        settings=replace(state.settings, batch=result.settings.batch),
        left_out=state.left_out,
        findings=findings,
        origins=state.origins,
    )


def how(settings: SegmentSettings) -> SegmentSettings:
    """How lesions are cut, whoever chose the threshold and however many slices the networks saw at once."""
    return replace(settings, auto_threshold=False, batch=SegmentSettings().batch)


def _whole_numbers(data: Any, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """Copy the layer's numbers; numbers that are too large for labels become the next free ones."""
    now = np.array(data)
    if now.shape != shape:
        raise make_refusal("shape-differs", what="The tumours layer", shape=now.shape, wanted=shape)
    if now.dtype == np.uint16:
        return now
    now[now < 0] = 0
    if int(now.max(initial=0)) <= MOST:
        return now.astype(np.uint16)
    found, places = np.unique(now, return_inverse=True)
    if found.size > MOST:
        raise make_refusal("too-many-lesions", most=MOST)
    first = 0 if found[0] == 0 else 1
    return (places.reshape(now.shape) + first).astype(np.uint16)


def _split(before: NDArray[np.uint16], now: NDArray[np.uint16], touched: set[int]) -> NDArray[np.uint16]:
    """Give each disjoint part of a touched lesion a number of its own, or that of the lesion which a new stroke touches."""
    boxes = ndimage.find_objects(now)
    free = len(boxes) + 1
    for number in sorted(touched):
        box = boxes[number - 1] if number <= len(boxes) else None
        if box is None:
            continue
        parts, count = ndimage.label(now[box] == number, structure=NEIGHBOURS)
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


def _without_shoulders(labels: SparseLabels, by_hand: SparseLabels, score: NDArray[np.uint8]) -> SparseLabels:
    """Drop what a lower threshold grows around a corrected lesion: pieces that touch it and score nowhere more than it does there."""
    flat, dense = score.reshape(-1), labels.dense()
    highest, beside = np.full((2, int(labels.values.max(initial=0)) + 1), -1, np.int16)
    np.maximum.at(highest, labels.values, flat[labels.where])
    places, own = np.stack(np.unravel_index(by_hand.where, labels.shape), axis=1), flat[by_hand.where].astype(np.int16)
    for step in product((-1, 0, 1), repeat=3):
        near = dense[tuple(np.clip(places + step, 0, np.array(labels.shape) - 1).T)]  # clipped, it is a neighbour all the same
        np.maximum.at(beside, near, own)
    kept = (highest > beside)[labels.values]
    return SparseLabels(labels.shape, labels.where[kept], labels.values[kept])


def _numbered(values: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Give lesions numbers from 1 by falling volume."""
    voxels = np.bincount(values)
    used = np.flatnonzero(voxels)
    numbers = np.zeros(voxels.size, np.uint16)
    numbers[used[np.argsort(-voxels[used], kind="stable")]] = np.arange(1, used.size + 1)
    return numbers[values]
