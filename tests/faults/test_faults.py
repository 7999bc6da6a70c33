"""Every row of the fault table, by its number: ``pytest tests/faults -q``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from faults.table import FIRST, ROWS, Kit

for path in sorted(Path(__file__).parent.glob("rows_*.py")):
    import_module(f"faults.{path.stem}")


@pytest.mark.parametrize("number", sorted(ROWS))
def test_fault(
    number: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    ROWS[number](Kit(tmp_path, monkeypatch, capsys, request))


def test_no_row_of_the_first_table_is_missing() -> None:
    assert {f"F{number:02}" for number in FIRST} <= ROWS.keys()


def test_the_page_tells_every_row() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    told = [line for line in page.splitlines() if line.startswith("| F")]
    assert told == [
        f"| {name} | {(ROWS[name].__doc__ or '').strip().splitlines()[0]} |"
        for name in sorted(ROWS, key=lambda name: int(name[1:]))
    ]
