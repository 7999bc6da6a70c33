"""Export of a result to a folder, in the background."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QPushButton, QVBoxLayout, QWidget

from napari_liver_anomaly import lesions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.result import Result


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
        name = QFileDialog.getExistingDirectory(self, "Export into this folder")
        if name:
            self.wanted.emit(Path(name))


def write_all(result: Result, by_hand: bool, folder: Path, inputs: Sequence[str], write: Any, job: Job) -> tuple[Path, ...]:
    """Measure again when lesions were corrected, then write. May be called on any thread."""
    job.at("Writing", 0, 1)
    if by_hand:
        result = dataclasses.replace(result, lesions=lesions.measure(result.labels, result.volume, result.liver))
    if write is None:
        from napari_liver_anomaly.io import write
    return write(result, folder, inputs)
