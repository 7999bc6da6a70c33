"""Connections to napari's events that end with the widget that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from qtpy.compat import isalive

if TYPE_CHECKING:
    from collections.abc import Callable


class EventListener:
    """The ears of one widget.

    napari's events outlive our panel, and a call into a deleted widget would raise in the middle of napari's work. Qt's own
    signal of the end is no help: a Python function called from it may have been cleared by the garbage collector, which
    crashes the program.
    """

    def __init__(self) -> None:
        self._heard: list[tuple[Any, Callable[..., object]]] = []

    def hear(self, event: Any, callback: Callable[..., object]) -> None:
        """Call back at every event, while the callback's widget lives."""
        method = WeakMethod(callback)

        def pass_on(what: Any) -> None:
            act = method()
            if act is None or not isalive(getattr(act, "__self__", None)):
                event.disconnect(pass_on)
            else:
                act(what)

        event.connect(pass_on)
        self._heard.append((event, pass_on))

    def stop(self) -> None:
        """Hear nothing any more."""
        while self._heard:
            event, callback = self._heard.pop()
            event.disconnect(callback)
