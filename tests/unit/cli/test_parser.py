"""Flags made from settings classes, and settings made from flags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from napari_liver_anomaly.cli.parser import Parser, add_flags, command_of, settings_from
from napari_liver_anomaly.cli.verb import Verb, changes_of
from napari_liver_anomaly.settings import REQUIRED, Settings, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut(Settings):
    """How it is cut; and more."""

    side_mm: float = setting(2.0, unit="mm", low=1, high=9, help="Side.", was="edge")
    hu_low: int = setting(1, low=0, high=9, help="Lower end.")
    hu_high: int = setting(5, low=0, high=9, help="Upper end.")
    mirror: bool = setting(False, help="Mirror it.", was="flip")


@dataclass(frozen=True, kw_only=True, slots=True)
class Draw(Settings):
    """How it is drawn."""

    steps: int = setting(10, low=1, high=99, help="Steps.")
    colour: Literal["grey", "warm"] = setting("grey", help="Colour.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Paint(Verb):
    """Paint something."""

    scan: Path = setting(REQUIRED, positional=True, help="A file.")
    out: Path = setting(REQUIRED, help="A folder.")
    seed: int = setting(0, low=0, help="Seed.")
    as_: str = setting("", word="NAME", help="A name, 100 % yours.")
    only: int | None = setting(None, low=1, help="One of them.")
    without: tuple[str, ...] = setting((), word="NAME", help="Left out.", was="leave_out")
    fold: tuple[tuple[str, ...], ...] = setting((), word="NAME", help="Together.")
    cut: Cut = Cut(side_mm=3.0)
    draw: dict[str, Any] = changes_of(Draw)

    def run(self, job: Job) -> None:
        """Do nothing."""


def parser() -> Parser:
    made = Parser(prog="paint")
    add_flags(made, Paint)
    return made


def parsed(*words: str) -> Paint:
    return settings_from(parser().parse_args(words), Paint)


def test_what_is_not_said_has_the_defaults_of_the_class() -> None:
    assert parsed("a", "--out", "b") == Paint(scan=Path("a"), out=Path("b"))
    assert parsed("a", "--out", "b").cut.side_mm == 3.0


def test_every_kind_of_value() -> None:
    words = "a --out b --as c --only 2 --without x y --fold p q --fold r --side-mm 4 --mirror --steps 3 --colour warm".split()
    assert parsed(*words) == Paint(
        scan=Path("a"), out=Path("b"), as_="c", only=2, without=("x", "y"), fold=(("p", "q"), ("r",)),
        cut=Cut(side_mm=4.0, mirror=True), draw={"steps": 3, "colour": "warm"},
    )  # fmt: skip
    assert parsed("a", "--out", "b", "--without").without == ()


def test_a_command_gives_the_settings_it_was_written_from() -> None:
    made = parsed(*"a --out b --without x y --fold p q --fold r --side-mm 4 --mirror --colour grey".split())
    words = command_of(("paint",), made).split()
    assert words == "paint a --out b --seed 0 --without x y --fold p q --fold r --side-mm 4.0 --mirror --colour grey".split()
    assert parsed(*words[1:]) == made
    assert command_of(("paint",), made, leave_out=("fold", "mirror"), scan="SCAN").startswith(
        "paint SCAN --out b --seed 0 --without x y --side"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--side-mm", "10"], "--side-mm: '10' cannot be used. Give a number from 1 to 9 mm"),
        (["--side-mm", "wide"], "Give a number from 1 to 9 mm"),
        (["--side-mm", "nan"], "Give a number from 1 to 9 mm"),
        (["--steps", "2.5"], "Give a number from 1 to 99"),
        (["--only", "0"], "Give a number of 1 or more"),
        (["--colour", "blue"], "--colour: invalid choice: 'blue'"),
        (["--hu-low", "7", "--hu-high", "3"], "Hu low cannot be 7 while Hu high is 3"),
        (["--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    from napari_liver_anomaly.cli.program import run_parser, set_verb

    made = Parser(prog="paint")
    set_verb(made, Paint)
    with pytest.raises(SystemExit) as stop:
        run_parser(made, ["a", "--out", "b", *words])
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.startswith("paint: ")
    assert printed.endswith("See 'paint --help'.\n")
    assert len(printed.splitlines()) == 1


def test_a_former_name_works_and_says_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    made = parsed("a", "--out", "b", "--edge=4", "--no-flip", "--leave-out", "x")
    assert made.cut == Cut(side_mm=4.0, mirror=False)
    assert made.without == ("x",)
    assert capsys.readouterr().err.splitlines() == [
        "note: --edge is now --side-mm; the old name works until 0.2.",
        "note: --no-flip is now --no-mirror; the old name works until 0.2.",
        "note: --leave-out is now --without; the old name works until 0.2.",
    ]


def test_help_says_unit_range_and_default_and_no_former_name() -> None:
    text = " ".join(parser().format_help().split())
    assert "Side. [mm, 1 to 9] Default 3.0." in text
    assert "How it is cut:" in text
    assert "Steps. [1 to 99] --colour" in text, "what another class decides has no default"
    assert "100 % yours" in text
    assert "--edge" not in text
    assert "[--out OUT]" not in text, "what must be given is not in brackets"
