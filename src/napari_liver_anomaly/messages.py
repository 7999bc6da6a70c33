"""Everything the program refuses, asks or notes: one catalogue by code, and the two ways to say it.

``messages.toml`` has an entry for every code: the kind of message, three sentences with ``{fields}`` to be filled in, and what the page of messages
says about it (``docs/messages.md``, made by ``docs/message_page.py``).
"""

from __future__ import annotations

import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from napari_liver_anomaly import errors
from napari_liver_anomaly.errors import Answer, Finding, Level, Refusal

NOTE = "Note"
LONGEST_SENTENCE = 2000
STEERING = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}  # kinds of characters that move a cursor, turn text round or break lines
KEPT = {"\u200c", "\u200d"}  # joiners, without which some scripts cannot be written


def without_controls(text: str) -> str:
    """Put � in the place of what could steer a terminal or reorder a line; line ends and tabs stay."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _steers(one) and one not in "\n\t" else one for one in text)


def one_line(text: str) -> str:
    """Give text from a file as one line that steers nothing."""
    return without_controls(" ".join(text.splitlines()) if "\n" in text or "\r" in text else text)


def _steers(one: str) -> bool:
    return not one.isprintable() and unicodedata.category(one) in STEERING and one not in KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One entry of the catalogue.

    Attributes
    ----------
    area : str
        What it is about, a heading of the page: ``"file"``, ``"model"``.
    kind : str
        Name of a refusal class of :mod:`napari_liver_anomaly.errors`, or ``"Note"``.
    what, meaning, action : str
        The three sentences, templates of :meth:`str.format`.
    page : str
        Markdown: what it means and what to do, at length.
    """

    area: str
    kind: str
    what: str
    meaning: str
    action: str
    page: str

    @property
    def level(self) -> Level:
        """Refuse, ask or note."""
        return Level.NOTE if self.kind == NOTE else self.refusal.level

    @property
    def refusal(self) -> type[Refusal]:
        """The class of exception it is raised as."""
        return getattr(errors, self.kind)  # type: ignore[no-any-return]


class Catalogue:
    """Messages by code, read from ``messages.toml`` of one or more packages when the first is needed.

    Parameters
    ----------
    *packages : str
        Import names; no two may have the same code.
    """

    def __init__(self, *packages: str) -> None:
        self.packages = packages

    @cached_property
    def messages(self) -> dict[str, Message]:
        """Every entry by its code."""
        areas = [
            area
            for package in self.packages
            for area in tomllib.loads((files(package) / "messages.toml").read_text(encoding="utf-8")).items()
        ]
        return {code: Message(area=area, **entry) for area, entries in areas for code, entry in entries.items()}

    def make_finding(self, code: str, /, *answers: Answer, **fields: object) -> Finding:
        """Say a message. What is filled in may come from a file: it is one line of plain text."""
        message = self.messages[code]
        fields = {name: one_line(value) if isinstance(value, str) else value for name, value in fields.items()}
        what, meaning, action = (text.format(**fields) for text in (message.what, message.meaning, message.action))
        return Finding(level=message.level, code=code, what=what, meaning=meaning, action=action, answers=answers)

    def make_refusal(self, code: str, /, *answers: Answer, **fields: object) -> Refusal:
        """Make the exception of a message, to be raised."""
        return self.refuse(self.make_finding(code, *answers, **fields))

    def refuse(self, finding: Finding) -> Refusal:
        """Make the exception of a finding that was made before."""
        return self.messages[finding.code].refusal(finding)


def finding_from(values: dict[str, str]) -> Finding:
    """Take a finding that was kept as plain data, as lines of plain text of some length at most; its answers were given."""
    names = ("code", "what", "meaning", "action")
    if not all(isinstance(values[name], str) for name in names):
        raise TypeError("finding")
    return Finding(level=Level(values["level"]), **{name: one_line(values[name])[:LONGEST_SENTENCE] for name in names})  # type: ignore[arg-type]


CATALOGUE = Catalogue("napari_liver_anomaly")
make_finding = CATALOGUE.make_finding
make_refusal = CATALOGUE.make_refusal
refuse = CATALOGUE.refuse
