"""Closing the window: ask first during a run, then stop it; and what is to be done before it closes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QMessageBox, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.gui.background import Task


class WindowWatch(QObject):
    """Notices that the outermost window of a panel is about to close."""

    def __init__(self, panel: QWidget) -> None:
        super().__init__(panel)
        self._panel = panel
        self._window: ref[QWidget] | None = None

    def watch(self) -> None:
        """Begin to watch."""
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
        """Tell that the window closes; whether it stays open."""
        window = self._window() if self._window is not None else None
        if event is None or event.type() != QEvent.Type.Close or window is None or watched is not window:
            return False
        return self._stays(window, event)

    def _stays(self, window: QWidget, event: QEvent) -> bool:
        """Say whether the window must stay open."""
        raise NotImplementedError


class ClosingGuard(WindowWatch):
    """Asks before a run is stopped; watches while one is in progress."""

    def __init__(self, panel: QWidget, run: Task, ask: Callable[[QWidget], bool] | None = None) -> None:
        super().__init__(panel)
        self._run, self._ask = run, ask or ask_to_stop
        run.ended.connect(self.release)

    def _stays(self, window: QWidget, event: QEvent) -> bool:
        """Ask when the user closes the window; when a program closes it, just stop the run."""
        if not self._run.busy:
            return False
        if event.spontaneous() and not self._ask(window):
            event.ignore()
            return True
        self._run.cancel()
        return False


class LastAct(WindowWatch):
    """Does something just before the window closes, and asks whether to close all the same when that failed."""

    def __init__(
        self, panel: QWidget, act: Callable[[], Finding | None], ask: Callable[[QWidget, Finding], bool] | None = None
    ) -> None:
        super().__init__(panel)
        self._act, self._ask = act, ask or ask_to_lose

    def _stays(self, window: QWidget, event: QEvent) -> bool:
        """Ask when the user closes the window; when a program closes it, nobody is there to answer."""
        failed = self._act()
        if failed is None or not event.spontaneous() or self._ask(window, failed):
            return False
        event.ignore()
        return True


def ask_to_stop(window: QWidget) -> bool:
    """Ask whether to stop the run and close."""
    buttons = QMessageBox.StandardButton
    title, text = "A run is in progress", "A run is in progress. Stop it and close the window? Its result will not be kept."
    return QMessageBox.question(window, title, text, buttons.Close | buttons.Cancel, buttons.Cancel) == buttons.Close


def ask_to_lose(window: QWidget, failed: Finding) -> bool:
    """Ask whether to close although the last corrections could not be kept."""
    buttons = QMessageBox.StandardButton
    text = f"The last corrections could not be kept. {failed} Close all the same, and lose them?"
    return QMessageBox.question(window, "Not kept", text, buttons.Close | buttons.Cancel, buttons.Cancel) == buttons.Close


def _outermost(widget: QWidget) -> QWidget:
    """Give napari's main window, also when the dock floats beside it."""
    while (parent := widget.parentWidget()) is not None:
        widget = parent
    return widget
