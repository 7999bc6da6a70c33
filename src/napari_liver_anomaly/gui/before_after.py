"""The scan and the liver as the model restored it, in turn or side by side at an edge that follows the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_liver_anomaly.gui.event_listener import EventListener
from napari_liver_anomaly.gui.planes import canvas_of

if TYPE_CHECKING:
    from napari.layers import Image

BLINK_MS = 600


class BeforeAfter(QObject):
    """Blinks or wipes the restored layer, and leaves it as it was."""

    changed = Signal(str)  # "blink", "wipe" or nothing

    def __init__(self, parent: QObject, viewer: Any) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._layer: Image | None = None
        self._was_visible = False
        self._clip: Any = None  # vispy's filter while there is one
        self._node: Any = None
        self.how = ""
        self._timer = QTimer(self)
        self._timer.setInterval(BLINK_MS)
        self._timer.timeout.connect(self._turn)
        self._events = EventListener()
        self._events.hear(viewer.dims.events.ndisplay, self._notice)

    def can(self, how: str) -> bool:
        """Whether there is a restored scan in a flat view, and a canvas to wipe on."""
        flat = self._layer is not None and self._viewer.dims.ndisplay == 2
        return flat and (how != "wipe" or canvas_of(self._viewer) is not None)

    def follow(self, layer: Image | None) -> None:
        """Compare the scan with this restored twin from now on."""
        if layer is not self._layer:
            self.stop()
            self._layer = layer

    def start(self, how: str) -> None:
        """Begin to blink or to wipe, or neither; what went on before ends."""
        self.stop()
        if not how or self._layer is None or not self.can(how):
            self.changed.emit("")
            return
        self.how, self._was_visible = how, self._layer.visible
        self._layer.visible = True
        if how == "blink":
            self._timer.start()
        else:
            self._begin_wipe()
        self.changed.emit(how)

    def stop(self) -> None:
        """Show the restored layer as it was before."""
        if not self.how:
            return
        self.how = ""
        self._timer.stop()
        if self._clip is not None:
            self._viewer.mouse_move_callbacks.remove(self._wipe)
            self._node.detach(self._clip)
            self._clip = self._node = None
        if self._layer is not None and self._layer in self._viewer.layers:
            self._layer.visible = self._was_visible
        self.changed.emit("")

    def _notice(self, _event: object = None) -> None:
        """End in space, whoever turned to it."""
        if self._viewer.dims.ndisplay != 2:
            self.stop()

    def _turn(self) -> None:
        if self._layer is not None:
            self._layer.visible = not self._layer.visible

    def _begin_wipe(self) -> None:
        from vispy.visuals.filters.clipping_planes import PlanesClipper

        canvas = canvas_of(self._viewer)
        if canvas is None:
            return
        self._node = canvas.layer_to_visual[self._layer].node
        self._clip = PlanesClipper()
        self._node.attach(self._clip)
        self._viewer.mouse_move_callbacks.append(self._wipe)
        self._cut(float(self._viewer.scene.camera.center[-1]))

    def _wipe(self, viewer: Any, event: Any) -> None:
        self._cut(float(event.position[viewer.dims.displayed[-1]]))

    def _cut(self, edge_mm: float) -> None:
        """Show the restored layer to the right of an edge only."""
        self._clip.clipping_planes = np.array([[(edge_mm, 0.0, 0.0), (1.0, 0.0, 0.0)]], np.float32)
        self._node.update()
