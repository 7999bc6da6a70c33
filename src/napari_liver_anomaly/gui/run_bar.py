"""The run button, which becomes Cancel, with progress and the device of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.style import restyle, say, small

if TYPE_CHECKING:
    from qtpy.QtGui import QMouseEvent

    from napari_liver_anomaly.job import Progress


class OnceButton(QPushButton):
    """A button to which a double click is one click: the second would cancel what the first began."""

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Take the second click away."""
        if event is not None:
            event.accept()


class RunBar(QWidget):
    """One button for start and cancel."""

    started = Signal()
    stopped = Signal()

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words, self._running = words, False
        self.button = OnceButton(words)
        self.button.setProperty("kind", "primary")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.text = small()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        for widget in (self.button, self.bar, self.text):
            layout.addWidget(widget)
        self.button.clicked.connect(self._press)
        self.rest("")

    def run(self) -> None:
        """Show that the run has begun."""
        self._running = True
        self.button.setText("Cancel")
        restyle(self.button, running=True)
        self.bar.setRange(0, 0)
        self.bar.setVisible(True)
        say(self.text, "Starting…")

    def show_progress(self, progress: Progress, left_s: float | None) -> None:
        """Show how far the run is."""
        if not self.button.isEnabled():
            return
        self.bar.setRange(0, max(progress.total, 1))
        self.bar.setValue(progress.done)
        left = "" if left_s is None else f", about {duration(left_s)} left"
        say(self.text, f"{progress.phase}: {progress.done} of {progress.total}{left}")

    def rest(self, text: str) -> None:
        """Show that the run has ended."""
        self._running = False
        self.button.setText(self._words)
        self.button.setEnabled(True)
        restyle(self.button, running=False)
        self.bar.setVisible(False)
        say(self.text, text)

    def tell(self, text: str) -> None:
        """Say something while nothing runs."""
        if not self._running:
            say(self.text, text)

    def _press(self) -> None:
        if not self._running:
            self.started.emit()
            return
        self.button.setEnabled(False)
        self.button.setText("Stopping…")
        say(self.text, "Stopping at the next step.")
        self.stopped.emit()


def duration(seconds: float) -> str:
    """Say a duration in words."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
