"""From the threshold to the tumours layer: a live preview, then lesions cut and measured in the background."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from napari_liver_anomaly import lesions, segmentation
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.result_layers import ResultLayers, checksum
from napari_liver_anomaly.gui.threshold_preview import ThresholdPreview
from napari_liver_anomaly.liver_findings import about_pieces
from napari_liver_anomaly.result import count
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.thresholds import auto_threshold

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.threshold_slider import ThresholdSlider
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.lesions import Lesion

AFTER_PAINT_MS = 500


@dataclass(frozen=True, eq=False)
class Cut:
    """What a worker made of a threshold."""

    shown: ResultLayers
    settings: SegmentSettings
    labels: NDArray[np.uint16]
    left_out: int
    lesions: tuple[Lesion, ...]
    sum: int
    corrected: bool


class ThresholdController(QObject):
    """Takes the threshold from its slider to the lesions of the result on screen."""

    changed = Signal()  # another result, other lesions, or other measures
    kept = Signal(str)  # that a corrected layer was left alone
    refused = Signal(object)
    failed = Signal(str, str)

    def __init__(self, slider: ThresholdSlider, viewer: Any, settings: Callable[[], SegmentSettings]) -> None:
        super().__init__(slider)
        self._slider, self._settings = slider, settings
        self.shown: ResultLayers | None = None
        self.preview = ThresholdPreview(viewer)
        self._cutting, self._looking = Task(self), Task(self)
        self._cutting.returned.connect(self._show)
        for over in (self._cutting.refused, self._cutting.failed):
            over.connect(lambda *_: self._end_preview())
        self._cutting.refused.connect(self.refused)
        self._cutting.failed.connect(self.failed)
        self._looking.returned.connect(self._hide)  # what goes wrong there is said when the slider settles
        self._after_paint = QTimer(self)
        self._after_paint.setSingleShot(True)
        self._after_paint.setInterval(AFTER_PAINT_MS)
        self._after_paint.timeout.connect(self._measure_again)
        slider.moved.connect(self._move)
        slider.settled.connect(self.cut)
        slider.switched.connect(self._switch)

    @property
    def busy(self) -> bool:
        """Whether lesions are being cut or measured, for a preview too."""
        return self._cutting.busy or self._looking.busy

    def follow(self, shown: ResultLayers | None) -> None:
        """Work on this result from now on, and show its threshold."""
        if shown is not self.shown:
            self._end_preview()
            self._cutting.cancel()
            if self.shown is not None:
                self.shown.painted = lambda: None
            self.shown = shown
            if shown is not None:
                timer = self._after_paint  # the layer may outlive the panel
                shown.painted = lambda: timer.start() if isalive(timer) else None
        if shown is not None:
            self._slider.show_threshold(shown.threshold, auto=shown.auto)
        self._tell()

    def cut(self) -> None:
        """Cut and measure in a worker, then show the lesions."""
        shown, settings = self.shown, self._settings()
        same = shown is not None and _how(settings) == _how(shown.settings)
        if shown is None or (same and not settings.auto_threshold and not self._cutting.busy):
            return self._end_preview()
        now = shown.tumours.data if shown.tumours is not None else None
        return self._cutting.ask(partial(_cut, shown, shown.settings, now, shown.sum, settings))

    def _move(self) -> None:
        """Preview the threshold at every tick; as soon as a worker has cut there, without the pieces that are dropped."""
        if self.shown is not None and Role.SCORE in self.shown.layers:
            settings = self._settings()
            self.preview.show(self.shown.layers[Role.SCORE], self.shown.result.score, lesions.level_of(settings.threshold))
            self._looking.ask(partial(_dropped, self.shown, settings))

    def _switch(self, auto: bool) -> None:
        """Let the scan choose its threshold, or no longer; it chooses once its lesions are cut."""
        if self.shown is not None:
            self.shown.settings = replace(self.shown.settings, auto_threshold=self.shown.auto and auto)
        self.cut()

    def _show(self, cut: Cut) -> None:
        shown = cut.shown
        if shown is not self.shown:
            return
        name = shown.tumours.name if shown.tumours is not None else ""
        shown.settings, shown.left_out = cut.settings, cut.left_out
        if cut.labels is shown.labels:
            shown.lesions = cut.lesions
        elif shown.put_labels(cut.labels, cut.lesions, cut.sum, new=cut.corrected):
            self.kept.emit(f"'{name}' was corrected by hand and is kept. The threshold now has a layer of its own.")
        self._end_preview()
        if shown.auto:
            self._slider.show_threshold(shown.threshold, auto=True)
        self._tell()

    def _tell(self) -> None:
        """Say what the threshold leaves."""
        shown = self.shown
        self._slider.allow(shown is not None)
        if shown is None:
            self._slider.tell("", "Segment a scan to move the threshold.")
        else:
            self._slider.tell(summary(shown), remark(shown))
        self.changed.emit()

    def _hide(self, made: tuple[ResultLayers, NDArray[np.uint8]]) -> None:
        """Take from the preview what the cut drops."""
        shown, score = made
        if shown is self.shown and shown.layers.get(Role.SCORE) is self.preview.layer:
            self.preview.hide(score)

    def _end_preview(self) -> None:
        self._looking.cancel()
        self.preview.end()

    def _measure_again(self) -> None:
        """Measure the lesions after the user painted."""
        if self.shown is not None and self.shown.tumours is not None:
            self._cutting.ask(partial(_measure, self.shown, self.shown.settings, self.shown.tumours.data))


def summary(shown: ResultLayers) -> str:
    """Say what was found, so that "nothing found" is not taken for "not searched"."""
    found = shown.lesions
    if not found:
        return f"Searched {shown.result.liver.ml:,.0f} ml of liver, threshold {shown.threshold:.2f}: nothing found"
    return count(found)


def remark(shown: ResultLayers) -> str:
    """Say what the count of lesions does not show."""
    words = ["Corrected by hand."] if shown.touched else []
    return " ".join([*words, *(f"{finding.what} {finding.meaning}" for finding in about_pieces(shown.left_out))])


def _how(settings: SegmentSettings) -> SegmentSettings:
    """How lesions are cut, whoever chose the threshold and however many slices the networks saw at once."""
    return replace(settings, auto_threshold=False, batch=SegmentSettings().batch)


def _cut(shown: ResultLayers, before: SegmentSettings, now: Any, written: int, settings: SegmentSettings, job: Job) -> Cut:
    """Cut and measure; and look whether the labels on screen are still those we wrote."""
    job.at("Measuring lesions", 0, 2)
    result = shown.result
    if settings.auto_threshold:
        settings = replace(settings, threshold=auto_threshold(result.score, result.liver.voxels))
        if now is not None and _how(settings) == _how(before):
            return _measure(shown, settings, now, job)
    labels, left_out = segmentation.cut(result.score, result.liver.probability, result.volume.geometry, settings)
    job.at("Measuring lesions", 1, 2)
    found = lesions.measure(labels, result.volume, result.liver)
    corrected = now is not None and checksum(now) != written
    return Cut(shown, settings, labels, left_out, found, checksum(labels), corrected)


def _measure(shown: ResultLayers, settings: SegmentSettings, labels: Any, job: Job) -> Cut:
    """Measure labels that the user painted, leaving them as they are."""
    job.at("Measuring lesions", 0, 1)
    found = lesions.measure(labels, shown.result.volume, shown.result.liver)
    return Cut(shown, settings, labels, shown.left_out, found, shown.sum, corrected=True)


def _dropped(shown: ResultLayers, settings: SegmentSettings, job: Job) -> tuple[ResultLayers, NDArray[np.uint8]]:
    """Give the score without the pieces that a cut drops; the same array when it drops none."""
    job.at("Cutting", 0, 1)
    result, level = shown.result, lesions.level_of(settings.threshold)
    labels, _ = segmentation.cut(result.score, result.liver.probability, result.volume.geometry, settings)
    dropped = result.score >= level
    dropped &= labels == 0
    if not dropped.any():
        return shown, result.score
    score = result.score.copy()
    score[dropped] = 0
    return shown, score
