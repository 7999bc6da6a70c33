"""The reader's questions about a scan, put to the user once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_liver_anomaly.errors import Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.gui.messages import Messages
    from napari_liver_anomaly.gui.pictures import Picture


class Doubts:
    """Remembers which scans the user wants to use in spite of a doubt.

    Parameters
    ----------
    messages : Messages
        Where the questions are put.
    """

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._agreed: set[str] = set()

    def waits(self, picture: Picture, anyway: str, go_on: Callable[[], object]) -> bool:
        """Ask about a scan, unless there is nothing to ask or the user agreed before.

        Parameters
        ----------
        picture : Picture
            Of the scan's layer.
        anyway : str
            Words of the answer that goes on.
        go_on : callable
            What that answer does.

        Returns
        -------
        bool
            True while a question waits for its answer.
        """
        doubts = [finding for finding in (picture.tag.findings if picture.tag else ()) if finding.level is Level.ASK]
        key = picture.tag.scan if picture.tag else ""
        if not doubts or key in self._agreed:
            return False

        def agree() -> None:
            self._agreed.add(key)
            go_on()

        self._messages.ask(" ".join(str(doubt) for doubt in doubts), {anyway: agree, "Leave it": self._messages.clear})
        return True
