"""What the panel has to say: one message at a time, with details on demand and, for a question, its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QPushButton, QToolButton, QVBoxLayout, QWidget

from napari_liver_anomaly.errors import Finding, Level
from napari_liver_anomaly.gui.look import restyle

if TYPE_CHECKING:
    from collections.abc import Callable


class Messages(QFrame):
    """A row that shows one message, and hides when there is none.

    Parameters
    ----------
    parent : QWidget, optional
        The panel.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "message")
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._fold = QToolButton(text="Details", checkable=True)
        self._fold.setProperty("kind", "fold")
        self._details = QPlainTextEdit(readOnly=True)
        self._details.setMaximumHeight(140)
        self._details.setVisible(False)
        self._fold.toggled.connect(self._details.setVisible)
        self._answers = QHBoxLayout()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 2, 2, 2)
        for widget in (self._text, self._fold, self._details):
            layout.addWidget(widget)
        layout.addLayout(self._answers)
        self.clear()

    @property
    def text(self) -> str:
        """What is shown; empty when nothing is."""
        return self._text.text()

    @property
    def details(self) -> str:
        """What unfolds below."""
        return self._details.toPlainText()

    def clear(self) -> None:
        """Show nothing."""
        self._show("", Level.NOTE)
        self.setVisible(False)

    def note(self, text: str) -> None:
        """Tell something that needs no answer.

        Parameters
        ----------
        text : str
            A sentence or two.
        """
        self._show(text, Level.NOTE)

    def find(self, finding: Finding) -> None:
        """Show a finding or a refusal.

        Parameters
        ----------
        finding : Finding
            What is wrong, what it means, what to do.
        """
        self._show(str(finding), finding.level)

    def fail(self, sentence: str, details: str) -> None:
        """Show a fault of the program.

        Parameters
        ----------
        sentence : str
            For the user.
        details : str
            For whoever mends it; folded away.
        """
        self._show(sentence, Level.REFUSE, details)

    def ask(self, text: str, answers: dict[str, Callable[[], object]]) -> None:
        """Ask a question inside the panel.

        Parameters
        ----------
        text : str
            The question.
        answers : dict
            Words on a button to what the button does; the message is cleared first.
        """
        self._show(text, Level.ASK)
        for words, act in answers.items():
            button = QPushButton(words)
            button.clicked.connect(self._answer(act))
            self._answers.addWidget(button)

    def press(self, words: str) -> None:
        """Press one of the answers.

        Parameters
        ----------
        words : str
            What is written on it.
        """
        for n in range(self._answers.count()):
            if self._answers.itemAt(n).widget().text() == words:
                return self._answers.itemAt(n).widget().click()
        raise KeyError(words)

    def _answer(self, act: Callable[[], object]) -> Callable[[], None]:
        def answer() -> None:
            self.clear()
            act()

        return answer

    def _show(self, text: str, level: Level, details: str = "") -> None:
        while self._answers.count():
            widget = self._answers.takeAt(0).widget()
            widget.setParent(None)
            widget.deleteLater()
        self._text.setText(text)
        self._details.setPlainText(details)
        self._fold.setVisible(bool(details))
        self._fold.setChecked(False)
        restyle(self, level=str(level))
        self.setVisible(bool(text))
