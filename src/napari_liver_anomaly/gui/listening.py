"""Listen to napari's events no longer than the widget lives that does so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtCore import QObject


class Listener:
    """The ears of one widget.

    napari's events outlive our panel, and a call into a deleted widget would raise in the middle of napari's work.

    Parameters
    ----------
    widget : QObject
        When it is destroyed, nothing is heard any more.
    """

    def __init__(self, widget: QObject) -> None:
        self._heard: list[tuple[Any, Callable[..., object]]] = []
        heard = self._heard
        widget.destroyed.connect(lambda: _stop(heard))

    def hear(self, event: Any, callback: Callable[..., object]) -> None:
        """Call back at every event.

        Parameters
        ----------
        event : EventEmitter
            One of napari's.
        callback : callable
            A bound method of the widget.
        """
        event.connect(callback)
        self._heard.append((event, callback))

    def stop(self) -> None:
        """Hear nothing any more."""
        _stop(self._heard)


def _stop(heard: list[tuple[Any, Callable[..., object]]]) -> None:
    while heard:
        event, callback = heard.pop()
        event.disconnect(callback)
