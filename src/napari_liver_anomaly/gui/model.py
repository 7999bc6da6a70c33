"""Which model, on which processor, with which further settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFileDialog, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.look import COLUMN_GAP_PX, LABEL_PX, OneLine, form
from napari_liver_anomaly.gui.rows import SettingsRows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_liver_anomaly.settings import Settings

DEVICES = {"auto": "Automatic", "cpu": "Processor (CPU)", "cuda": "Graphics card (CUDA)"}
FROM_FILE = "From file…"


class Model(QWidget):
    """Model, device, and the further settings of a run, folded away.

    Parameters
    ----------
    names : sequence of str
        The packaged models, the recommended one first.
    settings : type of Settings
        Settings of a run; its threshold has its own slider and no row here.
    describe : callable
        Takes the name of a model or None, gives a line on what it is; empty when nothing is known.
    """

    def __init__(self, names: Sequence[str], settings: type[Settings], describe: Callable[[str | None], str]) -> None:
        super().__init__()
        self._describe = describe
        self.model = QComboBox()
        self.model.setToolTip("Trained weights; 'From file…' opens a .safetensors file made by 'liver-anomaly train'")
        self.model.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for name in names:
            self.model.addItem(name, name)
        self.model.addItem(FROM_FILE, None)
        self._before = 0
        self.caption = OneLine()
        self.caption.setContentsMargins(LABEL_PX + COLUMN_GAP_PX, 0, 0, 0)
        self.model.currentIndexChanged.connect(self._say)
        self.model.activated.connect(self._choose)
        self.device = QComboBox()
        self.device.setToolTip("Automatic takes the graphics card when there is a usable one")
        for device, words in DEVICES.items():
            self.device.addItem(words, device)
        self.rows = SettingsRows(settings, leave_out=("threshold", "auto_threshold"))
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
        rows.insertRow(1, self.caption)
        layout.addLayout(rows)
        layout.addWidget(self.fold)
        layout.addWidget(self.rows)
        self._say()

    @property
    def name(self) -> str | None:
        """Name of the packaged model or path of a file; None when there is no model."""
        return self.model.currentData()

    def add_file(self, path: Path) -> None:
        """List a file of weights and choose it.

        Parameters
        ----------
        path : Path
            A ``.safetensors`` file.
        """
        at = self.model.findData(str(path))
        if at < 0:
            at = self.model.count() - 1
            self.model.insertItem(at, path.name, str(path))
        self.model.setCurrentIndex(at)
        self._before = at

    def _say(self, _index: int = 0) -> None:
        """Say what the chosen model is; while the user looks for a file, what was said before stays."""
        if self.name is not None or self.model.count() == 1:
            self.caption.say(self._describe(self.name))

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
