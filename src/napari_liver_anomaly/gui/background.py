"""Work in the background: a job on its own thread, its progress, its end, and how to stop it.

The thread never touches Qt. It leaves messages in a box that a timer of the window empties, so a panel that is gone by then is
simply not told, and every ending arrives, ``RuntimeError`` included.
"""

from __future__ import annotations

import atexit
import re
import time
import traceback
import weakref
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from napari_liver_anomaly.errors import Cancelled, Refusal
from napari_liver_anomaly.job import Job, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK_MS = 20  # how often the box is looked into
SHOW_S = 0.1  # progress within a phase is shown at most this often
_PATH = re.compile(r"""(?:[A-Za-z]:)?[\\/](?:[^\\/\n"'<>|:]+[\\/])+[^\\/\n"'<>|:]*""")
_ENDING = r"(?P<ending>nii(?:\.gz)?|nrrd|nhdr|mha|mhd|img|hdr|dcm|ima|dicom|safetensors|csv|json)\b"
_FILE = re.compile(rf"""(?:(?<=['"])[^'"\n]*|[^\s'"<>|:]+)\.{_ENDING}""", re.IGNORECASE)
STOP_S = 1.0  # how long the end of the program waits for work that was told to stop

_one_at_a_time = Lock()  # the runs that fill memory or processor: one at a time in the whole program
_living: dict[Thread, Job] = {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a piece of work ended."""

    kind: str  # name of the signal that tells it
    values: tuple[Any, ...] = ()


class Task(QObject):
    """One kind of long work of a panel. Its signals come in the window's thread."""

    progressed = Signal(object, object)  # Progress, seconds left or None
    returned = Signal(object)
    refused = Signal(object)  # Finding
    failed = Signal(str, str)  # one sentence, details
    cancelled = Signal()
    ended = Signal()  # after each of the four above

    def __init__(self, parent: QObject, *, alone: bool = False) -> None:
        super().__init__(parent)
        self._alone = alone
        self._job: Job | None = None
        self._waiting: Callable[[Job], Any] | None = None
        self._box: SimpleQueue[Progress | Outcome] = SimpleQueue()
        self._time_left = TimeLeft()
        self._shown_s, self._phase = 0.0, ""
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)

    @property
    def busy(self) -> bool:
        """Whether work is in progress."""
        return self._job is not None

    @property
    def stopping(self) -> bool:
        """Whether the work was told to stop and has not ended yet."""
        return self._job is not None and self._job.cancelled

    def start(self, work: Callable[[Job], Any]) -> bool:
        """Begin, unless this run or, for a run that must be alone, any other is in progress."""
        if self.busy or (self._alone and not _one_at_a_time.acquire(blocking=False)):
            return False
        self._box, self._time_left = SimpleQueue(), TimeLeft()
        self._shown_s, self._phase = 0.0, ""
        job = self._job = Job(report=partial(_report, weakref.ref(self), self._box))
        _stop_at_quit()
        # A daemon, so that work which does not listen cannot keep the program from ending.
        thread = Thread(target=_carry_out, args=(work, job, self._box, self._alone), name="liver-anomaly", daemon=True)
        _living[thread] = job
        thread.start()
        self._timer.start()
        return True

    def ask(self, work: Callable[[Job], Any]) -> None:
        """Do this now, or as soon as the work in progress ends; of what waits only the last counts, and no earlier result is told."""
        if not self.start(work):
            self._waiting = work

    def cancel(self) -> None:
        """Ask the work to stop, and forget what waits; ``cancelled`` comes when it has stopped."""
        self._waiting = None
        if self._job is not None:
            self._job.cancel()

    def wait(self, most_s: float) -> None:
        """Wait for the work in progress, which must need nothing of the window; how it ended is told later."""
        for thread in [thread for thread, job in list(_living.items()) if job is self._job]:
            thread.join(most_s)

    def _look(self) -> None:
        """Empty the box: show the last progress, or the end."""
        progress = outcome = None
        while outcome is None:
            try:
                message = self._box.get_nowait()
            except Empty:
                break
            if isinstance(message, Outcome):
                outcome = message
            else:
                progress = message
        if outcome is not None:
            self._end(outcome)
        elif progress is not None:
            left_s = self._time_left.left_s(progress)
            now = time.monotonic()
            if progress.phase != self._phase or now - self._shown_s >= SHOW_S or progress.done == progress.total:
                self._shown_s, self._phase = now, progress.phase
                self.progressed.emit(progress, left_s)

    def _end(self, outcome: Outcome) -> None:
        self._timer.stop()
        self._job = None
        work, self._waiting = self._waiting, None
        if work is None or outcome.kind in ("refused", "failed"):
            getattr(self, outcome.kind).emit(*outcome.values)
        if work is not None:
            self.ask(work)
        self.ended.emit()


class TimeLeft:
    """Time left, from the pace of the phase in progress."""

    def __init__(self) -> None:
        self._phase = ""
        self._began_s = 0.0
        self._first = 0

    def left_s(self, progress: Progress) -> float | None:
        """Estimate the seconds left in this phase."""
        now = time.monotonic()
        if progress.phase != self._phase:
            self._phase, self._began_s, self._first = progress.phase, now, progress.done
        steps, spent_s = progress.done - self._first, now - self._began_s
        return spent_s / steps * (progress.total - progress.done) if steps > 0 and spent_s >= 1.0 else None


def _carry_out(work: Callable[[Job], Any], job: Job, box: SimpleQueue[Any], alone: bool) -> None:
    """Work in its thread, from the start to a message about the end. Exceptions are told and dropped, for they hold memory."""
    try:
        outcome = Outcome("returned", (work(job),))
        if job.cancelled:  # it did not look again after its last step
            outcome = Outcome("cancelled")
    except Cancelled:
        outcome = Outcome("cancelled")
    except Refusal as refusal:
        outcome = Outcome("refused", (refusal.finding,))
    except BaseException as error:  # the last door of this thread: nothing may vanish, KeyboardInterrupt from the core included
        outcome = Outcome("failed", (sentence_of(error), details_of(error)))
    if alone:
        _one_at_a_time.release()
    box.put(outcome)
    for thread in [thread for thread, its_job in list(_living.items()) if its_job is job]:
        _living.pop(thread, None)


def _report(run: weakref.ref[Task], box: SimpleQueue[Any], progress: Progress) -> None:
    """Leave a message, or stop when the panel is gone. In the work's thread.

    Asked here rather than told by Qt's ``destroyed``, which calls Python functions that the garbage collector may have cleared.
    """
    panel = run()
    if panel is None or not isalive(panel):
        raise Cancelled("The panel is gone; no result was kept.")
    box.put(progress)


def sentence_of(error: BaseException) -> str:
    """Say in one sentence that the program is at fault."""
    if isinstance(error, MemoryError):
        return "There is not enough memory for this. Nothing was changed. Close other programs or use a smaller scan."
    return f"The program made a mistake ({type(error).__name__}). Nothing was changed. See the details, and please report it."


def details_of(error: BaseException) -> str:
    """Say where the program went wrong, fit to be sent to others: without the folders of this machine, which may name a patient."""
    text = "".join(traceback.format_exception(error))
    for name in sorted(_names_in(error), key=len, reverse=True):
        text = text.replace(name, "…")
    text = _PATH.sub(lambda found: _without_folders(PurePath(found[0])), text)
    return _FILE.sub(lambda found: f"….{found['ending']}", text)


def _names_in(error: BaseException) -> set[str]:
    """Names of files that an error, or one that led to it, is about."""
    names, chain = set(), [error]
    for one in chain:
        chain += [led for led in (one.__cause__, one.__context__) if led is not None and led not in chain]
        if isinstance(one, OSError):
            names |= {part for name in (one.filename, one.filename2) if name for part in (str(name), PurePath(str(name)).name)}
    return names - {""}


def _without_folders(path: PurePath) -> str:
    return f"…/{path.name if path.suffix == '.py' else path.suffix}"


def _stop_at_quit() -> None:
    """Tell all work to stop when the application quits; asked for once per application."""
    app = QCoreApplication.instance()
    if app is not None and not app.property("liver-anomaly stops"):
        app.setProperty("liver-anomaly stops", True)
        app.aboutToQuit.connect(_tell_to_stop)


def _tell_to_stop() -> None:
    for job in list(_living.values()):
        job.cancel()


def _stop_all() -> None:
    """At the end of the program: tell all work to stop, and give it a moment."""
    _tell_to_stop()
    until_s = time.monotonic() + STOP_S
    for thread in list(_living):
        thread.join(max(0.0, until_s - time.monotonic()))


atexit.register(_stop_all)
