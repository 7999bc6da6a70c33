"""The page of settings that are kept: what a panel begins with, and where the program keeps its files."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_liver_anomaly import preferences
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.gui.availability import allow
from napari_liver_anomaly.gui.file_dialog import ask_folder
from napari_liver_anomaly.gui.model_chooser import DEVICES
from napari_liver_anomaly.gui.panel_defaults import PanelDefaults
from napari_liver_anomaly.gui.settings_form import SettingsForm
from napari_liver_anomaly.gui.style import form, heading, say, sheet, side_by_side, small
from napari_liver_anomaly.io.kept_sessions import VARIABLE as SESSIONS_VARIABLE
from napari_liver_anomaly.io.kept_sessions import folder_of, keep_settings
from napari_liver_anomaly.models.locations import VARIABLE, folder

if TYPE_CHECKING:
    from pathlib import Path

WORDS = {
    "processor": "Device",
    "width_hu": "Window width (HU)",
    "level_hu": "Window level (HU)",
    "min_lesion_mm3": "Smallest lesion (mm)",
    "report": "Export a report, too",
    "dicom_seg": "Export a DICOM segmentation, too",
}
WIDTH_PX = 460
HOW = f"Models: set the environment variable {VARIABLE} before napari starts."
MOVED = "Sessions are kept there from now on; those kept before stay where they are."
BY_VARIABLE = f"The environment variable {SESSIONS_VARIABLE} says where, or that none are kept."


class SettingsPage(QDialog):
    """Shows what is kept; what is saved holds from then on."""

    saved = Signal(object)  # PanelDefaults

    def __init__(self, parent: QWidget, theme: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(WIDTH_PX)
        self.setStyleSheet(sheet(theme))
        self.rows = self._make_rows(preferences.preferred(PanelDefaults))
        kinds = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(kinds.Save | kinds.Cancel | kinds.RestoreDefaults)
        self.buttons.accepted.connect(self.save)
        self.buttons.rejected.connect(self.close)
        if (reset := self.buttons.button(kinds.RestoreDefaults)) is not None:
            reset.clicked.connect(self.restore)
        self.said = small()
        self._column = QVBoxLayout(self)
        self._column.addWidget(heading("A panel begins with"))
        self._column.addWidget(self.rows)
        self._column.addWidget(heading("Folders"))
        self.sessions, self.change = _place(folder_of(keep_settings())), QPushButton("Change…")
        self.change.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)  # the rest of the line is the folder's
        self.change.setAccessibleName("Change folder of sessions")
        self.change.clicked.connect(lambda: self.move_sessions(ask_folder(self, "Keep sessions in this folder")))
        allow(self.change, BY_VARIABLE if os.environ.get(SESSIONS_VARIABLE) else "")
        sessions = side_by_side(self.sessions, self.change)
        self._column.addLayout(
            form({"Models": _place(folder()), "Sessions": sessions, "These settings": _place(preferences.path())})
        )
        self._column.addWidget(small(HOW))
        self._column.addWidget(self.said)
        self._column.addWidget(self.buttons)
        say(self.said, "")

    def restore(self) -> None:
        """Show the settings of a new installation; they hold once they are saved."""
        fresh = self._make_rows(PanelDefaults())
        self._column.replaceWidget(self.rows, fresh)
        self.rows.deleteLater()
        self.rows = fresh

    def move_sessions(self, place: Path | None) -> None:
        """Keep sessions in another folder from now on."""
        if place is None:
            return
        try:
            preferences.prefer(replace(keep_settings(), folder=str(place)))
        except Refusal as refusal:
            say(self.said, str(refusal.finding))
        else:
            self.sessions.setText(str(place))
            say(self.said, MOVED)

    def save(self) -> None:
        """Keep what the page shows; where that cannot be done, say why and stay."""
        wanted = self.rows.value()
        try:
            preferences.prefer(wanted)
        except Refusal as refusal:
            return say(self.said, str(refusal.finding))
        self.saved.emit(wanted)
        self.close()
        return None

    def _make_rows(self, shown: PanelDefaults) -> SettingsForm[PanelDefaults]:
        rows = SettingsForm(shown, words=WORDS, diameters=("min_lesion_mm3",))
        device = rows.fields["processor"].native
        for n, words in enumerate(DEVICES.values()):
            device.setItemText(n, words)
        for name in ("report", "dicom_seg"):
            rows.fields[name].native.setText("")  # the row says it
        return rows


def _place(path: Path) -> QLabel:
    """Show a place as text that can be selected."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(str(path))
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard)
    return label
