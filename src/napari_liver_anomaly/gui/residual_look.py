"""How the residual is seen: nothing below a difference of so many HU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_liver_anomaly.gui.event_listener import EventListener

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.utils.colormaps import Colormap

BLANK_HU = 15  # what noise alone makes of a healthy liver
CHOICES_HU = (0, 5, 10, 15, 20, 30)
# Blue is darker and orange to red brighter than restored; blue and orange are told apart by everybody.
DARKER, BRIGHTER = ((0.1, 0.3, 1.0), (0.3, 0.6, 1.0)), ((1.0, 0.6, 0.25), (1.0, 0.1, 0.1))
FAINT = 0.35  # how opaque the least difference is that is shown at all


class ResidualLook(QObject):
    """Keeps the residual blank around 0 HU, also when the range of its colours is changed."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.blank_hu = BLANK_HU
        self._layer: Image | None = None
        self._events = EventListener()

    def follow(self, layer: Image | None) -> None:
        """Look after this layer from now on."""
        if layer is self._layer:
            return
        self._events.stop()
        self._layer = layer
        if layer is not None:
            self._events.hear(layer.events.contrast_limits, self._colour)
        self._colour()

    def blank(self, hu: int) -> None:
        """Show no difference below so many HU."""
        self.blank_hu = hu
        self._colour()

    def _colour(self, _event: object = None) -> None:
        if self._layer is not None:
            self._layer.colormap = colours(self._layer.contrast_limits, self.blank_hu)


def colours(limits_hu: tuple[float, float], blank_hu: float) -> Colormap:
    """Make colours from the lowest to the highest value of the range, clear from minus to plus so many HU."""
    from napari.utils.colormaps import Colormap

    low, high = limits_hu
    step = (high - low) / 512  # of the table that the graphics card looks colours up in
    stops: list[tuple[float, tuple[float, float, float], float]] = []
    if low < -blank_hu:
        stops += [(low, DARKER[0], 1.0), (-blank_hu - step, DARKER[1], FAINT)]
    stops += [(max(low, -blank_hu), DARKER[1], 0.0), (min(high, blank_hu), BRIGHTER[0], 0.0)]
    if high > blank_hu:
        stops += [(blank_hu + step, BRIGHTER[0], FAINT), (high, BRIGHTER[1], 1.0)]
    places = [min(max((hu - low) / (high - low), 0.0), 1.0) for hu, _, _ in stops]
    places[0], places[-1] = 0.0, 1.0
    shades = [(*colour, opacity) for _, colour, opacity in stops]
    kept = [n for n in range(len(places)) if n == 0 or places[n] > places[n - 1]]
    return Colormap([shades[n] for n in kept], controls=[places[n] for n in kept], name=f"residual from {blank_hu:g} HU")
