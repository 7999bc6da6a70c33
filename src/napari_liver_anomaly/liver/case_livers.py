"""Liver masks of the cases of a data set: read and judged like any that is given, with one answer for the whole folder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_liver_anomaly.errors import Question, Refusal
from napari_liver_anomaly.io import read
from napari_liver_anomaly.io.read_options import MaskOptions
from napari_liver_anomaly.liver import read_given_liver
from napari_liver_anomaly.messages import make_finding, make_refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.io.cases import Case
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.volume import Mask, Volume

ASK = MaskOptions()
MOST_NAMED = 8


def read_case_liver(case: Case, volume: Volume, options: MaskOptions = ASK, called: str = "") -> Mask:
    """Read and judge the liver mask of a case; what is asked and what is doubtful names the case, or calls it otherwise."""
    called = called or case.name
    try:
        mask = read_given_liver(case.liver, volume, options, some=True)
    except Question as question:
        raise _asked([called], question) from None
    told = (make_finding("case-liver-note", case=called, reason=note.what, meaning=note.meaning) for note in mask.findings)
    return replace(mask, findings=tuple(told))


def require_livers(cases: Sequence[Case], options: MaskOptions, job: Job) -> None:
    """Ask what is to be asked about the liver masks of a folder before the work begins, once for all cases."""
    asked: dict[str, list[str]] = {}
    first: dict[str, Question] = {}
    for done, case in enumerate(cases):
        job.at("Looking at the liver masks", done, len(cases))
        try:
            volume = read(case.ct)
        except Refusal:
            continue  # said where the case is worked on
        try:
            read_given_liver(case.liver, volume, options, some=True)
        except Question as question:
            asked.setdefault(question.finding.code, []).append(case.name)
            first.setdefault(question.finding.code, question)
        except Refusal:
            continue
    for code, names in asked.items():
        raise _asked(names, first[code])


def _asked(names: Sequence[str], question: Question) -> Refusal:
    """Put the question about a mask for all cases that leave it open."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    finding = question.finding
    return make_refusal(
        "case-liver-question", *finding.answers, cases=", ".join(names[:MOST_NAMED]) + more, question=finding.what,
        meaning=finding.meaning,
    )  # fmt: skip
