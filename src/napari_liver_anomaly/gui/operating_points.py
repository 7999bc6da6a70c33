"""Points to work at that were measured for the chosen model: each says how many lesions it detects, and how many false ones it marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.models.card import OperatingPoint

AS_SET = "As set below"
TIP = "How sure a lesion has to be. Measured for this model on scans that it was not trained on: lesions detected, and false ones per scan"


class OperatingPoints(QComboBox):
    """A list of the points in a model's own card; empty and hidden for a model whose card has none."""

    wanted = Signal(float)  # lowest peak score

    def __init__(self) -> None:
        super().__init__()
        self.setToolTip(TIP)
        self.setAccessibleName("Operating point")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._points: Sequence[OperatingPoint] = ()
        self.activated.connect(self._choose)

    def offer(self, points: Sequence[OperatingPoint], score: float) -> None:
        """Offer these, of which that of the score is chosen."""
        self._points = points
        self.clear()
        self.addItems([AS_SET, *map(words_of, points)])
        self.follow(score)

    def follow(self, score: float) -> None:
        """Show which of them is set, if any."""
        scores = [round(point.min_peak_score, 2) for point in self._points]
        self.setCurrentIndex(1 + scores.index(round(score, 2)) if round(score, 2) in scores else 0)

    def _choose(self, index: int) -> None:
        if 0 < index <= len(self._points):
            self.wanted.emit(self._points[index - 1].min_peak_score)


def words_of(point: OperatingPoint) -> str:
    """Say what a point gives."""
    return f"{point.name.capitalize()}: detects {100 * point.sensitivity:.0f} % of lesions, {point.false_per_scan:.1f} false per scan"
