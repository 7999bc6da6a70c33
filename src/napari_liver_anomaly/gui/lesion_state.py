"""The lesions of a result as they are now: one state, which is shown, tabled and exported. Corrections by hand outlive every cut.

Functions of this module know no window; they may be called on any thread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.geometry import wrong_shape
from napari_liver_anomaly.gui.decisions import Decisions
from napari_liver_anomaly.gui.lesion_cut import cut
from napari_liver_anomaly.gui.lesion_parts import split
from napari_liver_anomaly.lesions import MOST, measure_again
from napari_liver_anomaly.liver_findings import about_lesions
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.prepared_result import PreparedResult
    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.result import Origin, Result

BY_HAND = make_finding("corrected-by-hand")
NONE = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class LesionState:
    """The lesions of a result as they are now."""

    labels: SparseLabels
    lesions: tuple[Lesion, ...]
    settings: SegmentSettings
    left_out: int
    decided: Decisions = field(default_factory=Decisions)  # by the user: no threshold moves that
    uncorrected: SparseLabels | None = None  # what these settings gave before the first correction
    merged: tuple[NDArray[np.int64], ...] = ()  # voxels of lesions that were made one, flat and rising
    grown: NDArray[np.int64] = field(default_factory=lambda: NONE)  # voxels that were grown on the score where somebody clicked

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
    def origins(self) -> dict[int, Origin]:
        """Which lesions are not as the program found them, by number."""
        return self.decided.origins(self.parts)

    @property
    def corrected(self) -> bool:
        """Whether the user corrected lesions."""
        return bool(self.decided)


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
    made = SparseLabels.of(split(before, now, touched, state.merged))
    uncorrected = state.uncorrected if state.corrected else state.labels
    if uncorrected is not None and uncorrected.same_as(made):
        return _measured(prepared, state, made, Decisions(), None)
    decided = state.decided.after(state.labels, seen, made, NONE, state.grown)
    back = np.intersect1d(changed, np.setdiff1d(state.decided.erased, decided.erased, assume_unique=True), assume_unique=True)
    if (
        back.size
    ):  # what was left out is the program's again, at the threshold of now; what is not found there stays as it is drawn
        labels, _ = cut(prepared, decided, state.settings)
        lost = np.setdiff1d(made.at(back), made.at(back[labels.at(back) > 0]))
        decided = state.decided.after(state.labels, seen, made, back[np.isin(made.at(back), lost)], state.grown)
        made, _ = cut(prepared, decided, state.settings)
        uncorrected = None
    return _measured(prepared, state, made, decided, uncorrected)


def _measured(
    prepared: PreparedResult, state: LesionState, made: SparseLabels, decided: Decisions, uncorrected: SparseLabels | None
) -> LesionState:
    found = measure_again(made, prepared.scan, state.labels, state.lesions)
    return replace(state, labels=made, lesions=found, decided=decided, uncorrected=uncorrected if decided else None)


def recut(prepared: PreparedResult, state: LesionState, settings: SegmentSettings) -> LesionState:
    """Cut the lesions anew; those that the user touched stay as they are."""
    if settings.auto_threshold:
        settings = replace(settings, threshold=prepared.auto)
    if state.corrected and how(settings) == how(state.settings):
        return replace(state, settings=settings)
    labels, left_out = cut(prepared, state.decided, settings)
    found = measure_again(labels, prepared.scan, state.labels, state.lesions)
    return LesionState(labels, found, settings, left_out, state.decided, None, state.merged, state.grown)


def carried_over(prepared: PreparedResult, earlier: LesionState) -> LesionState:
    """Keep the corrections that were made to the result of an earlier run on the same scan."""
    result = prepared.result
    if not earlier.corrected or earlier.labels.shape != result.labels.shape:
        return LesionState.of(result)
    labels, left_out = cut(prepared, earlier.decided, result.settings)
    found = measure_again(labels, prepared.scan)
    return LesionState(labels, found, result.settings, left_out, earlier.decided, None, earlier.merged, earlier.grown)


def result_of(result: Result, state: LesionState) -> Result:
    """Give the result with its lesions as they are now."""
    before = about_lesions(len(result.lesions), result.left_out)
    findings = tuple(finding for finding in result.findings if finding not in before)
    findings += about_lesions(len(state.lesions), state.left_out) + ((BY_HAND,) if state.corrected else ())
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
        raise wrong_shape("The tumours layer", now.shape, shape)
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
