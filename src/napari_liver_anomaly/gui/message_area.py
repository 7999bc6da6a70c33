"""The message area: one message at a time, with details on demand and, for a question, its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QFrame,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_liver_anomaly.errors import Finding, Level
from napari_liver_anomaly.gui.style import ElidedButton, restyle, wheel_needs_focus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEAVE = "Leave it"
GO_ON = "Go on"
MOST_BUTTONS = 4  # more answers than these go into a drop-down
SIDE_BY_SIDE = 34  # letters on all buttons together, up to which they share a line


class MessageArea(QFrame):
    """A row that shows one message, and hides when there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "message")
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._fold = QToolButton()
        self._fold.setText("Details")
        self._fold.setCheckable(True)
        self._fold.setProperty("kind", "fold")
        self._details = QPlainTextEdit()
        self._details.setReadOnly(True)
        self._details.setMaximumHeight(140)
        self._details.setVisible(False)
        self._fold.toggled.connect(self._details.setVisible)
        self._list: QComboBox | None = None
        self._body: QWidget | None = None
        self._acts: dict[str, Callable[[], None]] = {}
        self._answers = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._answers.setSpacing(4)
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(8, 2, 2, 2)
        for widget in (self._text, self._fold, self._details):
            self._rows.addWidget(widget)
        self._rows.addLayout(self._answers)
        self.clear()

    @property
    def text(self) -> str:
        """What is shown; empty when nothing is."""
        return self._text.text()

    @property
    def details(self) -> str:
        """What unfolds below."""
        return self._details.toPlainText()

    @property
    def answers(self) -> tuple[str, ...]:
        """Words of the answers that can be given now, "Leave it" last; empty when nothing is asked."""
        return tuple(self._acts)

    def clear(self) -> None:
        """Show nothing."""
        self._show("", Level.NOTE)
        self.setVisible(False)

    def note(self, text: str) -> None:
        """Tell something that needs no answer."""
        self._show(text, Level.NOTE)

    def show_findings(self, *findings: Finding) -> None:
        """Show a refusal, or what there is to say about a scan."""
        gravest = next(level for level in Level if any(finding.level is level for finding in findings))
        self._show(" ".join(map(str, findings)), gravest)

    def fail(self, sentence: str, details: str) -> None:
        """Show a fault of the program."""
        self._show(sentence, Level.REFUSE, details)

    def ask(
        self,
        text: str,
        answers: Mapping[str, Callable[[], object]],
        leave: Callable[[], object] | None = None,
        body: QWidget | None = None,
    ) -> None:
        """Ask a question inside the panel: a button for each answer, or a drop-down when there are many, and "Leave it"."""
        self._show(text, Level.ASK)
        acts = {**answers, LEAVE: leave or (lambda: None)}
        self._acts = {words: self._answer(act) for words, act in acts.items()}
        across = sum(map(len, self._acts)) <= SIDE_BY_SIDE or len(answers) > MOST_BUTTONS or body is not None
        self._answers.setDirection(QBoxLayout.Direction.LeftToRight if across else QBoxLayout.Direction.TopToBottom)
        if body is not None:
            self._body = body
            self._rows.insertWidget(self._rows.count() - 1, body)
        if len(answers) > MOST_BUTTONS and body is None:
            self._list = choices = QComboBox()
            choices.addItems(list(answers))
            wheel_needs_focus(choices)
            choices.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            self._answers.addWidget(choices, stretch=1)
            self._button(GO_ON, lambda: self._acts[choices.currentText()]())
            self._button(LEAVE, self._acts[LEAVE])
        else:
            for words, act in self._acts.items():
                self._button(words, act, elided=not across)
        if across and self._list is None:
            self._answers.addStretch(1)

    def press(self, words: str) -> None:
        """Give one of the answers."""
        if self._list is not None and words != LEAVE:
            self._list.setCurrentIndex(list(self._acts).index(words) if words in self._acts else -1)
            words = GO_ON
        self.buttons[words].click()

    @property
    def buttons(self) -> dict[str, QPushButton]:
        """The buttons that are shown, by their words."""
        items = [item for n in range(self._answers.count()) if (item := self._answers.itemAt(n)) is not None]
        found = [button for item in items if isinstance(button := item.widget(), QPushButton)]
        return {str(button.property("words")): button for button in found}

    def _button(self, words: str, act: Callable[[], object], *, elided: bool = False) -> None:
        button = ElidedButton(words) if elided else QPushButton(words)
        button.setProperty("words", words)
        button.clicked.connect(lambda: act())
        self._answers.addWidget(button)

    def _answer(self, act: Callable[[], object]) -> Callable[[], None]:
        def answer() -> None:
            self.clear()
            act()

        return answer

    def _show(self, text: str, level: Level, details: str = "") -> None:
        self._drop_answers()
        self._text.setText(text)
        self._details.setPlainText(details)
        self._fold.setVisible(bool(details))
        self._fold.setChecked(False)
        restyle(self, level=str(level))
        self.setVisible(bool(text))

    def _drop_answers(self) -> None:
        """Take the answers of an earlier question away."""
        gone = [item.widget() for _ in range(self._answers.count()) if (item := self._answers.takeAt(0)) is not None]
        for widget in (*gone, self._body):
            if widget is not None:
                widget.hide()
                widget.setParent(None)
                widget.deleteLater()
        self._list = self._body = None
        self._acts = {}
