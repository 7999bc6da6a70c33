"""Buttons that change how the scan is seen."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_liver_anomaly.gui.availability import NO_SCAN_YET, allow
from napari_liver_anomaly.gui.help_link import HelpLink
from napari_liver_anomaly.gui.space_view import NO_LIVER
from napari_liver_anomaly.gui.style import press_by

PLANES_TIP = (
    "Show axial, coronal and sagittal views at once, all through the same point: click to go there, "
    "double-click a small view to see it large"
)


SPACE_TIP = "Show liver and tumours in space, from the front; drag to turn them. Another click goes back."


class ViewButtons(QWidget):
    """Switches, each of which another click switches back."""

    planes_wanted = Signal(bool)
    space_wanted = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.planes = _switch("3 planes", PLANES_TIP, "Alt+A")
        self.planes.clicked.connect(self.planes_wanted)
        self.space = _switch("3D", SPACE_TIP, "Alt+D")
        self.space.clicked.connect(self.space_wanted)
        for button in (self.planes, self.space):
            row.addWidget(button)
        row.addWidget(HelpLink("Look"))

    def offer(self, *, scan: bool, liver: bool) -> None:
        """Let views be switched on that there is something for; what is on can always be switched off."""
        for button, why_not in ((self.planes, "" if scan else NO_SCAN_YET), (self.space, "" if liver else NO_LIVER)):
            allow(button, "" if button.isChecked() else why_not)


def _switch(words: str, tip: str, keys: str) -> QPushButton:
    button = QPushButton(words)
    button.setCheckable(True)
    button.setProperty("kind", "choice")
    button.setToolTip(tip)
    press_by(button, keys)
    return button
