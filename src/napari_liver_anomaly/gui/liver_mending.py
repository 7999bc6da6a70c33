"""Mending the liver: a region is added or taken away by a click on the probability of liver, or drawn with a brush in space."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QStackedWidget, QWidget

from napari_liver_anomaly.gui.availability import allow
from napari_liver_anomaly.gui.click_to_grow import ClickToGrow, Ground
from napari_liver_anomaly.gui.found_liver import probability_of
from napari_liver_anomaly.gui.layers import tag_of
from napari_liver_anomaly.gui.style import LinkMenu

if TYPE_CHECKING:
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.inputs import Inputs
    from napari_liver_anomaly.gui.message_area import MessageArea

ADD, TAKE = "Add by click", "Take away by click"
ASK = {ADD: "Click beside the liver, where it goes on.", TAKE: "Click into what is no liver."}
TAKEN = {
    ADD: "This place is liver already. Click beside its outline.",
    TAKE: "This place is no liver already. Click inside its outline.",
}
NOTHING = {
    ADD: "The program sees no liver there at all: nothing can be grown. Draw it with the brush.",
    TAKE: "The program is sure that this is liver: nothing can be grown. Take it away with the eraser.",
}
NO_LIVER = "Find the liver first, or load its mask."
NOT_FOUND = "This liver was not found by the program, so no probability is known of it. Draw with the brush, or press Find liver."
AGAIN = "The liver was changed. Segment again to search it as it is now."
FARTHEST_MM = 200.0  # that the liver grows from a click
BRUSH_PX = 12


class LiverMending(QWidget):
    """A line of what can be done with the liver's outline."""

    def __init__(self, viewer: Any, inputs: Inputs, messages: MessageArea) -> None:
        super().__init__()
        self._viewer, self._inputs, self._messages = viewer, inputs, messages
        self._adds = True
        self.growing = ClickToGrow(viewer, messages)
        links = QWidget()
        row = QHBoxLayout(links)
        row.setContentsMargins(0, 0, 0, 0)
        self.edit = LinkMenu("Edit liver", "Add to the liver, or take away; eraser and fill are napari's own, in the liver's layer", (
            (ADD, "Grow the liver where you click, by the program's probability; you see it before it is taken", partial(self.begin, ADD)),
            (TAKE, "Take away what is connected with the point you click on and is as unlikely to be liver", partial(self.begin, TAKE)),
            ("Brush in 3D", "Draw in the liver with a ball, on several slices at once", self.brush),
            ("Undo", "Take the last change of the liver back", self.undo),
        ))  # fmt: skip
        row.addStretch(1)
        row.addWidget(self.edit)
        self.rows = QStackedWidget()
        self.rows.addWidget(links)
        self.rows.addWidget(self.growing)
        self.rows.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        whole = QHBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self.rows)
        self.growing.ended.connect(lambda: self.rows.setCurrentWidget(links))
        self.growing.accepted.connect(self._take)
        inputs.liver.chosen.connect(lambda: self.growing.follow(inputs.liver.layer))

    def allow(self, *, liver: bool) -> None:
        """Let the liver be mended where there is one."""
        allow(self.edit, "" if liver else NO_LIVER)

    def begin(self, way: str) -> None:
        """Wait for a click that adds to the liver, or takes away from it."""
        liver = self._liver()
        if liver is None:
            return
        probability, geometry = probability_of(liver), getattr(tag_of(liver), "geometry", None)
        if probability is None or geometry is None or probability.shape != liver.data.shape:
            return self._messages.note(NOT_FOUND)
        self._adds = way == ADD
        value = probability if self._adds else 255 - probability
        free = (lambda labels: labels == 0) if self._adds else (lambda labels: labels > 0)
        self.growing.begin(Ground(liver, liver, geometry, value, free, ASK[way], TAKEN[way], NOTHING[way], FARTHEST_MM))
        return self.rows.setCurrentWidget(self.growing)

    def brush(self) -> None:
        """Choose a brush that is a ball."""
        if (liver := self._liver()) is not None:
            self._viewer.layers.selection.active = liver
            liver.n_edit_dimensions, liver.brush_size, liver.selected_label, liver.mode = 3, BRUSH_PX, 1, "paint"

    def undo(self) -> None:
        """Take the last change of the liver back: the keys belong to the layer that is chosen, and that is seldom the liver."""
        if (liver := self._liver()) is not None:
            liver.undo()

    def _liver(self) -> Labels | None:
        liver: Any = self._inputs.liver.layer
        if liver is None:
            self._messages.note(NO_LIVER)
        return liver

    def _take(self, where: NDArray[np.int64]) -> None:
        """Change the liver, as by the brush."""
        liver: Any = self._inputs.liver.layer
        if liver is not None:
            liver.data_setitem(np.unravel_index(where, liver.data.shape), int(self._adds))
            self._messages.note(AGAIN)
