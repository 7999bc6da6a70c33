"""The dock widget "Liver tumours", which connects its sections."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.gui import found_liver
from napari_liver_anomaly.gui.availability import NO_MODEL_YET, NO_SCAN_YET, allow
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.closing_guard import ClosingGuard
from napari_liver_anomaly.gui.exports import Exports
from napari_liver_anomaly.gui.fold import Fold
from napari_liver_anomaly.gui.follow_ups import FollowUps
from napari_liver_anomaly.gui.help_link import HelpLink
from napari_liver_anomaly.gui.inputs import Inputs
from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot, snapshot_of
from napari_liver_anomaly.gui.layers import LIVER_WINDOW, Role, Tag, remember, tag_of
from napari_liver_anomaly.gui.lesion_section import LesionSection
from napari_liver_anomaly.gui.lesion_state import LesionState, after_edits, carried_over
from napari_liver_anomaly.gui.liver_mending import LiverMending
from napari_liver_anomaly.gui.look import NO_SCAN, Look
from napari_liver_anomaly.gui.message_area import LINES, MessageArea
from napari_liver_anomaly.gui.model_chooser import ModelChooser, names_of, summary_of
from napari_liver_anomaly.gui.next_steps import NEXT, NextSteps
from napari_liver_anomaly.gui.panel_defaults import PanelDefaults
from napari_liver_anomaly.gui.prepared_result import PreparedResult
from napari_liver_anomaly.gui.questions import Confirmations
from napari_liver_anomaly.gui.result_layers import ResultLayers, results_in
from napari_liver_anomaly.gui.run_bar import RunBar
from napari_liver_anomaly.gui.scan_loading import ScanLoading
from napari_liver_anomaly.gui.sessions import Sessions
from napari_liver_anomaly.gui.settings_page import SettingsPage
from napari_liver_anomaly.gui.stepwise import Stepwise
from napari_liver_anomaly.gui.style import Panel, line, side_by_side
from napari_liver_anomaly.gui.threshold_controller import ThresholdController
from napari_liver_anomaly.gui.threshold_slider import ThresholdSlider
from napari_liver_anomaly.gui.worker import EDITED, Engine, RunResult, find_liver, segment_layers
from napari_liver_anomaly.io.session import ENDING
from napari_liver_anomaly.preferences import preferred
from napari_liver_anomaly.segmentation import SegmentSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari.layers import Layer
    from qtpy.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent

    from napari_liver_anomaly.gui.found_liver import FoundLiver
    from napari_liver_anomaly.job import Job

_panels: WeakSet[TumourPanel] = WeakSet()
NO_SCAN_FOR_LIVER = "Load the scan first, then its liver mask."
STEPS = (
    "Open a CT scan, or try the sample",
    "Choose its liver, or let it be found",
    "Segment liver tumours",
    "Review the lesions, then export",
)
OPENING = "Open a scan and choose its liver"
DISCARD = "Discard"
DISCARDS = (
    "Discard all that was corrected by hand? What you drew, erased, merged, split or rejected is lost, and cannot be taken back."
)
SEARCHES = "Search the chosen scan with the chosen model; its liver is found first where none is chosen"
NO_MODEL = "Choose a model first: pick 'From file…' and open a .safetensors file."
IN_PROGRESS = "A run is in progress. Wait until it ends, or cancel it."
CORRECTIONS_KEPT = "The lesions that you corrected by hand were kept as they are."


class TumourPanel(Panel):
    """Find liver tumours in the chosen scan, and look at what was found."""

    loaded = Signal()  # what was read is on screen
    asked = Signal()  # a scan was not read before a question is answered, which is on screen
    finished = Signal()  # the run is over and what it found is on screen

    def __init__(self, napari_viewer: Any, engine: Engine | None = None) -> None:
        super().__init__(napari_viewer)
        self.setAcceptDrops(True)  # anywhere on it: the box for drops folds away once there is a result
        self._engine = engine or Engine()
        self.shown: dict[str, ResultLayers] = {shown.scan: shown for shown in results_in(self.viewer)}
        self.inputs = Inputs(self.viewer)
        self.model = ModelChooser(
            partial(names_of, self._engine.names), SegmentSettings, partial(summary_of, card=self._engine.card)
        )
        self.runbar = RunBar("Segment liver tumours", SEARCHES, "Alt+G")
        self.messages = MessageArea(lines=LINES)
        self.mending = LiverMending(self.viewer, self.inputs, self.messages)
        self._doubts = Confirmations(self.messages)
        self.threshold = ThresholdSlider(SegmentSettings().threshold)
        self.segmenting, self._carrying, self._showing = Task(self, alone=True), Task(self), Stepwise(self)
        self.controller = ThresholdController(self.threshold, self.viewer, self._settings)
        self.lesions = LesionSection(self.viewer, self.controller, self.messages)
        self.table = self.lesions.table
        self.scans = ScanLoading(self, self.viewer, self.inputs, self.messages, self._engine.series_in)
        self.look = Look(self, self.viewer, self.inputs, self.messages, self._now, held=lambda: self.controller.preview.on)
        self.exports = Exports(self, self.viewer, self.controller, self.messages, self._engine.write)
        self._given: Sequence[tuple[Layer, Any]] = ()  # layers of the run in progress, and the arrays they had
        self._livers: Sequence[FoundLiver] = ()  # livers that the run in progress found before its end
        self._guard = ClosingGuard(self, self.segmenting)
        self.sessions = Sessions(self, show=self._show, follow=self._follow)
        self.follow_ups = FollowUps(self, self.messages, self.sessions.seen, self.lesions.turn_to)
        self._defaults: PanelDefaults | None = None  # that were set last
        self._told: Layer | None = None  # the scan that the messages are about
        self._lay_out()
        self._wire()
        self._begin_with(preferred(PanelDefaults))
        self._follow()
        self._offer_runs()
        self.look.mark_window()
        if self.inputs.scan.layer is not None:
            self._tell_findings(self.inputs.scan.layer)
        _panels.add(self)

    @staticmethod
    def of(viewer: Any) -> TumourPanel | None:
        """Find the panel of a viewer."""
        wanted = getattr(viewer, "__wrapped__", viewer)
        return next((p for p in _panels if isalive(p) and p.viewer is wanted), None)

    def _lay_out(self) -> None:
        """Put the sections below each other, by the steps of a reading."""
        self.settings_button = QPushButton("Settings…")
        self.settings_button.setToolTip(
            "What a panel begins with: device, window, smallest lesion, what is exported; kept for next time"
        )
        self.steps = NextSteps(STEPS, (self.inputs.scan, self.inputs.liver))
        buttons = side_by_side(self.sessions.buttons, self.settings_button, HelpLink("Sessions"))
        opening = [self.steps, self.scans.box, buttons, self.inputs, self.mending]
        self.study, self.method = Fold("Scan and liver", opening, about=OPENING), Fold("Model", [self.model], about="Segment")
        for button in (self.sessions.save_button, self.follow_ups.button):
            button.setProperty("kind", "choice")  # narrow, so that all three fit beside a scroll bar
        keeping = side_by_side(self.exports.choice, self.sessions.save_button, self.follow_ups.button, HelpLink("Export"))
        look = self.look
        self._fill(
            [self.study, self.method, self.runbar, line(), look.rows, self.threshold, self.lesions, look.overlays, keeping],
            foot=[self.scans.question, self.messages],
            tall=self.lesions,
            about="The panel, step by step",
        )

    def _wire(self) -> None:
        self.scans.box.opened.connect(self.open)
        self.scans.loaded.connect(self.loaded)
        self.scans.asked.connect(self.asked)
        self.inputs.scan_chosen.connect(self._turn_to_scan)
        self.inputs.load_liver.connect(self.open_liver)
        self.inputs.find_liver.connect(self.find_liver)
        self.settings_button.clicked.connect(self.open_settings)
        self.runbar.started.connect(self.segment)
        self.runbar.stopped.connect(self.segmenting.cancel)
        self.model.rows.changed.connect(self.controller.cut)
        self.threshold.smallest.changed.connect(lambda *_: self._take_smallest())
        self.model.chosen.connect(self._follow_overlays)
        for chosen in (self.inputs.liver.chosen, self.model.chosen, self.model.device.currentIndexChanged):
            chosen.connect(lambda *_: self._sum_up())
        for chosen in (self.inputs.scan.chosen, self.inputs.liver.chosen, self.model.chosen):
            chosen.connect(lambda *_: self._offer_runs())
        self.lesions.changed.connect(self._follow_result)
        self.controller.changed.connect(self._follow_result)
        self.threshold.discarded.connect(lambda: self.messages.ask(DISCARDS, {DISCARD: self.controller.discard}))
        self.segmenting.progressed.connect(self.runbar.show_progress)
        self.segmenting.returned.connect(self._show_what)
        self.segmenting.cancelled.connect(lambda: self._stop("Stopped. Nothing was kept.", "Stopped. Only the liver was kept."))
        self._carrying.returned.connect(lambda made: self._carry(*made))
        for work in (self.segmenting, self._carrying, self.controller):
            work.refused.connect(self.messages.show_findings)
            work.failed.connect(self.messages.fail)
        self._showing.failed.connect(self.messages.fail)
        for over in (self.segmenting.refused, self.segmenting.failed, self._carrying.refused, self._carrying.failed):
            over.connect(lambda *_: self._stop("", "The liver that was found is kept."))
        self._showing.failed.connect(lambda *_: self._rest(""))
        self._events.hear(self.viewer.layers.events.removed, self._forget)
        self._events.hear(self.viewer.layers.events.inserted, self._hear_new)

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Welcome files, as the box for drops does."""
        self.scans.box.dragEnterEvent(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent | None) -> None:
        """Show the plain border of the box again."""
        self.scans.box.dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Take the files, as the box for drops does."""
        self.scans.box.dropEvent(event)

    def _leave(self) -> None:
        self.look.leave()
        self.lesions.adding.end()
        self.mending.growing.end()

    def open_settings(self) -> SettingsPage:
        """Open the page of settings that are kept."""
        page = SettingsPage(self, self.viewer.theme)
        page.saved.connect(self._begin_with)
        page.open()
        return page

    def _begin_with(self, defaults: PanelDefaults) -> None:
        """Set what the user wants to begin with; of a reading on screen only what they have just changed."""
        before, self._defaults = self._defaults, defaults
        changed = {name for name, value in defaults.to_dict().items() if before is None or value != before.to_dict()[name]}
        if "processor" in changed:
            self.model.device.setCurrentIndex(self.model.device.findData(defaults.processor))
        if "min_lesion_mm3" in changed:
            self._smallest.value = defaults.min_lesion_mm3
        for name in changed & {"report", "dicom_seg"}:
            self.exports.choice.ticks[name].setChecked(getattr(defaults, name))
        if before is not None and changed & {"width_hu", "level_hu"} and self.inputs.scan.layer is not None:
            self.look.window(*defaults.window_hu)

    def open(self, paths: Sequence[Path]) -> None:
        """Open a session, or read scans in a worker and show them; what only the user can decide is asked in the panel."""
        sessions = [path for path in paths if path.name.endswith(ENDING)]
        if sessions:
            self.sessions.open(sessions[0])
        if scans := [path for path in paths if path not in sessions]:
            self.scans.open(scans)

    def open_liver(self, path: Path) -> None:
        """Read the liver mask of the chosen scan in a worker and show it."""
        scan = self.inputs.scan.layer
        if scan is None:
            self.messages.note(NO_SCAN_FOR_LIVER)
        elif (snapshot := self._snapshot(scan)) is not None:
            self.scans.open((path,), scan=snapshot)

    def _hear_new(self, event: Any) -> None:
        self._tell_findings(event.value)

    def _tell_findings(self, scan: Layer) -> None:
        """Say what there is to say of a scan, whoever opened it."""
        tag = tag_of(scan)
        if tag is not None and tag.role is Role.SCAN and tag.findings:
            self.messages.add_findings(*tag.findings)

    def _offer_runs(self) -> None:
        """Let begin what can begin; what cannot says why."""
        scan, liver = self.inputs.scan.layer is not None, self.inputs.liver.layer is not None
        no_model = NO_MODEL_YET if self.model.name is None else ""
        self.steps.hinder(no_model)
        self.runbar.allow(no_model if scan else NO_SCAN_YET)
        self.inputs.offer(IN_PROGRESS if self.runbar.running else "")
        self.mending.allow(liver=liver)

    def find_liver(self) -> None:
        """Start to look for the liver of the chosen scan, or say what is missing."""
        self.messages.clear()
        scan = self.inputs.scan.layer
        if scan is None:
            return self.messages.note(NO_SCAN)
        snapshot = self._snapshot(scan)
        if snapshot is None or self._doubts.waits(snapshot, "Find it anyway", self.find_liver):
            return None
        return self._begin(partial(find_liver, self._engine, snapshot, self.model.device.currentData()))

    def segment(self) -> None:
        """Start the run on the chosen scan and liver, which is found first where none is chosen; or say what is missing."""
        self.messages.clear()
        scan, liver, name = self.inputs.scan.layer, self.inputs.liver.layer, self.model.name
        if scan is None:
            return self.messages.note(NO_SCAN)
        if name is None:
            return self.messages.note(NO_MODEL)
        snapshot, mask = self._snapshot(scan), self._snapshot(liver) if liver is not None else None
        if snapshot is None or (mask is None and liver is not None):
            return None
        if self._doubts.waits(snapshot, "Segment anyway", self.segment):
            return None
        device, written = self.model.device.currentData(), found_liver.written(liver)
        livers: list[FoundLiver] = []
        self._given = [(layer, layer.data) for layer in (scan, liver) if layer is not None]
        work = partial(
            segment_layers, self._engine, snapshot, mask, name, self._settings(), device, written=written, livers=livers
        )
        return self._begin(work, livers)

    def _begin(self, work: Callable[[Job], Any], livers: Sequence[FoundLiver] = ()) -> None:
        """Start work of which there may be one at a time, unless there is some; it leaves the livers that it finds."""
        if self._showing.busy or self._carrying.busy or not self.segmenting.start(work):
            return self.messages.note(IN_PROGRESS)
        self._livers = livers
        self._guard.watch()
        self.inputs.offer(IN_PROGRESS)
        return self.runbar.run()

    def _show_what(self, found: RunResult | FoundLiver) -> None:
        if isinstance(found, RunResult):
            self._carry(found, None, -1)
        else:
            self._showing.begin(self._show_liver(found))

    def _carry(self, found: RunResult, state: LesionState | None, edits: int) -> None:
        """Show what a run found once the corrections of an earlier result of the scan are carried over, in a worker."""
        earlier = self.shown.get(found.result.volume.identity)
        if earlier is None or earlier.edits == edits:
            self._showing.begin(self._show_run(found, state))
        else:
            self._carrying.start(partial(_carried, found, earlier.state, earlier.data, earlier.edits))

    def _show_liver(self, found: FoundLiver) -> Iterator[None]:
        """Show the liver that was looked for; without its scan it is of no use."""
        if found_liver.scan_of(found, self.viewer) is None:
            self.messages.note("The scan was removed while its liver was looked for. Nothing was kept.")
            return self._rest("")
        found_liver.show(found, self.viewer, self.inputs)
        yield
        self.messages.show_findings(*found.notes)
        return self._rest(f"Liver found: {found.mask.ml:,.0f} ml.")

    def _show_run(self, found: RunResult, state: LesionState | None) -> Iterator[None]:
        """Show what a run found, and keep a session of it."""
        yield from self._show(found, state)
        self.sessions.keep()

    @property
    def busy(self) -> bool:
        """Whether a scan or a session is being shown, or a run is in progress."""
        return any(work.busy for work in (self.segmenting, self._showing, self._carrying, self.scans))

    def show_steps(self, steps: Iterator[None]) -> None:
        """Show something layer by layer."""
        self._showing.begin(steps)

    def _show(self, found: RunResult, state: LesionState | None) -> Iterator[None]:
        """Show what a run found, layer by layer, also when the scan's layer is gone by now."""
        result, scan = found.result, found.scan
        self.controller.follow(None)
        if found.liver is not None:
            found_liver.show(found.liver, self.viewer, self.inputs)
            yield
        shown = ResultLayers(self.viewer, result, scan.place, scan.name, state)
        earlier, self.shown[shown.scan] = self.shown.get(shown.scan), shown
        layer = next((layer for layer in self.viewer.layers if layer.data is scan.data), None)
        yield from shown.show(tuple(layer.contrast_limits) if layer is not None else LIVER_WINDOW, earlier)
        self.shown[shown.scan] = shown
        notes = [*([CORRECTIONS_KEPT] if shown.state.corrected else []), *map(str, found.notes)]
        if layer is not None and layer in self.viewer.layers:
            remember(layer, replace(scan.tag or Tag(Role.SCAN, ""), scan=shown.scan))
            self.inputs.scan.choose(layer)
        replaced = [given for given, data in self._given if given in self.viewer.layers and given.data is not data]
        if replaced and str(EDITED) not in notes:
            notes.append(str(EDITED))
        if all(given not in self.viewer.layers for given, data in self._given if data is scan.data):
            notes.insert(0, "The scan was removed during the run. The result was kept.")
        self.messages.note(*notes)
        if earlier is not None:
            shown.left_out, shown.notes = earlier.left_out, earlier.notes
        self._follow(shown)
        if (largest := shown.largest()) is not None:
            self.lesions.turn_to(largest)
        self._rest(f"{result.ran_on} {NEXT} {STEPS[-1]}.")

    def _stop(self, text: str, kept: str) -> None:
        """End a run that has no result; a liver that it found before is shown all the same, if its scan is still there."""
        found = [liver for liver in self._livers if found_liver.scan_of(liver, self.viewer) is not None]
        if not found:
            return self._rest(text)

        def show() -> Iterator[None]:
            found_liver.show(found[-1], self.viewer, self.inputs)
            yield
            self._rest(kept)

        return self._showing.begin(show())

    def _rest(self, text: str) -> None:
        """End the run, in whichever way."""
        self._livers = self._given = ()
        self.runbar.rest(text)
        self.inputs.offer()
        self.finished.emit()

    def _now(self) -> ResultLayers | None:
        """Give the result of the chosen scan."""
        tag = tag_of(self.inputs.scan.layer)
        return self.shown.get(tag.scan) if tag is not None else None

    def _turn_to_scan(self) -> None:
        """Show the chosen scan with its result, and nothing of another scan; its first run begins with a threshold of its own."""
        self._change_messages()
        self.look.turn_to_scan()
        self.runbar.tell("")
        self._follow()
        if self.controller.shown is None:
            self.threshold.reset()

    def _change_messages(self) -> None:
        """Say what there is to say of the chosen scan, and nothing of the one before; a question stays."""
        before, self._told = self._told, self.inputs.scan.layer
        if self._told is not before and not self.messages.answers:
            self.messages.clear()
            if self._told is not None:
                self._tell_findings(self._told)

    def _follow(self, shown: ResultLayers | None = None) -> None:
        """Turn to the chosen scan's result, to which the panel then belongs: what leads to a result folds into one line each."""
        before, now = self.controller.shown, shown or self._now()
        if now is not None and now is not before:
            self.model.show_settings(now.settings)  # or the next move of the slider would cut with those of another result
        self.controller.follow(now)
        self._sum_up()
        if (before is None) is not (now is None):
            for fold in (self.study, self.method):
                fold.open(now is None)

    def _sum_up(self) -> None:
        """Say in one line each what was chosen, for the time when it is folded, and which model gave the result."""
        chosen = [chooser.currentText() for chooser in (self.inputs.scan, self.inputs.liver)]
        self.study.sum_up(", ".join(filter(None, chosen)))
        shown, wanted = self.controller.shown, f"{self.model.model.currentText()}, {self.model.device.currentText()}"
        if shown is not None and shown.result.model != self.model.model.currentText():
            wanted = f"{shown.result.model} gave this result; next: {wanted}"
        self.method.sum_up(wanted)

    def _follow_result(self) -> None:
        """List the lesions that there are now, and offer what there is to see and to export."""
        shown = self.controller.shown
        self.lesions.follow()
        self.steps.tick_run(shown is not None)
        self._follow_overlays()
        self.exports.follow()
        allow(self.sessions.save_button, self.exports.why_not)
        self.viewer.cursor.events.position()  # the status bar tells the label below the mouse, which may be another now
        self.follow_ups.follow(shown)
        self.sessions.follow()

    def _follow_overlays(self) -> None:
        """Offer the overlays that there are; before a run, those that the chosen model will give."""
        shown = self.controller.shown
        self.threshold.setVisible(shown is not None)
        self.threshold.smallest.value = self._smallest.value
        self.look.follow(shown, restores=self.model.about.restores)

    def _take_smallest(self) -> None:
        """Cut with the smallest lesion that was set beside the threshold."""
        if (wanted := self.threshold.smallest.value) != self._smallest.value:
            self._smallest.value = wanted

    @property
    def _smallest(self) -> Any:
        """The row of the smallest lesion among the further settings."""
        return self.model.rows.fields["min_lesion_mm3"]

    def _settings(self) -> SegmentSettings:
        return self.model.rows.value(threshold=self.threshold.value, auto_threshold=self.threshold.auto.isChecked())

    def _forget(self, event: Any) -> None:
        """Let go of a layer that was deleted, and of a result that has none left."""
        for identity, shown in list(self.shown.items()):
            shown.forget(event.value)
            if not shown.layers:
                del self.shown[identity]
        self._follow()

    def _snapshot(self, layer: Layer) -> LayerSnapshot | None:
        try:
            return snapshot_of(layer)
        except Refusal as refusal:
            self.messages.show_findings(refusal.finding)
            return None


def _carried(found: RunResult, earlier: LesionState, data: Any, edits: int, job: Job) -> tuple[RunResult, LesionState, int]:
    """Carry corrections over to the result of another run; in a worker."""
    job.at("Measuring lesions", 0, 1)
    prepared = PreparedResult(found.result)
    return found, carried_over(prepared, after_edits(prepared, earlier, data)), edits
