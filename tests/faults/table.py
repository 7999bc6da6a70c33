"""The fault table: one row for everything that must never go silently wrong, by its number.

A row is a function that provokes the fault in every way the table names, and checks what the user sees. The texts of the rows are in
``docs/faults.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    Row = Callable[["Kit"], None]

FIRST = range(1, 67)  # every one of them has a row
NUMBERS = {*FIRST, *range(67, 166)}  # numbers there can be; later ones may have gaps
ROWS: dict[str, Row] = {}


@dataclass(frozen=True)
class Kit:
    """What a row works with: an empty folder, pytest's patches, its captured output, and its fixtures by name."""

    folder: Path
    patch: pytest.MonkeyPatch
    output: pytest.CaptureFixture[str]
    request: pytest.FixtureRequest


def row(number: int) -> Callable[[Row], Row]:
    """Enter a function into the table."""

    def enter(function: Row) -> Row:
        name = f"F{number:02}"
        if name in ROWS or number not in NUMBERS:
            raise ValueError(f"{name} is taken, or is no row")
        ROWS[name] = function
        return function

    return enter
