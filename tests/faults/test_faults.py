"""Every row of the fault table, by its number: ``pytest tests/faults -q``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from faults.table import NUMBERS, ROWS, Kit

for path in sorted(Path(__file__).parent.glob("rows_*.py")):
    import_module(f"faults.{path.stem}")


@pytest.mark.parametrize("number", [f"F{number:02}" for number in NUMBERS])
def test_fault(
    number: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    ROWS[number](Kit(tmp_path, monkeypatch, capsys, request))
