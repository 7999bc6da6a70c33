"""The run button, which becomes Cancel, with progress and the device of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.availability import allow
from napari_liver_anomaly.gui.style import keep_room, one_line, press_by, restyle, say

if TYPE_CHECKING:
    from qtpy.QtGui import QMouseEvent

    from napari_liver_anomaly.job import Progress

BAR_PX = 70
STOPPING = "Stopping at the next step."


class OnceButton(QPushButton):
    """A button to which a double click is one click: the second would cancel what the first began."""

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Take the second click away."""
        if event is not None:
            event.accept()


class RunBar(QWidget):
    """One button for start and cancel, above a line that is always there, so that nothing moves when it says something."""

    started = Signal()
    stopped = Signal()

    def __init__(self, words: str, tip: str = "", keys: str = "") -> None:
        super().__init__()
        self._words, self._keys, self._running, self._why_not = words, keys, False, ""
        self.button = OnceButton(words)
        self.button.setToolTip(tip)
        self.button.setProperty("kind", "primary")
        self.keys = QLabel(keys)
        self.keys.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        inside = QHBoxLayout(self.button)
        inside.setContentsMargins(0, 0, 8, 0)
        inside.addWidget(self.keys, alignment=Qt.AlignmentFlag.AlignRight)
        if keys:
            press_by(self.button, keys)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(BAR_PX)
        self.text = keep_room(one_line())
        line = QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.text, stretch=1)
        line.addWidget(self.bar)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.button)
        layout.addLayout(line)
        self.button.clicked.connect(self._press)
        self.rest("")

    @property
    def running(self) -> bool:
        """Whether a run is in progress."""
        return self._running

    def allow(self, why_not: str = "") -> None:
        """Let a run begin, or say why none can; one that is in progress can be cancelled all the same."""
        self._why_not = why_not
        if not self._running:
            allow(self.button, why_not)

    def run(self) -> None:
        """Show that the run has begun."""
        self._running = True
        allow(self.button)
        self.button.setText("Cancel")  # which takes the keys away: pressed twice they shall not stop what they began
        self.keys.setVisible(False)
        restyle(self.button, running=True)
        self.bar.setRange(0, 0)
        self.bar.setVisible(True)
        say(self.text, "Starting…")

    def show_progress(self, progress: Progress, left_s: float | None) -> None:
        """Show how far the run is; a phase of one step is not counted."""
        if not self.button.isEnabled():
            return
        counted = progress.total > 1
        self.bar.setRange(0, progress.total if counted else 0)
        self.bar.setValue(progress.done if counted else -1)
        done = f": {100 * progress.done // progress.total} %" if counted else "…"
        say(self.text, f"{progress.phase}{done}{'' if left_s is None else f', about {duration(left_s)} left'}")

    def rest(self, text: str) -> None:
        """Show that the run has ended."""
        self._running = False
        self.button.setText(self._words)
        self.button.setShortcut(self._keys)
        self.keys.setVisible(bool(self._keys))
        allow(self.button, self._why_not)
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
        allow(self.button, STOPPING)
        self.button.setText("Stopping…")
        say(self.text, STOPPING)
        self.stopped.emit()


def duration(seconds: float) -> str:
    """Say a duration in words."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
