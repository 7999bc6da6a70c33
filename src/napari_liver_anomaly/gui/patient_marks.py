"""Letters of the patient's sides at the edges of a view, and slice, place and window in its corner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.gui.event_listener import EventListener
from napari_liver_anomaly.gui.layer_snapshot import snapshot_of
from napari_liver_anomaly.gui.layers import KEY
from napari_liver_anomaly.gui.patient_sides import Sides

if TYPE_CHECKING:
    from napari.layers import Image

EDGES = {"left": "middle_left", "right": "middle_right", "top": "top_center", "bottom": "bottom_center"}
CORNER = "corner"
LETTER_PT, WORDS_PT = 13, 9
WHITE, SHADE = (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.65)
UNKNOWN = "left and right are not known"


class PatientMarks(QObject):
    """Marks of one viewer, of the scan that it is told of; without a scan, and in space, there are none."""

    def __init__(self, parent: QObject, viewer: Any, *, window: bool = True) -> None:
        super().__init__(parent)
        from napari.components.overlays import TextOverlay

        self._viewer, self._tells_window, self._colours = viewer, window, ""
        self._scan: Image | None = None
        self._sides: Sides | None = None
        self._events, self._scan_events = EventListener(), EventListener()
        self.texts = {name: _overlay(TextOverlay, position, LETTER_PT) for name, position in EDGES.items()}
        self.texts[CORNER] = _overlay(TextOverlay, "top_left", WORDS_PT)
        for name, text in self.texts.items():
            viewer.canvas.overlays[f"{KEY} {name}"] = text
        dims, camera = viewer.dims.events, viewer.scene.camera.events
        for event in (dims.point, dims.order, dims.ndisplay, camera.orientation):
            self._events.hear(event, self.write)

    def follow(self, scan: Image | None) -> None:
        """Mark this scan from now on."""
        self._scan = scan
        self._scan_events.stop()
        if scan is not None:
            self._scan_events.hear(scan.events.contrast_limits, self.write)
            for name in ("scale", "translate", "rotate", "shear", "affine"):
                self._scan_events.hear(getattr(scan.events, name), self._place)
        self._place()

    def _place(self, _event: object = None) -> None:
        """See how the scan lies, which no slice changes."""
        self._sides = _sides_of(self._scan) if self._scan is not None else None
        self.write()

    def tell_colours(self, words: str) -> None:
        """Say below the window what the colours over the scan mean."""
        self._colours = words
        self.write()

    def remove(self) -> None:
        """Take the marks away."""
        self._events.stop()
        self._scan_events.stop()
        for name in self.texts:
            self._viewer.canvas.overlays.pop(f"{KEY} {name}", None)

    def write(self, _event: object = None) -> None:
        """Write what is true now."""
        words = self._words()
        for name, text in self.texts.items():
            wanted = words.get(name, "")
            if wanted and text.text != wanted:
                text.text = wanted
            if text.visible != bool(wanted):
                text.visible = bool(wanted)

    def _words(self) -> dict[str, str]:
        scan, dims = self._scan, self._viewer.dims
        if scan is None or dims.ndim != 3 or dims.ndisplay != 2:
            return {}
        low, high = scan.contrast_limits
        window = f"W {high - low:.0f}  L {(low + high) / 2:.0f}" if self._tells_window else ""
        if (sides := self._sides) is None:
            return {CORNER: "\n".join(filter(None, (UNKNOWN, window, self._colours)))}
        along, down, right = dims.order
        vertical, horizontal = self._viewer.scene.camera.orientation2d
        below, beside = 1 if vertical == "down" else -1, 1 if horizontal == "right" else -1
        return {
            "top": sides.letters(down, -below), "bottom": sides.letters(down, below),
            "left": sides.letters(right, -beside), "right": sides.letters(right, beside),
            CORNER: "\n".join(filter(None, (sides.place(along, dims.point), window, self._colours))),
        }  # fmt: skip


def _sides_of(scan: Image) -> Sides | None:
    try:
        return Sides.of(snapshot_of(scan))
    except Refusal:
        return None


def _overlay(kind: Any, position: str, size_pt: int) -> Any:
    return kind(position=position, font_size=size_pt, color=WHITE, box=True, box_color=SHADE, visible=False)
