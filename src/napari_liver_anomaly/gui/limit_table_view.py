"""The table of a detection limit: found of inserted, by size and contrast, the more found the bluer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableWidget, QTableWidgetItem

from napari_liver_anomaly.detection.limit_table import cells_of

if TYPE_CHECKING:
    from napari_liver_anomaly.detection import DetectionLimit

ROW_PX = 22
NONE, ALL = QColor("#4a3b12"), QColor("#1f6fd0")  # brown to blue, which colour-blind eyes tell apart; both under white letters
EMPTY = QColor("#555555")


class LimitTable(QTableWidget):
    """A row for each size, a column for each contrast; hidden before a measurement."""

    def __init__(self) -> None:
        super().__init__()
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Lesions found of those inserted, by diameter and contrast")
        self.setToolTip("Found / inserted; a row for each diameter, a column for how much darker than the liver")
        self.show_limit(None)

    def show_limit(self, limit: DetectionLimit | None) -> None:
        """Show a detection limit; None hides the table."""
        self.setVisible(limit is not None)
        if limit is None:
            return
        rows = cells_of(limit)
        self.setRowCount(len(rows))
        self.setColumnCount(len(rows[0]) - 1)
        self.setHorizontalHeaderLabels([f"−{hu:g} HU" if hu else "0 HU" for hu in limit.settings.darker_hu])
        self.setVerticalHeaderLabels([row[0] for row in rows])
        for n, row in enumerate(rows):
            for k, words in enumerate(row[1:]):
                item = QTableWidgetItem(words)
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                item.setBackground(QBrush(_colour(int(limit.found[n, k]), int(limit.inserted[n, k]))))
                item.setForeground(QBrush(QColor("white")))
                self.setItem(n, k, item)
        for header in (self.horizontalHeader(), self.verticalHeader()):
            if header is not None:
                header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
                header.setMinimumSectionSize(ROW_PX)
        self.setFixedHeight(ROW_PX * (1 + len(rows)) + 6)


def _colour(found: int, inserted: int) -> QColor:
    if not inserted:
        return EMPTY
    share = found / inserted
    low, high = NONE.getRgb(), ALL.getRgb()
    return QColor(*(round((a or 0) + ((b or 0) - (a or 0)) * share) for a, b in zip(low[:3], high[:3], strict=True)))
