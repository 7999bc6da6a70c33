"""The table of lesions: a click goes to the lesion, and a tick keeps it or leaves it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableView, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.lesions import Lesion

SEEN_ROWS, ROW_PX = 8, 20
COLUMNS = {
    "No.": "Number of the lesion, as in the tumours layer; 1 was the largest",
    "Slice": "Slice on which it is largest, as the viewer counts them; a click goes there",
    "ml": "Volume in ml",
    "mm": "Size on the slice where it is largest: longest diameter × largest extent across it, in mm",
    "HU": "Mean of the scan inside the lesion, in HU",
    "To liver": "Mean inside the lesion minus median of the other liver, in HU: negative is darker",
    "Keep": "Untick a lesion to leave it out of mask, table and export; tick it to have it back",
}
KEEP = list(COLUMNS).index("Keep")
AS_WIDE_AS_WORDS = ("No.", "Slice", "mm", "Keep")  # never cut off


@dataclass(frozen=True)
class LesionRow:
    """A lesion in the table: the slice on which it is largest, and whether it is kept."""

    lesion: Lesion
    slice: int
    kept: bool = True


class LesionModel(QAbstractTableModel):
    """Lesions as rows."""

    ticked = Signal(object, bool)  # Lesion, whether it is to be kept

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.lesions: Sequence[LesionRow] = ()

    def show(self, lesions: Sequence[LesionRow]) -> None:
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
        row = self.lesions[index.row()]
        if role == Qt.ItemDataRole.CheckStateRole and index.column() == KEEP:
            return Qt.CheckState.Checked if row.kept else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.DisplayRole:
            return cells(row)[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return COLUMNS["Keep"] if index.column() == KEEP else "Click to go there"
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Tell that a lesion is to be kept, or not; the row changes once that is so."""
        if role != Qt.ItemDataRole.CheckStateRole or index.column() != KEEP:
            return False
        self.ticked.emit(self.lesions[index.row()].lesion, Qt.CheckState(value) == Qt.CheckState.Checked)
        return True

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let the last column be ticked; a lesion that is left out is faint."""
        flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        if index.column() == KEEP:
            return flags | Qt.ItemFlag.ItemIsUserCheckable
        return flags if self.lesions[index.row()].kept else Qt.ItemFlag.ItemIsSelectable

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name a column."""
        if role == Qt.ItemDataRole.DisplayRole:
            return list(COLUMNS)[section]
        return list(COLUMNS.values())[section] if role == Qt.ItemDataRole.ToolTipRole else None


class LesionTable(QTableView):
    """Eight rows of lesions at least, more where there is room, the others by scrolling."""

    picked = Signal(object)  # Lesion
    ticked = Signal(object, bool)  # Lesion, whether it is to be kept

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = LesionModel(self)
        self.setModel(self._model)
        self._model.ticked.connect(self.ticked)
        numbers, names = QHeaderView(Qt.Orientation.Vertical, self), QHeaderView(Qt.Orientation.Horizontal, self)
        self.setVerticalHeader(numbers)
        self.setHorizontalHeader(names)
        numbers.setVisible(False)
        numbers.setMinimumSectionSize(ROW_PX)
        numbers.setDefaultSectionSize(ROW_PX)
        names.setMinimumSectionSize(24)
        names.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        for name in AS_WIDE_AS_WORDS:
            names.setSectionResizeMode(list(COLUMNS).index(name), QHeaderView.ResizeMode.ResizeToContents)
        names.setFixedHeight(ROW_PX)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setMinimumHeight(ROW_PX * (1 + SEEN_ROWS) + 4)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.clicked.connect(self._pick)
        if (selection := self.selectionModel()) is not None:
            selection.currentRowChanged.connect(self._pick)  # by the arrow keys, too
        self.show_lesions(None)

    def sizeHint(self) -> QSize:
        """Say how much room the table would like: what it needs at least, the rest is given."""
        return QSize(0, self.minimumHeight())

    def _pick(self, index: QModelIndex, _before: object = None) -> None:
        if 0 <= index.row() < len(self._model.lesions) and index.column() != KEEP:
            self.picked.emit(self._model.lesions[index.row()].lesion)

    def show_lesions(self, lesions: Sequence[LesionRow] | None) -> None:
        """Show the lesions of a result, of which there may be none; without a result the table hides."""
        rows = lesions or ()
        if list(rows) != list(self._model.lesions):
            self._model.show(rows)
        self.setVisible(lesions is not None)


def cells(row: LesionRow) -> tuple[str, ...]:
    """Say the measures of a lesion in the order of the columns."""
    lesion = row.lesion
    difference = "–" if lesion.difference_hu != lesion.difference_hu else _signed(lesion.difference_hu, "+")
    size = f"{lesion.long_mm:.0f} × {lesion.short_mm:.0f}"
    number = str(lesion.number) if row.kept else "–"  # by now another lesion may have its number
    return (number, str(row.slice), f"{lesion.volume_ml:.1f}", size, _signed(lesion.mean_hu), difference, "")


def _signed(hu: float, sign: str = "") -> str:
    """Give a whole number with a minus as long as a plus; zero has none."""
    whole = round(hu)
    return f"{whole:{sign}d}".replace("-", "−") if whole else "0"
