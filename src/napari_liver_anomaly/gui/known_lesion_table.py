"""The table of lesions whose place is known: what a model made of each; a click goes there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QModelIndex, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableView

from napari_liver_anomaly.gui.row_model import RowModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.detection import KnownLesion

ROWS, ROW_PX = 5, 20
COLUMNS = {
    "Slice": "Slice on which it is largest, as the viewer counts them; a click goes there",
    "mm": "Diameter of a ball of its volume, in mm",
    "HU": "How much the scan was changed inside it, in HU: negative is darker",
    "Score": "Highest anomaly score inside it, 0 to 1",
    "Dice": "Overlap with the lesions found that touch it, 0 to 1",
    "Found": "Yes when one voxel of it is in a lesion that the model found",
}


class KnownLesionModel(RowModel):
    """Lesions of known place as rows."""

    columns = COLUMNS

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Say what a cell shows."""
        if role == Qt.ItemDataRole.DisplayRole:
            return cells(self.lesions[index.row()])[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignCenter
        return "Click to go there" if role == Qt.ItemDataRole.ToolTipRole else None


class KnownLesionTable(QTableView):
    """A few rows, the others by scrolling; hidden without a search."""

    picked = Signal(object)  # KnownLesion

    def __init__(self) -> None:
        super().__init__()
        self._model = KnownLesionModel(self)
        self.setModel(self._model)
        numbers, names = QHeaderView(Qt.Orientation.Vertical, self), QHeaderView(Qt.Orientation.Horizontal, self)
        self.setVerticalHeader(numbers)
        self.setHorizontalHeader(names)
        numbers.setVisible(False)
        numbers.setMinimumSectionSize(ROW_PX)
        numbers.setDefaultSectionSize(ROW_PX)
        names.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        names.setFixedHeight(ROW_PX)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setFixedHeight(ROW_PX * (1 + ROWS) + 4)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Anomalies, and what the model made of each")
        self.clicked.connect(self._pick)
        if (selection := self.selectionModel()) is not None:
            selection.currentRowChanged.connect(self._pick)  # by the arrow keys, too
        self.show_lesions(None)

    def show_lesions(self, lesions: Sequence[KnownLesion] | None) -> None:
        """Show the lesions of a search; None hides the table."""
        self._model.show(lesions or ())
        self.setVisible(lesions is not None)

    def _pick(self, index: QModelIndex, _before: object = None) -> None:
        if 0 <= index.row() < len(self._model.lesions):
            self.picked.emit(self._model.lesions[index.row()])


def cells(lesion: KnownLesion) -> tuple[str, ...]:
    """Say what a row shows."""
    change = f"{round(lesion.change_hu):+d}".replace("-", "−")
    found = "yes" if lesion.found else "no"
    return (str(lesion.centre[0]), f"{lesion.equivalent_mm:.0f}", change, f"{lesion.peak_score:.2f}", f"{lesion.dice:.2f}", found)
