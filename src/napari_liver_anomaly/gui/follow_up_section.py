"""Follow-up in the panel: choose last time's session, see each lesion then and now, with outlines of the earlier ones on this scan."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QHeaderView, QPushButton, QTableView, QVBoxLayout, QWidget

from napari_liver_anomaly.follow_up import Reading, follow_up
from napari_liver_anomaly.gui.availability import allow
from napari_liver_anomaly.gui.file_dialog import ask_file, ask_place
from napari_liver_anomaly.gui.help_link import HelpLink
from napari_liver_anomaly.gui.lesion_state import after_edits
from napari_liver_anomaly.gui.message_area import MessageArea
from napari_liver_anomaly.gui.open_box import FILES, PATTERNS
from napari_liver_anomaly.gui.style import say, small
from napari_liver_anomaly.io.earlier_reading import Place, read_reading
from napari_liver_anomaly.io.follow_up_table import write_follow_up
from napari_liver_anomaly.io.session import ENDING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_liver_anomaly.follow_up import FollowedLesion, FollowUp
    from napari_liver_anomaly.gui.saved_session import Seen
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.sparse_labels import SparseLabels

OUTDATED = "The lesions of this scan have changed since they were compared."
ROWS, ROW_PX = 5, 20
EARLIER = f"Sessions and lesion masks (*{ENDING} {' '.join(PATTERNS)})"
COLUMNS = {
    "Then": "Number of the lesion last time",
    "Now": "Number of the lesion in the table of lesions",
    "ml": "Volume then → now, in ml",
    "mm": "Longest diameter then → now, in mm",
    "Δ ml": "Change of volume in percent",
    "State": "Followed, new, vanished, merged or split; or not searched, where the liver of the other time does not reach",
}


class FollowUpModel(QAbstractTableModel):
    """Rows of a follow-up."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: tuple[FollowedLesion, ...] = ()

    def show(self, rows: tuple[FollowedLesion, ...]) -> None:
        """Show other rows."""
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Count the rows."""
        return len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Count the columns."""
        return len(COLUMNS)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Say what a cell shows."""
        if role == Qt.ItemDataRole.DisplayRole:
            return cells(self.rows[index.row()])[index.column()]
        return Qt.AlignmentFlag.AlignCenter if role == Qt.ItemDataRole.TextAlignmentRole else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Name a column."""
        if role == Qt.ItemDataRole.DisplayRole:
            return list(COLUMNS)[section]
        return list(COLUMNS.values())[section] if role == Qt.ItemDataRole.ToolTipRole else None


class FollowUpSection(QWidget):
    """Two buttons above a small table."""

    wanted = Signal(object)  # Place of last time's reading
    picked = Signal(object)  # FollowedLesion
    again = Signal()  # what was compared is to be compared as it is now
    exported = Signal(object)  # Path of a file

    def __init__(self) -> None:
        super().__init__()
        self.found: FollowUp | None = None
        self.compare = QPushButton("Compare with last time…")
        self.compare.setToolTip(
            "Choose the session of an earlier scan of this patient, or lesions with their scan and liver; the lesions are outlined on this scan"
        )
        self.compare.clicked.connect(self._choose)
        self.export = QPushButton("Save table…")
        self.export.setToolTip("Write the comparison as a table (.csv), or with the alignment (.json)")
        self.export.clicked.connect(self._choose_place)
        self.renew = QPushButton("Compare again")
        self.renew.clicked.connect(self.again)
        self.text, self.question = small(), MessageArea()
        self.table, self._model = QTableView(), FollowUpModel(self)
        self.table.setModel(self._model)
        numbers, names = QHeaderView(Qt.Orientation.Vertical, self.table), QHeaderView(Qt.Orientation.Horizontal, self.table)
        self.table.setVerticalHeader(numbers)
        self.table.setHorizontalHeader(names)
        numbers.setVisible(False)
        numbers.setMinimumSectionSize(ROW_PX)
        numbers.setDefaultSectionSize(ROW_PX)
        names.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        names.setStretchLastSection(True)
        self.table.setShowGrid(False)
        self.table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        self.table.setMinimumHeight(ROW_PX * (ROWS + 1) + 6)
        self.table.setTabKeyNavigation(False)  # the key leads on to the next control
        self.table.setAccessibleName("Follow-up")
        self.table.setToolTip("Click a row, or use the arrow keys, to go to its lesion; to where it was, when it is gone")
        self.table.clicked.connect(self._pick)
        if (selection := self.table.selectionModel()) is not None:
            selection.currentRowChanged.connect(self._pick)  # by the arrow keys, too
        buttons = QHBoxLayout()
        buttons.addWidget(self.compare, stretch=1)
        buttons.addWidget(self.renew)
        buttons.addWidget(self.export)
        buttons.addWidget(HelpLink("Compare with last time"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.question)
        layout.addWidget(self.text)
        layout.addWidget(self.table, stretch=1)
        layout.addStretch()  # keeps a question together while there is no table
        self.show_found(None)

    def show_found(self, found: FollowUp | None, *, outdated: bool = False) -> None:
        """Show a comparison, or none; one that is outdated is of lesions that have changed since."""
        self.found = found
        self._model.show(found.rows if found is not None else ())
        self.table.setVisible(found is not None)
        self.export.setVisible(found is not None)
        self.renew.setVisible(outdated)
        allow(self.export, OUTDATED if outdated else "")
        say(self.text, OUTDATED if outdated else found.summary if found is not None else "")

    def _pick(self, index: QModelIndex, _before: object = None) -> None:
        if 0 <= index.row() < len(self._model.rows):
            self.picked.emit(self._model.rows[index.row()])

    def _choose(self) -> None:
        """Ask for a session; for lesions alone also for the scan and the liver that they lie in."""
        path = ask_file(self, "Choose the session of last time, or its lesion mask", EARLIER)
        if path is None or path.name.endswith(ENDING):
            return self.wanted.emit(Place(path)) if path is not None else None
        scan = ask_file(self, "Choose the CT scan of last time", FILES)
        liver = ask_file(self, "Choose the liver mask of last time", FILES) if scan is not None else None
        return self.wanted.emit(Place(path, scan, liver)) if liver is not None else None

    def _choose_place(self) -> None:
        if (path := ask_place(self, "Save the comparison", "follow-up.csv", "Table (*.csv);;JSON (*.json)")) is not None:
            self.exported.emit(path)


@dataclass(frozen=True, eq=False)
class Compared:
    """A comparison, with what was compared."""

    found: FollowUp
    place: Place
    lesions: SparseLabels  # of now, by the numbers that the comparison gives


def compare(seen: Seen, place: Place, job: Job) -> Compared:
    """Compare what is on screen with an earlier reading; in a worker."""
    state = after_edits(seen.shown.prepared, seen.state, seen.data)
    job.at("Reading last time", 0, 1)
    found = follow_up(read_reading(place, job=job), Reading(liver=seen.shown.result.liver, lesions=state.labels), job=job)
    return Compared(found, place, state.labels)


def write_table(found: FollowUp, path: Path, job: Job) -> tuple[Path, ...]:
    """Write a comparison; in a worker."""
    job.at("Writing", 0, 1)
    write_follow_up(found, path)
    return (path,)


def cells(row: FollowedLesion) -> tuple[str, ...]:
    """Say a row in the order of the columns."""
    change = row.change_ml_percent
    return (
        "+".join(map(str, row.then)) or "–", "+".join(map(str, row.now)) or "–", f"{_said(row.then_ml, 1)} → {_said(row.now_ml, 1)}",
        f"{_said(row.then_mm, 0)} → {_said(row.now_mm, 0)}",
        "–" if math.isnan(change) else f"{change:+.0f} %".replace("-", "−"), row.state,
    )  # fmt: skip


def _said(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if value else "–"
