"""The model behind the table of lesions: what each cell shows, how it sorts, and what can be ticked or written in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QModelIndex, Qt, Signal

from napari_liver_anomaly.gui.lesion_rows import MOST_LETTERS
from napari_liver_anomaly.gui.row_model import RowModel
from napari_liver_anomaly.gui.style import plain

if TYPE_CHECKING:
    from napari_liver_anomaly.gui.lesion_rows import LesionRow

COLUMNS = {
    "No.": "Number of the lesion, as in the tumours layer; 1 was the largest. With “?” where it may be a simple cyst",
    "Keep": "Untick a lesion to leave it out of mask, table and export; tick it to have it back",
    "Slice": "Slice on which it is largest, counted from 0 at the head as the viewer does; a click goes there",
    "ml": "Volume in ml",
    "mm": "Size on the slice where it is largest: longest diameter × largest extent across it, in mm",
    "Δ HU": "Mean inside the lesion minus median of the other liver, in HU: negative is darker",
    "Score": "Highest anomaly score inside, 0 to 1",
    "Target": "Tick up to two target lesions: their long diameters are added below the table",
    "HU": "Mean of the scan inside the lesion, in HU; with “cyst?” where it is as dark and even as water, with a sharp edge",
    "Drawn": "By the program, corrected by hand, or by hand alone",
    "Comment": "Double-click to write; it is kept with the session and exported",
}
NAMES = list(COLUMNS)
KEEP, SLICE, TARGET, COMMENT = (NAMES.index(name) for name in ("Keep", "Slice", "Target", "Comment"))
DRAWN = {"automatic": "program", "corrected": "corrected", "manual": "by hand"}
MAY_BE_CYST = "As dark and even as water, with a sharp edge: may be a simple cyst. Click to go there"
SORT_ROLE = Qt.ItemDataRole.UserRole


class LesionModel(RowModel):
    """Lesions as rows."""

    ticked = Signal(object, bool)  # Lesion, whether it is to be kept
    aimed = Signal(object, bool)  # Lesion, whether it is to be a target
    commented = Signal(object, str)  # Lesion, comment

    columns = COLUMNS

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Say what a cell shows."""
        row, column = self.lesions[index.row()], index.column()
        if role == Qt.ItemDataRole.CheckStateRole and column in (KEEP, TARGET):
            return Qt.CheckState.Checked if (row.kept if column == KEEP else row.target) else Qt.CheckState.Unchecked
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return cells(row)[column]
        if role == SORT_ROLE:
            return sort_keys(row)[column]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignCenter if column != COMMENT else Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain(row.comment or COLUMNS["Comment"]) if column == COMMENT else _tip(row, column)
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Tell what the user ticked or wrote; the row changes once that is so."""
        lesion = self.lesions[index.row()].lesion
        if role == Qt.ItemDataRole.CheckStateRole and index.column() in (KEEP, TARGET):
            told = self.ticked if index.column() == KEEP else self.aimed
            told.emit(lesion, Qt.CheckState(value) == Qt.CheckState.Checked)
            return True
        if role == Qt.ItemDataRole.EditRole and index.column() == COMMENT:
            self.commented.emit(lesion, " ".join(str(value).split())[:MOST_LETTERS])
            return True
        return False

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Let two columns be ticked and one be written; a lesion that is left out is faint."""
        flags, kept = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled, self.lesions[index.row()].kept
        if index.column() == COMMENT:
            return flags | Qt.ItemFlag.ItemIsEditable
        if index.column() == KEEP or (index.column() == TARGET and kept):
            return flags | Qt.ItemFlag.ItemIsUserCheckable
        return flags if kept else Qt.ItemFlag.ItemIsSelectable


def _tip(row: LesionRow, column: int) -> str:
    if column in (KEEP, TARGET):
        return list(COLUMNS.values())[column]
    if column == SLICE and row.place:
        return f"{row.place}. Counted from 0 at the head: slice {row.slice}. Click to go there"
    if row.origin == "automatic":
        return MAY_BE_CYST if row.lesion.may_be_cyst else "Click to go there"
    return (
        "You drew in it: it stays as it is at every threshold"
        if row.fixed
        else "What you erased stays away; the rest follows the threshold"
    )


def cells(row: LesionRow) -> tuple[str, ...]:
    """Say the measures of a lesion in the order of the columns."""
    lesion = row.lesion
    difference = "–" if lesion.difference_hu != lesion.difference_hu else _signed(lesion.difference_hu, "+")
    size = f"{lesion.long_mm:.0f} × {lesion.short_mm:.0f}"
    mean = _signed(lesion.mean_hu) + (" cyst?" if lesion.may_be_cyst else "")
    number = str(lesion.number) if row.kept else "–"  # by now another lesion may have its number
    number += " ?" if lesion.may_be_cyst else ""
    return (
        number, "", str(row.slice), f"{lesion.volume_ml:.1f}", size, difference, f"{row.score:.2f}", "", mean,
        DRAWN[row.origin], row.comment,
    )  # fmt: skip


def sort_keys(row: LesionRow) -> tuple[Any, ...]:
    """Say by what each column sorts; a lesion that is left out comes after all numbers."""
    lesion = row.lesion
    difference = lesion.difference_hu if lesion.difference_hu == lesion.difference_hu else 1e6
    return (
        lesion.number if row.kept else 10**6 + lesion.number, row.kept, row.slice, lesion.volume_ml, lesion.long_mm,
        difference, row.score, row.target, lesion.mean_hu, DRAWN[row.origin], row.comment.casefold(),
    )  # fmt: skip


def _signed(hu: float, sign: str = "") -> str:
    """Give a whole number with a minus as long as a plus; zero has none."""
    whole = round(hu)
    return f"{whole:{sign}d}".replace("-", "−") if whole else "0"
