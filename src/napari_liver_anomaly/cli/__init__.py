"""The command line: ``liver-anomaly segment``, ``train``, ``evaluate`` and the rest, one settings class for each verb."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_liver_anomaly.cli.program import ASKED, CRASHED, DONE, REFUSED, STOPPED, parser_of, run_program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.cli.parser import Parser

__all__ = ["ASKED", "CRASHED", "DONE", "REFUSED", "STOPPED", "VERBS", "main", "make_parser"]

PROGRAM, ABOUT = "liver-anomaly", "Find liver tumours in CT without labelled tumours."
VERBS = {
    verb: f"napari_liver_anomaly.cli.{place}"
    for verb, place in {
        "segment": "segment:SegmentVerb",
        "synthesise": "synthesise:SynthesiseVerb",
        "detection-limit": "detection_limit:DetectionLimitVerb",
        "liver": "liver:LiverVerb",
        "cohort": "cohort:CohortVerb",
        "follow-up": "follow_up:FollowUpVerb",
        "prepare": "train:PrepareVerb",
        "train": "train:TrainVerb",
        "train-liver": "liver:TrainLiverVerb",
        "cross-validate-liver": "liver:CrossValidateLiverVerb",
        "combine": "train:CombineVerb",
        "evaluate": "evaluate:EvaluateVerb",
        "cross-validate": "cross_validate:CrossValidateVerb",
        "tables": "evaluate:TablesVerb",
        "phantom": "sample:PhantomVerb",
        "demo": "sample:DemoVerb",
        "models": "models:ModelsVerb",
        "install": "models:InstallVerb",
        "info": "models:InfoVerb",
        "bench": "bench:BenchVerb",
        "completion": "completion:CompletionVerb",
    }.items()
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``liver-anomaly``; those of the process when nothing is given.

    Returns
    -------
    int
        Exit code: 0 done, 1 the program is at fault, 3 an input was refused, 4 a question needs an answer, 130 stopped.

    Raises
    ------
    SystemExit
        With code 2 for wrong usage, and with 0 when help or the version was asked for.
    """
    return run_program(PROGRAM, ABOUT, VERBS, arguments)


def make_parser() -> Parser:
    """Make the parser of every verb.

    Returns
    -------
    Parser
        An ``argparse.ArgumentParser``.
    """
    return parser_of(PROGRAM, ABOUT, VERBS)
