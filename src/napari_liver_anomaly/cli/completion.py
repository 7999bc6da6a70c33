"""The verb that prints shell completion of verbs, flags, choices and files."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_liver_anomaly.cli.parser import Parser, flags_of
from napari_liver_anomaly.cli.verb import Verb, say
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletionVerb(Verb):
    """Print a script with which a shell completes verbs, flags and files."""

    shell: Literal["bash", "zsh", "fish"] = setting(REQUIRED, positional=True, help="Which shell.")

    def parser(self) -> Parser:
        """Give the parser of the program that is completed."""
        from napari_liver_anomaly.cli import make_parser

        return make_parser()

    def run(self, job: Job) -> None:
        """Print the script."""
        import shtab

        parser = self.parser()
        for verb in verb_parsers(parser).values():
            paths = {option.name for option in flags_of(verb.settings or Verb) if option.kind is Path}
            for action in verb._actions:
                if action.dest in paths:
                    action.complete = shtab.FILE  # type: ignore[attr-defined]
        say(shtab.complete(parser, self.shell))


def verb_parsers(parser: Parser) -> dict[str, Parser]:
    """Give the parser of every verb by its name."""
    return next(dict(action.choices) for action in parser._actions if isinstance(action, argparse._SubParsersAction))
