"""``python -m tests.attack`` from the root of the repository: attack what runs leave behind, and give the figures."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_liver_anomaly.cli.parser import Parser
from napari_liver_anomaly.cli.program import run_parser, set_verb
from napari_liver_anomaly.cli.verb import Verb, say, write_json
from napari_liver_anomaly.settings import setting

from .kills import kills
from .limits import disks, memory
from .setting import ROOT, Fault

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class AttackVerb(Verb):
    """Kill runs, take memory and room away from them, and plant names; every fault is told."""

    only: Literal["all", "kills", "memory", "disks", "names"] = setting("all", help="One attack alone.")
    kills: int = setting(203, low=1, help="How often a run is killed.")
    seed: int = setting(0, low=0, help="Decides the moments of the kills.")
    out: Path | None = setting(None, help="JSON file of figures.")

    def run(self, job: Job) -> None:
        """Do the attacks and say what came of them."""
        attacks = {
            "kills": lambda folder: kills(folder, self.kills, self.seed, job) | {"seed": self.seed},
            "memory": lambda folder: memory(folder, job), "disks": lambda folder: disks(folder, job), "names": lambda folder: names(),
        }  # fmt: skip
        found: dict[str, Any] = {}
        for name, attack in attacks.items():
            if self.only in ("all", name):
                try:
                    with tempfile.TemporaryDirectory() as folder:
                        found[name] = attack(Path(folder))
                except Fault as fault:
                    found[name] = {"fault": str(fault)}
                say(f"{name}: {found[name]}")
        if self.out:
            write_json(found, self.out)


def names() -> dict[str, Any]:
    """Names in every tag, header, path and file name: the row of the fault table that plants them."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/faults/test_faults.py", "-k", "F58"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise Fault(done.stdout[-2000:])
    return {"row": "F58", "leaks": 0}


def make_parser() -> Parser:
    """Make the parser of the attacks."""
    parser = Parser(prog="python -m tests.attack", description=__doc__)
    set_verb(parser, AttackVerb)
    return parser


if __name__ == "__main__":
    sys.exit(run_parser(make_parser(), sys.argv[1:]))
