"""The lesions of a result as they are now: one state, which is shown, tabled and exported. Corrections by hand outlive every cut.

Functions of this module know no window; they may be called on any thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_liver_anomaly import lesions, segmentation
from napari_liver_anomaly.lesions import MOST
from napari_liver_anomaly.liver_findings import about_pieces
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.sparse_labels import SparseLabels
from napari_liver_anomaly.thresholds import auto_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.result import Result

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

    @property
    def corrected(self) -> bool:
        """Whether the user corrected lesions."""
        return self.by_hand is not None


def after_edits(result: Result, state: LesionState, data: Any) -> LesionState:
    """Take over what the user changed in the layer, and measure it."""
    if data is None:
        return state
    now = _whole_numbers(data, state.labels.shape)
    before, changed = _changes(state.labels, now)
    if not changed.size:
        return state
    touched = {int(n) for values in (now.flat[changed], before.flat[changed]) for n in np.unique(values)} - {0}
    labels = _split(before, now, touched)
    numbers = np.array(sorted(touched), np.uint16)
    regions = [changed, *(np.flatnonzero(np.isin(array, numbers)) for array in (before, labels))]
    if state.by_hand is not None:
        regions.append(state.by_hand.where)
    where = np.unique(np.concatenate(regions))
    kept, uncorrected = SparseLabels(labels.shape, where, labels.flat[where]), state.uncorrected
    if state.by_hand is None:
        uncorrected = state.labels
    made = SparseLabels.of(labels)
    if uncorrected is not None and uncorrected.same_as(made):
        return replace(state, labels=made, lesions=_measure(result, labels), by_hand=None, uncorrected=None)
    return replace(state, labels=made, lesions=_measure(result, labels), by_hand=kept, uncorrected=uncorrected)


def recut(result: Result, state: LesionState, settings: SegmentSettings) -> LesionState:
    """Cut the lesions anew; those that the user touched stay as they are."""
    if settings.auto_threshold:
        settings = replace(settings, threshold=auto_threshold(result.score, result.liver.voxels))
    if state.by_hand is not None and how(settings) == how(state.settings):
        return replace(state, settings=settings)
    labels, left_out = cut(result, state.by_hand, settings)
    return LesionState(SparseLabels.of(labels), _measure(result, labels), settings, left_out, state.by_hand)


def carried_over(result: Result, earlier: LesionState) -> LesionState:
    """Keep the corrections that were made to the result of an earlier run on the same scan."""
    if earlier.by_hand is None or earlier.labels.shape != result.labels.shape:
        return LesionState.of(result)
    labels, left_out = cut(result, earlier.by_hand, result.settings)
    return LesionState(SparseLabels.of(labels), _measure(result, labels), result.settings, left_out, earlier.by_hand)


def cut(result: Result, by_hand: SparseLabels | None, settings: SegmentSettings) -> tuple[NDArray[np.uint16], int]:
    """Cut lesions from the score where nobody corrected; what was corrected is added as it is. All are numbered by size."""
    score = result.score
    if by_hand is not None:
        score = score.copy()
        score.flat[by_hand.where] = 0
    labels, left_out = segmentation.cut(score, result.liver.probability, result.volume.geometry, settings)
    if by_hand is None:
        return labels, left_out
    labels = _without_shoulders(labels, by_hand, result.score)
    own = by_hand.values > 0
    if int(labels.max()) + int(by_hand.values.max(initial=0)) > MOST:
        raise make_refusal("too-many-lesions", most=MOST)
    labels.flat[by_hand.where[own]] = by_hand.values[own] + labels.max()
    return _numbered(labels), left_out


def result_of(result: Result, state: LesionState) -> Result:
    """Give the result with its lesions as they are now."""
    before = about_pieces(result.left_out)
    findings = tuple(finding for finding in result.findings if finding not in before)
    findings += about_pieces(state.left_out) + ((BY_HAND,) if state.corrected else ())
    return replace(
        result,
        labels=state.labels.dense(),
        lesions=state.lesions,
        settings=replace(state.settings, batch=result.settings.batch),
        left_out=state.left_out,
        findings=findings,
    )


def how(settings: SegmentSettings) -> SegmentSettings:
    """How lesions are cut, whoever chose the threshold and however many slices the networks saw at once."""
    return replace(settings, auto_threshold=False, batch=SegmentSettings().batch)


def _measure(result: Result, labels: NDArray[np.uint16]) -> tuple[Lesion, ...]:
    return lesions.measure(labels, result.volume, result.liver)


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


def _changes(labels: SparseLabels, now: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Give the labels before, and where they differ from those of now."""
    before = labels.dense()
    return before, np.flatnonzero(before != now)


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


def _without_shoulders(labels: NDArray[np.uint16], by_hand: SparseLabels, score: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Drop what a lower threshold grows around a corrected lesion: pieces that touch it and score nowhere more than it does there."""
    region = np.zeros(labels.shape, bool)
    region.flat[by_hand.where] = True
    box = lesions.box_of(region)
    if box is None:
        return labels
    wide = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
    pieces, region, whole = labels[wide], region[wide], score[wide]
    near = [int(n) for n in np.unique(pieces[ndimage.binary_dilation(region, NEIGHBOURS)]) if n]
    boxes = ndimage.find_objects(labels)
    shoulders = [
        n for n in near
        if score[boxes[n - 1]][labels[boxes[n - 1]] == n].max()
        <= whole[ndimage.binary_dilation(pieces == n, NEIGHBOURS) & region].max()
    ]  # fmt: skip
    return np.where(np.isin(labels, shoulders), 0, labels).astype(np.uint16) if shoulders else labels


def _numbered(labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Give lesions numbers from 1 by falling volume."""
    voxels = np.bincount(labels.ravel())
    voxels[0] = 0
    used = np.flatnonzero(voxels)
    numbers = np.zeros(voxels.size, np.uint16)
    numbers[used[np.argsort(-voxels[used], kind="stable")]] = np.arange(1, used.size + 1)
    return numbers[labels]
