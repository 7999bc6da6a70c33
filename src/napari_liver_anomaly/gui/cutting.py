"""From the threshold to the tumours layer: a live preview, then cleaned and measured lesions from a worker."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from napari_liver_anomaly import lesions
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.preview import Preview
from napari_liver_anomaly.gui.results import Shown, checksum
from napari_liver_anomaly.gui.running import Latest
from napari_liver_anomaly.thresholds import auto_threshold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_liver_anomaly.inference import Result, Segment
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.lesions import Lesion

AFTER_PAINT_MS = 500


@dataclass(frozen=True, eq=False)
class Cut:
    """What a worker made of a threshold."""

    shown: Shown
    threshold: float
    peak: float
    min_lesion_mm3: float
    labels: NDArray[np.uint16]
    lesions: tuple[Lesion, ...]
    sum: int
    corrected: bool
    auto: bool


class Cutting(QObject):
    """Follows the threshold of the result on screen.

    Parameters
    ----------
    parent : QObject
        The panel.
    viewer : ViewerModel
        Where the result is shown.
    """

    changed = Signal()  # other lesions, or other measures
    kept = Signal(str)  # that a corrected layer was left alone
    refused = Signal(object)
    failed = Signal(str, str)

    def __init__(self, parent: QObject, viewer: Any) -> None:
        super().__init__(parent)
        self.shown: Shown | None = None
        self.preview = Preview(viewer)
        self._latest = Latest(self)
        self._latest.returned.connect(self._deliver)
        self._latest.refused.connect(self._refuse)
        self._latest.failed.connect(self._fail)
        self._after_paint = QTimer(self, singleShot=True, interval=AFTER_PAINT_MS)
        self._after_paint.timeout.connect(self._measure_again)

    @property
    def busy(self) -> bool:
        """Whether lesions are being cut or measured."""
        return self._latest.busy

    def follow(self, shown: Shown | None) -> None:
        """Work on this result from now on.

        Parameters
        ----------
        shown : Shown or None
            None when the chosen scan has no result.
        """
        self.preview.end()
        self._latest.drop()
        if self.shown is not None:
            self.shown.painted = lambda: None
        self.shown = shown
        if shown is not None:
            timer = self._after_paint  # the layer may outlive the panel
            shown.painted = lambda: timer.start() if isalive(timer) else None

    def move(self, threshold: float) -> None:
        """Preview a threshold, at every tick of the slider.

        Parameters
        ----------
        threshold : float
            0 to 1.
        """
        if self.shown is not None and Role.SCORE in self.shown.layers:
            self.preview.show(self.shown.layers[Role.SCORE], lesions.level_of(threshold))

    def settle(self, settings: Segment) -> None:
        """Cut, clean and measure in a worker, then show the lesions.

        Parameters
        ----------
        settings : Segment
            Threshold, or that the scan chooses it; and the smallest lesion.
        """
        if self.shown is None:
            return self.preview.end()
        threshold = None if settings.auto_threshold else settings.threshold
        if (threshold, settings.peak, settings.min_lesion_mm3) == _how(self.shown) and not self._latest.busy:
            return self.preview.end()
        now = self.shown.tumours.data if self.shown.tumours is not None else None
        self._latest.ask(partial(_cut, self.shown, self.shown.result, now, self.shown.sum, threshold, settings))

    def _deliver(self, cut: Cut) -> None:
        shown = cut.shown
        if shown is not self.shown:
            return
        name = shown.tumours.name if shown.tumours is not None else ""
        shown.threshold, shown.peak, shown.min_lesion_mm3, shown.auto = cut.threshold, cut.peak, cut.min_lesion_mm3, cut.auto
        if cut.labels is shown.labels:
            shown.lesions = cut.lesions
        elif shown.put_labels(cut.labels, cut.lesions, cut.sum, new=cut.corrected):
            self.kept.emit(f"'{name}' was corrected by hand and is kept. The threshold now has a layer of its own.")
        self.preview.end()
        self.changed.emit()

    def _measure_again(self) -> None:
        """Measure the lesions after the user painted."""
        if self.shown is not None and self.shown.tumours is not None:
            self._latest.ask(partial(_measure, self.shown, self.shown.result, self.shown.tumours.data))

    def _refuse(self, finding: object) -> None:
        self.preview.end()
        self.refused.emit(finding)

    def _fail(self, sentence: str, details: str) -> None:
        self.preview.end()
        self.failed.emit(sentence, details)


def summary(shown: Shown) -> str:
    """Say what was found, so that "nothing found" is not taken for "not searched".

    Parameters
    ----------
    shown : Shown
        The result on screen.

    Returns
    -------
    str
        "3 lesions, 12.4 ml in all".
    """
    found = shown.lesions
    if not found:
        return f"Searched {shown.result.liver.ml:,.0f} ml of liver, threshold {shown.threshold:.2f}: nothing found"
    total_ml = math.fsum(lesion.volume_ml for lesion in found)
    return f"{len(found)} lesion{'s' if len(found) > 1 else ''}, {total_ml:,.1f} ml in all"


def _how(shown: Shown) -> tuple[float, float, float]:
    """How the tumours on screen were cut: threshold, lowest peak, smallest lesion."""
    return shown.threshold, shown.peak, shown.min_lesion_mm3


def _cut(shown: Shown, result: Result, now: Any, written: int, threshold: float | None, settings: Segment, job: Job) -> Cut:
    """Cut, clean and measure; and look whether the labels on screen are still those we wrote."""
    job.at("Measuring lesions", 0, 2)
    auto = threshold is None
    if auto:
        threshold = auto_threshold(result.score, result.liver.voxels)
        if now is not None and (threshold, settings.peak, settings.min_lesion_mm3) == _how(shown):
            return replace(_measure(shown, result, now, job), auto=True)
    labels = lesions.clean(result.score, threshold, settings.min_lesion_mm3, result.volume.geometry, settings.peak)
    job.at("Measuring lesions", 1, 2)
    found = lesions.measure(labels, result.volume, result.liver)
    corrected = now is not None and checksum(now) != written
    return Cut(shown, threshold, settings.peak, settings.min_lesion_mm3, labels, found, checksum(labels), corrected, auto)


def _measure(shown: Shown, result: Result, labels: Any, job: Job) -> Cut:
    """Measure labels that the user painted, leaving them as they are."""
    job.at("Measuring lesions", 0, 1)
    found = lesions.measure(labels, result.volume, result.liver)
    return Cut(shown, *_how(shown), labels, found, shown.sum, corrected=True, auto=shown.auto)
