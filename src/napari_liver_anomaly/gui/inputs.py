"""Choose the scan and its liver among the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.availability import NO_SCAN_YET, allow
from napari_liver_anomaly.gui.event_listener import EventListener
from napari_liver_anomaly.gui.file_dialog import ask_file
from napari_liver_anomaly.gui.layers import Role, find, tag_of
from napari_liver_anomaly.gui.open_box import MASKS
from napari_liver_anomaly.gui.style import form

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer


class LayerChooser(QComboBox):
    """A list of the layers that fit, kept in step with the viewer."""

    chosen = Signal()

    def __init__(self, viewer: Any, fits: Callable[[Layer], bool], nothing: str) -> None:
        super().__init__()
        self._viewer, self._fits = viewer, fits
        self._listed: list[Layer] = []
        self.setPlaceholderText(nothing)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.currentIndexChanged.connect(lambda _: self.chosen.emit())
        self._events, events = EventListener(), viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            self._events.hear(event, self.list_again)
        self.list_again()

    @property
    def layer(self) -> Layer | None:
        """The chosen layer."""
        return self._listed[self.currentIndex()] if 0 <= self.currentIndex() < len(self._listed) else None

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer."""
        self.setCurrentIndex(self._listed.index(layer) if layer in self._listed else -1)

    def list_again(self, _event: object = None) -> None:
        """Bring the list up to date; the choice stays while its layer does."""
        before = self.layer
        listed = [layer for layer in self._viewer.layers if self._fits(layer)]
        names = [layer.name for layer in listed]
        if listed == self._listed and names == [self.itemText(n) for n in range(self.count())]:
            return
        self.blockSignals(True)
        self._listed = listed
        self.clear()
        self.addItems(names)
        self.choose(before if before in listed else (listed[-1] if listed else None))
        self.blockSignals(False)
        if self.layer is not before:
            self.chosen.emit()


class Inputs(QWidget):
    """The rows for the scan and its liver."""

    scan_chosen = Signal()
    load_liver = Signal(object)  # path
    find_liver = Signal()

    def __init__(self, viewer: Any, more: dict[str, QWidget] | None = None) -> None:
        super().__init__()
        self._viewer = viewer
        self.scan = LayerChooser(viewer, is_scan, "No scan loaded yet")
        self.scan.setToolTip("The CT scan to search")
        self.liver = LayerChooser(viewer, self._is_liver, "None yet")
        self.liver.setToolTip("A Labels layer on the same voxels as the scan; every label above 0 counts as liver")
        self.find_button = QPushButton("Find liver")
        self.find_button.setToolTip(
            "Let the program find the liver, as a Labels layer that you can correct by hand; also done when you segment without one"
        )
        self.find_button.clicked.connect(self.find_liver)
        self.load_button = QPushButton("Load…")
        self.load_button.setToolTip("Open a mask file drawn on this scan; every value above 0 counts as liver")
        self.load_button.clicked.connect(self._ask_file)
        liver = QHBoxLayout()
        liver.setSpacing(4)
        liver.addWidget(self.liver, stretch=1)
        for button in (self.find_button, self.load_button):
            button.setProperty("kind", "choice")  # narrow, so that the name beside them can be read
            liver.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form({"Scan": self.scan, "Liver": liver, **(more or {})}))
        self.scan.chosen.connect(self._follow)
        self.offer()

    def offer(self, in_progress: str = "") -> None:
        """Let a liver be loaded or found, or say why it cannot."""
        missing = "" if self.scan.layer is not None else NO_SCAN_YET
        allow(self.find_button, missing or in_progress)
        allow(self.load_button, missing)

    def _ask_file(self) -> None:
        if (path := ask_file(self, "Load a liver mask", MASKS)) is not None:
            self.load_liver.emit(path)

    def _follow(self) -> None:
        """List the livers of the scan that was chosen, its own first."""
        self.liver.list_again()
        if (tag := tag_of(self.scan.layer)) is not None and (own := find(self._viewer, Role.LIVER, tag.scan)) is not None:
            self.liver.choose(own)
        self.scan_chosen.emit()

    def _is_liver(self, layer: Layer) -> bool:
        """Whether a Labels layer may be the liver of the chosen scan: not another scan's, not a result, same shape."""
        scan, tag, owner = self.scan.layer, tag_of(layer), tag_of(self.scan.layer)
        if scan is None or not _is_labels(layer) or tuple(layer.data.shape) != tuple(scan.data.shape):
            return False
        return tag is None or (tag.role is Role.LIVER and (owner is None or tag.scan == owner.scan))


def is_scan(layer: Layer) -> bool:
    """Whether a layer may be a scan: a grey stack of slices that is not one of our results."""
    from napari.layers import Image

    plain = isinstance(layer, Image) and layer.ndim == 3 and not layer.rgb and not layer.multiscale
    tag = tag_of(layer)
    return plain and (tag is None or tag.role is Role.SCAN)


def _is_labels(layer: Layer) -> bool:
    from napari.layers import Labels

    return isinstance(layer, Labels)
