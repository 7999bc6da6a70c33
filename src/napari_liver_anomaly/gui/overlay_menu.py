"""The menu beside the overlays: comparing scan and restored liver, what of the residual is shown, and colour bars."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QMenu, QPushButton

from napari_liver_anomaly.gui.residual_look import BLANK_HU, CHOICES_HU

WIDTH_PX, HEIGHT_PX = 38, 19  # no higher than the line it stands on
COMPARE = {
    "blink": ("Blink scan and restored", "Alt+B", "Show the scan and the restored scan in turn"),
    "wipe": ("Wipe scan and restored", "Alt+X", "The scan to the left of the mouse, the restored scan to its right"),
}


class OverlayMenu(QPushButton):
    """A button with a menu."""

    compared = Signal(str)  # "blink", "wipe" or nothing
    blanked = Signal(int)  # HU
    barred = Signal(bool)

    def __init__(self) -> None:
        super().__init__("⋯")
        self.setFixedSize(WIDTH_PX, HEIGHT_PX)
        self.setProperty("kind", "choice")
        self.setToolTip("Compare the scan with the restored scan; what of the residual is shown; colour bars")
        self.setAccessibleName("Compare, residual, colour bars")
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.compare = {how: _tick(menu, words, tip) for how, (words, _, tip) in COMPARE.items()}
        for how, action in self.compare.items():
            action.setShortcut(COMPARE[how][1])
            self.addAction(action)  # so that the keys work while the menu is closed
            action.triggered.connect(lambda on, how=how: self.compared.emit(how if on else ""))
        menu.addSeparator()
        self.blank = QActionGroup(menu)
        for hu in CHOICES_HU:
            words = f"Residual from ±{hu} HU" if hu else "Residual: every difference"
            action = _tick(menu, words, "Smaller differences are not shown; the values themselves stay as they are")
            self.blank.addAction(action)
            action.setChecked(hu == BLANK_HU)
            action.triggered.connect(lambda _, hu=hu: self.blanked.emit(hu))
        menu.addSeparator()
        self.bar = _tick(menu, "Colour bars", "What the colours of score and residual mean, in the corner of the view")
        self.bar.setChecked(True)
        self.bar.triggered.connect(self.barred)
        self.setMenu(menu)

    def offer(self, *, restores: bool) -> None:
        """Offer what there is: without a restored scan, nothing is compared and there is no residual."""
        for action in (*self.compare.values(), *self.blank.actions()):
            action.setVisible(restores)

    def mark(self, how: str) -> None:
        """Show what is compared now, and how."""
        for name, action in self.compare.items():
            action.setChecked(name == how)
        self.setText("✓" if how else "⋯")


def _tick(menu: QMenu, words: str, tip: str) -> QAction:
    action = QAction(words, menu)
    action.setCheckable(True)
    action.setToolTip(tip)
    menu.addAction(action)
    return action
