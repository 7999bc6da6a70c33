"""A program of verbs: parse a command, run its verb, and turn whatever ends it into one sentence and an exit code.

Exit codes: 0 done, 1 the program is at fault, 2 wrong usage, 3 an input was refused (one sentence on stderr, nothing written), 4 a question
needs an answer (it and the flags that answer it on stderr, nothing written), 130 stopped by the user.
"""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.cli.parser import Parser, add_flags, settings_from
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, Cancelled, Question, Refusal, WrongSetting, version
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.memory import ran_out, too_little

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_liver_anomaly.cli.verb import Verb
    from napari_liver_anomaly.job import Progress

DONE, CRASHED, REFUSED, ASKED, STOPPED = 0, 1, 3, 4, 130


def run_program(program: str, about: str, verbs: Mapping[str, str], arguments: Sequence[str] | None = None) -> int:
    """Run the verb that the first word names; only its module is loaded."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in verbs:
        verbs = {words[0]: verbs[words[0]]}
    return run_parser(parser_of(program, about, verbs), words)


def parser_of(program: str, about: str, verbs: Mapping[str, str]) -> Parser:
    """Make the parser of a program; each verb is the place of its class, ``package.module:Class``."""
    parser = Parser(prog=program, description=f"{about} {NOT_A_MEDICAL_DEVICE}")
    parser.add_argument("--version", action="version", version=version())
    subparsers = parser.add_subparsers(dest="_verb", required=True, metavar="VERB")
    for name, place in verbs.items():
        verb = load_verb(place)
        words = (verb.__doc__ or "").splitlines()[0]
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
    try:
        verb.run(Job(report=bar.show))
    except (Exception, KeyboardInterrupt) as error:
        bar.close()
        if isinstance(error, (MemoryError, RuntimeError)) and ran_out(error):
            error = too_little(0)
        return _ended(parser.prog, error, type(verb))
    bar.close()
    return DONE


def _ended(program: str, error: BaseException, verb: type[Verb]) -> int:
    """Say why a verb ended early, and give the exit code."""
    if isinstance(error, Refusal):
        sys.stderr.write(f"{program}: {error}\n")
        for answer in error.finding.answers:
            sys.stderr.write(f"  {answer.flag:24} {answer.words}\n")
        return ASKED if isinstance(error, Question) else REFUSED
    if isinstance(error, (Cancelled, KeyboardInterrupt)):
        sys.stderr.write(f"{program}: stopped; no result was written.\n")
        return STOPPED
    sys.stderr.write(f"{program}: {_crash(error, verb)}\n")
    return CRASHED


def _crash(error: BaseException, verb: type[Verb]) -> str:
    """Say where the program is at fault, and nothing that it was working on: an error's own words may quote names and paths."""
    packages = {__name__.partition(".")[0], verb.__module__.partition(".")[0]}
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if packages & set(Path(frame.filename).parts)]
    return (
        f"The program is at fault ({type(error).__name__} in {' ‹ '.join(reversed(ours[-4:])) or 'the command line'}). "
        "No result was written. Please report this line."
    )


class _Bar:
    """A progress bar for each phase of a job; silent when nobody looks at a terminal."""

    def __init__(self) -> None:
        self.phase = ""
        self.bar: Any = None

    def show(self, progress: Progress) -> None:
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
