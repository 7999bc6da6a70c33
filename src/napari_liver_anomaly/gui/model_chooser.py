"""Which model, on which processor, with which further settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.settings_form import SettingsForm
from napari_liver_anomaly.gui.style import COLUMN_GAP_PX, LABEL_PX, OneLine, form
from napari_liver_anomaly.gui.worker import ModelSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_liver_anomaly.settings import Settings

DEVICES = {"auto": "Automatic", "cpu": "Processor (CPU)", "cuda": "Graphics card (CUDA)"}
FROM_FILE = "From file…"


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
        self, names: Callable[[], Sequence[str]], settings: type[Settings], describe: Callable[[str | None], ModelSummary]
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
        self.caption, self.figure, self.note = said = OneLine(), OneLine(), OneLine()
        for line in said:
            line.setContentsMargins(LABEL_PX + COLUMN_GAP_PX, 0, 0, 0)
        self.list_again()
        self.model.opening.connect(self.list_again)
        self.model.currentIndexChanged.connect(self._say)
        self.model.activated.connect(self._choose)
        self.device = QComboBox()
        self.device.setToolTip("Automatic takes the graphics card when there is a usable one")
        for device, words in DEVICES.items():
            self.device.addItem(words, device)
        self.rows = SettingsForm(settings, leave_out=("threshold", "auto_threshold"))
        self.rows.setVisible(False)
        self.fold = QToolButton(text="More settings", checkable=True)
        self.fold.setProperty("kind", "fold")
        self.fold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.fold.setArrowType(Qt.ArrowType.RightArrow)
        self.fold.toggled.connect(self._unfold)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        rows = form({"Model": self.model, "Device": self.device})
        for place, line in enumerate(said, start=1):
            rows.insertRow(place, line)
        layout.addLayout(rows)
        layout.addWidget(self.fold)
        layout.addWidget(self.rows)

    @property
    def name(self) -> str | None:
        """Name of the model or path of its file; None when there is no model."""
        return self.model.currentData()

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
            self.caption.say(self.about.line)
            self.figure.say(self.about.figure)
            self.note.say(self.about.note)
            self.chosen.emit()

    def _choose(self, index: int) -> None:
        if self.model.itemData(index) is not None:
            self._before = index
            return
        name, _ = QFileDialog.getOpenFileName(self, "Load a model", "", "Models (*.safetensors)")
        if name:
            self.add_file(Path(name))
        else:
            self.model.setCurrentIndex(self._before)

    def _unfold(self, open_: bool) -> None:
        self.fold.setArrowType(Qt.ArrowType.DownArrow if open_ else Qt.ArrowType.RightArrow)
        self.rows.setVisible(open_)
