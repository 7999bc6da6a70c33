"""Liver and tumours in space, and back to the view from which one came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_liver_anomaly.gui.event_listener import EventListener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

FILL = 0.85  # of the view that liver and tumours take
FROM_THE_FRONT = {"view_direction": (0, 1, 0), "up_direction": (-1, 0, 0)}  # to the back, with the head up
# So that tumours are seen inside, and surfaces without the pattern of the voxels.
GLASS = {"visible": True, "opacity": 0.4, "blending": "translucent_no_depth", "iso_gradient_mode": "smooth"}
SOLID = GLASS | {"opacity": 1.0}
NO_LIVER = "Find the liver first, or load its mask: 3D shows liver and tumours."


class SpaceView(QObject):
    """Turns a viewer to space and back. What the user hid or moved meanwhile in flat views comes back as it was."""

    turned = Signal(bool)  # whether space is on screen now

    def __init__(self, parent: QObject, viewer: Any) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._before: dict[str, Any] = {}
        self._looks: dict[Layer, dict[str, Any]] = {}
        self._active: Layer | None = None  # which was chosen before
        self._events = EventListener()
        self._events.hear(viewer.dims.events.ndisplay, self._notice)

    @property
    def on(self) -> bool:
        """Whether liver and tumours are shown in space."""
        return bool(self._before)

    def show(self, liver: Labels, tumours: Labels | None) -> None:
        """Show the liver as glass, and the tumours in it; everything else is hidden meanwhile."""
        if self.on:
            return
        self.turned.emit(True)  # what blinks or is wiped ends first, so that its layer is remembered as it was
        self._remember()
        # Over a layer whose labels have features napari cannot tell in space what lies below a mouse that rests.
        self._viewer.layers.selection.active = liver
        layers = {liver: GLASS} | ({tumours: SOLID} if tumours is not None else {})
        for layer in self._looks:
            for name, value in layers.get(layer, {"visible": False}).items():
                setattr(layer, name, value)
        dims = self._viewer.dims
        dims.order = tuple(range(dims.ndim))
        dims.ndisplay = 3
        self._fit(list(layers))

    def leave(self) -> None:
        """Go back to the view from which one came; layers that were deleted meanwhile are not missed."""
        before, self._before = self._before, {}
        if not before:
            return
        dims, camera = self._viewer.dims, self._viewer.scene.camera
        dims.ndisplay = 2
        if dims.ndim == len(before["order"]):
            dims.order = before["order"]
            dims.set_point(range(dims.ndim), before["point"])
        for name in ("angles", "zoom", "center"):
            setattr(camera, name, before[name])
        for layer, look in self._looks.items():
            for name, value in look.items() if layer in self._viewer.layers else ():
                setattr(layer, name, value)
        self._looks.clear()
        if self._active in self._viewer.layers:
            self._viewer.layers.selection.active = self._active
        self._active = None
        self.turned.emit(False)

    def _remember(self) -> None:
        dims, camera = self._viewer.dims, self._viewer.scene.camera
        self._before = {"order": tuple(dims.order), "point": tuple(dims.point)}
        self._before |= {name: getattr(camera, name) for name in ("angles", "zoom", "center")}
        self._active = self._viewer.layers.selection.active
        self._looks = {
            layer: {name: getattr(layer, name) for name in GLASS if hasattr(layer, name)} for layer in self._viewer.layers
        }

    def _fit(self, layers: Sequence[Labels]) -> None:
        """Look from the front, so that the layers fill the view."""
        corners = np.concatenate([_corners(layer) for layer in layers])
        camera, size = self._viewer.scene.camera, corners.max(axis=0) - corners.min(axis=0)
        height, width = self._viewer.canvas.size
        camera.set_view_direction(**FROM_THE_FRONT)
        camera.center = tuple((corners.max(axis=0) + corners.min(axis=0)) / 2)
        camera.zoom = FILL * min(height / max(size[0], 1.0), width / max(size[2], 1.0))

    def _notice(self, _event: object = None) -> None:
        """Go all the way back when the user turns to flat views by napari's own button."""
        if self.on and self._viewer.dims.ndisplay == 2:
            self.leave()


def _corners(layer: Labels) -> NDArray[np.float64]:
    """Two opposite corners, in mm, of the box around what is labelled; of the whole layer where nothing is."""
    box = []
    for axis in range(3):
        where = np.flatnonzero(np.any(layer.data, axis=tuple(other for other in range(3) if other != axis)))
        box.append((where[0], where[-1]) if where.size else (0, layer.data.shape[axis] - 1))
    return np.array([layer.data_to_world(corner) for corner in zip(*box, strict=True)])
