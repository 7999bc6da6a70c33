"""From the lesions of a result, those that were left out and what was noted of them, to the rows of the table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.gui.lesion_rows import LesionRow, peak_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.lesion_rows import LesionNotes
    from napari_liver_anomaly.gui.lesion_state import LesionState
    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.result import Result


def list_lesions(
    state: LesionState, data: Any, score: NDArray[np.uint8], left_out: Mapping[Lesion, NDArray[np.int64]], notes: LesionNotes
) -> list[LesionRow]:
    """List the lesions; those that were left out come last, and no longer once somebody painted there again."""
    # The state learns a moment later what was done in the layer.
    drawn = {lesion for lesion, where in left_out.items() if data is not None and np.any(data.flat[where])}
    out = set(left_out) - drawn if data is not None else set()
    parts, origins, fixed = state.parts, state.origins, set(state.decided.drawn.values.tolist())
    rows = []
    for lesion in state.lesions:
        where = parts[lesion.number]
        anchor, score_there = peak_of(where, score)
        origin, comment, target = origins.get(lesion.number, "automatic"), notes.comment_in(where), notes.is_target(where)
        at = state.largest_slices[lesion.number]
        rows.append(
            LesionRow(lesion, at, lesion not in out, score_there, origin, comment, target, lesion.number in fixed, anchor)
        )
    for lesion, where in rejected_in(state, left_out).items():
        if lesion not in drawn and lesion not in state.lesions:
            anchor, score_there = peak_of(where, score)
            slice_ = middle_of(where, state.labels.shape)[0]
            rows.append(LesionRow(lesion, slice_, False, score_there, "corrected", notes.comment_in(where), False, True, anchor))
    return rows


def rejected_in(state: LesionState, left_out: Mapping[Lesion, NDArray[np.int64]]) -> dict[Lesion, NDArray[np.int64]]:
    """Give those lesions that were left out and not taken in again, by undo or by brush."""
    erased = state.decided.erased
    return {lesion: where for lesion, where in left_out.items() if np.isin(where, erased, assume_unique=True).all()}


def with_notes(result: Result, rows: Sequence[LesionRow]) -> Result:
    """Give a result with what its reader rejected and noted."""
    return replace(
        result,
        rejected=tuple(row.lesion for row in rows if not row.kept),
        comments={row.lesion: row.comment for row in rows if row.comment},
        targets=tuple(row.lesion.number for row in rows if row.target and row.kept),
    )


def middle_of(where: NDArray[np.int64], shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Voxel of a lesion in the middle of the slice on which it was measured, that of its largest area."""
    _, rows, columns = shape
    slices, flat = np.divmod(where, rows * columns)
    z = int(np.bincount(slices).argmax())
    places = np.stack(np.divmod(flat[slices == z], columns), axis=1)
    nearest = np.square(places - places.mean(axis=0)).sum(axis=1).argmin()
    return z, int(places[nearest, 0]), int(places[nearest, 1])
