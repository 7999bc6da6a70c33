"""The dock widget "Many scans": a list of studies that are segmented one after another in the background; a click opens one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QPushButton, QSizePolicy

from napari_liver_anomaly.gui.availability import NO_MODEL_YET, allow
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.closing_guard import ClosingGuard
from napari_liver_anomaly.gui.file_dialog import ask_folder
from napari_liver_anomaly.gui.message_area import LINES, MessageArea
from napari_liver_anomaly.gui.model_chooser import ModelChooser, names_of, summary_of
from napari_liver_anomaly.gui.run_bar import RunBar
from napari_liver_anomaly.gui.style import Panel, plain, say, side_by_side, small
from napari_liver_anomaly.gui.worker import Engine, preload_torch
from napari_liver_anomaly.many_scans import PICTURE_PX, State, Study, segment_study, studies_in
from napari_liver_anomaly.models import DEFAULT
from napari_liver_anomaly.segmentation import AUTO_SETTINGS, SegmentSettings

if TYPE_CHECKING:
    from qtpy.QtGui import QDragEnterEvent, QDropEvent

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.job import Job

WORDS = "Drop a folder of studies here: each file or folder in it is one scan."
WAITS, RUNNING = "Waiting for the run of another panel to end…", "Cancel the run first, or wait until it ends."
NO_STUDIES, NO_PLACE = "Add a folder of studies first.", "Choose first where the results go: 'Results in…'."
COUNTED = {State.DONE: "segmented", State.ASKS: "with a question", State.REFUSED: "refused", State.WAITING: "waiting"}
WORDS_PX, ASKING_PX = 40, 60  # of a study without a picture: two lines, and more where it asks
AGAIN_MS = 1000  # until it is tried again, while the other panel computes


class ManyScansPanel(Panel):
    """Segment many scans, and open any of them."""

    finished = Signal()  # nothing waits any more, or it was stopped

    def __init__(self, napari_viewer: Any, engine: Engine | None = None) -> None:
        super().__init__(napari_viewer)
        self._engine = engine or Engine()
        self.setAcceptDrops(True)
        self.studies: list[Study] = []
        self.folder: Path | None = None  # for the sessions
        self._now = -1  # number of the study in progress
        self.add_button, self.place_button = QPushButton("Add folder…"), QPushButton("Results in…")
        self.add_button.setToolTip("Add the studies of a folder to the list")
        self.place_button.setToolTip("Choose the folder into which a session is written for each scan; it names the scan's file")
        self.place = small("Results: choose a folder first.")
        self.list = QListWidget()
        self.list.setIconSize(QSize(PICTURE_PX, PICTURE_PX))
        self.list.setWordWrap(True)
        self.list.setMinimumHeight(4 * PICTURE_PX)
        self.list.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.list.setToolTip(
            "Double-click, or press Enter, to open a scan in the panel 'Liver tumours': with its result, or with what it asks"
        )
        self.list.setAccessibleName("Studies")
        self.clear_button = QPushButton("Clear list")
        self.clear_button.setToolTip("Take all studies off the list; nothing is deleted on the disk")
        self.model = ModelChooser(
            partial(names_of, self._engine.names), SegmentSettings, partial(summary_of, card=self._engine.card)
        )
        self.runbar, self.messages = (
            RunBar("Segment all", "Search one scan after another, and write a session for each"),
            MessageArea(lines=LINES),
        )
        self.segmenting, self.listing = Task(self, alone=True), Task(self)
        self._guard = ClosingGuard(self, self.segmenting)
        self._retry = QTimer(self)
        self._retry.setSingleShot(True)
        self._retry.setInterval(AGAIN_MS)
        self._retry.timeout.connect(self._next)
        self._running = False
        self._fill(
            [small(WORDS), side_by_side(self.add_button, self.place_button), self.place, self.model, self.runbar, self.list, self.clear_button],
            foot=[self.messages], tall=self.list, about="Many scans",
        )  # fmt: skip
        self._wire()
        self._offer()

    def _wire(self) -> None:
        self.add_button.clicked.connect(lambda: self.add(ask_folder(self, "Add the studies of a folder")))
        self.place_button.clicked.connect(lambda: self.put_in(ask_folder(self, "Write sessions into this folder")))
        self.clear_button.clicked.connect(self.clear)
        self.list.itemActivated.connect(lambda item: self.open(self.list.row(item)))
        self.model.chosen.connect(self._offer)
        self.runbar.started.connect(self.start)
        self.runbar.stopped.connect(self._stop)
        self.listing.returned.connect(self._add)
        self.listing.refused.connect(self.messages.show_findings)
        self.listing.failed.connect(self.messages.fail)
        self.segmenting.progressed.connect(self._progress)
        self.segmenting.returned.connect(self._take)
        self.segmenting.refused.connect(self._refuse)
        self.segmenting.failed.connect(self._fail)
        self.segmenting.ended.connect(self._next)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Welcome files and folders."""
        if event is not None and (data := event.mimeData()) is not None and data.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Take the studies."""
        if event is not None and (data := event.mimeData()) is not None:
            event.acceptProposedAction()
            self.add(*(Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()))

    def add(self, *folders: Path | None) -> None:
        """List the studies of folders, in a worker."""
        self.listing.ask(partial(_list, [folder for folder in folders if folder is not None]))

    def put_in(self, folder: Path | None) -> None:
        """Write sessions into this folder."""
        if folder is not None:
            self.folder = folder
            self.place.setText(f"Results: a session for each scan in '{folder.name}'.")
            self._offer()

    def clear(self) -> None:
        """Take all off the list."""
        if not self._running:
            self.studies.clear()
            self.list.clear()
            self._offer()

    @property
    def _missing(self) -> str:
        """Say what is missing before a start; nothing when it can begin."""
        there = {NO_STUDIES: bool(self.studies), NO_PLACE: self.folder is not None, NO_MODEL_YET: self.model.name is not None}
        return next((why for why, is_there in there.items() if not is_there), "")

    def _offer(self) -> None:
        """Let begin what can begin; what cannot says why."""
        self.runbar.allow(self._missing)
        allow(self.clear_button, RUNNING if self._running else "" if self.studies else "The list is empty.")

    def start(self) -> None:
        """Segment what waits, and what did not end well before."""
        if why := self._missing:
            return self.messages.note(why)
        self.messages.clear()
        for number, study in enumerate(self.studies):
            if study.state is not State.DONE:
                self._show(number, Study(path=study.path))
        self._running = True
        self._offer()
        self.runbar.run()
        self._guard.watch()
        return self._next()

    def open(self, number: int) -> None:
        """Open a study with its result in the other panel; without one its scan, of which that panel says what is wrong, or asks."""
        from napari_liver_anomaly.gui.hooks import panel_of

        study = self.studies[number]
        panel_of(self.viewer).open([study.session or study.path])

    def _add(self, paths: list[Path]) -> None:
        known = {study.path for study in self.studies}
        for path in dict.fromkeys(paths):
            if path not in known:
                self.studies.append(Study(path=path))
                self.list.addItem(QListWidgetItem())
                self._show(len(self.studies) - 1, self.studies[-1])
        self._offer()

    def _next(self) -> None:
        """Begin with the next study that waits; while the other panel computes, wait."""
        self._now = next((n for n, study in enumerate(self.studies) if study.state is State.WAITING), -1)
        if self._now < 0 or not self._running or self.folder is None:
            return self._end()
        settings = self.model.rows.value(threshold=AUTO_SETTINGS.threshold, auto_threshold=True)
        work = partial(
            _segment, self._engine, self.studies[self._now].path, self.folder, self.model.name, settings, self.model.device.currentData()
        )  # fmt: skip
        if self.segmenting.start(work):
            self._show(self._now, replace(self.studies[self._now], state=State.RUNNING))
            return self._guard.watch()
        say(self.runbar.text, WAITS)
        self._retry.start()
        return None

    def _take(self, study: Study) -> None:
        self._show(self._now, study)

    def _refuse(self, finding: Finding) -> None:
        self._take(replace(self.studies[self._now], state=State.REFUSED, finding=finding))

    def _fail(self, sentence: str, details: str) -> None:
        """Tell a fault of the program, and go on with the rest."""
        self.messages.fail(sentence, details)
        self._show(self._now, replace(self.studies[self._now], state=State.REFUSED), sentence)

    def _stop(self) -> None:
        self._running = False
        self._retry.stop()
        if self.segmenting.busy:
            self.segmenting.cancel()
        else:
            self._end()

    def _end(self) -> None:
        self._running = False
        for number, study in enumerate(self.studies):
            if study.state is State.RUNNING:
                self._show(number, Study(path=study.path))
        count = {words: sum(study.state is state for study in self.studies) for state, words in COUNTED.items()}
        said = [f"{number} {words}" for words, number in count.items() if number or words == COUNTED[State.DONE]]
        self.runbar.rest(f"{', '.join(said)}.")
        self._offer()
        self.finished.emit()

    def _progress(self, progress: Any, left_s: float | None) -> None:
        done = sum(study.state is not State.WAITING for study in self.studies)
        self.runbar.show_progress(replace(progress, phase=f"{done} of {len(self.studies)}: {progress.phase}"), left_s)

    def _show(self, number: int, study: Study, words: str = "") -> None:
        """Show how a study is."""
        self.studies[number] = study
        item = self.list.item(number)
        if item is None:
            return
        said = words or study.summary
        item.setText(f"{study.path.name}\n{said[:1].upper()}{said[1:]}")
        item.setToolTip(plain(str(study.finding) if study.finding is not None else said))
        if study.picture is not None:
            height, width, _ = study.picture.shape
            image = QImage(study.picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
            item.setIcon(QIcon(QPixmap.fromImage(image).scaled(
                PICTURE_PX, PICTURE_PX, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            )))  # fmt: skip
        item.setSizeHint(
            QSize(0, PICTURE_PX + 6 if study.picture is not None else ASKING_PX if study.finding is not None else WORDS_PX)
        )


def _list(folders: list[Path], job: Job) -> list[Path]:
    job.at("Looking for studies", 0, 1)
    return [path for folder in folders for path in studies_in(folder)]


def _segment(
    engine: Engine, path: Path, folder: Path, model: str | None, settings: SegmentSettings, device: str, job: Job
) -> Study:
    if engine.segment is None:
        preload_torch()
    segment = (
        engine.segment if engine.find_liver is None or engine.segment is None else partial(engine.segment, find=engine.find_liver)
    )
    return segment_study(path, folder, model or DEFAULT, settings, device=device, job=job, segment=segment)
