"""How many voxels of the liver have each score, drawn behind the slider of the threshold, with marks for Auto, the default and healthy livers.

What counts is told by place and shape as well as by colour: orange bars lie right of the line, Auto is a triangle, the default a dashed line; rings
stand where only a hundredth, a thousandth and a ten-thousandth of healthy liver score as high.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QAbstractSlider, QSizePolicy, QWidget

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray
    from qtpy.QtGui import QPaintEvent

HEIGHT_PX, HANDLE_PX, MARK_PX = 38, 10, 4
LEVELS = 5  # scores in one bar: 51 bars of 255 scores; a score of 0 counts at no threshold
BELOW, ABOVE = (
    QColor(128, 138, 152, 110),
    QColor(213, 94, 0, 190),
)  # grey and vermilion: told apart by every eye, on dark and light


class ScoreHistogram(QWidget):
    """Bars over the groove of a slider from 0.01 to 1; higher by the logarithm of the number of voxels."""

    def __init__(self, slider: QAbstractSlider, default: float) -> None:
        super().__init__()
        self._slider, self._default = slider, default
        self.bars: NDArray[np.float64] = np.empty(0)  # heights, 0 to 1
        self.auto: float | None = None
        self.healthy: Collection[float] = ()
        self._counts: NDArray[np.int64] | None = None
        self._threshold = default
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFixedHeight(HEIGHT_PX)  # with or without bars, so that nothing moves
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_counts(self, counts: NDArray[np.int64] | None, auto: float | None, healthy: Collection[float]) -> None:
        """Show how many voxels have each of the 256 scores, what Auto would choose, and which scores healthy livers hardly reach."""
        if counts is not self._counts or (auto, tuple(healthy)) != (self.auto, self.healthy):
            self._counts, self.auto, self.healthy = counts, auto, tuple(healthy)
            heights = np.log1p(np.empty(0) if counts is None else counts[1:].reshape(-1, LEVELS).sum(axis=1))
            self.bars = heights / max(1e-9, heights.max(initial=0))
            self.update()

    def follow(self, threshold: float) -> None:
        """Colour what counts at a threshold."""
        if threshold != self._threshold:
            self._threshold = threshold
            self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw bars and marks."""
        if not self.bars.size:
            return
        painter = QPainter(self)
        painter.setPen(Qt.PenStyle.NoPen)
        left, room = self._groove()
        top, bottom = float(2 * MARK_PX), HEIGHT_PX - self._slider.height() / 2  # they stand on the groove
        for number, bar in enumerate(self.bars):
            begin, end = (left + room * (LEVELS * (number + side) + 0.5) / 255 for side in (0, 1))
            count = (LEVELS * (number + 1)) / 255 >= self._threshold
            painter.setBrush(ABOVE if count else BELOW)
            painter.drawRect(QRectF(begin, bottom - bar * (bottom - top), end - begin, bar * (bottom - top)))
        text = self.palette().windowText().color()
        at = left + room * self._default
        painter.setPen(QPen(text, 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(at, top), QPointF(at, bottom))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(text, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for score in self.healthy:
            painter.drawEllipse(QPointF(left + room * score, MARK_PX), MARK_PX - 1, MARK_PX - 1)
        if self.auto is not None:
            at = left + room * self.auto
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(text)
            corners = (QPointF(at - MARK_PX, 0), QPointF(at + MARK_PX, 0), QPointF(at, top - 1))
            painter.drawPolygon(QPolygonF(corners))
        painter.end()

    def _groove(self) -> tuple[float, float]:
        """Left end and length of the way of the slider's handle, scores 0 to 1, in this widget."""
        inner = self._slider.findChild(QAbstractSlider) or self._slider
        left = self.mapFromGlobal(inner.mapToGlobal(inner.rect().topLeft())).x() + HANDLE_PX / 2
        room = float(inner.width() - HANDLE_PX)
        lowest = inner.minimum() / max(inner.maximum(), 1e-9)  # the way begins at 0.01
        room /= 1 - lowest
        return left - room * lowest, room
