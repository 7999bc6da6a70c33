"""The verb that measures how fast the program is on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_liver_anomaly.cli.sample import require_napari
from napari_liver_anomaly.cli.verb import Verb, say, write_json
from napari_liver_anomaly.models import DEFAULT
from napari_liver_anomaly.settings import setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchVerb(Verb):
    """Measure how fast the program is on this machine, piece beside piece, and print tables of ratios."""

    part: Literal["all", "floor", "slices", "scan", "growth", "training", "start", "gui", "cohort"] = setting(
        "all",
        help="What is measured. all leaves out gui, which opens windows and leaves a session under Recent, and cohort, which takes long.",
    )
    scan: Path | None = setting(None, help="A CT for the part scan; the phantom of 512 × 512 × 100 voxels when nothing is given.")
    model: str = setting(DEFAULT, help="Name of a model, or a .safetensors file.")
    threads: int = setting(1, low=1, help="Threads of torch.")
    rounds: int = setting(5, low=1, help="How often each piece of work is measured.")
    scans: int = setting(100, low=2, help="Small phantoms for the part cohort.")
    json: Path | None = setting(None, help="JSON file for all that was measured.")

    def places(self) -> dict[Path, bool]:
        """Name the file that may be written."""
        return {} if self.json is None else {self.json: False}

    def run(self, job: Job) -> None:
        """Measure, print the tables, and write what was measured."""
        from napari_liver_anomaly.bench import PARTS, measure, tables_of

        parts = PARTS if self.part == "all" else (self.part,) if self.part != "gui" else ()
        found = measure(
            parts, scan=self.scan, model=self.model, threads=self.threads, rounds=self.rounds, scans=self.scans, job=job
        )
        if self.part == "gui":
            require_napari()
            from napari_liver_anomaly.gui.window_speed import measure_window

            found["gui"] = measure_window(self.model, job, self.rounds)
        say(tables_of(found))
        if self.json is not None:
            write_json(found, self.json)
