"""Every code that the package can give has a page, every page a code, and a code means one thing."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from house.source import REPOSITORY, build, told

if TYPE_CHECKING:
    from pathlib import Path

DOCS = REPOSITORY / "docs"
CODE = re.compile(r"[a-z]+[a-z0-9]*(-[a-z0-9]+)*")
HEAD = "class Refusal(Exception): pass\nclass Question(Refusal): pass\nclass Odd(Refusal): pass\n"


def _maker() -> Any:
    spec = importlib.util.spec_from_file_location("finding_pages", DOCS / "finding_pages.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


pages = _maker()


def code_breaches(found: list[Any]) -> list[str]:
    """Codes that are not words joined by hyphens, or have two levels."""
    breaches = [
        f"{one.where}: {one.code!r} is not lower-case words joined by hyphens" for one in found if not CODE.fullmatch(one.code)
    ]
    for code, places in pages.by_code(found).items():
        if len({one.level for one in places}) > 1:
            breaches.append(f"{code} has two levels: " + ", ".join(f"{one.level} at {one.where}" for one in places))
    return breaches


def page_breaches(found: list[Any], folder: Path) -> list[str]:
    """Codes without a page, pages without a code, and pages that are not written or not renewed."""
    codes = pages.by_code(found)
    there = {page.stem for page in folder.glob("*.md")} - {"index"}
    breaches = [f"{code} has no page: run docs/finding_pages.py and write it" for code in sorted(set(codes) - there)]
    breaches += [f"{stem}.md: no such code, delete it" for stem in sorted(there - set(codes))]
    for code in sorted(set(codes) & there):
        text = (folder / f"{code}.md").read_text(encoding="utf-8")
        own = text.partition(pages.END)[2]
        if pages.block(code, codes[code]) not in text:
            breaches.append(f"{code}.md does not say what the program says: run docs/finding_pages.py")
        if pages.TO_WRITE in text or not ("**What it means.**" in own and "**What to do.**" in own):
            breaches.append(f"{code}.md is not written: say what it means and what to do")
    return breaches


def test_codes_are_words_with_one_meaning() -> None:
    found = pages.told()
    assert len({one.code for one in found}) > 100
    assert not (breaches := code_breaches(found)), told(breaches)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    found = pages.told()
    assert not (breaches := page_breaches(found, DOCS / "findings")), told(breaches)
    assert (DOCS / "findings" / "index.md").read_text(encoding="utf-8") == pages.index(pages.by_code(found)), (
        "run docs/finding_pages.py"
    )


def test_the_flags_that_pages_name_are_there() -> None:
    """A page that tells a reader to give a flag names one of ours."""
    from napari_liver_anomaly.cli import make_parser

    verbs = next(action for action in make_parser()._actions if action.choices).choices
    flags = {flag for verb in verbs.values() for action in verb._actions for flag in action.option_strings}  # type: ignore[union-attr]
    named = {
        (page.name, flag)
        for page in (DOCS / "findings").glob("*.md")
        for flag in re.findall(r"`(--[a-z-]+)", page.read_text(encoding="utf-8").partition(pages.END)[2])
    }
    assert len(named) > 10
    assert not (lost := sorted(one for one in named if one[1] not in flags)), lost


def test_codes_are_found_wherever_they_are_made(tmp_path: Path) -> None:
    source = build(
        tmp_path / "package",
        errors=HEAD,
        reading__a="raise Odd('one-a', 'What.', f'Means {x}.', 'Do.')\nask('two-b', 'W.', 'M.', 'A.')\nnote('three', 'W.', 'M.')\n",
        writing="Finding(level=Level.NOTE, code='four', what='W.', meaning='M.', action='A.')\nraise Question('five', 'W', 'M', 'A')\n",
        gui__panel="box.note('not a code')\nreturn Refusal('six' if x else 'seven', 'W', 'M', 'A')\n",
    )
    found = {one.code: one.level for one in pages.told(source)}
    assert found == {
        "one-a": "refuse", "two-b": "ask", "three": "note", "four": "note", "five": "ask", "six": "refuse", "seven": "refuse",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("refuse('Not_a code', 'W.', 'M.', 'A.')", "words joined by hyphens"),
        ("refuse(f'one-{kind}', 'W.', 'M.', 'A.')", "words joined by hyphens"),  # which codes there are could not be told
        ("refuse('one', 'W.', 'M.', 'A.')\nask('one', 'W.', 'M.', 'A.')", "one has two levels"),
    ],
)
def test_a_wrong_code_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    assert sentence in code_breaches(pages.told(build(tmp_path / "package", reading=line)))[0]


def test_a_missing_an_old_and_an_empty_page_are_named(tmp_path: Path) -> None:
    found = pages.told(
        build(tmp_path / "package", reading="".join(f"refuse('{code}', 'W.', 'M.', 'A.')\n" for code in ("a", "b", "c")))
    )
    folder = tmp_path / "findings"
    folder.mkdir()
    (folder / "gone.md").write_text("x")
    (folder / "b.md").write_text("old text")
    (folder / "c.md").write_text(f"{pages.block('c', [found[2]])}\n\n{pages.TO_WRITE}\n")
    breaches = page_breaches(found, folder)
    assert [breach.split(" ")[0].removesuffix(":") for breach in breaches] == ["a", "gone.md", "b.md", "b.md", "c.md"]
    assert pages.renewed((folder / "c.md").read_text(), pages.block("c", [found[2]])) == (folder / "c.md").read_text()
