"""Buttons for sessions: open one, the recent ones, and save; none of them knows what a session is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from napari_liver_anomaly.gui.file_dialog import ask_file, ask_folder, ask_place
from napari_liver_anomaly.gui.style import plain
from napari_liver_anomaly.io.kept_sessions import local_time
from napari_liver_anomaly.io.session import ENDING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_liver_anomaly.io.kept_sessions import KeepSettings, KeptSession

SESSIONS = f"Sessions (*{ENDING})"


class SessionButtons(QWidget):
    """Open a session, or one of the recent ones."""

    opened = Signal(object)  # Path of a session
    scan_opened = Signal(object)  # Path of a scan
    switched = Signal(bool)  # whether sessions are to be kept
    moved = Signal(object)  # Path of the folder to keep them in from now on
    forgotten = Signal()

    def __init__(
        self, kept: Callable[[], tuple[KeepSettings, Path, Sequence[KeptSession]]], scans: Callable[[], Sequence[Path]]
    ) -> None:
        super().__init__()
        self._kept, self._scans = kept, scans
        self.open_button = QPushButton("Open session…")
        self.open_button.setToolTip("Open a reading that was saved: scan, liver, lesions, corrections and view")
        self.open_button.clicked.connect(self._choose)
        self.recent = QPushButton("Recent")
        self.recent.setToolTip(
            "Readings that were kept after a run, and scans that were opened; whether, where, and how to forget them"
        )
        self.menu = QMenu(self.recent)
        self.menu.setToolTipsVisible(True)
        self.menu.aboutToShow.connect(self.list_again)
        self.recent.setMenu(self.menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.open_button, stretch=1)
        row.addWidget(self.recent, stretch=1)

    def list_again(self) -> None:
        """List what is kept now."""
        (settings, folder, sessions), scans = self._kept(), self._scans()
        self.menu.clear()
        for session in sessions:
            self._act(_words(session), partial(self.opened.emit, session.path))
        if not sessions:
            self._act("No reading kept yet", None)
        self.menu.addSeparator()
        for scan in scans:
            self._act(f"Scan {scan.name}", partial(self.scan_opened.emit, scan)).setToolTip(plain(str(scan)))
        if scans:
            self.menu.addSeparator()
        keeping = self._act("Keep a session after each run", None)
        keeping.setEnabled(True)
        keeping.setCheckable(True)
        keeping.setChecked(settings.keep_sessions)
        keeping.setToolTip(
            "A session names the file of its scan, which may name a patient. Untick to keep none, and to list no more scans."
        )
        keeping.toggled.connect(self.switched)
        self._act(f"Kept in {folder}", None)
        self._act("Keep them in another folder…", self._choose_folder)
        known = len(sessions) + len(scans)
        self._act(f"Forget all {known}" if known else "Forget all", self.forgotten.emit if known else None)

    def _act(self, words: str, act: Callable[[], object] | None) -> QAction:
        """Add an entry; without an act it is there to be read."""
        action = QAction(words.replace("&", "&&"), self.menu)
        action.setToolTip(plain(words))
        action.setEnabled(act is not None)
        if act is not None:
            action.triggered.connect(lambda *_: act())
        self.menu.addAction(action)
        return action

    def _choose(self) -> None:
        if (path := ask_file(self, "Open a session", SESSIONS)) is not None:
            self.opened.emit(path)

    def _choose_folder(self) -> None:
        if (path := ask_folder(self, "Keep sessions in this folder")) is not None:
            self.moved.emit(path)


class SaveButton(QPushButton):
    """Save the reading, alive while there is a result."""

    wanted = Signal(object)  # Path of a file

    def __init__(self) -> None:
        super().__init__("Save session…")
        self.setToolTip("Save scan's place, liver, lesions, corrections, settings and view as one file, to go on later")
        self.setEnabled(False)
        self.clicked.connect(self._choose)

    def _choose(self) -> None:
        if (path := ask_place(self, "Save the session", f"reading{ENDING}", SESSIONS)) is not None:
            self.wanted.emit(path)


def _words(session: KeptSession) -> str:
    """Say of a session which scan it is, when it was saved, and what was found."""
    rows = session.about.get("lesions", ())
    count = sum(1 for row in rows if isinstance(row, dict) and row.get("kept", True))
    when = local_time(str(session.about.get("saved", "")))
    return f"{session.title}, {when}: {count} lesion{'s' * (count != 1)}".replace("\n", " ")
