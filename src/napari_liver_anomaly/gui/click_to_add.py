"""A lesion by a click: a region is grown on the anomaly score at that point, shown as an outline, and taken when the user says so."""

from __future__ import annotations

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
    from napari.layers import Labels, Layer

    from napari_liver_anomaly.gui.message_area import MessageArea
    from napari_liver_anomaly.gui.region_growing import Region
    from napari_liver_anomaly.gui.result_layers import ResultLayers

CLICK = "Click into the lesion in the picture."
NOTHING = "The anomaly score is almost 0 there: nothing can be grown. Draw the lesion with the brush."
ALREADY = "This place belongs to a lesion already. Click beside the outlines, or correct that lesion with the brush."
OUTSIDE = "That point is outside the scan."


class ClickToAdd(QWidget):
    """One line that asks for a click, then for yes or no."""

    accepted = Signal(object)  # flat voxels of the region
    ended = Signal()

    def __init__(self, viewer: Any, messages: MessageArea) -> None:
        super().__init__()
        self._viewer, self._messages = viewer, messages
        self._shown: ResultLayers | None = None
        self._layer: Labels | None = None
        self._active: Layer | None = None  # which was chosen before
        self.region: Region | None = None
        self.text = one_line()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.text, stretch=1)
        self.buttons = {words: link(words, tip, act) for words, tip, act in (
            ("Smaller", "Take a higher score as its edge", lambda: self.resize_by(-1)),
            ("Larger", "Take a lower score as its edge", lambda: self.resize_by(1)),
            ("Accept", "Make it a lesion; that can be undone", self.accept),
            ("Discard", "Add nothing", self.end),
        )}  # fmt: skip
        for button in self.buttons.values():
            row.addWidget(button)
        me = self  # the viewer may outlive the panel
        self._click = on_click(lambda point: me.grow_at(point) if isalive(me) else None)

    @property
    def on(self) -> bool:
        """Whether clicks are waited for."""
        return self._shown is not None

    def follow(self, shown: ResultLayers | None) -> None:
        """Let go when another result is shown, or none."""
        if self.on and self._shown is not shown:
            self.end()

    def begin(self, shown: ResultLayers) -> None:
        """Wait for a click."""
        self.end()
        self._shown = shown
        self._active = self._viewer.layers.selection.active
        self._viewer.layers.selection.active = shown.layers.get(Role.SCORE)  # a brush would draw instead
        self._viewer.mouse_drag_callbacks.append(self._click)
        self._tell()

    def grow_at(self, point: tuple[float, ...]) -> None:
        """Grow a region around a point in mm."""
        layer = self._shown.tumours if self._shown is not None else None
        if layer is None or self._shown is None:
            return self.end()
        z, y, x = (round(float(at)) for at in layer.world_to_data(point)[-3:])
        score = self._shown.result.score
        if not all(0 <= at < size for at, size in zip((z, y, x), score.shape, strict=True)):
            return self._messages.note(OUTSIDE)
        if layer.data[z, y, x]:
            return self._messages.note(ALREADY)
        return self._grow((z, y, x), None)

    def resize_by(self, steps: int) -> None:
        """Make the region larger or smaller."""
        if self.region is not None:
            asked = other_part(self.region, steps)
            self._grow(asked.seed, asked.part)

    def _grow(self, seed: tuple[int, int, int], part: float | None) -> None:
        shown = self._shown
        if shown is None or shown.tumours is None:
            return self.end()
        labels = shown.tumours.data
        chosen = {} if part is None else {"part": part}
        region = grow(
            shown.result.score, lambda box: np.asarray(labels[box]) == 0, seed, shown.result.volume.geometry.spacing_mm, **chosen
        )
        if region is None:
            return self._messages.note(NOTHING)
        self.region = region
        self._show(shown, region)
        return self._tell()

    def _show(self, shown: ResultLayers, region: Region) -> None:
        """Outline the region."""
        data = np.zeros(shown.result.score.shape, np.uint8)
        data.reshape(-1)[region.where] = 1
        if self._layer is None or self._layer not in self._viewer.layers:
            look = outlined(free_name(self._viewer, f"{shown.name} region"), BLUE, Tag(Role.PREVIEW, ""))
            active = self._viewer.layers.selection.active
            self._layer = add(self._viewer, (data, look | shown.place, "labels"))
            self._viewer.layers.selection.active = active
        else:
            self._layer.data = data

    def accept(self) -> None:
        """Hand the region over."""
        region = self.region
        self.end()
        if region is not None:
            self.accepted.emit(region.where)

    def end(self) -> None:
        """Wait for clicks no longer, and show no region."""
        was, layer = self.on, self._layer
        self._shown, self.region, self._layer = None, None, None
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
        if self.region is None or self._shown is None:
            return say(self.text, CLICK)
        ml = self.region.where.size * self._shown.result.volume.geometry.voxel_ml
        return say(self.text, f"{ml:,.1f} ml")
