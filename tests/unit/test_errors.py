"""Refusals and findings carry their three sentences, also between processes."""

from __future__ import annotations

import inspect
import json
import pickle

import pytest

from napari_liver_anomaly import errors
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, Finding, Level, Question, Refusal, WrongGrid, WrongSetting, version

REFUSALS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Refusal)]


def _finding(kind: type[Refusal]) -> Finding:
    return Finding(
        level=kind.level,
        code="file-truncated",
        what="The file ends early.",
        meaning="Slices are missing.",
        action="Copy it again.",
    )


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal_reads_as_three_sentences_and_keeps_its_parts(kind: type[Refusal]) -> None:
    refusal = kind(_finding(kind))
    assert str(refusal) == "The file ends early. Slices are missing. Copy it again."
    assert refusal.finding == _finding(kind)
    assert kind.level == (Level.ASK if kind is Question else Level.REFUSE)
    assert str(refusal.finding) == str(refusal)


@pytest.mark.parametrize("kind", REFUSALS)
def test_no_refusal_is_a_runtime_error(kind: type[Refusal]) -> None:
    """Qt's generator workers swallow that class, and CUDA's "out of memory" is one."""
    assert not issubclass(kind, RuntimeError)


def test_a_wrong_setting_is_also_a_value_error() -> None:
    assert issubclass(WrongSetting, ValueError)


def test_findings_do_not_change_and_go_into_json() -> None:
    finding = Finding(level=Level.ASK, code="spacing-odd", what="A.", meaning="B.", action="C.")
    with pytest.raises(AttributeError):
        finding.code = "other"  # type: ignore[misc]
    assert json.dumps(finding.level) == '"ask"'


def test_the_sentence_that_every_report_carries() -> None:
    assert "not a medical device" in NOT_A_MEDICAL_DEVICE


def test_the_version_is_a_word() -> None:
    assert version()
    assert version() == version().strip()


def test_a_refusal_survives_the_way_between_processes() -> None:
    """Cohorts are worked on by several processes; what is refused there is shown here."""
    refusal = WrongGrid(_finding(WrongGrid))
    back = pickle.loads(pickle.dumps(refusal))  # noqa: S301
    assert isinstance(back, WrongGrid)
    assert back.finding == refusal.finding
