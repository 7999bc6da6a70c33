"""Colour bars beside the picture: the residual's in HU, the anomaly score's from 0 to 1, though its layer holds 0…255."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.components.overlays import ColorBarOverlay
from napari.utils.colormaps import Colormap  # noqa: TC002 - the type of a field, which is read
from napari.utils.events import EventedModel
from qtpy.QtCore import QObject

from napari_liver_anomaly.gui.event_listener import EventListener
from napari_liver_anomaly.gui.layers import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.layers import Image, Layer

NAME = "score_scale"  # attribute of the layer, under which napari's colour bar finds the scale
WHOLE = 255.0  # of the layer, for a score of 1
BARS = {Role.SCORE: "score 0 to 1", Role.RESIDUAL: "residual in HU (blue darker, orange brighter)"}  # what each reads


class ColourBars(QObject):
    """Shows the bars of those layers that are seen, or none. While a threshold is tried, the score has two colours and nothing to read."""

    def __init__(self, parent: QObject, held: Callable[[], bool], tell: Callable[[str], object]) -> None:
        super().__init__(parent)
        self.shown, self._held, self._tell = True, held, tell
        self._layers: Mapping[Role, Layer] = {}
        self._events = EventListener()

    def follow(self, layers: Mapping[Role, Layer]) -> None:
        """Look after these layers from now on."""
        self._layers = {role: layers[role] for role in BARS if role in layers}
        self._events.stop()
        for role, layer in self._layers.items():
            layer.colorbar.visible = self.shown and not (role is Role.SCORE and self._held())
        self._say()
        for layer in self._layers.values():
            self._events.hear(layer.events.visible, self._say)

    def _say(self, _event: object = None) -> None:
        """Tell what the bars that are seen read, as napari gives them no title."""
        seen = [
            words
            for role, words in BARS.items()
            if (layer := self._layers.get(role)) and layer.visible and layer.colorbar.visible
        ]
        self._tell(f"Colours: {', '.join(seen)}" if seen else "")

    def show(self, shown: bool) -> None:
        """Show the colours and what they mean beside the picture."""
        self.shown = shown
        self.follow(self._layers)


class ScoreScale(EventedModel):
    """Range and colours that a colour bar shows, in step with those of its layer."""

    contrast_limits: tuple[float, float]
    continuous_colormap: Colormap


def read_as_score(layer: Image) -> None:
    """Let the colour bar of a layer read 0 to 1 for 0 to 255, also when the range or the colours are changed."""
    scale = ScoreScale(contrast_limits=_limits(layer), continuous_colormap=layer.colormap)

    def follow(_event: Any = None) -> None:
        scale.contrast_limits, scale.continuous_colormap = _limits(layer), layer.colormap

    setattr(layer, NAME, scale)
    layer.events.contrast_limits.connect(follow)
    layer.events.colormap.connect(follow)
    layer._overlays["colorbar"] = ColorBarOverlay(colormanager_attribute=NAME)


def _limits(layer: Image) -> tuple[float, float]:
    low, high = layer.contrast_limits
    return low / WHOLE, high / WHOLE
