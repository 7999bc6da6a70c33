"""The table of lesions; a click goes to the lesion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.lesions import Lesion

SEEN_ROWS, ROW_PX = 3, 22
COLUMNS = {
    "No.": "Number of the lesion, as in the tumours layer; 1 was the largest",
    "ml": "Volume in ml",
    "mm": "Size on the slice where it is largest: longest diameter × largest extent across it, in mm",
    "HU": "Mean of the scan inside the lesion, in HU",
    "To liver": "Mean inside the lesion minus median of the other liver, in HU: negative is darker",
}


class LesionModel(QAbstractTableModel):
    """Lesions as rows."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.lesions: Sequence[Lesion] = ()

    def show(self, lesions: Sequence[Lesion]) -> None:
        """Show other lesions."""
        self.beginResetModel()
        self.lesions = lesions
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Count the lesions."""
        return len(self.lesions)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Count the measures."""
        return len(COLUMNS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Say what a cell shows."""
        if role == Qt.ItemDataRole.DisplayRole:
            return cells(self.lesions[index.row()])[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignCenter
        return "Click to go there" if role == Qt.ItemDataRole.ToolTipRole else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name a column."""
        if role == Qt.ItemDataRole.DisplayRole:
            return list(COLUMNS)[section]
        return list(COLUMNS.values())[section] if role == Qt.ItemDataRole.ToolTipRole else None


class LesionTable(QTableView):
    """A few rows of lesions, the others by scrolling."""

    picked = Signal(object)  # Lesion

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = LesionModel(self)
        self.setModel(self._model)
        numbers, names = QHeaderView(Qt.Orientation.Vertical, self), QHeaderView(Qt.Orientation.Horizontal, self)
        self.setVerticalHeader(numbers)
        self.setHorizontalHeader(names)
        numbers.setVisible(False)
        numbers.setDefaultSectionSize(ROW_PX)
        names.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        names.setSectionResizeMode(list(COLUMNS).index("mm"), QHeaderView.ResizeMode.ResizeToContents)  # never cut off
        names.setFixedHeight(ROW_PX)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.clicked.connect(self._pick)
        if (selection := self.selectionModel()) is not None:
            selection.currentRowChanged.connect(self._pick)  # by the arrow keys, too
        self.show_lesions(())

    def _pick(self, index: QModelIndex, _before: object = None) -> None:
        if 0 <= index.row() < len(self._model.lesions):
            self.picked.emit(self._model.lesions[index.row()])

    def show_lesions(self, lesions: Sequence[Lesion]) -> None:
        """Show lesions; without any the table hides."""
        if list(lesions) != list(self._model.lesions):
            self._model.show(lesions)
        self.setFixedHeight(ROW_PX * (1 + min(len(lesions), SEEN_ROWS)) + 4)
        self.setVisible(bool(lesions))


def cells(lesion: Lesion) -> tuple[str, ...]:
    """Say the measures of a lesion in the order of the columns."""
    difference = "–" if lesion.difference_hu != lesion.difference_hu else _signed(lesion.difference_hu, "+")
    size = f"{lesion.long_mm:.0f} × {lesion.short_mm:.0f}"
    return (str(lesion.number), f"{lesion.volume_ml:.1f}", size, _signed(lesion.mean_hu), difference)


def _signed(hu: float, sign: str = "") -> str:
    """Give a whole number with a minus as long as a plus; zero has none."""
    whole = round(hu)
    return f"{whole:{sign}d}".replace("-", "−") if whole else "0"
