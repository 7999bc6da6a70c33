"""``python -m tests.fuzz`` from the root of the repository: damage files of every kind, and hold that reading refuses them or reads them rightly."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.cli.parser import _seed, run_verb
from napari_liver_anomaly.cli.verbs import _say, _write_json

from . import NO_END, fuzz, keep

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job


def run_fuzz(args: argparse.Namespace, job: Job) -> None:
    """Damage files of every kind, and hold that reading refuses them or reads them rightly."""
    seconds = 60 * args.minutes if args.minutes else float("inf") if args.inputs else 60.0
    found = fuzz(inputs=args.inputs or NO_END, seconds=seconds, seed=args.seed, jobs=args.jobs, job=job)
    if args.keep:
        keep(found["escaped"], args.keep)
    if args.out:
        _write_json(found, args.out)
    _say(
        f"{found['inputs']:,} damaged files: {found['refused']:,} refused, {found['right']:,} read rightly, {found['escapes']} escapes."
    )


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the fuzzer."""
    verb = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    verb.set_defaults(run=run_fuzz)
    verb.add_argument("--minutes", type=float, default=0.0, help="How long; a minute when neither this nor --inputs is said.")
    verb.add_argument("--inputs", type=int, default=0, help="How many files; as many as the time allows when nothing is said.")
    verb.add_argument("--seed", type=_seed, default=0, help="Decides every random choice. Default 0.")
    verb.add_argument("--jobs", type=int, default=1, help="Processes at once. Default 1.")
    verb.add_argument("--keep", type=Path, metavar="DIR", help="Folder in which escapes are kept, to be tried again.")
    verb.add_argument("--out", type=Path, help="JSON file to write.")
    return verb


if __name__ == "__main__":
    sys.exit(run_verb(make_parser()))
