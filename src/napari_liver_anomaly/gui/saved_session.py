"""From what a panel shows to a session, and back. Functions of this module may be called on any thread, but for those of the view."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import Question
from napari_liver_anomaly.gui.decisions import FOUND, Decisions
from napari_liver_anomaly.gui.layers import Tag, scan_layer
from napari_liver_anomaly.gui.lesion_listing import list_lesions, rejected_in
from napari_liver_anomaly.gui.lesion_parts import merged_in
from napari_liver_anomaly.gui.lesion_rows import LesionNotes, noted, notes_from
from napari_liver_anomaly.gui.lesion_state import LesionState, after_edits
from napari_liver_anomaly.gui.prepared_result import PreparedResult
from napari_liver_anomaly.io.read_options import ASK_ALL
from napari_liver_anomaly.io.session import Session, read_session, row_of
from napari_liver_anomaly.lesions import measure_again
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.result_layers import ResultLayers
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.volume import Volume


@dataclass(frozen=True, eq=False)
class Seen:
    """What a session needs of the window, taken in its thread."""

    shown: ResultLayers
    state: LesionState
    data: Any  # labels on screen
    rejected: Mapping[Lesion, NDArray[np.int64]]
    scan: Tag | None
    liver: Any  # voxels of the liver on screen, or None
    view: Mapping[str, Any]
    other: Mapping[str, Any]
    notes: LesionNotes


@dataclass(frozen=True, eq=False)
class Reopened:
    """A session as a worker opened it."""

    session: Session
    made: tuple[Any, dict[str, Any], str]  # layer of the scan
    volume: Volume
    result: Result
    state: LesionState
    rejected: dict[Lesion, NDArray[np.int64]]
    notes: LesionNotes


def seen_now(shown: ResultLayers, scan: Layer | None, tag: Tag | None, liver: Layer | None) -> Seen:
    """Take what a session needs; in the window's thread."""
    mask = None if liver is None or tuple(liver.data.shape) != shown.result.volume.voxels.shape else liver.data
    return Seen(
        shown,
        shown.state,
        shown.data,
        dict(shown.left_out),
        tag,
        mask,
        view_of(shown, scan),
        dict(shown.other),
        shown.notes.copy(),
    )


def session_of(seen: Seen) -> Session:
    """Make a session of what is on screen, edits included that were not measured yet."""
    shown, tag = seen.shown, seen.scan
    result, state = shown.result, after_edits(shown.prepared, seen.state, seen.data)
    # A scan that was changed in the viewer is no longer in its file.
    known = tag is not None and tag.path and tag.read_as == result.volume.identity
    drawn = None if seen.liver is None else np.asarray(seen.liver) > 0
    rejected = rejected_in(state, seen.rejected)
    listed = {row.lesion: row for row in list_lesions(state, None, result.score, rejected, seen.notes)}
    rows = [row_of(lesion) | noted(listed[lesion]) for lesion in state.lesions]
    return Session.of(
        result, Path(tag.path) if known and tag is not None else None,
        answers=(tag.answers if tag is not None else None) or ASK_ALL,
        corrected_liver=None if drawn is None or np.array_equal(drawn, result.liver.voxels) else drawn,
        lesions=state.labels, by_hand=state.decided.by_hand, predicted=state.decided.predicted, uncorrected=state.uncorrected,
        settings=state.settings, left_out=state.left_out,
        rejected=_listed(rejected, state.labels.shape), view=dict(seen.view), other=seen.other,
        rows=(*rows, *(row_of(lesion, kept=False) | noted(listed[lesion]) for lesion in rejected)),
    )  # fmt: skip


def _listed(rejected: Mapping[Lesion, NDArray[np.int64]], shape: tuple[int, ...]) -> SparseLabels | None:
    """Give numbers to the lesions that were left out, in their order; where two lie over each other the later counts."""
    if not rejected:
        return None
    labels = np.zeros(shape, np.uint16)
    for number, where in enumerate(rejected.values(), 1):
        labels.flat[where] = number
    return SparseLabels.of(labels)


def reopen(path: Path, moved_to: Path | None, job: Job) -> Reopened:
    """Read a session and its scan, which must be the very one."""
    job.at("Opening the session", 0, 2)
    session = read_session(path)
    job.at("Opening the session", 1, 2)
    place = moved_to or session.path
    volume = session.volume(None if session.voxels is not None else _scan(session, place), path.stem)
    result = session.result(volume)
    prepared = PreparedResult(result)
    lesions = result.lesions if session.lesions.same_as(SparseLabels.of(result.labels)) else ()
    state = LesionState(
        session.lesions, lesions or measure_again(session.lesions, prepared.scan), session.settings, session.left_out,
        decisions_in(session), session.uncorrected, tuple(merged_in(session.lesions)),
    )  # fmt: skip
    made = scan_layer(volume, volume.findings, place or "", session.answers)
    return Reopened(session, made, volume, result, state, _rejected(session, prepared), _notes(session, state))


def decisions_in(session: Session) -> Decisions:
    """Give what the user decided; sessions from before the program's own voxels were told apart count all of them."""
    if session.by_hand is None:
        return Decisions()
    where, drawn = session.by_hand.where, session.by_hand.values > 0
    numbers = np.where(drawn, session.lesions.at(where), 0).astype(np.uint16)
    by_hand = SparseLabels(session.by_hand.shape, where, numbers)
    if (predicted := session.predicted) is None:
        predicted = SparseLabels(by_hand.shape, where[drawn], np.full(np.count_nonzero(drawn), FOUND, np.uint16))
    return Decisions(by_hand, predicted)


def _scan(session: Session, place: Path | None) -> Volume:
    """Read the scan of a session from its place, as it was read before."""
    from napari_liver_anomaly.io import read

    if place is None or not place.exists():
        raise make_refusal("session-scan-missing")
    try:
        return read(place, session.answers)
    except Question:  # nothing was to ask when it was read
        raise make_refusal("session-scan-changed") from None


def _rejected(session: Session, prepared: PreparedResult) -> dict[Lesion, NDArray[np.int64]]:
    """Give the lesions that were left out, under the numbers they had."""
    if session.rejected is None:
        return {}
    rows = [row for row in session.rows if not row.get("kept", True)]
    places = dict(session.rejected.parts())
    measured = measure_again(session.rejected, prepared.scan)
    return {_as_saved(lesion, rows[lesion.number - 1 : lesion.number]): places[lesion.number] for lesion in measured}


def _as_saved(lesion: Lesion, rows: Sequence[Mapping[str, Any]]) -> Lesion:
    """Give a lesion the number it had, and the liver that it was compared with when it was measured among the others."""
    for row in rows:
        number, liver_hu = row.get("number"), row.get("liver_hu")
        if isinstance(number, int) and isinstance(liver_hu, (int, float)):
            lesion = replace(lesion, number=number, liver_hu=liver_hu, difference_hu=lesion.mean_hu - liver_hu)
    return lesion


def _notes(session: Session, state: LesionState) -> LesionNotes:
    """Give what was noted of the lesions, kept and left out."""
    out = dict(session.rejected.parts()) if session.rejected is not None else {}
    rejected = [row for row in session.rows if not row.get("kept", True)]
    rows = [(state.parts.get(row.get("number", 0)), row) for row in session.rows if row.get("kept", True)]
    return notes_from([*rows, *((out.get(n), row) for n, row in enumerate(rejected, 1))], session.score)


def view_of(shown: ResultLayers, scan: Layer | None) -> dict[str, Any]:
    """Say what is in view, as plain data."""
    dims, camera = shown.viewer.dims, shown.viewer.scene.camera
    layers = {str(role): [bool(layer.visible), float(layer.opacity)] for role, layer in shown.layers.items()}
    return {
        "point": [float(mm) for mm in dims.point], "order": [int(axis) for axis in dims.order], "ndisplay": int(dims.ndisplay),
        "center": [float(mm) for mm in camera.center], "zoom": float(camera.zoom), "angles": [float(angle) for angle in camera.angles],
        "window": [] if scan is None else [float(hu) for hu in scan.contrast_limits], "layers": layers,
    }  # fmt: skip


def show_view(view: Mapping[str, Any], shown: ResultLayers, scan: Layer) -> None:
    """Turn to a view; what does not fit this viewer is left as it is. One that was saved in space opens flat, at the same point."""
    dims, camera = shown.viewer.dims, shown.viewer.scene.camera
    if len(window := _numbers(view.get("window"), 2)) == 2 and window[0] < window[1]:
        scan.contrast_limits = window
    for role, layer in shown.layers.items():
        look = view["layers"].get(str(role)) if isinstance(view.get("layers"), dict) else None
        if isinstance(look, list) and len(look) == 2 and isinstance(look[0], bool) and len(opacity := _numbers(look[1:], 1)) == 1:
            layer.visible, layer.opacity = look[0], min(max(opacity[0], 0.0), 1.0)
    order = view.get("order")
    if isinstance(order, list) and len(order) == dims.ndim and sorted(order) == list(range(dims.ndim)):
        dims.order = tuple(order)
    if len(point := _numbers(view.get("point"), dims.ndim)) == dims.ndim:
        dims.set_point(range(dims.ndim), point)
    if view.get("ndisplay") != 2:
        return
    for name, count in (("center", 3), ("angles", 3)):
        if len(values := _numbers(view.get(name), count)) == count:
            setattr(camera, name, tuple(values))
    if zoom := _numbers([view.get("zoom")], 1):
        camera.zoom = max(zoom[0], 1e-3)


def _numbers(values: Any, count: int) -> list[float]:
    """Give so many finite numbers, or none."""
    fits = isinstance(values, list) and len(values) == count
    if not fits or any(not isinstance(one, (int, float)) or isinstance(one, bool) or abs(one) > 1e9 for one in values):
        return []
    return [float(one) for one in values]
