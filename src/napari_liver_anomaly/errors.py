"""Findings, questions and refusals as types; their sentences are in ``messages.toml``.

None of our errors derives from ``RuntimeError``: Qt generator workers swallow that class without a word, and CUDA's "out of memory" is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NOT_A_MEDICAL_DEVICE = "Research software, not a medical device: do not use it for diagnosis or treatment."


def version() -> str:
    """Version of the installed package."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("napari-liver-anomaly")
    except PackageNotFoundError:
        return "unknown"


class Level(StrEnum):
    """How much a finding weighs: no result, the user decides, or shown and stored."""

    REFUSE = "refuse"
    ASK = "ask"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One way to answer a question.

    Attributes
    ----------
    words : str
        For a button or a line in a terminal, for example ``"Series 2: 120 slices, 1.0 mm"``.
    option : str
        The field of ``reading.answers.ReadOptions`` that it sets.
    value : str or int
        What it is set to; empty for a flag that is only said.
    """

    words: str
    option: str
    value: str | int

    @property
    def flag(self) -> str:
        """What it is on the command line, for example ``--series 2``."""
        return f"--{self.option.replace('_', '-')} {self.value}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding about an input or a result, in three short sentences for a radiologist.

    Attributes
    ----------
    level : Level
        Refuse, ask or note.
    code : str
        Stable, lower-case, words joined by hyphens, for example ``"file-truncated"``.
    what, meaning, action : str
        What is wrong, what it means, what to do. Each a sentence ending in a full stop. Never a patient's name, id or date, nor a path.
    answers : tuple of Answer
        Ways to settle it and read on, where there are any.
    """

    level: Level
    code: str
    what: str
    meaning: str
    action: str
    answers: tuple[Answer, ...] = ()

    def __str__(self) -> str:
        return f"{self.what} {self.meaning} {self.action}"


class LiverAnomalyError(Exception):
    """Everything this package raises on purpose."""


class Cancelled(LiverAnomalyError):
    """The user stopped the work; nothing was kept."""


class Refusal(LiverAnomalyError):
    """No result can be given; ``finding`` says why in plain words.

    Made by :func:`napari_liver_anomaly.messages.make_refusal`, which knows the sentences and the class of every code.

    Parameters
    ----------
    finding : Finding
        What is wrong, what it means, what to do.
    """

    level = Level.REFUSE

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(str(finding))

    def __reduce__(self) -> tuple[type[Refusal], tuple[Finding]]:
        # A refusal in a worker process must arrive as one, with its finding.
        return type(self), (self.finding,)


class Question(Refusal):
    """Only the user can decide this; the finding holds the answers there are."""

    level = Level.ASK


class UnreadableFile(Refusal):
    """The file is damaged, truncated, or not of a kind we read."""


class ImpossibleGeometry(Refusal):
    """Position, spacing or orientation make no sense, or are not those of a CT stack."""


class WrongGrid(Refusal):
    """Two things that should lie on the same grid, or belong to the same scan, do not."""


class NotWritten(Refusal):
    """A file could not be written; what was there before is untouched."""


class UnfitModel(Refusal):
    """The weights are damaged, unsafe, or made for other settings."""


class OutOfMemory(Refusal):
    """Not enough memory, after every smaller step was tried."""


class InvalidNumbers(Refusal):
    """Numbers that mean nothing (NaN, infinity) in a scan or in a network's answer."""


class WrongSetting(Refusal, ValueError):
    """An option lies outside its range."""


# Refusals that are what a program says about a scan, and count as nothing found. All others are the machine's or the user's: such a case was not run.
ANSWERS = {"mask-empty", "liver-empty", "liver-not-found", "too-many-lesions"}


def is_answer(refusal: Refusal) -> bool:
    """Whether a refusal says something about the model, and nothing about the machine it should have run on."""
    return isinstance(refusal, (InvalidNumbers, Question)) or refusal.finding.code in ANSWERS
