"""Closing the window during a run: ask first, then stop."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.gui.background import Task


class ClosingGuard(QObject):
    """Watches the outermost window of a panel while a run is in progress."""

    def __init__(self, panel: QWidget, run: Task, ask: Callable[[QWidget], bool] | None = None) -> None:
        super().__init__(panel)
        self._panel, self._run, self._ask = panel, run, ask or ask_to_stop
        self._window: ref[QWidget] | None = None
        run.ended.connect(self.release)

    def watch(self) -> None:
        """Begin to watch; call it when the run starts."""
        self.release()
        window = _outermost(self._panel)
        window.installEventFilter(self)
        self._window = ref(window)  # the window may go before the panel's last trace does

    def release(self) -> None:
        """Watch no longer."""
        window = self._window() if self._window is not None else None
        if window is not None and isalive(window):
            window.removeEventFilter(self)
        self._window = None

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Ask when the user closes the window; when a program closes it, just stop the run."""
        window = self._window() if self._window is not None else None
        closing = event is not None and event.type() == QEvent.Type.Close
        if closing and event is not None and window is not None and watched is window and self._run.busy:
            if event.spontaneous() and not self._ask(window):
                event.ignore()
                return True
            self._run.cancel()
        return False


def ask_to_stop(window: QWidget) -> bool:
    """Ask whether to stop the run and close."""
    buttons = QMessageBox.StandardButton
    title, text = "A run is in progress", "A run is in progress. Stop it and close the window? Its result will not be kept."
    return QMessageBox.question(window, title, text, buttons.Close | buttons.Cancel, buttons.Cancel) == buttons.Close


def _outermost(widget: QWidget) -> QWidget:
    """Give napari's main window, also when the dock floats beside it."""
    while (parent := widget.parentWidget()) is not None:
        widget = parent
    return widget
