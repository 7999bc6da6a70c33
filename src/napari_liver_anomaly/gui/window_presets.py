"""Presets of window width and level."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from napari_liver_anomaly.gui.availability import NO_SCAN_YET, allow
from napari_liver_anomaly.gui.style import press_by

WINDOWS_HU = {"Liver": (150, 90), "Soft tissue": (400, 40), "Lung": (1500, -600), "Bone": (2500, 480)}  # width, level


class WindowPresets(QWidget):
    """A row of buttons, one per preset."""

    picked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.buttons: dict[str, QPushButton] = {}
        for name, (width, level) in WINDOWS_HU.items():
            low, high = limits_hu(name)
            button = QPushButton(name)
            button.setProperty("kind", "choice")
            button.setCheckable(True)
            button.setToolTip(f"Window width {width} HU, level {level} HU: black at {low:g} HU, white at {high:g} HU")
            press_by(button, f"Alt+{len(self.buttons) + 1}")
            button.clicked.connect(lambda _=False, name=name: self.picked.emit(name))
            row.addWidget(button, stretch=len(name) + 4)
            self.buttons[name] = button

    def mark(self, limits: tuple[float, float] | None) -> None:
        """Show which preset a scan is seen in, if any; without a scan there is nothing to choose."""
        for name, button in self.buttons.items():
            allow(button, "" if limits is not None else NO_SCAN_YET)
            button.setChecked(limits == limits_hu(name))


def limits_hu(name: str) -> tuple[float, float]:
    """Darkest and brightest value of a preset."""
    width, level = WINDOWS_HU[name]
    return (level - width / 2, level + width / 2)
