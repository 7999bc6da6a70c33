"""Scans and livers that a panel reads, one after another in a worker, and what must be asked before one is read."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.layers import Role, add, tag_of
from napari_liver_anomaly.gui.loading import make_sample, read_liver, read_scans
from napari_liver_anomaly.gui.message_area import MessageArea
from napari_liver_anomaly.gui.open_box import OpenBox
from napari_liver_anomaly.gui.questions import Questions
from napari_liver_anomaly.gui.stepwise import Stepwise
from napari_liver_anomaly.io.read_options import ASK_ALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from napari_liver_anomaly.gui.inputs import Inputs
    from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot
    from napari_liver_anomaly.gui.loading import Loaded
    from napari_liver_anomaly.io.read_options import ReadOptions
    from napari_liver_anomaly.job import Job


class ScanLoading(QObject):
    """Reads what is opened, and shows it layer by layer."""

    loaded = Signal()  # what was read is on screen
    asked = Signal()  # a scan was not read before a question is answered, which is on screen

    def __init__(self, parent: QWidget, viewer: Any, inputs: Inputs, messages: MessageArea, series_in: Any) -> None:
        super().__init__(parent)
        self._viewer, self._inputs, self._messages, self._series_in = viewer, inputs, messages, series_in
        self.box, self.question = OpenBox(), MessageArea()
        self.questions = Questions(self.question, self.open)
        self.reading, self._adding = Task(self), Stepwise(self)
        self._waiting: deque[Callable[[Job], Loaded]] = deque()
        self.box.sampled.connect(self.open_sample)
        self.box.stopped.connect(self._stop)
        self.reading.returned.connect(lambda made: self._adding.begin(self._add(made)))
        self.reading.ended.connect(self._next)
        self.reading.progressed.connect(self.box.show_progress)
        self.reading.cancelled.connect(lambda: messages.note("Stopped. Nothing was read."))
        self.reading.refused.connect(messages.show_findings)
        for work in (self.reading, self._adding):
            work.failed.connect(messages.fail)

    @property
    def busy(self) -> bool:
        """Whether something is being read or shown."""
        return self.reading.busy or self._adding.busy

    def open(self, paths: Sequence[Path], answers: ReadOptions | None = None, scan: LayerSnapshot | None = None) -> None:
        """Read scans, or the liver mask of a scan, in a worker and show them; what only the user can decide is asked."""
        given = answers or ASK_ALL
        if scan is not None:
            self._load(partial(read_liver, paths[0], scan, answers=given))
        else:
            self._load(partial(read_scans, list(paths), answers=given, series_in=self._series_in))

    def open_sample(self) -> None:
        """Make the phantom with tumours in a worker and show it."""
        self._load(make_sample)

    def _load(self, work: Callable[[Job], Loaded]) -> None:
        """Read this now, or after what is being read."""
        if self.reading.start(work):
            self._messages.clear()
            self.box.set_busy(True, sample=work is make_sample)
        else:
            self._waiting.append(work)

    def _stop(self) -> None:
        """Stop what is being read, and forget what waits to be read after it."""
        self._waiting.clear()
        self.reading.cancel()

    def _next(self) -> None:
        if self._waiting:
            self.reading.start(self._waiting.popleft())
        else:
            self.box.set_busy(False)

    def _add(self, fetched: Loaded) -> Iterator[None]:
        """Show what was read, layer by layer; the last of each kind is chosen. Then ask what must be asked before more is read."""
        for layer_data, findings in fetched.made:
            layer = add(self._viewer, layer_data)
            if (tag := tag_of(layer)) is not None and tag.role is Role.SCAN:
                self._inputs.scan.choose(layer)
            else:
                self._inputs.liver.choose(layer)
            if findings:
                self._messages.add_findings(*findings)
            yield
        if fetched.made:
            self.loaded.emit()
        if fetched.asked is not None:
            self.questions.put(fetched.asked)
            self.asked.emit()
