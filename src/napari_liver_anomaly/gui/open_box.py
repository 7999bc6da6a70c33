"""Open scans: a drop target and two buttons that go straight to our reader, without napari's chooser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QFrame, QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.availability import allow
from napari_liver_anomaly.gui.file_dialog import ask_file, ask_folder
from napari_liver_anomaly.gui.style import restyle, small

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qtpy.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent

    from napari_liver_anomaly.job import Progress

PLUGIN = "napari-liver-anomaly"
PATTERNS = ("*.nii", "*.nii.gz", "*.nrrd", "*.nhdr", "*.mha", "*.mhd", "*.dcm")
MASKS = f"Masks ({' '.join(PATTERNS)});;All files (*)"
FILES = f"CT scans ({' '.join(PATTERNS)});;All files (*)"
WHOLE = tuple(pattern[1:] for pattern in PATTERNS if pattern != "*.dcm")
WORDS = "Drop a CT scan here, or load one"
FOLDER, FOLDER_HELP = "Load DICOM folder…", "Open the DICOM series in a folder, or of a CD with folders in it"
STOP, STOP_HELP = "Cancel", "Stop reading; nothing of it is kept"
READING, MAKING = "Wait until the scan is read, or press Cancel.", "Wait until the sample is made."
STOPPING = "Stopping at the next file."


class OpenBox(QFrame):
    """A dashed box to drop scans on, with buttons to choose them."""

    opened = Signal(object)  # list of Path
    sampled = Signal()
    stopped = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "drop")
        self.setAcceptDrops(True)
        self.setToolTip("NIfTI (.nii, .nii.gz), NRRD, MHA, a DICOM file or a folder with a DICOM series")
        self.file = QPushButton("Load scan…")
        self.file.setToolTip("Open a scan from one file: .nii, .nii.gz, .nrrd, .mha or one slice of a DICOM series")
        self.folder = QPushButton(FOLDER)
        self.folder.setToolTip(FOLDER_HELP)
        self._reading = False
        self.words = small(WORDS)
        self.sample = QToolButton()
        self.sample.setText("Try a sample")
        self.sample.setProperty("kind", "link")
        self.sample.setToolTip("Open a made-up abdomen with tumours, free of any patient")
        self.sample.clicked.connect(self.sampled)
        self.canvas = QCheckBox("Also for scans dropped in the picture")
        self.canvas.setToolTip(
            "Let napari open " + ", ".join(PATTERNS) + " with this plugin, without asking.\n"
            "It is a setting of napari (Preferences, Plugins, file extensions); untick to take it back."
        )
        self.canvas.setChecked(canvas_is_ours())
        self.file.clicked.connect(self._choose_file)
        self.folder.clicked.connect(self._choose_or_stop)
        self.canvas.toggled.connect(claim_canvas)
        buttons = QHBoxLayout()
        buttons.addWidget(self.file)
        buttons.addWidget(self.folder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(4)
        words = QHBoxLayout()
        words.addWidget(self.words, stretch=1)
        words.addWidget(self.sample)
        layout.addLayout(words)
        layout.addLayout(buttons)
        layout.addWidget(self.canvas)

    def set_busy(self, busy: bool, *, sample: bool = False) -> None:
        """Show whether a scan is being read, which can be stopped, or the sample made."""
        self._reading = busy and not sample
        why_not = "" if not busy else READING if self._reading else MAKING
        for button in (self.file, self.sample):
            allow(button, why_not)
        allow(self.folder, "" if self._reading else why_not)
        self.folder.setText(STOP if self._reading else FOLDER)
        if self._reading:
            self.folder.setToolTip(STOP_HELP)
        self.words.setText(WORDS)
        self.file.setText("Loading…" if busy and not sample else "Load scan…")
        self.sample.setText("Making it…" if busy and sample else "Try a sample")

    def show_progress(self, progress: Progress, _left_s: float | None) -> None:
        """Show how far the search of a folder, or the reading of its files, is."""
        if self._reading and self.folder.isEnabled():
            counted = f": {100 * progress.done // progress.total} %" if progress.total > 1 else "…"
            self.words.setText(f"{progress.phase}{counted}")

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Welcome files."""
        if event is not None and _paths(event):
            event.acceptProposedAction()
            restyle(self, over=True)

    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:
        """Show the plain border again."""
        restyle(self, over=False)

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Take the files."""
        restyle(self, over=False)
        if event is not None and (paths := _paths(event)):
            event.acceptProposedAction()
            self.opened.emit(once_each(paths))

    def _choose_file(self) -> None:
        if (path := ask_file(self, "Load a CT scan", FILES)) is not None:
            self.opened.emit([path])

    def _choose_or_stop(self) -> None:
        """Ask for a folder; while a scan is being read, stop that."""
        if self._reading:
            allow(self.folder, STOPPING)
            self.words.setText(STOPPING)
            self.stopped.emit()
        elif (path := ask_folder(self, "Load a DICOM series")) is not None:
            self.opened.emit([path])


def once_each(paths: Iterable[Path]) -> list[Path]:
    """Take the loose files of one folder for one DICOM series, so that 300 dropped slices open once."""
    paths = list(paths)
    slices = [path for path in paths if path.is_file() and not path.name.lower().endswith(WHOLE)]
    crowded = {path.parent for path in slices if sum(other.parent == path.parent for other in slices) > 1}
    return list(dict.fromkeys(path.parent if path in slices and path.parent in crowded else path for path in paths))


def canvas_is_ours() -> bool:
    """Whether napari opens every kind of scan we read with this plugin."""
    chosen = _settings().plugins.extension2reader
    return all(chosen.get(pattern) == PLUGIN for pattern in PATTERNS)


def claim_canvas(ours: bool) -> None:
    """Let napari open scans with this plugin, or take that back. Only called when the user ticks the box."""
    plugins = _settings().plugins
    kept = {pattern: name for pattern, name in plugins.extension2reader.items() if not (pattern in PATTERNS and name == PLUGIN)}
    plugins.extension2reader = kept | (dict.fromkeys(PATTERNS, PLUGIN) if ours else {})


def _settings() -> Any:
    from napari.settings import get_settings

    return get_settings()


def _paths(event: Any) -> list[Path]:
    return [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
