"""``python -m tests.fuzz`` from the root of the repository: damage files of every kind; each must be refused or read correctly."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.cli.parser import Parser
from napari_liver_anomaly.cli.program import run_parser, set_verb
from napari_liver_anomaly.cli.verb import Verb, say, write_json
from napari_liver_anomaly.settings import setting

from . import NO_END, fuzz, keep
from .figures import added

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class FuzzVerb(Verb):
    """Damage files of every kind, and hold that reading refuses them or reads them correctly."""

    minutes: float = setting(0.0, low=0, help="How long; a minute when neither this nor --inputs is said.")
    inputs: int = setting(0, low=0, help="How many files; as many as the time allows when nothing is said.")
    seed: int = setting(0, low=0, help="Decides every random choice.")
    jobs: int = setting(1, low=1, help="Processes at once.")
    only: str = setting(
        "", word="NAME", help="Only kinds of file whose name begins so, as dicom or mask; all when nothing is said."
    )
    keep: Path | None = setting(None, word="DIR", help="Folder in which escapes are kept, to be tried again.")
    out: Path | None = setting(None, help="JSON file of figures, to which those of this run are added.")

    def run(self, job: Job) -> None:
        """Damage files until the time or the number is reached, and say what came of it."""
        seconds = 60 * self.minutes if self.minutes else float("inf") if self.inputs else 60.0
        found = fuzz(inputs=self.inputs or NO_END, seconds=seconds, seed=self.seed, jobs=self.jobs, only=self.only, job=job)
        if self.keep:
            keep(found["escaped"], self.keep)
        if self.out:
            before = json.loads(self.out.read_text(encoding="utf-8")) if self.out.exists() else None
            write_json(added(before, found), self.out)
        say(
            f"{found['inputs']:,} damaged files: {found['refused']:,} refused, {found['right']:,} read correctly, {found['escapes']} escapes."
        )


def make_parser() -> Parser:
    """Make the parser of the fuzzer."""
    parser = Parser(prog="python -m tests.fuzz", description=__doc__)
    set_verb(parser, FuzzVerb)
    return parser


if __name__ == "__main__":
    sys.exit(run_parser(make_parser(), sys.argv[1:]))
