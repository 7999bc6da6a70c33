"""Progress and cancel for long work, without Qt: the same job serves the panel, the command line and the tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from napari_liver_anomaly.errors import Cancelled

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is: ``done`` of ``total`` steps of ``phase``."""

    phase: str
    done: int
    total: int


def _silent(progress: Progress) -> None:
    """Report to nobody."""


@dataclass(slots=True)
class Job:
    """What a long piece of work reports to, and asks whether to go on.

    Attributes
    ----------
    report : callable
        Called with a :class:`Progress`, in the thread that does the work.
    """

    report: Callable[[Progress], None] = _silent
    _stop: Event = field(default_factory=Event)

    def cancel(self) -> None:
        """Ask the work to stop at its next step. May be called from any thread."""
        self._stop.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the work to stop."""
        return self._stop.is_set()

    def at(self, phase: str, done: int, total: int) -> None:
        """Report a step, or stop.

        Parameters
        ----------
        phase : str
            What is being done, in a radiologist's words: "Restoring the liver".
        done, total : int
            Steps done so far, and in all.

        Raises
        ------
        Cancelled
            When :meth:`cancel` was called.
        """
        if self.cancelled:
            raise Cancelled("Stopped by the user; no result was kept.")
        self.report(Progress(phase, done, total))
