"""Questions to the user: about a scan that cannot be read without an answer, and about findings that came with a layer."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from napari_liver_anomaly.errors import Answer, Level
from napari_liver_anomaly.gui.series_chooser import SeriesChooser
from napari_liver_anomaly.io.read_options import ASK_ALL

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot
    from napari_liver_anomaly.gui.loading import OpenQuestion
    from napari_liver_anomaly.gui.message_area import MessageArea

OPEN = "Open"


class Questions:
    """Puts the questions of scans and masks that were not read, one after another, and reads on with the answer."""

    def __init__(self, messages: MessageArea, read: Callable[..., object]) -> None:
        self._messages, self._read = messages, read
        self._waiting: deque[OpenQuestion] = deque()

    def put(self, asked: OpenQuestion) -> None:
        """Put a question, or let it wait until the one that is shown is settled."""
        self._waiting.append(asked)
        if len(self._waiting) == 1:
            self._show(asked)

    def drop(self) -> None:
        """Ask no more about what was opened before."""
        self._waiting.clear()
        self._messages.clear()

    def _show(self, asked: OpenQuestion) -> None:
        text = str(asked.finding)
        if asked.series:
            chooser = SeriesChooser(asked.series)
            chooser.opened.connect(lambda number: self._answer(asked, _series(number)))
            self._messages.ask(text, {OPEN: lambda: self._answer(asked, _series(chooser.number))}, self._leave, chooser)
            chooser.choice_changed.connect(self._messages.buttons[OPEN].setEnabled)
            self._messages.buttons[OPEN].setEnabled(chooser.number is not None)
            return
        acts = {answer.words: partial(self._answer, asked, answer) for answer in asked.finding.answers}
        self._messages.ask(text, acts, self._leave)

    def _answer(self, asked: OpenQuestion, answer: Answer) -> None:
        """Read again with one more answer."""
        self._go_on()
        self._read((asked.path, *asked.rest), asked.answers.with_answer(answer), asked.scan)

    def _leave(self) -> None:
        """Do without this scan; those after it are read all the same."""
        asked = self._go_on()
        if asked.rest:
            self._read(asked.rest, None)

    def _go_on(self) -> OpenQuestion:
        """Take the question that is shown away, and show the next."""
        asked = self._waiting.popleft()
        self._messages.clear()
        if self._waiting:
            self._show(self._waiting[0])
        return asked


def _series(number: int | None) -> Answer:
    """Answer which series is meant, as chosen in the list of series; without a choice it is asked again."""
    return Answer(words=OPEN, option="series", value=number or ASK_ALL.series)


class Confirmations:
    """Remembers which scans the user wants to use in spite of a doubt."""

    def __init__(self, messages: MessageArea) -> None:
        self._messages = messages
        self._agreed: set[str] = set()

    def waits(self, snapshot: LayerSnapshot, anyway: str, go_on: Callable[[], object]) -> bool:
        """Ask about a scan, unless there is nothing to ask or the user agreed before."""
        doubts = [finding for finding in (snapshot.tag.findings if snapshot.tag else ()) if finding.level is Level.ASK]
        key = snapshot.tag.scan if snapshot.tag else ""
        if not doubts or key in self._agreed:
            return False

        def agree() -> None:
            self._agreed.add(key)
            go_on()

        self._messages.ask(" ".join(str(doubt) for doubt in doubts), {anyway: agree})
        return True
