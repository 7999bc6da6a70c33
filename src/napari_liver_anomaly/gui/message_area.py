"""The place of messages: short lines with "more…", or one question with its answers. Its height stays while messages come and go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QBoxLayout,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QStyle,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_liver_anomaly.errors import Finding, Level
from napari_liver_anomaly.gui.style import ElidedButton, one_line, restyle, say, selectable, wheel_needs_focus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qtpy.QtGui import QResizeEvent

LEAVE = "Leave it"
GO_ON = "Go on"
MOST_BUTTONS = 4  # more answers than these go into a drop-down
SIDE_BY_SIDE = 34  # letters on all buttons together, up to which they share a line
LINES, LINE_PX, ICON_PX = 3, 18, 14
ICONS = {
    Level.NOTE: QStyle.StandardPixmap.SP_MessageBoxInformation,
    Level.ASK: QStyle.StandardPixmap.SP_MessageBoxWarning,
    Level.REFUSE: QStyle.StandardPixmap.SP_MessageBoxCritical,
}
_FIRST = re.compile(r"^.*?[.!?…](?=\s[A-Z'\"]|$)", re.DOTALL)  # a sentence ends where another begins, not within "0.5 mm"


@dataclass(frozen=True)
class Note:
    """A message: the line that is seen, all there is to say, and what helps whoever mends the program."""

    level: Level
    whole: str
    details: str = ""

    @property
    def line(self) -> str:
        """Its first sentence."""
        found = _FIRST.match(self.whole)
        return found[0] if found else self.whole


class NoteLine(QWidget):
    """One message on one line: icon, first sentence, and "more…" where there is more than can be seen."""

    def __init__(self, more: Callable[[], object]) -> None:
        super().__init__()
        self.setFixedHeight(LINE_PX)
        self._icon, self._text, self._is_cut = QLabel(), one_line(), False
        self._icon.setFixedWidth(ICON_PX)
        self.more = QToolButton()
        self.more.setText("more…")
        self.more.setProperty("kind", "link")
        self.more.setToolTip("Show all of it, to read or to copy")
        self.more.clicked.connect(lambda: more())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(5)
        row.addWidget(self._icon)
        row.addWidget(self._text, stretch=1)
        row.addWidget(self.more)

    def show_note(self, level: Level, line: str, *, is_cut: bool) -> None:
        """Show a message; ``is_cut`` is whether there is more to say than the line."""
        self._is_cut = is_cut
        say(self._text, line)
        if (style := self.style()) is not None:
            self._icon.setPixmap(style.standardIcon(ICONS[level]).pixmap(ICON_PX, ICON_PX))
        self._icon.setAccessibleName({Level.NOTE: "Note", Level.ASK: "Warning", Level.REFUSE: "Problem"}[level])
        self._fit()
        self.setVisible(bool(line))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """See anew whether all fits."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.width() - ICON_PX - 10
        self.more.setVisible(self._is_cut or self._text.fontMetrics().horizontalAdvance(self._text.text()) > room)


class MessageArea(QFrame):
    """A few lines of messages, or a question. Without either it is empty, and keeps its room where ``lines`` says so."""

    def __init__(self, parent: QWidget | None = None, *, lines: int = 0) -> None:
        super().__init__(parent)
        self.setProperty("kind", "message")
        self._notes: tuple[Note, ...] = ()
        self._lines = [NoteLine(lambda n=n: self._open(n)) for n in range(LINES)]  # type: ignore[misc]
        self._text = selectable(QLabel())
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._list: QComboBox | None = None
        self._body: QWidget | None = None
        self._acts: dict[str, Callable[[], None]] = {}
        self._answers = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._answers.setSpacing(4)
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(8, 2, 2, 2)
        self._rows.setSpacing(1)
        for widget in (*self._lines, self._text):
            self._rows.addWidget(widget)
        self._rows.addLayout(self._answers)
        if lines:
            self._rows.addStretch(1)
            self.setMinimumHeight(lines * (LINE_PX + 1) + 10)
            policy = self.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            self.setSizePolicy(policy)
        self.clear()

    @property
    def text(self) -> str:
        """All that is said or asked; empty when nothing is."""
        return self._text.text() or " ".join(note.whole for note in self._notes)

    @property
    def details(self) -> str:
        """What helps whoever mends the program."""
        return "\n".join(note.details for note in self._notes if note.details)

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines that can be seen."""
        return tuple(line._text.text() for line in self._lines if line.isVisibleTo(self))

    @property
    def answers(self) -> tuple[str, ...]:
        """Words of the answers that can be given now, "Leave it" last; empty when nothing is asked."""
        return tuple(self._acts)

    def clear(self) -> None:
        """Show nothing."""
        self._show(())

    def note(self, *texts: str) -> None:
        """Tell something that needs no answer."""
        self._show(tuple(Note(Level.NOTE, text) for text in texts))

    def show_findings(self, *findings: Finding) -> None:
        """Show a refusal, or what there is to say about a scan."""
        self._show(tuple(Note(finding.level, str(finding)) for finding in findings))

    def add_findings(self, *findings: Finding) -> None:
        """Show more beside what is shown; what is shown already is not shown twice."""
        self._show((*self._notes, *(Note(finding.level, str(finding)) for finding in findings)))

    def add_note(self, text: str) -> None:
        """Tell something beside what is shown; a question is not pushed aside."""
        if not self._acts:
            self._show((*self._notes, Note(Level.NOTE, text)))

    def fail(self, sentence: str, details: str) -> None:
        """Show a fault of the program."""
        self._show((Note(Level.REFUSE, sentence, details),))

    def ask(
        self,
        text: str,
        answers: Mapping[str, Callable[[], object]],
        leave: Callable[[], object] | None = None,
        body: QWidget | None = None,
    ) -> None:
        """Ask a question inside the panel: a button for each answer, or a drop-down when there are many, and "Leave it"."""
        self._show((), text)
        acts = {**answers, LEAVE: leave or (lambda: None)}
        self._acts = {words: self._answer(act) for words, act in acts.items()}
        across = sum(map(len, self._acts)) <= SIDE_BY_SIDE or len(answers) > MOST_BUTTONS or body is not None
        self._answers.setDirection(QBoxLayout.Direction.LeftToRight if across else QBoxLayout.Direction.TopToBottom)
        if body is not None:
            self._body = body
            self._rows.insertWidget(self._rows.indexOf(self._text) + 1, body)
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

    def _show(self, notes: tuple[Note, ...], question: str = "") -> None:
        self._drop_answers()
        self._notes = tuple(dict.fromkeys(notes))
        say(self._text, question)
        for n, line in enumerate(self._lines):
            here = self._behind(n)
            if len(here) > 1:
                line.show_note(_gravest(here), f"{len(here)} more messages", is_cut=True)
            elif here:
                line.show_note(here[0].level, here[0].line, is_cut=here[0].line != here[0].whole or bool(here[0].details))
            else:
                line.setVisible(False)
        restyle(self, level=str(Level.ASK if question else _gravest(self._notes)))
        self.setVisible(bool(notes or question))

    def _behind(self, n: int) -> tuple[Note, ...]:
        """Give the message of a line; the last line stands for all that have none."""
        return self._notes[n:] if n == LINES - 1 else self._notes[n : n + 1]

    def _open(self, n: int) -> None:
        """Show all that there is to say behind a line, to be read and copied."""
        whole = "\n\n".join(text for note in self._behind(n) for text in (note.whole, note.details) if text)
        WholeMessage(whole, self).show()

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


class WholeMessage(QDialog):
    """All of a message, beside the window, as text that can be selected."""

    def __init__(self, whole: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Message")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.text = QPlainTextEdit(whole)
        self.text.setReadOnly(True)
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.close)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(close)
        self.resize(460, 240)


def _gravest(notes: tuple[Note, ...]) -> Level:
    """Find the level that weighs most."""
    return next((level for level in Level if any(note.level is level for note in notes)), Level.NOTE)
