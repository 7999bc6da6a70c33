"""The table of lesions: it sorts, a click or a key goes to a lesion, ticks keep it or make it a target, and a comment can be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QItemSelectionModel, QModelIndex, QSize, QSortFilterProxyModel, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTableView, QWidget

from napari_liver_anomaly.gui.lesion_model import COMMENT, KEEP, NAMES, SORT_ROLE, TARGET, LesionModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.gui.lesion_rows import LesionRow
    from napari_liver_anomaly.lesions import Lesion

SEEN_ROWS, ROW_PX, COMMENT_PX = 8, 20, 140
ONLY_THIS = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
SEEN_COLUMNS = NAMES[: NAMES.index("Score") + 1]  # without scrolling, in a panel as narrow as can be


class LesionTable(QTableView):
    """Eight rows of lesions at least, more where there is room, the others by scrolling."""

    picked = Signal(object)  # Lesion
    ticked = Signal(object, bool)  # Lesion, whether it is to be kept
    aimed = Signal(object, bool)  # Lesion, whether it is to be a target
    commented = Signal(object, str)  # Lesion, comment

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows, self._sorted = LesionModel(self), QSortFilterProxyModel(self)
        self._restoring = False
        self._sorted.setSourceModel(self.rows)
        self._sorted.setSortRole(SORT_ROLE)
        self.setModel(self._sorted)
        self.rows.ticked.connect(self.ticked)
        self.rows.aimed.connect(self.aimed)
        self.rows.commented.connect(self.commented)
        self._lay_out()
        self.clicked.connect(self._pick)
        if (selection := self.selectionModel()) is not None:
            selection.currentRowChanged.connect(self._pick)  # by the arrow keys, too
        self.show_lesions(None)

    def _lay_out(self) -> None:
        numbers, names = QHeaderView(Qt.Orientation.Vertical, self), QHeaderView(Qt.Orientation.Horizontal, self)
        self.setVerticalHeader(numbers)
        self.setHorizontalHeader(names)
        numbers.setVisible(False)
        numbers.setMinimumSectionSize(ROW_PX)
        numbers.setDefaultSectionSize(ROW_PX)
        names.setMinimumSectionSize(24)
        names.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        names.setSectionResizeMode(COMMENT, QHeaderView.ResizeMode.Interactive)
        self.setColumnWidth(COMMENT, COMMENT_PX)
        names.setStretchLastSection(True)
        names.setFixedHeight(ROW_PX)
        names.setSectionsClickable(True)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)
        names.setSortIndicatorShown(False)  # its arrow would widen the columns; the order says it
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setTabKeyNavigation(False)  # the key leads on to the next control
        self.setShowGrid(False)
        self.setAccessibleName("Lesions")
        self.setMinimumHeight(ROW_PX * (1 + SEEN_ROWS) + 4)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        """Say how much room the table would like: what it needs at least, the rest is given."""
        return QSize(0, self.minimumHeight())

    @property
    def lesions(self) -> tuple[LesionRow, ...]:
        """The rows in the order in which they are seen."""
        return tuple(self._row(n) for n in range(self._sorted.rowCount()))

    @property
    def chosen(self) -> tuple[LesionRow, ...]:
        """The rows that are selected."""
        selection = self.selectionModel()
        return tuple(self._row(index.row()) for index in selection.selectedRows()) if selection is not None else ()

    def step(self, by: int) -> None:
        """Go to the next lesion that is kept, or to the one before."""
        rows, at = self.lesions, self.currentIndex().row()
        if at < 0 and by < 0:
            at = len(rows)
        kept = [n for n, row in enumerate(rows) if row.kept and (n > at if by > 0 else n < at)]
        if kept and (selection := self.selectionModel()) is not None:  # Qt's own step would add a row while Ctrl or Shift is held
            selection.setCurrentIndex(self._sorted.index(kept[0] if by > 0 else kept[-1], 0), ONLY_THIS)

    def _row(self, row: int) -> LesionRow:
        return self.rows.lesions[self._sorted.mapToSource(self._sorted.index(row, 0)).row()]

    def _pick(self, index: QModelIndex, _before: object = None) -> None:
        if index.isValid() and not self._restoring and index.column() not in (KEEP, TARGET):
            self.picked.emit(self._row(index.row()).lesion)

    def show_lesions(self, lesions: Sequence[LesionRow] | None) -> None:
        """Show the lesions of a result, of which there may be none; without a result the table hides."""
        rows = lesions or ()
        if list(rows) != list(self.rows.lesions):
            before = self._row(self.currentIndex().row()) if self.currentIndex().isValid() else None
            self.rows.show(rows)
            if before is not None:
                self._choose_again(before)
        self.setVisible(lesions is not None)

    def _choose_again(self, before: LesionRow) -> None:
        """Select the lesion that was selected, whatever its number and place are now; the view stays where it is."""
        self._select(next((n for n, row in enumerate(self.lesions) if row.anchor == before.anchor), None))

    def choose(self, lesion: Lesion) -> None:
        """Select a lesion, without going there."""
        if not any(row.lesion == lesion for row in self.chosen):
            self._select(next((n for n, row in enumerate(self.lesions) if row.lesion == lesion), None))

    def _select(self, found: int | None) -> None:
        if found is None or (selection := self.selectionModel()) is None:
            return
        self._restoring = True
        selection.setCurrentIndex(self._sorted.index(found, 0), ONLY_THIS)
        self._restoring = False
