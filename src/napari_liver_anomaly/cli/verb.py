"""What every verb of a command line is: a settings class whose fields are its flags, and one method that does the work."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.settings import Settings
from napari_liver_anomaly.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.job import Job


class Verb(Settings):
    """A verb of the command line; the first line of its docstring is its help."""

    __slots__ = ()

    def run(self, job: Job) -> None:
        """Read, call the library, write, and say what was written."""
        raise NotImplementedError


def changes_of(base: Settings | type[Settings]) -> dict[str, Any]:
    """Declare a field that holds what was given of another settings class, and only that; values of an instance show as defaults."""
    field: dict[str, Any] = dataclasses.field(default_factory=dict, metadata={"changes": base})
    return field


def say(words: str) -> None:
    """Write one line for the user."""
    sys.stdout.write(f"{words}\n")


def show(findings: Iterable[Finding]) -> None:
    """Write findings to where they do not mix with results."""
    for finding in findings:
        sys.stderr.write(f"note: {finding}\n")


def write_json(data: Any, path: Path) -> None:
    """Write plain data as one file, whole or not at all, and say so."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"Wrote {path.name}.")
