"""A program of verbs: parse a command, run its verb, and turn whatever ends it into one sentence and an exit code.

Exit codes: 0 done, 1 the program is at fault, 2 wrong usage, 3 an input was refused (one sentence on stderr, nothing written), 4 a question
needs an answer (it and the flags that answer it on stderr, nothing written), 130 stopped by the user.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from napari_liver_anomaly.cli.parser import Parser, add_flags, settings_from
from napari_liver_anomaly.cli.verb import tell, unsaid
from napari_liver_anomaly.device import is_first
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, Cancelled, Question, Refusal, WrongSetting, version
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.memory import ran_out, too_little
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.placing import placed
from napari_liver_anomaly.settings import summary_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_liver_anomaly.cli.verb import Verb
    from napari_liver_anomaly.job import Progress

NOT_OURS = {
    errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.ENOSPC, errno.EDQUOT,
    errno.EFBIG, errno.EIO, errno.ELOOP,
}  # fmt: skip
DONE, CRASHED, REFUSED, ASKED, STOPPED = 0, 1, 3, 4, 130


def run_program(program: str, about: str, verbs: Mapping[str, str], arguments: Sequence[str] | None = None) -> int:
    """Run the verb that the first word names; only its module is loaded."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in verbs:
        verbs = {words[0]: verbs[words[0]]}
    try:
        with _terminable():
            return run_parser(parser_of(program, about, verbs), words)
    except KeyboardInterrupt:  # before a verb began
        tell(sys.stderr, f"{program}: stopped; no result was written.\n")
        return STOPPED


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat a request of the system to end as the user's stop, so that nothing half-written stays."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def parser_of(program: str, about: str, verbs: Mapping[str, str]) -> Parser:
    """Make the parser of a program; each verb is the place of its class, ``package.module:Class``."""
    parser = Parser(prog=program, description=f"{about} {NOT_A_MEDICAL_DEVICE}")
    parser.add_argument("--version", action="version", version=version())
    subparsers = parser.add_subparsers(dest="_verb", required=True, metavar="VERB")
    for name, place in verbs.items():
        verb = load_verb(place)
        words = summary_of(verb)
        set_verb(subparsers.add_parser(name, help=words, description=f"{words} {NOT_A_MEDICAL_DEVICE}"), verb)
    return parser


def load_verb(place: str) -> type[Verb]:
    """Import the class of a verb."""
    module, _, name = place.partition(":")
    verb: type[Verb] = getattr(import_module(module), name)
    return verb


def set_verb(parser: Parser, verb: type[Verb]) -> None:
    """Give a parser the flags of a verb."""
    add_flags(parser, verb)
    parser.set_defaults(_parser=parser, _settings=verb)


def run_parser(parser: Parser, words: Sequence[str]) -> int:
    """Parse a command and run its verb."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name or a sign that the terminal cannot show must not end the run
            stream.reconfigure(errors="backslashreplace")
    args = parser.parse_args(words)
    try:
        verb = settings_from(args, args._settings)
    except WrongSetting as refusal:
        args._parser.error(str(refusal))
    bar = _Bar()
    placed.clear()
    unsaid.clear()
    try:
        if sys.flags.optimize > 1:
            raise make_refusal("docstrings-missing")
        verb.require_places()
        verb.run(Job(report=bar.show))
    except (Exception, KeyboardInterrupt) as error:
        bar.close()
        return _spoken(parser.prog, verb, _ended(parser.prog, _own_words(error), verb))
    bar.close()
    return _spoken(parser.prog, verb, DONE)


def _spoken(program: str, verb: Verb, code: int) -> int:
    """Make sure that what was said has gone out; a result that is written is not lost because nobody could be told."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError) as error:
        unsaid.append(error if isinstance(error, OSError) else OSError(str(error)))
        _to_nowhere(sys.stdout)
    if not unsaid or code != DONE or isinstance(unsaid[0], BrokenPipeError):
        return code
    reason = unsaid[0].strerror or "closed"
    if _is_written(verb):
        tell(sys.stderr, f"{program}: the results are written, but the lines about them could not be ({reason}).\n")
        return DONE
    tell(sys.stderr, f"{program}: nothing could be printed ({reason}).\n")
    return REFUSED


def _to_nowhere(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, instead of failing again when the interpreter ends."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass


def _is_written(verb: Verb) -> bool:
    """Whether what the verb was to write has taken its place."""
    out = getattr(verb, "out", None)
    return out is not None and any(path == out or out in path.parents for path in placed)


def _own_words(error: BaseException) -> BaseException:
    """Say want of memory, and files that the system refuses, in our own sentences: neither is the program's fault."""
    if isinstance(error, (MemoryError, RuntimeError)) and ran_out(error):
        return too_little(0)
    if isinstance(error, OSError) and error.errno in NOT_OURS:
        return make_refusal("system-refused", reason=error.strerror or type(error).__name__)
    return error


def _ended(program: str, error: BaseException, verb: Verb) -> int:
    """Say why a verb ended early, and give the exit code."""
    if isinstance(error, Refusal):
        tell(sys.stderr, f"{program}: {error}\n")
        for answer in error.finding.answers:
            tell(sys.stderr, f"  {answer.flag:23}  {answer.words}\n")
        return ASKED if isinstance(error, Question) else REFUSED
    written = "the results were written before that" if _is_written(verb) else "no result was written"
    if isinstance(error, (Cancelled, KeyboardInterrupt)):
        tell(sys.stderr, f"{program}: stopped; {written}.\n")
        return STOPPED
    tell(sys.stderr, f"{program}: {_crash(error, type(verb), written)}\n")
    return CRASHED


def _crash(error: BaseException, verb: type[Verb], written: str = "no result was written") -> str:
    """Say where the program is at fault, and nothing that it was working on: an error's own words may quote names and paths."""
    packages = {__name__.partition(".")[0], verb.__module__.partition(".")[0]}
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if packages & set(Path(frame.filename).parts)]
    return (
        f"The program is at fault ({type(error).__name__} in {' ‹ '.join(reversed(ours[-4:])) or 'the command line'}). "
        f"{written.capitalize()}. Please report this line."
    )


class _Bar:
    """A progress bar for each phase of a job; silent when nobody looks at a terminal."""

    def __init__(self) -> None:
        self.phase = ""
        self.bar: Any = None

    def show(self, progress: Progress) -> None:
        if sys.stderr is None or not is_first():
            return
        from tqdm import tqdm

        if self.bar is None or self.phase.split(" · ")[0] != progress.phase.split(" · ")[0]:
            self.close()
            self.bar = tqdm(total=progress.total, file=sys.stderr, disable=None, leave=False)
        if self.phase != progress.phase:
            self.phase = progress.phase
            self.bar.set_description(progress.phase, refresh=False)
        self.bar.total = progress.total
        self.bar.update(progress.done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = None
