"""Would the model see this? The synthetic anomalies are drawn into the scan, which is then searched like any other."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_liver_anomaly.detection import SyntheticSearch, search_synthetic
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.closing_guard import ClosingGuard
from napari_liver_anomaly.gui.known_lesion_table import KnownLesionTable
from napari_liver_anomaly.gui.layer_snapshot import mask_of, volume_of
from napari_liver_anomaly.gui.layers import BLUE, RED, Role, Tag, add, liver_layer, outlined, scan_layer
from napari_liver_anomaly.gui.run_bar import RunBar
from napari_liver_anomaly.gui.stepwise import Stepwise
from napari_liver_anomaly.gui.style import say, small
from napari_liver_anomaly.gui.turning import turn_view
from napari_liver_anomaly.gui.worker import Engine, preload_torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Layer

    from napari_liver_anomaly.detection import KnownLesion
    from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.synthesis import Recipe

LEGEND = "Red: the anomalies. Blue: what the model found. A click on a row goes there."


class SyntheticCheck(QWidget):
    """A button that searches the scan with the anomalies of now, and each of them with its highest score and overlap."""

    wanted = Signal()  # the button was pressed; answered by begin()
    finished = Signal()  # what was found is on screen, or the search ended otherwise
    refused = Signal(object)  # Finding
    failed = Signal(str, str)  # one sentence, details

    def __init__(self, viewer: Any, engine: Engine) -> None:
        super().__init__()
        self._viewer, self._engine = viewer, engine
        self._ours: list[Layer] = []  # layers of the last search, which those of the next replace
        self.runbar = RunBar(
            "Would the model see this?", "Draw these anomalies on the whole scan, search it with the chosen model, and compare"
        )
        self.verdict, self.legend, self.table = small(), small(LEGEND), KnownLesionTable()
        self.verdict.setProperty("kind", "number")
        self.searching, self._showing = Task(self, alone=True), Stepwise(self)
        self._guard = ClosingGuard(self, self.searching)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        for widget in (self.runbar, self.verdict, self.table, self.legend):
            layout.addWidget(widget)
        self._tell(None)
        self.runbar.started.connect(self.wanted)
        self.runbar.stopped.connect(self.searching.cancel)
        self.searching.progressed.connect(self.runbar.show_progress)
        self.searching.returned.connect(lambda found: self._showing.begin(self._show(*found)))
        self.searching.cancelled.connect(lambda: self._rest("Stopped. Nothing was kept."))
        for work in (self.searching, self._showing):
            work.failed.connect(self.failed)
            work.failed.connect(lambda *_: self._rest(""))
        self.searching.refused.connect(self.refused)
        self.searching.refused.connect(lambda _: self._rest(""))
        self.table.picked.connect(self._turn_to)

    @property
    def busy(self) -> bool:
        """Whether a search is in progress, or being shown."""
        return self.searching.busy or self._showing.busy

    def begin(
        self, scan: LayerSnapshot, liver: LayerSnapshot, recipe: Recipe, seed: int, model: str, settings: SegmentSettings,
        device: str,
    ) -> bool:  # fmt: skip
        """Begin to draw and search, in a worker; False while another run is in progress."""
        work = partial(_search, self._engine, scan, liver, recipe, seed, model, settings, device)
        if self._showing.busy or not self.searching.start(work):
            return False
        self._tell(None)
        self._guard.watch()
        self.runbar.run()
        return True

    def _show(self, found: SyntheticSearch, scan: LayerSnapshot) -> Iterator[None]:
        """Show the scan that was searched, its anomalies and what was found, in the place of those of the search before."""
        gone, self._ours = [layer for layer in self._ours if layer in self._viewer.layers], []
        for layer in gone:
            self._viewer.layers.remove(layer)
        volume, place = found.result.volume, scan.place
        voxels, look, kind = scan_layer(volume)
        self._ours.append(add(self._viewer, (voxels, look | place, kind)))
        yield
        data, look, kind = liver_layer(found.result.liver, volume, place)
        self._ours.append(add(self._viewer, (data, look | {"visible": False}, kind)))
        yield
        for name, colour, shape, role in (
            ("mask", RED, found.mask.voxels, Role.ANOMALIES), ("found", BLUE, found.result.labels > 0, Role.FOUND),
        ):  # fmt: skip
            tag = Tag(role, volume.identity, volume.geometry)
            look = outlined(f"{volume.name} {name}", colour, tag) | place
            self._ours.append(add(self._viewer, (shape.astype("uint8"), look, "labels")))
            yield
        self._tell(found)
        self._turn_to(found.anomalies[0])
        self._rest(found.result.ran_on)

    def _tell(self, found: SyntheticSearch | None) -> None:
        """Say what was found, or nothing before a search."""
        say(self.verdict, "" if found is None else found.summary)
        self.table.show_lesions(None if found is None else found.anomalies)
        self.legend.setVisible(found is not None)

    def _turn_to(self, anomaly: KnownLesion) -> None:
        if self._ours and self._ours[0] in self._viewer.layers:
            turn_view(self._viewer, self._ours[0], anomaly.centre)

    def _rest(self, text: str) -> None:
        self.runbar.rest(text)
        self.finished.emit()


def _search(
    engine: Engine, scan: LayerSnapshot, liver: LayerSnapshot, recipe: Recipe, seed: int, model: str, settings: SegmentSettings,
    device: str, job: Job,
) -> tuple[SyntheticSearch, LayerSnapshot]:  # fmt: skip
    """Draw the anomalies into a copy of the scan and search it; in a worker."""
    job.at("Preparing the scan", 0, 1)
    volume = volume_of(scan)
    mask = mask_of(liver, scan, volume, "liver mask")
    preload_torch()
    found = search_synthetic(
        volume, mask, recipe, seed, model, settings, device=device, job=job, segment=engine.segment
    )  # fmt: skip
    return found, scan
