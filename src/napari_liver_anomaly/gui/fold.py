"""A section that folds into one line, which then says in short what is inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.help_link import HelpLink
from napari_liver_anomaly.gui.style import one_line, say

if TYPE_CHECKING:
    from collections.abc import Iterable

OPEN, FOLDED = "▾", "▸"
LINE_PX = 22


class Fold(QWidget):
    """A title to click on, and what lies below it while it is open; ``about`` is the page of the documentation that a "?" beside it opens."""

    def __init__(
        self, title: str, inside: Iterable[QWidget], *, is_open: bool = True, minor: bool = False, about: str = ""
    ) -> None:
        super().__init__()
        self._title, self._summary = title, ""
        self.button = QPushButton()
        self.button.setProperty("kind", "fold")
        self.button.setFixedHeight(LINE_PX)
        self.button.setCheckable(True)
        self._arrow, self._words = QLabel(), QLabel(title)
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self._words.setProperty("kind", "small" if minor else "number")
        self._said = one_line()
        line = QHBoxLayout(self.button)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        for label, stretch in ((self._arrow, 0), (self._words, 0), (self._said, 1)):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            line.addWidget(label, stretch)
        line.addStretch(0)  # where there is nothing to say the title stays at the left
        self.body = QWidget()
        rows = QVBoxLayout(self.body)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(5)
        for widget in inside:
            rows.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        head = QHBoxLayout()
        head.setSpacing(0)
        head.addWidget(self.button, stretch=1)
        if about:
            head.addWidget(HelpLink(about))
        layout.addLayout(head)
        layout.addWidget(self.body)
        self.button.toggled.connect(self._turn)
        self.button.setChecked(is_open)
        self._turn(is_open)

    @property
    def is_open(self) -> bool:
        """Whether what is inside can be seen."""
        return self.button.isChecked()

    def open(self, is_open: bool = True) -> None:
        """Open or fold."""
        self.button.setChecked(is_open)

    def sum_up(self, summary: str) -> None:
        """Say in short what is inside, for the time when it is folded."""
        self._summary = summary
        self._turn(self.is_open)

    def _turn(self, is_open: bool) -> None:
        self.body.setVisible(is_open)
        self._arrow.setText(OPEN if is_open else FOLDED)
        say(self._said, "" if is_open else self._summary)
        self.button.setToolTip("Fold" if is_open else "Unfold")
        self.button.setAccessibleName(" ".join(filter(None, (self._title, "" if is_open else self._summary))))
