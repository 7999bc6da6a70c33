"""The layers of a viewer once more in another viewer: the same voxels in the same memory, the same look, seen from another side.

A layer of napari belongs to one viewer. Its twin shares the array, so what is painted in one is in the other as soon as that is drawn again.
Twins are seen and never edited: what napari can undo has one owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_liver_anomaly.gui.event_listener import EventListener

if TYPE_CHECKING:
    from napari.layers import Layer

LATER_MS = 30  # changes that come one upon the other, as those of a slider, are followed together
OUTLINE_PX = 1  # of a small view, where voxels may be much taller than wide
PRESENCE = ("visible", "opacity", "blending")
LOOK = (
    *PRESENCE, "gamma", "contrast_limits_range", "contrast_limits", "colormap", "interpolation2d",
    "show_selected_label", "selected_label",
)  # fmt: skip


class TwinLayers(QObject):
    """Keeps twins of a viewer's scans, maps and masks. A layer has none before it is seen for the first time."""

    grown = Signal()  # there is one more

    def __init__(self, parent: QObject, source: Any, target: Any) -> None:
        super().__init__(parent)
        self._source, self._target = source, target
        self.twins: dict[Layer, Layer] = {}
        self.busy = False  # while layers come and go
        self._left: tuple[str, ...] = ()  # what of the look is left as it is
        self._stale: set[Layer] = set()  # whose voxels changed
        self._drawn: dict[Layer, object] = {}  # where the viewer was when a layer was drawn last
        self._heard, self._structure = EventListener(), EventListener()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(LATER_MS)
        self._later.timeout.connect(self.follow)
        for event in (source.layers.events.inserted, source.layers.events.removed, source.layers.events.reordered):
            self._structure.hear(event, self._hear_list)
        self._hear_list()

    def stop(self) -> None:
        """Follow no longer."""
        self._later.stop()
        self._heard.stop()
        self._structure.stop()

    def hold(self, held: bool) -> None:
        """Leave visibility and opacity as they are, until they are followed again."""
        if held:
            self.follow()
        self._left = PRESENCE if held else ()
        self._hear_look()

    def follow(self) -> None:
        """Bring the twins up to date, and make one that is missing: each takes napari a tenth of a second or more."""
        self.busy = True
        for layer in [layer for layer in self.twins if layer not in self._source.layers]:
            self._target.layers.remove(self.twins.pop(layer))
        for layer in self._source.layers:
            if layer in self.twins:
                self._renew(layer, self.twins[layer])
        missing = [layer for layer in self._source.layers if layer not in self.twins and layer.visible and _has_twin(layer)]
        for layer in missing[:1]:
            self.twins[layer] = self._target.add_layer(_twin_of(layer))
        wanted = [self.twins[layer] for layer in self._source.layers if layer in self.twins]
        if wanted != list(self._target.layers):
            self._target.layers.move_multiple([self._target.layers.index(twin) for twin in wanted], 0)
        self._target.layers.selection.clear()
        self._stale.clear()
        self.busy = False
        if missing:
            self._later.start()
            self.grown.emit()

    def _renew(self, layer: Layer, twin: Layer) -> None:
        if twin.data is not layer.data:
            twin.data = layer.data
        elif layer in self._stale:
            twin.refresh(extent=False, thumbnail=False)
        _look_alike(layer, twin, self._left)

    def _hear_list(self, _event: object = None) -> None:
        self._heard.stop()
        for layer in filter(_has_twin, self._source.layers):
            for name in (*LOOK, "contour", "data", "paint", "set_data"):
                if (event := getattr(layer.events, name, None)) is not None:
                    self._heard.hear(event, self._hear_data if name in ("paint", "set_data") else self._hear_look)
        self._drawn = {layer: self._drawn.get(layer) for layer in self._source.layers}
        self._hear_look()

    def _hear_look(self, _event: object = None) -> None:
        if not self._later.isActive():
            self._later.start()

    def _hear_data(self, event: Any) -> None:
        """Notice that voxels were drawn again though the viewer is where it was: they changed. A turn to another slice is nothing new."""
        layer, dims = event.source, self._source.dims
        where = (dims.order, dims.ndisplay, dims.current_step)
        if event.type == "paint" or self._drawn.get(layer) == where:
            self._stale.add(layer)
            self._hear_look()
        self._drawn[layer] = where


def _has_twin(layer: Layer) -> bool:
    from napari.layers import Image, Labels

    return isinstance(layer, (Image, Labels)) and layer.ndim == 3 and not layer.multiscale


def _twin_of(layer: Layer) -> Layer:
    """Make a twin; it knows nothing of scans and results, which belong to the layers of the viewer."""
    from napari.layers import Layer

    data, state, kind = layer.as_layer_data_tuple()
    twin = Layer.create(data, dict(state) | {"metadata": {}} | ({"features": None} if kind == "labels" else {}), kind)
    _look_alike(layer, twin)
    twin.editable = False
    return twin


def _look_alike(layer: Layer, twin: Layer, leave: tuple[str, ...] = ()) -> None:
    for name in LOOK:
        if name in leave:
            continue
        wanted = getattr(layer, name, None)
        if wanted is not None and getattr(twin, name) != wanted:
            setattr(twin, name, wanted)
    if hasattr(layer, "contour") and twin.contour != (outline := min(layer.contour, OUTLINE_PX)):
        twin.contour = outline
