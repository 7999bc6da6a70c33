"""Adds several layers one by one, so that the window stays responsive: each takes napari a tenth of a second or more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_liver_anomaly.gui.background import details_of, sentence_of

if TYPE_CHECKING:
    from collections.abc import Iterator


PAUSE_MS = 60  # from the end of a step to the next: time for clicks, and for a picture


class Stepwise(QObject):
    """Takes a step now and then."""

    done = Signal()
    failed = Signal(str, str)  # one sentence, details

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._steps: Iterator[object] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._step)

    @property
    def busy(self) -> bool:
        """Whether steps are left."""
        return self._steps is not None

    def begin(self, steps: Iterator[object]) -> None:
        """Take these steps; what is left of others is taken first."""
        while self.busy:
            self._step()
        self._steps = steps
        self._timer.start()

    def _step(self) -> None:
        steps = self._steps
        try:
            if steps is not None:
                next(steps)
                self._timer.start()
                return
        except StopIteration:
            self._end()
            self.done.emit()
        except Exception as error:  # a door: what napari makes of a layer must not leave the button dead
            self._end()
            self.failed.emit(sentence_of(error), details_of(error))

    def _end(self) -> None:
        self._timer.stop()
        self._steps = None
