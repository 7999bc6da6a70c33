"""The detection limit of the chosen model in the chosen scan: what it takes, the button, the table, and how to keep it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_liver_anomaly.detection import DetectionLimit, DetectionLimitSettings, detection_limit
from napari_liver_anomaly.detection.limit_table import write_limit
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.closing_guard import ClosingGuard
from napari_liver_anomaly.gui.file_dialog import ask_place
from napari_liver_anomaly.gui.layer_snapshot import mask_of, volume_of
from napari_liver_anomaly.gui.limit_table_view import LimitTable
from napari_liver_anomaly.gui.run_bar import RunBar
from napari_liver_anomaly.gui.settings_form import SettingsForm
from napari_liver_anomaly.gui.style import one_line, say, small
from napari_liver_anomaly.gui.worker import Engine, preload_torch

if TYPE_CHECKING:
    from pathlib import Path

    from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.segmentation import SegmentSettings

WORDS = {
    "size_high_mm": "Largest lesion (mm)",
    "contrast_high_hu": "Strongest contrast (HU)",
    "per_cell": "Lesions of each kind",
    "most_minutes": "Time limit (min)",
}
FILES = "Table (*.csv);;All of it (*.json)"


class DetectionCard(QWidget):
    """A button that inserts lesions of several sizes and contrasts into copies of the scan, and what the model found of them."""

    wanted = Signal()  # the button was pressed; answered by begin()
    finished = Signal()  # the table is there, or the measurement ended otherwise
    refused = Signal(object)  # Finding
    failed = Signal(str, str)  # one sentence, details
    told = Signal(str)

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine, self._scan = engine, ""
        self.limit: DetectionLimit | None = None
        self.rows = SettingsForm(DetectionLimitSettings, words=WORDS, first=tuple(WORDS))
        self.foreseen, self.about, self.verdict, self.table = small(), one_line(), small(), LimitTable()
        self.verdict.setProperty("kind", "number")
        self.runbar = RunBar(
            "Measure the detection limit",
            "Insert lesions into copies of this scan where its liver is healthy, and let the model search them",
        )
        self.save = QPushButton("Save table…")
        self.save.setToolTip("Write every inserted lesion as .csv, or all of it as .json")
        self.measuring = Task(self, alone=True)
        self._guard = ClosingGuard(self, self.measuring)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.rows, self.foreseen, self.runbar, self.about, self.table, self.verdict, self.save):
            layout.addWidget(widget)
        self._show(None)
        self._foresee()
        self.rows.changed.connect(self._foresee)
        self.runbar.started.connect(self.wanted)
        self.runbar.stopped.connect(self.measuring.cancel)
        self.measuring.progressed.connect(self.runbar.show_progress)
        self.measuring.returned.connect(self._show)
        self.measuring.cancelled.connect(lambda: self._rest("Stopped. Nothing was kept."))
        self.measuring.refused.connect(self.refused)
        self.measuring.failed.connect(self.failed)
        for over in (self.measuring.refused, self.measuring.failed, self.measuring.returned):
            over.connect(lambda *_: self._rest(""))
        self.save.clicked.connect(self._ask_place)

    def begin(self, scan: LayerSnapshot, liver: LayerSnapshot, model: str, settings: SegmentSettings, device: str) -> bool:
        """Begin to measure, in a worker; False while another run is in progress, or when the rows do not go together, which is told."""
        try:
            limit = self.rows.value()
        except Refusal as refusal:
            self.refused.emit(self.rows.name_rows(refusal.finding))
            return True
        if not self.measuring.start(partial(_measure, self._engine, scan, liver, model, limit, settings, device)):
            return False
        self._show(None)
        self._scan = scan.name
        self._guard.watch()
        self.runbar.run()
        return True

    def write(self, path: Path) -> None:
        """Write the table."""
        if self.limit is None:
            return
        try:
            write_limit(self.limit, path)
        except Refusal as refusal:
            self.refused.emit(refusal.finding)
        else:
            self.told.emit(f"Written: {path.name}.")

    def _show(self, limit: DetectionLimit | None) -> None:
        self.limit = limit
        self.table.show_limit(limit)
        say(self.about, "" if limit is None else f"{limit.model} in {self._scan}, threshold {limit.threshold:.2f}")
        say(self.verdict, "" if limit is None else limit.summary + _unplaced(limit))
        self.save.setVisible(limit is not None)

    def _foresee(self) -> None:
        """Say beforehand what a measurement takes."""
        fields = self.rows.fields
        searches, minutes = int(fields["searches"].value), float(fields["most_minutes"].value)
        words = f"At most {searches + 1} searches of this scan; stops after about {minutes:g} min. The scan stays as it is."
        say(self.foreseen, words)

    def _ask_place(self) -> None:
        if (path := ask_place(self, "Save the detection limit", "detection-limit.csv", FILES)) is not None:
            self.write(path)

    def _rest(self, text: str) -> None:
        self.runbar.rest(text)
        self.finished.emit()


def _unplaced(limit: DetectionLimit) -> str:
    return f" No room for {limit.without_place} more." if limit.without_place else ""


def _measure(
    engine: Engine, scan: LayerSnapshot, liver: LayerSnapshot, model: str, limit: DetectionLimitSettings,
    settings: SegmentSettings, device: str, job: Job,
) -> DetectionLimit:  # fmt: skip
    """Measure on a copy of the scan; in a worker."""
    job.at("Preparing the scan", 0, 1)
    volume = volume_of(scan)
    mask = mask_of(liver, scan, volume, "liver mask")
    preload_torch()
    return detection_limit(volume, mask, model, limit, settings, device=device, job=job, segment=engine.segment)
