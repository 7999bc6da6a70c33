"""The study in a terminal: ``liver-anomaly-study run``, ``tables``, ``figures`` and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_liver_anomaly.cli.program import parser_of, run_program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.cli.parser import Parser

PROGRAM, ABOUT = "liver-anomaly-study", "Train and compare the methods of the literature."
VERBS = {
    "systems": "liver_anomaly_study.verbs:SystemsVerb",
    "run": "liver_anomaly_study.verbs:RunVerb",
    "tables": "liver_anomaly_study.verbs:TablesVerb",
    "figures": "liver_anomaly_study.verbs:FiguresVerb",
    "long-training": "liver_anomaly_study.verbs:LongTrainingVerb",
    "export": "liver_anomaly_study.verbs:ExportVerb",
    "completion": "liver_anomaly_study.verbs:StudyCompletionVerb",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb of the study; exit codes as for ``liver-anomaly``."""
    return run_program(PROGRAM, ABOUT, VERBS, arguments)


def make_parser() -> Parser:
    """Make the parser of the study."""
    return parser_of(PROGRAM, ABOUT, VERBS)
