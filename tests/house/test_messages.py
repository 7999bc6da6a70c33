"""Every code that is raised has an entry in the catalogue, with the very fields it is given; every entry is raised, written out, and on the page."""

from __future__ import annotations

import ast
import importlib.util
import re
import string
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from house.source import REPOSITORY, build, told
from liver_anomaly_study.messages import CATALOGUE as ALL
from napari_liver_anomaly import errors
from napari_liver_anomaly.messages import CATALOGUE, NOTE, Message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SOURCE = REPOSITORY / "src"
CODE = re.compile(r"[a-z]+[a-z0-9]*(-[a-z0-9]+)*")
MAKERS = {"make_finding", "make_refusal"}
END = re.compile(r"\.$|\{(reason|help|meaning|question)\}$")  # these fields are sentences of their own


@dataclass(frozen=True)
class Use:
    """One place where a message is made."""

    code: str
    fields: frozenset[str]
    where: str


def uses(source: Path) -> list[Use]:
    """Every place that makes a message, one for each code where a condition chooses between codes."""
    found = []
    for path in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                fields = frozenset(word.arg or "**" for word in node.keywords)
                where = f"{path.relative_to(source)}:{node.lineno}"
                first = node.args[0] if node.args else None
                chosen = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
                found += [
                    Use(ast.literal_eval(one), fields, where) if isinstance(one, ast.Constant) else Use("", fields, where)
                    for one in chosen
                ]
    return found


def loose(source: Path) -> list[str]:
    """Findings and refusals that are made of loose sentences instead of an entry."""
    kinds = {
        "Finding",
        *(name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.Refusal)),
    }
    return [
        f"{path.relative_to(source)}:{node.lineno}: make it of an entry of the catalogue, with make_finding or make_refusal"
        for path in sorted(source.rglob("*.py"))
        if path.name not in ("errors.py", "messages.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds
    ]


def fields_of(message: Message) -> frozenset[str]:
    parts = (message.what, message.meaning, message.action)
    return frozenset(
        re.split(r"[.\[]", name)[0] for part in parts for _, name, *_ in string.Formatter().parse(part) if name is not None
    )


def use_breaches(found: list[Use], messages: Mapping[str, Message]) -> list[str]:
    """Codes that are not literal, not in the catalogue, or given other fields than their sentences have; entries that nothing makes."""
    breaches = []
    for use in found:
        if not use.code:
            breaches.append(f"{use.where}: the code is not written out, so nobody can tell which there are")
        elif use.code not in messages:
            breaches.append(f"{use.where}: {use.code!r} is not in the catalogue")
        elif use.fields != (wanted := fields_of(messages[use.code])):
            breaches.append(f"{use.where}: {use.code!r} takes {sorted(wanted)}, is given {sorted(use.fields)}")
    return breaches + [
        f"{code} is in the catalogue and nothing makes it" for code in sorted(set(messages) - {use.code for use in found})
    ]


def entry_breaches(messages: Mapping[str, Message]) -> list[str]:
    """Entries of no known kind, with sentences that do not end, or without their part of the page."""
    breaches = []
    for code, message in messages.items():
        if not CODE.fullmatch(code):
            breaches.append(f"{code!r} is not lower-case words joined by hyphens")
        if message.kind != NOTE and not hasattr(errors, message.kind):
            breaches.append(f"{code}: there is no class {message.kind!r}")
        for sentence in (message.what, message.meaning, message.action):
            if not END.search(sentence):
                breaches.append(f"{code}: {sentence!r} does not end in a full stop")
        if not re.fullmatch(r"\s*\*\*What it means\.\*\* .+\*\*What to do\.\*\* .+", message.page, re.DOTALL):
            breaches.append(f"{code}: its page does not say what it means and what to do")
    return breaches


def _page_maker() -> Any:
    spec = importlib.util.spec_from_file_location("message_page", REPOSITORY / "docs" / "message_page.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def test_every_message_is_made_with_its_fields() -> None:
    product = uses(SOURCE / "napari_liver_anomaly")
    assert not (breaches := use_breaches(product, CATALOGUE.messages)), told(breaches)
    own = {code: message for code, message in ALL.messages.items() if code not in CATALOGUE.messages}
    study = uses(SOURCE / "liver_anomaly_study")
    assert not (breaches := [one for one in use_breaches(study, ALL.messages) if not one.endswith("nothing makes it")]), told(
        breaches
    )
    assert set(own) <= {use.code for use in study}


def test_no_message_is_made_of_loose_sentences(tmp_path: Path) -> None:
    assert not (breaches := loose(SOURCE)), told(breaches)
    assert len(loose(build(tmp_path / "package", io__a="raise WrongGrid('one', 'A.', 'B.', 'C.')\nFinding(code='one')\n"))) == 2


def test_every_entry_is_whole() -> None:
    assert len(ALL.messages) > 150
    assert not (breaches := entry_breaches(ALL.messages)), told(breaches)


def test_the_page_is_that_of_the_catalogue() -> None:
    page = _page_maker()
    assert {message.area for message in ALL.messages.values()} <= set(page.AREAS)
    assert page.PAGE.read_text(encoding="utf-8") == page.made(ALL.messages), "run python docs/message_page.py"


def test_links_to_messages_lead_somewhere() -> None:
    linked = {
        (path.name, code)
        for path in [REPOSITORY / "README.md", *REPOSITORY.glob("docs/**/*.md")]
        for code in re.findall(r"messages\.md#([a-z0-9-]+)", path.read_text(encoding="utf-8"))
    }
    assert not (lost := {one for one in linked if one[1] not in ALL.messages}), lost


def test_the_flags_that_the_page_names_are_there() -> None:
    """A page that tells a reader to give a flag names one of ours."""
    from napari_liver_anomaly.cli import make_parser

    verbs = next(action for action in make_parser()._actions if action.choices).choices
    flags = {flag for verb in verbs.values() for action in verb._actions for flag in action.option_strings}  # type: ignore[union-attr]
    named = {(code, flag) for code, message in CATALOGUE.messages.items() for flag in re.findall(r"`(--[a-z-]+)", message.page)}
    assert len(named) > 10
    assert not (lost := sorted(one for one in named if one[1] not in flags)), lost


ENTRY = Message(
    area="file",
    kind="UnreadableFile",
    what="{n} are lost.",
    meaning="Bad.",
    action="Go.",
    page="**What it means.** A. **What to do.** B.",
)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("make_finding(code, n=1)", "not written out"),
        ("make_finding(f'one-{kind}', n=1)", "not written out"),
        ("raise make_refusal('two', n=1)", "'two' is not in the catalogue"),
        ("make_finding('one' if x else 'two', n=1)", "'two' is not in the catalogue"),
        ("make_finding('one')", "takes ['n'], is given []"),
        ("make_finding('one', answer, n=1, m=2)", "takes ['n'], is given ['m', 'n']"),
        ("x = 1", "one is in the catalogue and nothing makes it"),
    ],
)
def test_a_wrong_use_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    assert sentence in told(use_breaches(uses(build(tmp_path / "package", io__a=line)), {"one": ENTRY}))


def test_a_right_use_passes(tmp_path: Path) -> None:
    source = build(tmp_path / "package", io__a="make_finding('one', Answer('a'), n=1)\n", gui="widget.note('not a code')\n")
    assert use_breaches(uses(source), {"one": ENTRY}) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kind": "Unreadable"}, "no class 'Unreadable'"),
        ({"action": "Go"}, "does not end in a full stop"),
        ({"page": "To be written."}, "does not say what it means and what to do"),
    ],
)
def test_an_entry_that_is_not_whole_is_named(change: dict[str, str], sentence: str) -> None:
    from dataclasses import replace

    assert entry_breaches({"one": ENTRY}) == []
    assert sentence in entry_breaches({"one": replace(ENTRY, **change)})[0]
