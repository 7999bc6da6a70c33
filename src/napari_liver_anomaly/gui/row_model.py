"""A table of rows behind a view: how many there are, and what its columns are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtWidgets import QWidget


class RowModel(QAbstractTableModel):
    """Lesions as rows; what a cell shows is the subclass's."""

    columns: ClassVar[Mapping[str, str]]  # names, and what each is

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.lesions: Sequence[Any] = ()

    def show(self, lesions: Sequence[Any]) -> None:
        """Show other lesions."""
        self.beginResetModel()
        self.lesions = lesions
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Count the lesions."""
        return len(self.lesions)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Count the columns."""
        return len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name a column."""
        if orientation is Qt.Orientation.Vertical:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return list(self.columns)[section]
        return list(self.columns.values())[section] if role == Qt.ItemDataRole.ToolTipRole else None
