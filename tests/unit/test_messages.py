"""A message has its class, its level and its sentences from the catalogue."""

from __future__ import annotations

import pickle

import pytest

from napari_liver_anomaly.errors import Answer, Level, OutOfMemory, Question, UnreadableFile
from napari_liver_anomaly.messages import CATALOGUE, make_finding, make_refusal, refuse


def test_a_refusal_has_the_class_and_the_sentences_of_its_code() -> None:
    refusal = make_refusal("file-truncated", how="1 kB of 2 kB are there")
    assert type(refusal) is UnreadableFile
    assert str(refusal) == "The file ends early: 1 kB of 2 kB are there. Part of the scan is missing. Copy or export it again."
    assert type(make_refusal("model-too-large", file="a.safetensors")) is OutOfMemory


def test_a_question_has_its_answers() -> None:
    answer = Answer(words="Volume 1", option="volume", value=1)
    question = make_refusal("many-volumes", answer, count=4)
    assert type(question) is Question
    assert question.finding.answers == (answer,)
    assert question.finding.level == Level.ASK


def test_a_finding_can_be_refused_later() -> None:
    finding = make_finding("spacing-impossible", size="1 × 1 × 900")
    assert finding.level == Level.REFUSE
    assert refuse(finding).finding is finding


def test_a_refusal_arrives_from_another_process_as_it_was() -> None:
    refusal = make_refusal("file-truncated", how="1 kB of 2 kB are there")
    arrived = pickle.loads(pickle.dumps(refusal))  # noqa: S301 - our own bytes
    assert type(arrived) is UnreadableFile
    assert arrived.finding == refusal.finding


@pytest.mark.parametrize(("code", "fields"), [("no-such-code", {}), ("file-truncated", {"why": "1 kB"})])
def test_an_unknown_code_and_a_missing_field_are_mistakes_of_ours(code: str, fields: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        make_finding(code, **fields)


def test_braces_in_a_field_are_left_alone() -> None:
    assert make_finding("device-unknown", device="{x}", choices="auto").what.startswith("'{x}'")


def test_every_message_has_a_level() -> None:
    assert {message.level for message in CATALOGUE.messages.values()} == set(Level)
