"""What every verb of a command line is: a settings class whose fields are its flags, and one method that does the work."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from napari_liver_anomaly.device import is_first
from napari_liver_anomaly.messages import without_controls
from napari_liver_anomaly.placing import replacing, require_place
from napari_liver_anomaly.settings import Settings

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

    def places(self) -> dict[Path, bool]:
        """Name what will be written, and whether it is a folder: tried before the work."""
        out = getattr(self, "out", None)
        return {} if out is None else {out: False}

    def require_places(self) -> None:
        """Refuse a place that cannot be written to."""
        for path, folder in self.places().items():
            require_place(path, folder=folder)


def changes_of(base: Settings | type[Settings]) -> dict[str, Any]:
    """Declare a field that holds what was given of another settings class, and only that; values of an instance show as defaults."""
    field: dict[str, Any] = dataclasses.field(default_factory=dict, metadata={"changes": base})
    return field


unsaid: list[OSError] = []  # why a line for the user could not be written, since a program emptied this list


def say(words: str) -> None:
    """Write one line for the user, by one of processes that train together. A closed pipe or a full disk is no reason to lose a result."""
    if is_first():
        tell(sys.stdout, f"{words}\n")


def tell(stream: TextIO | None, words: str) -> None:
    """Write to a stream, which may be closed, without what could steer a terminal."""
    try:
        if stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        stream.write(without_controls(words))
    except OSError as error:
        unsaid.append(error)
    except ValueError:  # it was closed by us
        unsaid.append(OSError(errno.EBADF, os.strerror(errno.EBADF)))


def show(findings: Iterable[Finding]) -> None:
    """Write findings to where they do not mix with results."""
    for finding in findings:
        tell(sys.stderr, f"note: {finding}\n")


def write_json(data: Any, path: Path) -> None:
    """Write plain data as one file, whole or not at all, and say so."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"Wrote {path.name}.")
