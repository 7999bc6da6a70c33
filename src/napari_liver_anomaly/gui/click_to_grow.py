"""A region by a click: it is grown on a map at that point, shown as an outline, and taken when the user says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_liver_anomaly.gui.layers import BLUE, Role, Tag, add, free_name, outlined
from napari_liver_anomaly.gui.region_growing import grow, other_part
from napari_liver_anomaly.gui.side_view import on_click
from napari_liver_anomaly.gui.style import link, one_line, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.message_area import MessageArea
    from napari_liver_anomaly.gui.region_growing import Region
    from napari_liver_anomaly.volume import Geometry

OUTSIDE = "That point is outside the scan."


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
        self._click = on_click(lambda point: me.grow_at(point) if isalive(me) else None)

    @property
    def on(self) -> bool:
        """Whether clicks are waited for."""
        return self._ground is not None

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
        return self._grow((z, y, x))

    def resize_by(self, steps: int) -> None:
        """Make the region larger or smaller."""
        if self.region is not None:
            asked = other_part(self.region, steps)
            self._grow(asked.seed, part=asked.part)

    def _grow(self, seed: tuple[int, int, int], **part: float) -> None:
        if (ground := self._ground) is None:
            return None
        data = ground.layer.data
        region = grow(
            ground.value,
            lambda box: ground.free(np.asarray(data[box])),
            seed,
            ground.geometry.spacing_mm,
            ground.farthest_mm,
            **part,
        )
        if region is None:
            return self._messages.note(ground.nothing)
        self.region = region
        self._show(ground.layer, region)
        return self._tell()

    def _show(self, on: Labels, region: Region) -> None:
        """Outline the region."""
        data = np.zeros(on.data.shape, np.uint8)
        data.reshape(-1)[region.where] = 1
        if self._layer is None or self._layer not in self._viewer.layers:
            place = {name: getattr(on, name) for name in ("scale", "translate", "rotate", "shear", "units", "axis_labels")}
            look = outlined(free_name(self._viewer, f"{on.name} region"), BLUE, Tag(Role.PREVIEW, ""))
            active = self._viewer.layers.selection.active
            self._layer = add(self._viewer, (data, look | place, "labels"))
            self._viewer.layers.selection.active = active
        else:
            self._layer.data = data

    def accept(self) -> None:
        """Hand the region over."""
        region = self.region
        if region is not None:
            self.accepted.emit(region.where)
        self.end()

    def end(self) -> None:
        """Wait for clicks no longer, and show no region."""
        was, layer = self.on, self._layer
        self._ground, self.region, self._layer = None, None, None
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
        if self._ground is not None:
            ml = 0.0 if self.region is None else self.region.where.size * self._ground.geometry.voxel_ml
            say(self.text, self._ground.ask if self.region is None else f"{ml:,.1f} ml")
