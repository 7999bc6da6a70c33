"""The dock widget "Synthetic anomalies", which connects its sections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.gui.availability import NO_MODEL_YET
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.closing_guard import ClosingGuard
from napari_liver_anomaly.gui.detection_card import DetectionCard
from napari_liver_anomaly.gui.event_listener import EventListener
from napari_liver_anomaly.gui.fold import Fold
from napari_liver_anomaly.gui.inputs import Inputs
from napari_liver_anomaly.gui.layer_snapshot import mask_of, snapshot_of, volume_of
from napari_liver_anomaly.gui.layers import RED, Role, Tag, add, liver_layer, outlined, scan_layer
from napari_liver_anomaly.gui.message_area import LINES, MessageArea
from napari_liver_anomaly.gui.model_chooser import ModelChooser, names_of, summary_of
from napari_liver_anomaly.gui.next_steps import NextSteps
from napari_liver_anomaly.gui.reading_link import ReadingLink
from napari_liver_anomaly.gui.recipe_form import RecipeForm
from napari_liver_anomaly.gui.run_bar import RunBar
from napari_liver_anomaly.gui.sample_link import HealthySampleLink
from napari_liver_anomaly.gui.slice_preview import SlicePreview, SyntheticSlice, slice_on_screen
from napari_liver_anomaly.gui.stepwise import Stepwise
from napari_liver_anomaly.gui.style import Panel, keep_room, line, one_line, say, side_by_side
from napari_liver_anomaly.gui.synthetic_check import SyntheticCheck
from napari_liver_anomaly.gui.tumour_panel import IN_PROGRESS, NO_MODEL
from napari_liver_anomaly.gui.worker import EDITED, Engine
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.synthesis import RECIPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.synthesis import Recipe
    from napari_liver_anomaly.synthesis.apply import Synthesis
    from napari_liver_anomaly.volume import Mask, Volume

SOON_MS = 15
HEALTHY = "No anomaly on this slice with this seed. Try 'New one'."
STEPS = ("Open a CT scan, or try the sample", "Choose its liver", "Would the model see this anomaly?")
NO_LIVER = "There is no liver on this slice."
NO_INPUTS = "Choose a scan and its liver first."


@dataclass(eq=False)
class ScanAndLiver:
    """Scan and liver as made from their layers, kept so that a preview need not make them, nor its drawing, again."""

    scan: LayerSnapshot
    liver: LayerSnapshot
    made: Synthesis | None = None

    def get(self) -> Synthesis:
        """Make them at the first call, in a worker."""
        from napari_liver_anomaly.synthesis.apply import Synthesis

        if self.made is None:
            volume = volume_of(self.scan, copy=False)
            self.made = Synthesis(volume, mask_of(self.liver, self.scan, volume, "liver mask"))
        return self.made


@dataclass(frozen=True, eq=False)
class SyntheticScan:
    """Anomalies on a whole scan, with its liver and their mask; and whether the layers were changed meanwhile."""

    scan: LayerSnapshot
    volume: Volume
    liver: Mask
    mask: Mask
    edited: bool


class AnomalyPanel(Panel):
    """See what the models are trained on: an anomaly on the slice on screen, or on the whole liver."""

    finished = Signal()  # drawing on the whole volume is over

    def __init__(self, napari_viewer: Any, engine: Engine | None = None) -> None:
        super().__init__(napari_viewer)
        engine = engine or Engine()
        self.inputs = Inputs(self.viewer)
        for button in (self.inputs.find_button, self.inputs.load_button):
            button.setVisible(False)
        self.recipe = RecipeForm(RECIPES)
        self.follow, self.beside = QCheckBox("Preview this slice"), QCheckBox("Beside the original")
        self.follow.setToolTip("Draw at once on the axial slice you look at; the two preview layers go when this is switched off")
        self.follow.setChecked(True)
        self.beside.setToolTip("Show the preview to the right of the axial slice, instead of over it")
        self.said = keep_room(one_line())
        self.runbar = RunBar("Draw on the whole volume", "Draw on every slice of the liver, as a scan of its own")
        self.model = ModelChooser(partial(names_of, engine.names), SegmentSettings, partial(summary_of, card=engine.card))
        self.check, self.card = SyntheticCheck(self.viewer, engine), DetectionCard(engine)
        self.messages = MessageArea(lines=LINES)
        self.preview = SlicePreview(self.viewer)
        self.drawing, self.latest = Task(self, alone=True), Task(self)
        self._guard = ClosingGuard(self, self.drawing)
        self._showing = Stepwise(self)
        self._inside: ScanAndLiver | None = None
        self._objected, self._refit = "", False
        self._ears = EventListener()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self.steps = NextSteps(STEPS, (self.inputs.scan, self.inputs.liver))
        self.sample, self.reading = HealthySampleLink(self.viewer, self.inputs.scan), ReadingLink(self.viewer, self.inputs)
        self._fill([
            Fold("Scan and liver", [self.steps, self.sample, self.reading, self.inputs]),
            Fold("Anomaly", [self.recipe, side_by_side(self.follow, self.beside), self.said, self.runbar], about="What training draws"),
            line(), Fold("Model", [self.model], is_open=False, about="Would the model see this?"), self.check,
            line(), Fold("Detection limit in this liver", [self.card], is_open=False, about="Detection limit"),
        ], foot=[self.messages], about="What can the model see here?")  # fmt: skip
        self._wire()
        self._again()
        self._offer_runs()

    def _wire(self) -> None:
        for changed in (self.inputs.scan.chosen, self.inputs.liver.chosen):
            changed.connect(self._again)
            changed.connect(self._offer_runs)
        self.model.chosen.connect(self._offer_runs)
        self.recipe.changed.connect(self._soon.start)
        self.follow.toggled.connect(self._soon.start)
        self._soon.timeout.connect(self._draw)
        self.beside.toggled.connect(self._put)
        self._events.hear(self.viewer.dims.events.point, self._moved)
        self._events.hear(self.viewer.layers.events.removed, self._forget)
        self.latest.returned.connect(self._show)
        self.latest.refused.connect(self.messages.show_findings)
        self.latest.failed.connect(self.messages.fail)
        self.runbar.started.connect(self.draw_whole)
        self.runbar.stopped.connect(self.drawing.cancel)
        self.drawing.progressed.connect(self.runbar.show_progress)
        self.drawing.returned.connect(lambda found: self._showing.begin(self._show_whole(found)))
        self.drawing.cancelled.connect(lambda: self._rest("Stopped. Nothing was kept."))
        self._showing.failed.connect(self.messages.fail)
        self.drawing.refused.connect(self.messages.show_findings)
        self.drawing.failed.connect(self.messages.fail)
        for over in (self.drawing.refused, self.drawing.failed, self._showing.failed):
            over.connect(lambda *_: self._rest(""))
        self.sample.made.connect(self._showing.begin)
        self.sample.making.failed.connect(self.messages.fail)
        self.check.wanted.connect(self.search)
        self.check.refused.connect(self.messages.show_findings)
        self.check.failed.connect(self.messages.fail)
        self.check.finished.connect(partial(self._look_at, self.check))
        self.card.wanted.connect(self.measure)
        self.card.refused.connect(self.messages.show_findings)
        self.card.failed.connect(self.messages.fail)
        self.card.told.connect(self.messages.note)
        self.card.finished.connect(partial(self._look_at, self.card))

    def _offer_runs(self) -> None:
        """Let begin what can begin; what cannot says why."""
        missing = "" if self.inputs.scan.layer is not None and self.inputs.liver.layer is not None else NO_INPUTS
        no_model = NO_MODEL_YET if self.model.name is None else ""
        self.steps.hinder(no_model)
        self.runbar.allow(missing)
        for bar in (self.check.runbar, self.card.runbar):
            bar.allow(missing or no_model)

    def draw_whole(self) -> None:
        """Draw on every slice of the liver, in a worker."""
        if (given := self._given()) is None:
            return None
        inside, recipe = given
        # Its own look at the layers, so that a liver corrected since the preview counts.
        work = partial(_whole, ScanAndLiver(inside.scan, inside.liver), recipe, self.recipe.seed.value())
        if self._showing.busy or not self.drawing.start(work):
            return self.messages.note(IN_PROGRESS)
        self._guard.watch()
        return self.runbar.run()

    def search(self) -> None:
        """Draw on every slice of the liver and let the chosen model search it, in a worker."""
        if (given := self._given()) is None:
            return None
        if self.model.name is None:
            return self.messages.note(NO_MODEL)
        inside, recipe = given
        self.follow.setChecked(False)
        if not self.check.begin(inside.scan, inside.liver, recipe, self.recipe.seed.value(), self.model.name, *self._how()):
            return self.messages.note(IN_PROGRESS)
        return None

    def measure(self) -> None:
        """Measure the detection limit of the chosen model in this scan, in a worker."""
        if (inside := self._chosen()) is None:
            return None
        if self.model.name is None:
            return self.messages.note(NO_MODEL)
        if not self.card.begin(inside.scan, inside.liver, self.model.name, *self._how()):
            return self.messages.note(IN_PROGRESS)
        return None

    def _how(self) -> tuple[SegmentSettings, str]:
        """Read how tumours are cut from the score, and where to compute."""
        return self.model.rows.value(auto_threshold=True), self.model.device.currentData()

    def _given(self) -> tuple[ScanAndLiver, Recipe] | None:
        """Give what to draw, and into what; or say what is missing."""
        inside = self._chosen()
        recipe = None if inside is None else self._recipe()
        return None if inside is None or recipe is None else (inside, recipe)

    def _chosen(self) -> ScanAndLiver | None:
        """Give scan and liver, or say what is missing."""
        self.messages.clear()
        inside = self._take()
        if inside is None and not self.messages.text:
            self.messages.note(NO_INPUTS)
        return inside

    def _take(self) -> ScanAndLiver | None:
        """Scan and liver of now; those kept while their layers stay the same."""
        scan, liver = self.inputs.scan.layer, self.inputs.liver.layer
        if scan is None or liver is None:
            return None
        try:
            new = ScanAndLiver(snapshot_of(scan), snapshot_of(liver))
        except Refusal as refusal:
            self.messages.show_findings(refusal.finding)
            return None
        old = self._inside
        if old is None or old.scan.data is not new.scan.data or old.liver.data is not new.liver.data:
            self._inside = old = new
        old.scan, old.liver = new.scan, new.liver
        return old

    def _again(self, _event: object = None) -> None:
        """Make scan and liver anew: others were chosen, or the liver was painted."""
        self._inside = None
        self._ears.stop()
        if self.inputs.liver.layer is not None:
            self._ears.hear(self.inputs.liver.layer.events.paint, self._again)
        self._soon.start()

    def _moved(self, _event: object = None) -> None:
        if self.follow.isChecked():
            self._soon.start()

    def _draw(self) -> None:
        """Ask for the slice on screen, or take the preview away."""
        if not self.follow.isChecked():
            return self._blank()
        inside = self._take()
        if inside is None:
            return say(self.said, "Choose a scan and its liver to see a preview.")
        if (recipe := self._recipe()) is None:
            return self._blank()  # what is shown was drawn with other settings
        if self.messages.text == self._objected:  # what was objected to is mended
            self.messages.clear()
        z = slice_on_screen(self.viewer, inside.scan)
        return self.latest.ask(partial(_one, inside, z, recipe, self.recipe.seed.value()))

    def _put(self, beside: bool) -> None:
        """Show the preview beside the original or over it, and both whole."""
        self.preview.put(beside=beside)
        self._soon.start()
        self._refit = True

    def _recipe(self) -> Recipe | None:
        """Read the recipe from the rows; None when these do not go together, which is then said."""
        try:
            return self.recipe.value
        except Refusal as refusal:
            finding = self.recipe.name_rows(refusal.finding)
            self._objected = str(finding)
            self.messages.show_findings(finding)
        return None

    def _blank(self) -> None:
        """Show no preview."""
        self.latest.cancel()
        say(self.said, "")
        was_beside = self.beside.isChecked() and self.preview.image is not None
        self.preview.remove()
        if was_beside:
            self.viewer.fit_to_view()  # without the picture beside it, the scan would be small

    def _leave(self) -> None:
        """Take the preview along."""
        self.follow.setChecked(False)
        self._blank()

    def _show(self, found: tuple[ScanAndLiver, SyntheticSlice, bool]) -> None:
        inside, drawn, here = found
        if inside is not self._inside or not self.follow.isChecked():
            return
        scan = self.inputs.scan.layer
        if scan is None:
            return
        self.preview.show(drawn, inside.scan, tuple(scan.contrast_limits))
        if self._refit:
            self._refit = False
            self.viewer.fit_to_view()
        count = int(drawn.mask.sum())
        area_mm2 = count * inside.scan.geometry.spacing_mm[1] * inside.scan.geometry.spacing_mm[2]
        say(self.said, f"Anomaly of {area_mm2:,.0f} mm² on slice {drawn.z}." if count else HEALTHY if here else NO_LIVER)

    def _show_whole(self, found: SyntheticScan) -> Iterator[None]:
        """Show the anomalous scan, its liver and its anomalies, layer by layer; the preview gives way."""
        volume, mask, place = found.volume, found.mask, found.scan.place
        self.follow.setChecked(False)
        yield
        voxels, look, kind = scan_layer(volume)
        add(self.viewer, (voxels, look | place, kind))
        yield
        data, look, kind = liver_layer(found.liver, volume, place)
        add(self.viewer, (data, look | {"visible": False}, kind))
        yield
        look = outlined(f"{volume.name} mask", RED, Tag(Role.ANOMALIES, volume.identity, volume.geometry))
        add(self.viewer, (mask.voxels.astype("uint8"), look | place, "labels"))
        if found.edited:
            self.messages.show_findings(EDITED)
        self._rest(f"Anomalies of {mask.ml:,.1f} ml in all.")

    def _rest(self, text: str) -> None:
        """End the run, in whichever way."""
        self.runbar.rest(text)
        self.finished.emit()

    def _look_at(self, section: QWidget) -> None:
        """Bring what was found into sight, once it has its place."""
        QTimer.singleShot(SOON_MS, partial(self.scroller.ensureWidgetVisible, section))
        self.finished.emit()

    def _forget(self, event: Any) -> None:
        if self.preview.forget(event.value):
            self.preview.remove()
            self.follow.setChecked(False)


def _one(inside: ScanAndLiver, z: int, recipe: Recipe, seed: int, job: Job) -> tuple[ScanAndLiver, SyntheticSlice, bool]:
    """Draw on one slice; in a worker."""
    job.at("Drawing", 0, 1)
    synthesis = inside.get()
    hu, mask = synthesis.slice(z, recipe, seed, job)
    return inside, SyntheticSlice(z, hu, mask), bool(synthesis.liver.voxels[z].any())


def _whole(inside: ScanAndLiver, recipe: Recipe, seed: int, job: Job) -> SyntheticScan:
    """Draw on the whole liver; in a worker."""
    from napari_liver_anomaly.synthesis.apply import synthesise

    job.at("Preparing the scan", 0, 1)
    volume = volume_of(inside.scan)  # a copy, so that later edits of the layers do not reach it
    liver = mask_of(inside.liver, inside.scan, volume, "liver mask")
    anomalous, mask = synthesise(volume, liver, recipe, seed, job)
    named = replace(anomalous, name=f"{inside.scan.name} anomalous")
    now = inside.get()
    edited = not (np.array_equal(now.volume.voxels, volume.voxels) and np.array_equal(now.liver.voxels, liver.voxels))
    return SyntheticScan(inside.scan, named, replace(liver, scan=named.identity), replace(mask, scan=named.identity), edited)
