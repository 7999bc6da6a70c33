"""Export of a result to a folder, in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.file_dialog import ask_folder
from napari_liver_anomaly.gui.lesion_state import after_edits, result_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_liver_anomaly.gui.lesion_state import LesionState
    from napari_liver_anomaly.gui.result_layers import ResultLayers
    from napari_liver_anomaly.job import Job


REPLACE = "replace"  # the answer that the results in a folder may be replaced


class ExportButton(QWidget):
    """One button, alive while there is a result."""

    wanted = Signal(object)  # Path of a folder

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = QPushButton("Export…")
        self.button.setToolTip("Write masks, maps and measures into a folder, on the grid of the scan's file, as they are now")
        self.button.setEnabled(False)
        self.button.clicked.connect(self._choose)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.button)

    def _choose(self) -> None:
        if (path := ask_folder(self, "Export into this folder")) is not None:
            self.wanted.emit(path)


def write_all(
    shown: ResultLayers, state: LesionState, data: Any, folder: Path, inputs: Sequence[str], write: Any, replace: bool, job: Job
) -> Any:
    """Write what is on screen, edits included that were not measured yet. May be called on any thread."""
    job.at("Writing", 0, 1)
    result = result_of(shown.result, after_edits(shown.prepared, state, data))
    if write is None:
        from napari_liver_anomaly.io import write
    return write(result, folder, inputs, **({REPLACE: True} if replace else {}))
