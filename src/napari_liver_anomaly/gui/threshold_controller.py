"""From the threshold and the user's brush to the lesions on screen: a live preview, then cut and measured in the background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from napari_liver_anomaly import lesions
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.lesion_state import LesionState, after_edits, cut, how, recut
from napari_liver_anomaly.gui.threshold_preview import ThresholdPreview
from napari_liver_anomaly.liver_findings import about_pieces
from napari_liver_anomaly.result import count, count_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.result_layers import ResultLayers
    from napari_liver_anomaly.gui.threshold_slider import ThresholdSlider
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.segmentation import SegmentSettings

AFTER_EDIT_MS = 500
UPDATING = "Updating…"
CORRECTED = "Corrected by hand: the threshold leaves these lesions as they are."


@dataclass(frozen=True, eq=False)
class Update:
    """What a worker made of the edits and the settings that were wanted when it began."""

    shown: ResultLayers
    edits: int
    state: LesionState
    labels: NDArray[np.uint16] | None  # of a cut; None when only the user changed them


@dataclass(frozen=True, eq=False)
class Look:
    """What a threshold would give."""

    shown: ResultLayers
    score: NDArray[np.uint8]  # as it is shown: without the pieces that the cut drops, with the lesions that the user drew
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
        self._updating, self._looking = Task(self), Task(self)
        self._updating.returned.connect(self._show)
        for over in (self._updating.refused, self._updating.failed):
            over.connect(lambda *_: self._give_up())
        self._updating.refused.connect(self.refused)
        self._updating.failed.connect(self.failed)
        self._looking.returned.connect(self._preview)  # what goes wrong there is said when the slider settles
        self._after_edit = QTimer(self)
        self._after_edit.setSingleShot(True)
        self._after_edit.setInterval(AFTER_EDIT_MS)
        self._after_edit.timeout.connect(self._update)
        slider.moved.connect(self._move)
        slider.settled.connect(self.cut)
        slider.switched.connect(self._switch)
        slider.discarded.connect(self.discard)

    @property
    def busy(self) -> bool:
        """Whether lesions are being cut or measured, or will be, for a preview too."""
        return self._updating.busy or self._looking.busy or self._after_edit.isActive()

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

    def look_again(self) -> None:
        """Look for changes of the labels that nobody told."""
        if self.shown is not None:
            self._after_edit.start()

    def _update(self) -> None:
        """Bring the lesions up to date in a worker, with the edits and the wishes of now."""
        self._after_edit.stop()
        if (shown := self.shown) is not None:
            self._updating.ask(partial(_updated, shown, shown.edits, shown.state, shown.data, self._wanted, self._discards))

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
            self._looking.ask(partial(_looked, shown, shown.state, settings))
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
        if update.labels is not None:
            shown.put(update.state, update.labels)
        elif update.state is not shown.state:
            settings = shown.settings if self._wanted is None else update.state.settings
            shown.renumber(replace(update.state, settings=settings))
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
            self._slider.tell("", "Segment a scan to move the threshold.")
        else:
            self._slider.tell(summary(shown), UPDATING if self.outdated else remark(shown))
        self.changed.emit()

    def _preview(self, look: Look) -> None:
        """Take from the preview what the cut drops, and count what it leaves."""
        shown = look.shown
        if shown is self.shown and self.preview.on and shown.layers.get(Role.SCORE) is self.preview.layer:
            self.preview.hide(look.score)
            self._slider.tell(look.count, UPDATING)

    def _give_up(self) -> None:
        """Show the lesions that there are when a cut cannot be had."""
        self._wanted, self._discards, self._edited = None, False, False
        self._end_preview()
        if self.shown is not None:
            self._slider.show_threshold(self.shown.settings.threshold, auto=self.shown.settings.auto_threshold)
        self._tell()

    def _forget_wishes(self) -> None:
        """Stop the cut in progress; edits that it would have taken over are still to be measured."""
        if self._updating.busy:
            self._updating.cancel()
            self._after_edit.start()
        self._wanted, self._discards = None, False

    def _end_preview(self) -> None:
        self._looking.cancel()
        self.preview.end()


def summary(shown: ResultLayers) -> str:
    """Say what was found, so that "nothing found" is not taken for "not searched"."""
    if not shown.lesions:
        return f"{_searched(shown.result, shown.settings)}: nothing found"
    return count(shown.lesions)


def remark(shown: ResultLayers) -> str:
    """Say what the count of lesions does not show."""
    words = [CORRECTED] if shown.state.corrected else []
    return " ".join([*words, *(f"{finding.what} {finding.meaning}" for finding in about_pieces(shown.state.left_out))])


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
    if discard:
        state = replace(state, by_hand=None, uncorrected=None)
    else:
        state = after_edits(shown.result, state, data)
    if wanted is None:
        return Update(shown, edits, state, None)
    job.at("Measuring lesions", 1, 2)
    made = recut(shown.result, state, wanted)
    kept = made.labels is state.labels
    return Update(shown, edits, made, None if kept else made.labels.dense())


def _looked(shown: ResultLayers, state: LesionState, settings: SegmentSettings, job: Job) -> Look:
    """Give the score without the pieces that a cut drops, with the lesions drawn by hand; the same array when there are none."""
    job.at("Cutting", 0, 1)
    result, level = shown.result, lesions.level_of(settings.threshold)
    labels, _ = cut(result, state.by_hand, settings)
    found = labels > 0
    said = count_of(int(np.count_nonzero(np.bincount(labels[found]))), np.count_nonzero(found) * result.volume.geometry.voxel_ml)
    said = said if found.any() else f"{_searched(result, settings)}: {said}"
    score = result.score
    wrong = (score >= level) != found
    if wrong.any():
        score = score.copy()
        score[wrong & ~found] = 0
        score[wrong & found] = 255
    return Look(shown, score, said)
