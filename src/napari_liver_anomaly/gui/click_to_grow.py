"""A region by a click: it is grown on a map at that point, shown as an outline, and taken when the user says so."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_liver_anomaly.gui.availability import allow
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.layers import BLUE, Role, Tag, add, free_name, outlined
from napari_liver_anomaly.gui.region_growing import FIRST_PART, grow, next_part
from napari_liver_anomaly.gui.side_view import on_click
from napari_liver_anomaly.gui.style import link, one_line, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from napari_liver_anomaly.geometry import Geometry
    from napari_liver_anomaly.gui.message_area import MessageArea
    from napari_liver_anomaly.gui.region_growing import Region
    from napari_liver_anomaly.job import Job

OUTSIDE = "That point is outside the scan."
GROWING = "Growing…"


Voxel = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Ground:
    """What a region is grown on, and where it may grow."""

    owner: object  # with which it ends
    layer: Labels  # on whose voxels it lies
    geometry: Geometry
    value: NDArray[np.uint8]  # 0…255 for 0…1
    free: Callable[[NDArray[Any]], NDArray[np.bool_]]  # which labels of the layer may become part of it
    ask: str
    taken: str  # said of a place that is not free
    nothing: str  # said of a place with next to no value
    farthest_mm: float  # from the click, along each axis


class ClickToGrow(QWidget):
    """One line that asks for a click, then for yes or no."""

    accepted = Signal(object)  # flat voxels of the region
    ended = Signal()

    def __init__(self, viewer: Any, messages: MessageArea) -> None:
        super().__init__()
        self._viewer, self._messages = viewer, messages
        self._ground: Ground | None = None
        self._layer: Labels | None = None
        self._active: Layer | None = None  # which was chosen before
        self.region: Region | None = None
        self._asked: tuple[Voxel, float] | None = None  # voxel, and part of its value, of the region that was asked for last
        self._growing = Task(self)
        self._growing.returned.connect(lambda made: self._show(*made))
        self._growing.failed.connect(messages.fail)
        self._growing.ended.connect(self._tell)
        self.text = one_line()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.text, stretch=1)
        self.buttons = {words: link(words, tip, act) for words, tip, act in (
            ("Smaller", "Take a higher value as its edge", lambda: self.resize_by(-1)),
            ("Larger", "Take a lower value as its edge", lambda: self.resize_by(1)),
            ("Accept", "Take the outlined region; that can be undone", self.accept),
            ("Discard", "Change nothing", self.end),
        )}  # fmt: skip
        for button in self.buttons.values():
            row.addWidget(button)
        me = self  # the viewer may outlive the panel
        self._click = on_click(lambda point: me.grow_at(point) if isalive(me) else None, alone=True)

    @property
    def on(self) -> bool:
        """Whether clicks are waited for."""
        return self._ground is not None

    @property
    def busy(self) -> bool:
        """Whether a region is being grown."""
        return self._growing.busy

    def follow(self, owner: object) -> None:
        """Let go when something else is shown, or the layer was deleted."""
        if (ground := self._ground) is not None and (ground.owner is not owner or ground.layer not in self._viewer.layers):
            self.end()

    def begin(self, ground: Ground) -> None:
        """Wait for a click."""
        self.end()
        self._ground, self._active = ground, self._viewer.layers.selection.active
        ground.layer.mode = "pan_zoom"  # a brush would draw instead
        self._viewer.layers.selection.active = ground.layer
        self._viewer.mouse_drag_callbacks.append(self._click)
        self._tell()

    def grow_at(self, point: tuple[float, ...]) -> None:
        """Grow a region around a point in mm."""
        if (ground := self._ground) is None:
            return None
        z, y, x = (round(float(at)) for at in ground.layer.world_to_data(point)[-3:])
        if not all(0 <= at < size for at, size in zip((z, y, x), ground.value.shape, strict=True)):
            return self._messages.note(OUTSIDE)
        if not ground.free(np.asarray(ground.layer.data[z, y, x])):
            return self._messages.note(ground.taken)
        return self._grow(ground, (z, y, x), FIRST_PART)

    def resize_by(self, steps: int) -> None:
        """Make the region larger or smaller."""
        if (ground := self._ground) is not None and self._asked is not None:
            seed, part = self._asked
            self._grow(ground, seed, next_part(part, steps))

    def _grow(self, ground: Ground, seed: Voxel, part: float) -> None:
        """Grow a region in a worker; of several that are asked for, only the last is shown."""
        self._asked = seed, part
        self._growing.ask(partial(_grown, ground, seed, part))
        self._tell()

    def _show(self, ground: Ground, region: Region | None, data: NDArray[np.uint8]) -> None:
        """Outline the region that a worker grew, unless it is waited for no longer."""
        if ground is not self._ground:
            return None
        if region is None:
            self._asked = None if self.region is None else (self.region.seed, self.region.part)
            return self._messages.note(ground.nothing)
        self.region, on = region, ground.layer
        if self._layer is None or self._layer not in self._viewer.layers:
            place = {name: getattr(on, name) for name in ("scale", "translate", "rotate", "shear", "units", "axis_labels")}
            look = outlined(free_name(self._viewer, f"{on.name} region"), BLUE, Tag(Role.PREVIEW, ""))
            active = self._viewer.layers.selection.active
            self._layer = add(self._viewer, (data, look | place, "labels"))
            self._viewer.layers.selection.active = active
        else:
            self._layer.data = data
        return None

    def accept(self) -> None:
        """Hand the region over, once it is the one that was asked for."""
        if self.busy:
            return
        region = self.region
        if region is not None:
            self.accepted.emit(region.where)
        self.end()

    def end(self) -> None:
        """Wait for clicks no longer, and show no region."""
        was, layer = self.on, self._layer
        self._growing.cancel()
        self._ground = self._asked = self.region = self._layer = None
        if self._click in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._click)
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
        if was:
            if self._active in self._viewer.layers:
                self._viewer.layers.selection.active = self._active
            self._active = None
            self.ended.emit()

    def _tell(self) -> None:
        for words in ("Smaller", "Larger", "Accept"):
            self.buttons[words].setVisible(self.region is not None)
        allow(self.buttons["Accept"], GROWING if self.busy else "")
        if self._ground is not None:
            ml = 0.0 if self.region is None else self.region.where.size * self._ground.geometry.voxel_ml
            said = self._ground.ask if self.region is None else f"{ml:,.1f} ml"
            say(self.text, GROWING if self.busy else said)


def _grown(ground: Ground, seed: Voxel, part: float, job: Job) -> tuple[Ground, Region | None, NDArray[np.uint8]]:
    """Grow a region, and draw it into an array for its outline; in a worker."""
    job.at(GROWING, 0, 1)
    data = ground.layer.data
    region = grow(
        ground.value, lambda box: ground.free(np.asarray(data[box])), seed, ground.geometry.spacing_mm, ground.farthest_mm, part
    )
    drawn = np.zeros(data.shape, np.uint8)
    if region is not None:
        drawn.reshape(-1)[region.where] = 1
    return ground, region, drawn
