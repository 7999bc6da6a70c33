"""Ask for a file or a folder without a trace: Qt would keep the folders, whose names may be those of patients."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QFileDialog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtpy.QtWidgets import QWidget

HOME = str(Path.home())  # where each dialog begins: Qt would begin where the last one ended, in the folder of a patient
KEPT = ("FileDialog/history", "FileDialog/lastVisited")  # where Qt's own dialog writes, for all programs of the user


def ask_file(parent: QWidget, title: str, kinds: str) -> Path | None:
    """Ask for a file to read."""
    with _history_kept():
        name, _ = QFileDialog.getOpenFileName(parent, title, HOME, kinds)
    return Path(name) if name else None


def ask_place(parent: QWidget, title: str, name: str, kinds: str) -> Path | None:
    """Ask for a file to write, whose name has the first ending of its kind unless it has one."""
    with _history_kept():
        chosen, kind = QFileDialog.getSaveFileName(parent, title, str(Path(HOME) / name), kinds)
    if not chosen:
        return None
    ending = kind.rpartition("*")[2].rstrip(")")
    return Path(chosen if not ending or chosen.endswith(ending) or Path(chosen).suffix else chosen + ending)


def ask_folder(parent: QWidget, title: str) -> Path | None:
    """Ask for a folder."""
    with _history_kept():
        name = QFileDialog.getExistingDirectory(parent, title, HOME)
    return Path(name) if name else None


@contextmanager
def _history_kept() -> Iterator[None]:
    """Leave Qt's history of folders as it was before."""
    settings = QSettings(QSettings.Scope.UserScope, "QtProject")
    before = {key: settings.value(key) for key in KEPT if settings.contains(key)}
    try:
        yield
    finally:
        settings.sync()
        for key in KEPT:
            if key in before:
                settings.setValue(key, before[key])
            else:
                settings.remove(key)
        settings.sync()
