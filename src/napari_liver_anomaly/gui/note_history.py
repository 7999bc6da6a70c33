"""Comments and targets of lesions in the history of the tumours layer, so that one undo takes back whatever came last.

napari keeps what it can undo as steps that write old values into voxels. A note is such a step that writes into none; what it changes is read from
which side of the history it stands on, whoever pressed the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from napari.layers import Labels

    from napari_liver_anomaly.gui.lesion_rows import LesionNotes


class NoteStep(tuple[Any, ...]):
    """A step of the history that changes notes and no voxel."""

    before: LesionNotes
    after: LesionNotes
    done: bool


def remember(layer: Labels, before: LesionNotes, after: LesionNotes) -> None:
    """Add a change of notes to the history of a layer; what was undone before cannot be done again, as after any correction."""
    nowhere = (np.empty(0, np.intp),) * layer.ndim
    step = NoteStep((nowhere, np.empty(0, layer.dtype), np.empty(0, layer.dtype)))
    step.before, step.after, step.done = before.copy(), after.copy(), True
    layer._save_history(step)


def notes_of(layer: Labels, notes: LesionNotes) -> LesionNotes:
    """Give the notes as they are after what was undone, or done again, since this was last asked; the very same when that was nothing."""
    for step in _steps(layer._redo_history):
        if step.done:
            notes, step.done = step.before, False
    for step in _steps(layer._undo_history):
        if not step.done:
            notes, step.done = step.after, True
    return notes


def steps_of(layer: Labels | None) -> tuple[int, int]:
    """Count the steps that can be taken back, and those that can be made again; none of a layer that was deleted."""
    return (0, 0) if layer is None else (len(layer._undo_history), len(layer._redo_history))


def _steps(history: Iterable[Sequence[Any]]) -> Iterator[NoteStep]:
    return (item[0] for item in history if isinstance(item[0], NoteStep))


def forget_steps(layer: Labels) -> None:
    """Empty the history of a layer that shows another reading now: its steps would write that of before into it."""
    layer._reset_history()
