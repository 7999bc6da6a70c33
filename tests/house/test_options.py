"""Law 3: one list of options. Every settings class says unit, range and help, and the command line is made from it."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_type_hints

import pytest

from house.source import INTERFACES, PACKAGE, PRODUCT, build, files, told
from napari_liver_anomaly.settings import Option, Settings, options, setting

if TYPE_CHECKING:
    from pathlib import Path

SAME_WORD = {"--seed"}  # each verb that draws has one, and each settles its own default
UNITS = {"_px": "px", "_mm": "mm", "_hu": "HU", "_ml": "ml", "_mm3": "mm3", "_s": "s"}


def settings_classes() -> list[type[Settings]]:
    """Every settings class of the package, once each module below the interfaces has been imported."""
    for file in files():
        if file.level is not None and file.level < INTERFACES:
            importlib.import_module(file.dotted)
    found, left = [], list(Settings.__subclasses__())
    while left:
        cls = left.pop()
        left += cls.__subclasses__()
        if getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls and cls.__module__.startswith(PACKAGE):
            found.append(cls)  # a class with slots is made twice; the one that its module keeps is the one
    return sorted(
        (cls for cls in set(found) if dataclasses.is_dataclass(cls)), key=lambda cls: (cls.__module__, cls.__qualname__)
    )


def breaches(cls: type[Settings]) -> list[str]:
    """What a settings class leaves unsaid or says wrongly."""
    found = []
    name = f"{cls.__module__}.{cls.__qualname__}"
    parameters = cls.__dataclass_params__  # type: ignore[attr-defined]
    if not (parameters.frozen and all(field.kw_only for field in dataclasses.fields(cls))):
        found.append(f"{name} must be a frozen keyword-only dataclass")
    listed = {option.name: option for option in options(cls)}
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        nested = isinstance(hints[field.name], type) and issubclass(hints[field.name], Settings)
        if field.name not in listed and not nested:
            found.append(f"{name}.{field.name} is not declared with setting()")
    labels = [option.label for option in listed.values()]
    found += [f"{name}: two options are labelled {label!r}" for label in {label for label in labels if labels.count(label) > 1}]
    for option in listed.values():
        found += [f"{name}.{option.name}: {sentence}" for sentence in _unsaid(option)]
    return found


def _unsaid(option: Option) -> list[str]:
    found = []
    if not (option.help.endswith(".") and option.help[:1].isupper()):
        found.append("help must be a sentence, from a capital to a full stop")
    for ending, unit in UNITS.items():
        if option.name.endswith(ending) and option.unit.replace("³", "3") != unit:
            found.append(f"the name says {unit}, the unit says {option.unit!r}")
    if option.choices:
        if option.default not in option.choices:
            found.append(f"the default {option.default!r} is not among the choices")
    elif option.kind in (int, float):
        if option.low is None or option.high is None:
            found.append("a number needs its smallest and largest value")
        elif not option.low <= option.default <= option.high:
            found.append(f"the default {option.default!r} lies outside {option.low} to {option.high}")
    elif option.kind not in (bool, str):
        found.append(f"an interface cannot show an option of type {option.kind}")
    return found


def test_every_settings_class_says_all() -> None:
    classes = settings_classes()
    assert len(classes) >= 3
    assert not (found := [breach for cls in classes for breach in breaches(cls)]), told(found)


def test_no_two_settings_classes_share_a_name() -> None:
    names = [cls.__qualname__ for cls in settings_classes()]
    assert sorted(set(names)) == sorted(names)


def test_defaults_make_valid_settings_that_survive_storage() -> None:
    for cls in settings_classes():
        made = cls()
        assert cls.from_dict(made.to_dict()) == made


@dataclass(frozen=True, kw_only=True)
class Broken(Settings):
    """Every mistake once."""

    silent: float = 1.0
    endless: float = setting(1.0, help="No range.")
    beyond: float = setting(10.0, low=0, high=1, help="Default out of range.")
    side_mm: float = setting(1.0, unit="px", low=0, high=9, help="Name and unit differ.")
    mumbled: bool = setting(True, help="no sentence")
    kind: Literal["a", "b"] = setting("c", help="Not a choice.")  # type: ignore[arg-type]
    folder: dict[str, int] = setting({}, help="Cannot be shown.") if False else setting((), help="Cannot be shown.")  # type: ignore[assignment]


@dataclass
class Loose(Settings):
    """Neither frozen nor keyword-only."""

    side: float = setting(1.0, low=0, high=9, help="Side.")


def test_each_mistake_is_named() -> None:
    found = breaches(Broken)
    for sentence in (
        "silent is not declared",
        "endless: a number needs",
        "beyond: the default 10.0 lies outside",
        "side_mm: the name says mm",
        "mumbled: help must be",
        "kind: the default 'c'",
        "folder: an interface cannot show",
    ):
        assert [breach for breach in found if sentence in breach], (sentence, found)
    assert len(found) == 7
    assert "frozen" in breaches(Loose)[0]


# The command line.


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Parsers of a command line by their verb."""
    return next(dict(action.choices) for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def flag_breaches(verb: str, parser: argparse.ArgumentParser, wanted: tuple[Option, ...]) -> list[str]:
    """Options that a verb lacks or says otherwise than the settings class does."""
    flags: dict[str, Any] = {string: action for action in parser._actions for string in action.option_strings}
    found = []
    for option in wanted:
        action = flags.get(option.flag)
        if action is None:
            found.append(f"{verb} lacks {option.flag}")
            continue
        if action.default is not None and action.default is not argparse.SUPPRESS and action.default != option.default:
            found.append(f"{verb} {option.flag}: default {action.default!r}, settings say {option.default!r}")
        if option.choices and tuple(action.choices or ()) != option.choices:
            found.append(f"{verb} {option.flag}: choices {action.choices}, settings say {option.choices}")
        if option.help.rstrip(".") not in (action.help or ""):
            found.append(f"{verb} {option.flag}: help differs from the settings' sentence")
    return found


def test_a_flag_that_differs_is_named() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", default=2.0, help="Side.")
    assert flag_breaches("segment", parser, options(Loose)) == ["segment --side: default 2.0, settings say 1.0"]
    assert flag_breaches("segment", argparse.ArgumentParser(), options(Loose)) == ["segment lacks --side"]


def command_line() -> dict[str, argparse.ArgumentParser]:
    return subcommands(importlib.import_module(f"{PACKAGE}.cli").make_parser())


def test_the_verbs_are_there() -> None:
    assert set(command_line()) >= {"segment", "synthesise", "train", "prepare", "evaluate", "phantom", "demo", "info"}


@pytest.mark.parametrize(
    ("verb", "module", "name", "values"),
    [
        ("segment", "segmentation", "SegmentSettings", {}),
        ("evaluate", "segmentation", "SegmentSettings", {}),
        ("train", "models.config", "Schedule", {}),
        ("phantom", "phantom", "PhantomSettings", {"tumours": False}),  # on the command line tumours are asked for
    ],
)
def test_a_verb_offers_the_settings_of_what_it_does(verb: str, module: str, name: str, values: dict[str, Any]) -> None:
    settings = getattr(importlib.import_module(f"{PACKAGE}.{module}"), name)(**values)
    assert not (found := flag_breaches(verb, command_line()[verb], options(settings))), told(found)


def test_every_flag_has_help_and_no_flag_repeats_an_option_with_another_meaning() -> None:
    """A flag whose name is an option's name must be that option: same help and choices; a verb may start from another value."""
    known: dict[str, list[Option]] = {}
    for cls in settings_classes():
        for option in options(cls):
            known.setdefault(option.flag, []).append(option)
    found = []
    for verb, parser in command_line().items():
        for action in parser._actions:
            if not action.help:
                found.append(f"{verb} {action.dest}: no help")
            for flag in set(action.option_strings) - SAME_WORD:
                same = [replace(option, default=action.default) for option in known.get(flag, [])]
                meanings = [flag_breaches(verb, parser, (option,)) for option in same]
                if meanings and all(meanings):
                    found += meanings[0]
    assert not found, told(found)


# The panels.

BY_HAND = {
    "settings_form.py",
    "threshold_slider.py",
    "recipe_form.py",
}  # the maker of rows; the threshold's slider; the seed beside its "New one"
ENTRIES = {"QSpinBox", "QDoubleSpinBox", "QLineEdit", "QLabeledDoubleSlider", "QLabeledSlider"}


def entry_breaches(root: Path) -> list[str]:
    """Fields for numbers and words that are not made from an option."""
    found = []
    for file in files(root):
        if file.module == "gui" and file.path.name not in BY_HAND:
            calls = [node for node in ast.walk(file.tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
            found += [file.at(node, f"{node.func.id} made by hand") for node in calls if node.func.id in ENTRIES]  # type: ignore[attr-defined]
    return found


def test_no_panel_makes_a_field_by_hand(tmp_path: Path) -> None:
    assert not (found := entry_breaches(PRODUCT)), told(found)
    broken = build(tmp_path, gui__inputs="box = QSpinBox()\n", gui__settings_form="box = QSpinBox()\n")
    assert entry_breaches(broken) == ["gui/inputs.py:1: QSpinBox made by hand"]


def test_panel_rows_are_the_options(qapp: object) -> None:
    rows = importlib.import_module(f"{PACKAGE}.gui.settings_form")
    shown = [
        importlib.import_module(f"{PACKAGE}.segmentation").SegmentSettings,
        *importlib.import_module(f"{PACKAGE}.synthesis").RECIPES.values(),
    ]
    for cls in shown:
        form = rows.SettingsForm(cls)
        assert list(form.fields) == [option.name for option in options(cls)]
        assert form.value() == cls()
        for option in options(cls):
            assert option.help in form.fields[option.name].toolTip()
        form.deleteLater()
