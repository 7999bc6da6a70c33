"""From the threshold and the user's brush to the lesions on screen: a live preview, then cut and measured in the background."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEventLoop, QObject, QTimer, Signal

from napari_liver_anomaly import lesions
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.decisions import Decisions
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.lesion_cut import cut
from napari_liver_anomaly.gui.lesion_listing import rejected_in
from napari_liver_anomaly.gui.lesion_state import LesionState, corrected, how, recut, seen_in
from napari_liver_anomaly.gui.threshold_preview import ThresholdPreview
from napari_liver_anomaly.liver_findings import about_lesions

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.result_layers import ResultLayers
    from napari_liver_anomaly.gui.threshold_slider import ThresholdSlider
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.sparse_labels import SparseLabels

AFTER_EDIT_MS = 500
STEP_MS = 20  # that events are seen to before the time is looked at
LATE_MS = 100  # lesions that come sooner need no word
UPDATING = "Updating…"
CORRECTED = "What you drew stays."
ERASED = "What you erased stays away."
NOTHING = "A lower threshold shows more."


@dataclass(frozen=True, eq=False)
class Update:
    """What a worker made of the edits and the settings that were wanted when it began."""

    shown: ResultLayers
    edits: int
    state: LesionState
    changes: SparseLabels  # what is to be written to the layer
    cut: bool  # or only the user changed them


@dataclass(frozen=True, eq=False)
class Look:
    """What a threshold would give."""

    shown: ResultLayers
    hidden: NDArray[np.int64]  # voxels of pieces that the cut drops, flat
    drawn: NDArray[np.int64]  # voxels below the threshold that the user drew
    count: str


class ThresholdController(QObject):
    """Takes the threshold from its slider, and corrections from their layer, to the lesions of the result on screen."""

    changed = Signal()  # another result, other lesions, or other measures
    refused = Signal(object)
    failed = Signal(str, str)

    def __init__(self, slider: ThresholdSlider, viewer: Any, settings: Callable[[], SegmentSettings]) -> None:
        super().__init__(slider)
        self._slider, self._settings = slider, settings
        self.shown: ResultLayers | None = None
        self.preview = ThresholdPreview(viewer)
        self._wanted: SegmentSettings | None = None  # what is being cut for
        self._discards = False
        self._edited = False  # whether labels changed that are not measured yet
        self._task = Task(self)  # one for all, so that a preview and a cut never hold each other up
        self._looks = False  # whether it makes a preview
        self._next: tuple[bool, Callable[[Job], Update | Look]] | None = None  # the newest wish; an older one is forgotten
        self._task.returned.connect(self._take)
        self._task.refused.connect(lambda finding: self._give_up(self.refused, finding))
        self._task.failed.connect(lambda *told: self._give_up(self.failed, *told))
        self._task.ended.connect(self._begin)
        self._after_edit = QTimer(self)
        self._after_edit.setSingleShot(True)
        self._after_edit.setInterval(AFTER_EDIT_MS)
        self._after_edit.timeout.connect(self._update)
        self._late = QTimer(self)
        self._late.setSingleShot(True)
        self._late.setInterval(LATE_MS)
        self._late.timeout.connect(lambda: slider.tell(remark=UPDATING))
        slider.moved.connect(self._move)
        slider.settled.connect(self.cut)
        slider.switched.connect(self._switch)

    @property
    def busy(self) -> bool:
        """Whether lesions are being cut or measured, or will be, for a preview too."""
        return self._task.busy or self._next is not None or self._after_edit.isActive()

    @property
    def outdated(self) -> bool:
        """Whether the lesions that are listed will soon be others."""
        return self._edited or self._wanted is not None or self.preview.on

    def follow(self, shown: ResultLayers | None) -> None:
        """Work on this result from now on, and show its threshold."""
        if shown is not self.shown:
            self._end_preview()
            self._forget_wishes()
            self._edited = False
            if self.shown is not None:
                self.shown.edited = lambda _: None
            self.shown = shown
            if shown is not None:
                me = self  # the layer may outlive the panel
                shown.edited = lambda sure: me._hear(sure) if isalive(me) else None
                self._after_edit.start()  # it may have been changed while nobody followed it
        if shown is not None and self._wanted is None and not self.preview.on:
            self._slider.show_threshold(shown.settings.threshold, auto=shown.settings.auto_threshold)
        self._tell()

    def cut(self) -> None:
        """Cut and measure in a worker, then show the lesions."""
        shown, settings = self.shown, self._settings()
        if shown is None:
            return self._end_preview()
        same = how(settings) == how(shown.settings) and not settings.auto_threshold
        if same and self._wanted is None and not self._discards:
            self._end_preview()
            return self._tell()
        self._wanted = settings
        self._update()
        return self._tell()

    def discard(self) -> None:
        """Take the user's corrections back, at the threshold of now."""
        if self.shown is not None:
            self._wanted, self._discards = self._settings(), True
            self._update()
            self._tell()

    def finish(self, most_s: float) -> None:
        """Bring the lesions up to date before this returns, as far as the time allows; nothing can be pressed meanwhile."""
        if self.preview.on:
            self.cut()
        until_s = time.monotonic() + most_s
        while self.outdated and time.monotonic() < until_s:
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents, STEP_MS)

    def look_again(self) -> None:
        """Look for changes of the labels that nobody told."""
        if self.shown is not None:
            self._after_edit.start()

    def _update(self) -> None:
        """Bring the lesions up to date in a worker, with the edits and the wishes of now."""
        self._after_edit.stop()
        if (shown := self.shown) is not None:
            self._ask(False, partial(_updated, shown, shown.edits, shown.state, shown.data, self._wanted, self._discards))

    def _ask(self, looks: bool, work: Callable[[Job], Update | Look]) -> None:
        """Do this next, in place of what waits."""
        self._next = looks, work
        self._begin()

    def _begin(self) -> None:
        if self._next is not None and not self._task.busy:
            (self._looks, work), self._next = self._next, None
            self._task.start(work)

    def _take(self, made: Update | Look) -> None:
        """Show what a worker made. A preview is shown though the slider is elsewhere by now: so the count follows a quick hand."""
        if isinstance(made, Look):
            self._preview(made)
        elif self._next is None:
            self._show(made)

    def _hear(self, sure: bool) -> None:
        """Measure again soon after the last edit."""
        self._after_edit.start()
        if sure and not self._edited:
            self._edited = True
            self._tell()

    def _move(self) -> None:
        """Preview the threshold at every tick; as soon as a worker has cut there, without the pieces that are dropped."""
        shown = self.shown
        if shown is None:
            return
        self._forget_wishes()
        shown.state = replace(shown.state, settings=replace(shown.settings, auto_threshold=False))
        if Role.SCORE in shown.layers:
            settings, begins = self._settings(), not self.preview.on
            self.preview.show(shown.layers[Role.SCORE], shown.result.score, lesions.level_of(settings.threshold))
            self._ask(True, partial(_looked, shown, shown.state, settings))
            if begins:
                self._tell()

    def _switch(self, auto: bool) -> None:
        """Let the scan choose its threshold, or no longer; it chooses once its lesions are cut."""
        if self.shown is not None:
            chosen = self.shown.settings.auto_threshold and auto
            self.shown.state = replace(self.shown.state, settings=replace(self.shown.settings, auto_threshold=chosen))
        self.cut()

    def _show(self, update: Update) -> None:
        shown = update.shown
        if shown is not self.shown:
            return
        if update.edits != shown.edits:  # the user went on meanwhile
            return self._update()
        if update.cut:
            shown.put(update.state, update.changes)
        elif update.state is not shown.state:
            shown.renumber(replace(update.state, settings=shown.settings), update.changes)
        cut = self._wanted is not None
        self._wanted, self._discards, self._edited = None, False, False
        if cut:
            self._end_preview()
        if shown.settings.auto_threshold:
            self._slider.show_threshold(shown.settings.threshold, auto=True)
        return self._tell()

    def _tell(self) -> None:
        """Say what the threshold leaves."""
        shown = self.shown
        self._slider.allow(shown is not None, discard=shown is not None and shown.state.corrected)
        if shown is None:
            self._late.stop()
            self._slider.show_scores(None, None, {})
            self._slider.tell("", "Segment a scan to move the threshold.")
            return self.changed.emit()
        if shown.prepared.ready:
            self._slider.show_scores(shown.prepared.counts, shown.prepared.auto, shown.prepared.result.healthy_scores)
        if not self.outdated:
            self._late.stop()
            self._slider.tell(summary(shown), remark(shown))
        elif self._slider.remark.text() != UPDATING and not self._late.isActive():
            self._late.start()
        return self.changed.emit()

    def _preview(self, look: Look) -> None:
        """Take from the preview what the cut drops, and count what it leaves."""
        shown = look.shown
        if shown is self.shown and self.preview.on and shown.layers.get(Role.SCORE) is self.preview.layer:
            self.preview.hide(look.hidden, look.drawn)
            self._slider.tell(look.count)

    def _give_up(self, signal: Any, *told: object) -> None:
        """Show the lesions that there are when a cut cannot be had. What goes wrong in a preview is said when the slider settles."""
        if self._looks:
            return
        self._wanted, self._discards, self._edited = None, False, False
        self._end_preview()
        if self.shown is not None:
            self._slider.show_threshold(self.shown.settings.threshold, auto=self.shown.settings.auto_threshold)
        signal.emit(*told)
        self._tell()

    def _forget_wishes(self) -> None:
        """Stop the cut in progress; edits that it would have taken over are still to be measured."""
        if self._drop(looks=False):
            self._after_edit.start()
        self._wanted, self._discards = None, False

    def _drop(self, *, looks: bool) -> bool:
        """Stop previews, or updates; give whether there were any."""
        running, waiting = self._task.busy and self._looks is looks, self._next is not None and self._next[0] is looks
        if running:
            self._task.cancel()
        if waiting:
            self._next = None
        return running or waiting

    def _end_preview(self) -> None:
        self._drop(looks=True)
        self.preview.end()


def summary(shown: ResultLayers) -> str:
    """Say what was found, so that "nothing found" is not taken for "not searched"."""
    if not shown.lesions:
        return f"{_searched(shown.result, shown.settings)}: nothing found"
    return _found(len(shown.lesions), math.fsum(lesion.volume_ml for lesion in shown.lesions), shown.prepared.liver_ml)


def _found(number: int, ml: float, liver_ml: float) -> str:
    """Say it as short as it is wide: number, volume, and share of the liver."""
    share = 100 * ml / liver_ml if liver_ml else math.nan
    return f"{number} lesion{'s' * (number != 1)}, {ml:,.1f} ml ({'< 0.1' if share < 0.05 else f'{share:,.1f}'} % of the liver)"


def remark(shown: ResultLayers) -> str:
    """Say what the count of lesions does not show."""
    decided, rejected = shown.state.decided, rejected_in(shown.state, shown.left_out)
    erased = np.setdiff1d(decided.erased, np.concatenate([np.empty(0, np.int64), *rejected.values()]), assume_unique=True)
    words = [CORRECTED] * bool(decided.drawn.where.size) + [ERASED] * bool(erased.size)
    words += [f"{len(rejected)} rejected."] * bool(rejected)
    words += [NOTHING] * (not (words or shown.lesions or shown.state.left_out))
    return " ".join(
        [*words, *(f"{finding.what} {finding.meaning}" for finding in about_lesions(len(shown.lesions), shown.state.left_out))]
    )


def _searched(result: Result, settings: SegmentSettings) -> str:
    return f"Searched {result.liver.ml:,.0f} ml of liver, threshold {settings.threshold:.2f}"


def _updated(
    shown: ResultLayers,
    edits: int,
    state: LesionState,
    data: Any,
    wanted: SegmentSettings | None,
    discard: bool,
    job: Job,
) -> Update:
    """Take over the user's edits, then cut again where that is wanted."""
    job.at("Measuring lesions", 0, 2)
    shown.prepared.prepare()
    seen = seen_in(data, state.labels)
    state = corrected(shown.prepared, state, seen)
    if discard:
        state = replace(state, decided=Decisions(), uncorrected=None, merged=())
    if wanted is not None:
        job.at("Measuring lesions", 1, 2)
        state = recut(shown.prepared, state, wanted)
    return Update(shown, edits, state, seen.changes_to(state.labels), cut=wanted is not None)


def _looked(shown: ResultLayers, state: LesionState, settings: SegmentSettings, job: Job) -> Look:
    """Give what a cut drops of the voxels that reach the threshold, and how many lesions are left."""
    job.at("Cutting", 0, 1)
    result, voxels, level = shown.result, shown.prepared.voxels, lesions.level_of(settings.threshold)
    labels, _ = cut(shown.prepared, state.decided, settings)
    reached = voxels.where[voxels.scores >= level]
    hidden = reached[labels.at(reached) == 0]
    drawn = labels.where[result.score.reshape(-1)[labels.where] < level]
    number = int(np.count_nonzero(np.bincount(labels.values)))
    ml = labels.where.size * result.volume.geometry.voxel_ml
    said = _found(number, ml, shown.prepared.liver_ml) if number else f"{_searched(result, settings)}: nothing found"
    return Look(shown, hidden, drawn, said)
