"""Exports of a panel: into a folder, in a worker, asked about where it holds another result; and pictures of the view."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.gui.availability import NO_RESULT, allow
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.export import REPLACE, ExportButton, write_all, write_picture
from napari_liver_anomaly.gui.layers import inputs_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qtpy.QtWidgets import QWidget

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.gui.message_area import MessageArea
    from napari_liver_anomaly.gui.threshold_controller import ThresholdController

MEASURING, WRITING = "Wait until the lesions are measured.", "Wait until the last export is written."


class Exports(QObject):
    """Writes what a panel shows."""

    def __init__(self, parent: QWidget, viewer: Any, controller: ThresholdController, messages: MessageArea, write: Any) -> None:
        super().__init__(parent)
        self._viewer, self._controller, self._messages, self._write = viewer, controller, messages, write
        self._folder: Path | None = None  # of the export in progress
        self.choice, self.writing = ExportButton(), Task(self)
        self.choice.wanted.connect(self.write)
        self.choice.pictured.connect(self.write_picture)
        self.writing.refused.connect(self._ask_about_folder)
        self.writing.returned.connect(lambda paths: messages.note(written(paths)))
        self.writing.failed.connect(messages.fail)
        self.writing.ended.connect(self.follow)

    @property
    def why_not(self) -> str:
        """Say why what is on screen cannot be kept now; nothing when it can."""
        return NO_RESULT if self._controller.shown is None else MEASURING if self._controller.outdated else ""

    def follow(self) -> None:
        """Offer what can be written now."""
        shown = self._controller.shown
        allow(self.choice.button, self.why_not or (WRITING if self.writing.busy else ""))
        self.choice.offer(shown.result.volume if shown is not None else None)

    def write(self, folder: Path, *, replace: bool = False) -> None:
        """Export the result on screen, in a worker; a folder that holds another result is asked about."""
        shown = self._controller.shown
        if shown is None:
            return
        work = partial(
            write_all, shown, shown.state, shown.data, dict(shown.left_out), shown.notes.copy(),
            folder, inputs_of(self._viewer), self._write, replace, self.choice.ticked,
        )  # fmt: skip
        self._folder = folder
        self._controller.look_again()  # a layer that is hidden does not tell what is undone in it
        if self.writing.start(work):
            allow(self.choice.button, WRITING)
            self._messages.note("Writing…")

    def write_picture(self, path: Path) -> None:
        """Save the view as a picture."""
        try:
            self._messages.note(written(write_picture(self._viewer, path, inputs_of(self._viewer))))
        except Refusal as refusal:
            self._messages.show_findings(refusal.finding)

    def _ask_about_folder(self, finding: Finding) -> None:
        """Offer to replace the results that are in the folder, where that is the question; else say what is wrong."""
        words = next((answer.words for answer in finding.answers if answer.option == REPLACE), None)
        if words is None or self._folder is None:
            self._messages.show_findings(finding)
        else:
            self._messages.ask(str(finding), {words: partial(self.write, self._folder, replace=True)})


def written(paths: Sequence[Path]) -> str:
    """Say what was written, and where."""
    where = f" in the folder '{paths[0].parent.name}'" if paths else ""
    return f"Written: {len(paths)} file{'s' * (len(paths) != 1)}{where}."
