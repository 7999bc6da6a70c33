"""The chosen scan is the shown scan: it and its layers lie in front, those of other scans are hidden until their scan is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.gui.inputs import is_scan
from napari_liver_anomaly.gui.layers import Role, tag_of

if TYPE_CHECKING:
    from napari.layers import Layer


class ShownScan:
    """Turns a viewer from one scan to another. Layers that belong to no scan are left as they are, but for a scan that would cover it."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._hidden: dict[str, list[Layer]] = {}  # by scan, what was in sight when another was chosen

    def turn_to(self, chosen: Layer) -> None:
        """Show a scan."""
        own = _scan_of(chosen)
        others: dict[str, list[Layer]] = {}
        for layer in self._viewer.layers:
            if (scan := _scan_of(layer)) and scan != own and _role(layer) is not Role.PREVIEW:
                others.setdefault(scan, []).append(layer)
        for scan, layers in others.items():
            if seen := [layer for layer in layers if layer.visible]:
                self._hidden[scan] = seen
            for layer in seen:
                layer.visible = False
        for layer in self._hidden.pop(own, ()):
            if layer in self._viewer.layers:
                layer.visible = True
        chosen.visible = True
        self._put_behind(chosen)

    def _put_behind(self, chosen: Layer) -> None:
        """Move every scan that lies over the chosen one behind it."""
        layers = self._viewer.layers
        front = layers.index(chosen)
        over = [n for n in range(front + 1, len(layers)) if is_scan(layers[n])]
        if over:
            layers.move_multiple(over, 0)


def _scan_of(layer: Layer) -> str:
    tag = tag_of(layer)
    return tag.scan if tag is not None else ""


def _role(layer: Layer) -> Role | None:
    tag = tag_of(layer)
    return tag.role if tag is not None else None
