"""Exit code 4 promises an option that leads on: every place that asks gives an answer, and every answer sets a field that takes it."""

from __future__ import annotations

import ast
from pathlib import Path

import napari_liver_anomaly
from napari_liver_anomaly.errors import Level
from napari_liver_anomaly.messages import CATALOGUE

SOURCE = Path(napari_liver_anomaly.__file__).parent
QUESTIONS = {code for code, message in CATALOGUE.messages.items() if message.level is Level.ASK}
MAKERS = {"make_finding", "make_refusal"}


def asked() -> dict[str, list[tuple[str, bool]]]:
    """Where each question is made, and whether answers are given there."""
    found: dict[str, list[tuple[str, bool]]] = {code: [] for code in QUESTIONS}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS and node.args:
                code = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
                if code in QUESTIONS:
                    found[code].append((f"{path.name}:{node.lineno}", len(node.args) > 1))
    return found


def test_every_question_names_an_option_that_leads_on() -> None:
    without = [place for code, places in asked().items() for place, answered in places if not answered and code != "layer-not-hu"]
    assert without == []
