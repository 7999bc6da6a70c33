"""Export of a result to a folder, in the background, with what is ticked beside masks and measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QHBoxLayout, QMenu, QPushButton, QWidget

from napari_liver_anomaly.gui.file_dialog import ask_folder, ask_place
from napari_liver_anomaly.gui.lesion_listing import list_lesions, with_notes
from napari_liver_anomaly.gui.lesion_state import after_edits, result_of
from napari_liver_anomaly.gui.style import press_by
from napari_liver_anomaly.io.export_options import PLAIN, ExportOptions
from napari_liver_anomaly.notebook import png
from napari_liver_anomaly.placing import replacing, require_not_an_input
from napari_liver_anomaly.settings import options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.lesion_rows import LesionNotes
    from napari_liver_anomaly.gui.lesion_state import LesionState
    from napari_liver_anomaly.gui.result_layers import ResultLayers
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.volume import Volume


REPLACE = "replace"  # the answer that the results in a folder may be replaced
ALSO_PX = 38
WORDS = {
    "report": "Report with pictures (HTML and PDF)",
    "patient": "Name the patient on the report",
    "scan_name": "Name the scan's file in the reports",
    "dicom_seg": "DICOM segmentation (names the patient)",
}


class ExportButton(QWidget):
    """A button that is alive while there is a result, and a menu of what may be written beside it."""

    wanted = Signal(object)  # Path of a folder
    pictured = Signal(object)  # Path of a file for a picture of the view

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = QPushButton("Export…")
        self.button.setToolTip("Write masks, maps and measures into a folder, on the grid of the scan's file, as they are now")
        press_by(self.button, "Alt+E")
        self.button.setEnabled(False)
        self.button.clicked.connect(self._choose)
        self._help = {option.name: option.help for option in options(ExportOptions)}
        self.also, menu = QPushButton(), QMenu(self)
        self.also.setToolTip("What is exported beside masks and measures; or a picture of the view")
        self.also.setAccessibleName("What is exported beside masks and measures")
        self.also.setMenu(menu)
        self.also.setFixedWidth(ALSO_PX)  # so that nothing moves when something is ticked
        menu.setToolTipsVisible(True)
        self.ticks = {name: QAction(WORDS[name], menu) for name in self._help}
        for tick in self.ticks.values():
            menu.addAction(tick)
            tick.setCheckable(True)
            tick.changed.connect(self._mark)
        menu.addSeparator()
        self.picture = QAction("Picture of the view (PNG)…", menu)
        self.picture.triggered.connect(self._choose_picture)
        menu.addAction(self.picture)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.button, stretch=1)
        layout.addWidget(self.also)
        self.offer(None)

    def _choose_picture(self) -> None:
        if (path := ask_place(self, "Save the view as", "view.png", "Pictures (*.png)")) is not None:
            self.pictured.emit(path)

    def offer(self, volume: Volume | None) -> None:
        """Offer what can be written of a scan, and say in its place why something cannot."""
        for name, tick in self.ticks.items():
            why = _why_not(name, volume)
            tick.setEnabled(not why)
            tick.setToolTip(why or self._help[name])
            tick.setText(f"{WORDS[name]}: not for this scan" if why and volume is not None else WORDS[name])

    @property
    def ticked(self) -> ExportOptions:
        """What is to be written beside masks and measures."""
        return ExportOptions(**{name: tick.isChecked() and tick.isEnabled() for name, tick in self.ticks.items()})

    def _mark(self) -> None:
        """Say on the button whether anything is ticked."""
        self.also.setText("+" if self.ticked == PLAIN else "✓")

    def _choose(self) -> None:
        if (path := ask_folder(self, "Export into this folder")) is not None:
            self.wanted.emit(path)


def _why_not(name: str, volume: Volume | None) -> str:
    """Say why something cannot be written of a scan; nothing where it can."""
    if volume is None:
        return "There is no result yet."
    if name != "dicom_seg":
        return ""
    from napari_liver_anomaly.io.dicom_writing import why_none_can_be_made

    why = why_none_can_be_made(volume)
    return "" if why is None else f"{why.what} {why.meaning}"


def write_picture(viewer: Any, path: Path, inputs: Sequence[str]) -> tuple[Path, ...]:
    """Write what the viewer shows, without its lists and panels, where names of files stand."""
    require_not_an_input(path, inputs)
    picture = viewer.screenshot(canvas_only=True, flash=False)
    with replacing(path) as beside:
        beside.write_bytes(png(np.ascontiguousarray(picture[..., :3])))
    return (path,)


def write_all(
    shown: ResultLayers,
    state: LesionState,
    data: Any,
    left_out: Mapping[Lesion, NDArray[np.int64]],
    notes: LesionNotes,
    folder: Path,
    inputs: Sequence[str],
    write: Any,
    replace: bool,
    also: ExportOptions,
    job: Job,
) -> Any:
    """Write what is on screen, edits included that were not measured yet. May be called on any thread."""
    job.at("Writing", 0, 1)
    state = after_edits(shown.prepared, state, data)
    result = with_notes(result_of(shown.result, state), list_lesions(state, None, shown.result.score, left_out, notes))
    if write is None:
        from napari_liver_anomaly.io import write
    said = ({REPLACE: True} if replace else {}) | ({"also": also} if also != PLAIN else {})
    return write(result, folder, inputs, **said)
