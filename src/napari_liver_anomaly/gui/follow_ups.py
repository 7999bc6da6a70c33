"""Follow-ups of the scans of a panel: compared in a worker, tabled, and outlined on the scan."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QDialog, QPushButton, QVBoxLayout

from napari_liver_anomaly.gui.availability import NO_RESULT, allow
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.follow_up_section import Compared, FollowUpSection, compare, write_table
from napari_liver_anomaly.gui.layers import AMBER, Role, Tag, add, find, outlined
from napari_liver_anomaly.gui.lesion_listing import middle_of
from napari_liver_anomaly.gui.loading import OpenQuestion
from napari_liver_anomaly.gui.questions import Questions
from napari_liver_anomaly.gui.turning import turn_view

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.follow_up import FollowedLesion
    from napari_liver_anomaly.gui.message_area import MessageArea
    from napari_liver_anomaly.gui.result_layers import ResultLayers
    from napari_liver_anomaly.gui.saved_session import Seen
    from napari_liver_anomaly.io.earlier_reading import Place
    from napari_liver_anomaly.io.read_options import EarlierOptions
    from napari_liver_anomaly.lesions import Lesion


COMPARING = "Wait until the comparison in progress is made."


class FollowUps(QObject):
    """Compares the result on screen with an earlier reading; each scan keeps its comparison."""

    compared = Signal()
    asked = Signal()  # a file of last time was not read before a question is answered, which is on screen

    def __init__(
        self, parent: QWidget, messages: MessageArea, seen: Callable[[], Seen | None], turn_to: Callable[[Lesion], object]
    ) -> None:
        super().__init__(parent)
        self._parent, self._turn_to_lesion = parent, turn_to
        self._messages, self._seen = messages, seen
        self.section, self.button = FollowUpSection(), QPushButton("Follow-up…")
        self.button.setToolTip("Compare with the lesions of an earlier scan of this patient")
        allow(self.button, NO_RESULT)
        self.button.clicked.connect(self.open)
        self._dialog: QDialog | None = None
        self.comparing, self.writing = Task(self), Task(self)
        self._of: ResultLayers | None = None  # the result that is being compared
        self._place: Place | None = None  # of what it is compared with
        self.questions = Questions(self.section.question, self._read_on)
        self._shown: ResultLayers | None = None
        self._found: dict[str, Compared] = {}
        self.section.wanted.connect(self.compare)
        self.section.again.connect(self._compare_again)
        self.section.picked.connect(self._turn_to)
        self.section.exported.connect(self.write)
        self.comparing.returned.connect(self._show)
        self.writing.returned.connect(lambda paths: messages.note(f"Written: {paths[0].name}."))
        self.comparing.refused.connect(self._ask)
        self.writing.refused.connect(messages.show_findings)
        for work in (self.comparing, self.writing):
            work.failed.connect(messages.fail)
        self.comparing.ended.connect(lambda: allow(self.section.compare))

    def open(self) -> None:
        """Show the table beside the window: in the panel it would take the room of the lesions."""
        if self._dialog is None:
            self._dialog = QDialog(self._parent)
            self._dialog.setWindowTitle("Follow-up")
            QVBoxLayout(self._dialog).addWidget(self.section)
            self._dialog.resize(540, 280)
        self._dialog.show()
        self._dialog.raise_()

    def follow(self, shown: ResultLayers | None) -> None:
        """Show the comparison of this result, if there is one."""
        self._shown = shown
        allow(self.button, "" if shown is not None else NO_RESULT)
        compared = self._found.get(shown.scan) if shown is not None else None
        if compared is None or shown is None:
            return self.section.show_found(None)
        return self.section.show_found(compared.found, outdated=not shown.state.labels.same_as(compared.lesions))

    def compare(self, place: Place) -> None:
        """Compare with an earlier reading, in a worker."""
        seen = self._seen()
        if seen is not None and self.comparing.start(partial(compare, seen, place)):
            self._of, self._place = seen.shown, place
            self.questions.drop()
            allow(self.section.compare, COMPARING)
            self._messages.note("Comparing…")

    def _compare_again(self) -> None:
        """Compare the lesions that there are now with the same reading."""
        if self._shown is not None and self._shown.scan in self._found:
            self.compare(self._found[self._shown.scan].place)

    def write(self, path: Path) -> None:
        """Write the comparison on screen, in a worker."""
        if self.section.found is not None:
            self.writing.start(partial(write_table, self.section.found, path))

    def _ask(self, finding: Finding) -> None:
        """Ask beside the table what only the user can decide about a file of last time; else say what is wrong."""
        if not finding.answers or self._place is None:
            return self._messages.show_findings(finding)
        self._messages.clear()
        self.open()
        self.questions.put(OpenQuestion(finding, self._place.lesions, self._place.answers))
        return self.asked.emit()

    def _read_on(self, _paths: object, answers: EarlierOptions, _scan: object) -> None:
        """Compare again with one more answer."""
        if self._place is not None:
            self.compare(self._place._replace(answers=answers))

    def _show(self, compared: Compared) -> None:
        shown, self._of = self._of, None
        if shown is None:
            return
        self._found[shown.scan], found = compared, compared.found
        self.follow(self._shown)
        labels, layer = found.propagated.dense(), find(shown.viewer, Role.EARLIER, shown.scan)
        if layer is None:
            tag = Tag(Role.EARLIER, shown.scan, shown.result.volume.geometry)
            add(shown.viewer, (labels, outlined(f"{shown.name} {Role.EARLIER}", AMBER, tag) | shown.place, "labels"))
        else:
            layer.data = labels
        self._messages.show_findings(*found.findings)
        self._messages.add_note(found.summary)
        self.compared.emit()

    def _turn_to(self, row: FollowedLesion) -> None:
        """Go to a lesion, and mark it; to one that is gone or has changed, where it was."""
        shown = self._shown
        if shown is None or shown.scan not in self._found:
            return
        compared = self._found[shown.scan]
        if row.now and shown.state.labels.same_as(compared.lesions):
            self._turn_to_lesion(next(lesion for lesion in shown.lesions if lesion.number in row.now))
            return
        labels, numbers = (compared.lesions, row.now) if row.now else (compared.found.propagated, row.then)
        where, layer = labels.where[np.isin(labels.values, numbers)], find(shown.viewer, Role.EARLIER, shown.scan)
        if where.size and layer is not None:
            turn_view(shown.viewer, layer, middle_of(where, labels.shape))
