"""Which model, on which processor, with which further settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QSizePolicy, QVBoxLayout, QWidget

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.gui.file_dialog import ask_file
from napari_liver_anomaly.gui.fold import Fold
from napari_liver_anomaly.gui.operating_points import OperatingPoints
from napari_liver_anomaly.gui.settings_form import SettingsForm
from napari_liver_anomaly.gui.style import COLUMN_GAP_PX, LABEL_PX, form, one_line, say, small

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_liver_anomaly.models.card import OperatingPoint
    from napari_liver_anomaly.segmentation import SegmentSettings

DEVICES = {"auto": "Automatic", "cpu": "Processor (CPU)", "cuda": "Graphics card (CUDA)"}
FROM_FILE = "From file…"
READABLE = {"Segmenters and restorers, 15 patients": "Several networks, from 15 patients"}  # titles as a reader would say them
LONGEST = 200  # signs of what a card says in one line
NO_HEALTHY_IMAGE = "No healthy image: score and tumours only."


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """What the panel says of a model before it is used, in short lines; ``restores`` is whether it gives a healthy image."""

    line: str = ""
    figure: str = ""
    note: str = ""
    restores: bool = True
    points: tuple[OperatingPoint, ...] = ()


def names_of(names: Sequence[str] | None = None) -> Sequence[str]:
    """List the models that are found by name, or these."""
    if names is not None:
        return names
    from napari_liver_anomaly.models import names as found

    return found()


def summary_of(name: str | None, card: Callable[[str], dict[str, Any]] | None = None) -> ModelSummary:
    """Say what a model is and how good, from its card alone; why, where it cannot be used."""
    if name is None:
        return ModelSummary()
    from napari_liver_anomaly.models import path_of
    from napari_liver_anomaly.models.card import ModelCard

    try:
        about = ModelCard.from_dict(card(name)) if card is not None else ModelCard.read(path_of(name))
    except Refusal as refusal:
        return ModelSummary(line=f"Cannot be used: {refusal.finding.what}")
    healthy = about.restores()
    name = about.name()
    return ModelSummary(
        line=_short(READABLE.get(name, name)), figure=_short(about.figure()),
        note="" if healthy else NO_HEALTHY_IMAGE, restores=healthy,
        points=about.metrics.operating_points() if about.metrics is not None else (),
    )  # fmt: skip


def _short(text: str) -> str:
    """Cut what a card says: a label with a megabyte of text would stop the window."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


class UpdatingList(QComboBox):
    """A list that says when it is about to be opened, so that it can be brought up to date."""

    opening = Signal()

    def showPopup(self) -> None:
        """Open the list."""
        self.opening.emit()
        super().showPopup()


class ModelChooser(QWidget):
    """Model, device, and the further settings of a run, folded away."""

    chosen = Signal()

    def __init__(
        self, names: Callable[[], Sequence[str]], settings: type[SegmentSettings], describe: Callable[[str | None], ModelSummary]
    ) -> None:
        super().__init__()
        self._names, self._describe = names, describe
        self.about = ModelSummary()
        self.model = UpdatingList()
        self.model.setToolTip("Trained weights; 'From file…' opens a .safetensors file made by 'liver-anomaly train'")
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.model.addItem(FROM_FILE, None)
        self._listed: tuple[str, ...] = ()
        self._before = 0
        self.caption, self.note = one_line(), one_line()
        self.figure = small()  # never cut short
        for line in (self.caption, self.figure, self.note):
            line.setContentsMargins(LABEL_PX + COLUMN_GAP_PX, 0, 0, 0)
        for line in (self.caption, self.note):
            line.setEllipsesWidth(LABEL_PX + COLUMN_GAP_PX)
        self.rows = SettingsForm(settings, leave_out=("threshold", "auto_threshold"), diameters=("min_lesion_mm3",))
        self.points, self._form = OperatingPoints(), form({"Model": self.model})
        self._form.addRow("Search", self.points)
        self.list_again()
        self.model.opening.connect(self.list_again)
        self.model.currentIndexChanged.connect(self._say)
        self.model.activated.connect(self._choose)
        self.device = QComboBox()
        self.device.setToolTip("Automatic takes the graphics card when there is a usable one")
        self.device.setAccessibleName("Device")
        for device, words in DEVICES.items():
            self.device.addItem(words, device)
        self.more = Fold("More settings", [self.rows], is_open=False, minor=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self._form.addRow("Device", self.device)
        for place, line in enumerate((self.caption, self.figure, self.note), start=1):
            self._form.insertRow(place, line)
        layout.addLayout(self._form)
        self.points.wanted.connect(self._set_score)
        self.rows.changed.connect(lambda *_: self.points.follow(self._score.value))
        layout.addWidget(self.more)

    @property
    def name(self) -> str | None:
        """Name of the model or path of its file; None when there is no model."""
        return self.model.currentData()

    def show_settings(self, settings: SegmentSettings) -> None:
        """Show with which settings the lesions on screen were cut."""
        self.rows.show_settings(settings)
        self.points.follow(self._score.value)

    def list_again(self) -> None:
        """Bring the list up to date with what is installed by now; the choice stays while its model does."""
        names = tuple(self._names())
        if names == self._listed:
            return
        chosen = self.name
        self.model.blockSignals(True)
        for _ in self._listed:
            self.model.removeItem(0)
        for place, name in enumerate(names):
            self.model.insertItem(place, name, name)
        self._listed = names
        self._before = max(self.model.findData(chosen), 0) if chosen is not None else 0
        self.model.setCurrentIndex(self._before)
        self.model.blockSignals(False)
        if self.name != chosen:
            self._say()

    def choose(self, name: str) -> None:
        """Choose a model of the list; what is not there leaves the choice as it is."""
        if (at := self.model.findData(name)) >= 0:
            self.model.setCurrentIndex(at)
            self._before = at

    def add_file(self, path: Path) -> None:
        """List a file of weights and choose it."""
        at = self.model.findData(str(path))
        if at < 0:
            at = self.model.count() - 1
            self.model.insertItem(at, path.name, str(path))
        self.model.setCurrentIndex(at)
        self._before = at

    def _say(self, _index: int = 0) -> None:
        """Say what the chosen model is; while the user looks for a file, what was said before stays."""
        if self.name is not None or self.model.count() == 1:
            self.about = self._describe(self.name)
            say(self.caption, self.about.line)
            say(self.figure, self.about.figure)
            say(self.note, self.about.note)
            self._offer_points()
            self.chosen.emit()

    @property
    def _score(self) -> Any:
        """The row of the lowest peak score."""
        return self.rows.fields["min_peak_score"]

    def _set_score(self, score: float) -> None:
        self._score.value = score

    def _offer_points(self) -> None:
        """Offer the points that the card of the chosen model has; without any there is no such row."""
        self._form.setRowVisible(self.points, bool(self.about.points))
        self.points.offer(self.about.points, self._score.value)

    def _choose(self, index: int) -> None:
        if self.model.itemData(index) is not None:
            self._before = index
            return
        if (path := ask_file(self, "Load a model", "Models (*.safetensors)")) is not None:
            self.add_file(path)
        else:
            self.model.setCurrentIndex(self._before)
