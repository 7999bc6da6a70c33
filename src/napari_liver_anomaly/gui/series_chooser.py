"""Choose one series of a DICOM folder by preview and description."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QRect, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QImage, QPalette, QPixmap
from qtpy.QtWidgets import QFrame, QListWidget, QListWidgetItem, QSizePolicy, QStyle, QStyledItemDelegate

from napari_liver_anomaly.gui.style import BLUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from qtpy.QtCore import QModelIndex
    from qtpy.QtGui import QPainter
    from qtpy.QtWidgets import QStyleOptionViewItem, QWidget

    from napari_liver_anomaly.gui.loading import SeriesEntry

PICTURE_PX, GAP_PX = 64, 4
ROW_PX = PICTURE_PX + 2 * GAP_PX
SEEN_ROWS = 3
LINES, PICTURE = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1
NUMBER = Qt.ItemDataRole.UserRole + 2
LINES_SEEN, SMALLER = 4, 0.88
FAINT = 0.5  # how strong a series that cannot be read is drawn


class SeriesChooser(QListWidget):
    """A list of series, the longest that can be read chosen first; those that cannot be read are grey, with the reason."""

    opened = Signal(int)  # number of a series that was double-clicked
    choice_changed = Signal(bool)  # whether there is one

    def __init__(self, listed: Sequence[SeriesEntry], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setItemDelegate(SeriesRow(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(ROW_PX * min(max(len(listed), 1), SEEN_ROWS) + 2)
        for entry in listed:
            self.addItem(_item(entry))
        readable = [n for n, entry in enumerate(listed) if entry.series.readable]
        if readable:
            self.setCurrentRow(max(readable, key=lambda n: listed[n].series.slices))
        self.itemDoubleClicked.connect(self._open)
        self.currentItemChanged.connect(lambda *_: self.choice_changed.emit(self.number is not None))

    @property
    def number(self) -> int | None:
        """Number of the chosen series; None when none that can be read is."""
        item = self.currentItem()
        return item.data(NUMBER) if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled else None

    def _open(self, item: QListWidgetItem) -> None:
        if item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.opened.emit(item.data(NUMBER))


class SeriesRow(QStyledItemDelegate):
    """Draws a series: its picture at the left, up to four lines beside it, the first in bold."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """Say how much room a row takes."""
        return QSize(PICTURE_PX, ROW_PX)

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw a row."""
        if painter is None:
            return
        painter.save()
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if chosen:
            painter.fillRect(option.rect, QColor(BLUE))
        if not index.flags() & Qt.ItemFlag.ItemIsEnabled:
            painter.setOpacity(FAINT)
        area = option.rect.adjusted(GAP_PX, GAP_PX, -GAP_PX, -GAP_PX)
        frame = QRect(area.left(), area.top(), PICTURE_PX, PICTURE_PX)
        painter.fillRect(frame, Qt.GlobalColor.black)
        if (picture := index.data(PICTURE)) is not None:
            painter.drawPixmap(frame, picture)
        ink = option.palette.color(QPalette.ColorGroup.Normal, QPalette.ColorRole.Text)
        painter.setPen(QColor("white") if chosen else ink)
        left, font = frame.right() + 2 * GAP_PX, QFont(option.font)
        size_pt = font.pointSizeF()
        lines = index.data(LINES)
        step, top, free = PICTURE_PX // LINES_SEEN, area.top(), LINES_SEEN - len(lines)
        for n, text in enumerate(lines):
            font.setBold(n == 0)
            font.setPointSizeF(size_pt if n == 0 else SMALLER * size_pt)
            painter.setFont(font)
            width, wanted = area.right() - left, painter.fontMetrics().horizontalAdvance(text)
            rows = 2 if wanted > width and free > 0 and n > 0 else 1  # a long line may take a second where one is left
            free -= rows - 1
            fits = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(width * (1.8 if rows > 1 else 1)))
            flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            place = QRect(left, top, width, rows * step)
            painter.drawText(place, flags | Qt.TextFlag.TextWordWrap if rows > 1 else flags, fits)
            top += rows * step
        painter.restore()


def lines_of(series: Any, reason: str = "") -> tuple[str, ...]:
    """Say what a series is."""
    known = "" if series.archive_number is None else f" (archive: {series.archive_number})"
    title = f"Series {series.number}{known}" + (f", {series.phase}" if series.phase else "")
    kind = series.kind[:1].upper() + series.kind[1:]
    z, y, x = series.spacing_mm
    count = "1 slice" if series.slices == 1 else f"{series.slices} slices"
    size = f"{count}, {x:.2f} × {y:.2f} × {z:.1f} mm" if isfinite(z + y + x) else count
    if not series.readable:
        return tuple(text for text in (f"{title}: cannot be read", reason or f"{kind}, {count}", series.description) if text)
    return tuple(text for text in (title, kind, size, series.description) if text)


def tip_of(series: Any, reason: str = "") -> str:
    """Say all that is known of a series."""
    thick = "" if series.thickness_mm is None else f", {series.thickness_mm:.1f} mm thick"
    return "\n".join((*lines_of(series, reason), f"{series.slices} slices of {series.columns} × {series.rows} pixels{thick}"))


def _item(listed: SeriesEntry) -> QListWidgetItem:
    lines = lines_of(listed.series, listed.reason)
    item = QListWidgetItem()
    item.setData(LINES, lines)
    item.setData(NUMBER, listed.series.number)
    item.setToolTip(tip_of(listed.series, listed.reason))
    item.setData(Qt.ItemDataRole.AccessibleTextRole, ", ".join(lines))
    if listed.thumbnail is not None:
        item.setData(PICTURE, _pixmap(listed.thumbnail))
    if not listed.series.readable:
        item.setFlags(Qt.ItemFlag.NoItemFlags)
    return item


def _pixmap(grey: NDArray[np.uint8]) -> QPixmap:
    rows, columns = grey.shape
    values = grey.tobytes()  # must live until the picture is copied
    return QPixmap.fromImage(QImage(values, columns, rows, columns, QImage.Format.Format_Grayscale8))
