"""The page of everything the program can refuse, ask or note: ``python docs/message_page.py`` makes ``docs/messages.md`` from the catalogues."""

from __future__ import annotations

import string
from pathlib import Path
from typing import TYPE_CHECKING

from liver_anomaly_study.messages import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_liver_anomaly.messages import Message

PAGE = Path(__file__).parent / "messages.md"
AREAS = {
    "file": "The file",
    "geometry": "Position and voxel size",
    "series": "Slices of a DICOM series",
    "values": "Values",
    "mask": "Masks, layers and grids",
    "liver": "The liver",
    "model": "Models",
    "run": "Running and memory",
    "write": "Writing",
    "session": "Sessions and follow-up",
    "train": "Training and measuring",
    "study": "The study",
    "app": "The program and its viewer",
}
LEVELS = {
    "refuse": "No result; nothing is written.",
    "ask": "The panel asks with buttons; the command line names the flags and ends with exit code 4.",
    "note": "Shown and stored in the report; the result is there.",
}
INTRODUCTION = """# Messages

<!-- made by docs/message_page.py from messages.toml: change that -->

Every message has a code, a level and three sentences: what is wrong, what it means, what to do. A **refuse** ends the work with nothing
written. An **ask** waits for a decision: buttons in the panel, flags on the command line. A **note** is shown and stored with the result.
Where a sentence here has an ellipsis, the program fills in a number or a name.
"""


def shown(template: str) -> str:
    """Put an ellipsis where something is filled in."""
    return "".join(text + ("" if field is None else "…") for text, field, *_ in string.Formatter().parse(template))


def section(code: str, message: Message) -> str:
    sentences = " ".join(shown(part) for part in (message.what, message.meaning, message.action))
    return f"### {code}\n\n**{message.level}** – {LEVELS[message.level]}\n\n> {sentences}\n\n{message.page.strip()}\n"


def made(messages: Mapping[str, Message]) -> str:
    """Make the page, area by area."""
    parts = [INTRODUCTION]
    for area, title in AREAS.items():
        codes = sorted(code for code, message in messages.items() if message.area == area)
        if codes:
            parts.append(f"## {title}\n\n{' · '.join(f'[{code}](#{code})' for code in codes)}\n")
            parts += [section(code, messages[code]) for code in codes]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(made(CATALOGUE.messages), encoding="utf-8")
