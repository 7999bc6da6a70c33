"""Law 3: one list of options. Every settings class says unit, range and help, and the command line is made from it."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_type_hints

from fuzz.__main__ import FuzzVerb
from house.source import INTERFACES, PACKAGE, PRODUCT, STUDY, build, files, told
from napari_liver_anomaly.cli.parser import inner_of
from napari_liver_anomaly.cli.verb import Verb
from napari_liver_anomaly.settings import Option, Settings, options, setting

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
        if issubclass(cls, Verb):
            continue  # a verb has its own law below
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


# The command lines.

KINDS = (bool, str, int, float, Path)


def programs() -> dict[str, dict[str, type[Verb]]]:
    """The verbs of each program, as classes."""
    places = {module: importlib.import_module(module).VERBS for module in (f"{PACKAGE}.cli", "liver_anomaly_study.cli")}
    return {
        module: {name: getattr(importlib.import_module(place.partition(":")[0]), place.partition(":")[2]) for name, place in verbs.items()}
        for module, verbs in places.items()
    }  # fmt: skip


def verbs() -> list[tuple[str, type[Verb]]]:
    """Every verb there is, by its name."""
    return [*[pair for found in programs().values() for pair in found.items()], ("fuzz", FuzzVerb)]


def verb_breaches(name: str, verb: type[Verb]) -> list[str]:
    """What a verb leaves unsaid or says wrongly."""
    found = []
    parameters = verb.__dataclass_params__  # type: ignore[attr-defined]
    if not (parameters.frozen and all(field.kw_only for field in dataclasses.fields(verb))):  # type: ignore[arg-type]
        found.append(f"{name}: not a frozen keyword-only dataclass")
    if not (verb.__doc__ or "").splitlines()[0].endswith("."):
        found.append(f"{name}: the first line of its docstring is no sentence")
    for option in options(verb):
        if not (option.help[:1].isupper() and option.help.endswith(".")):
            found.append(f"{name} {option.flag}: help must be a sentence, from a capital to a full stop")
        if option.kind not in KINDS:
            found.append(f"{name} {option.flag}: a command line cannot take {option.kind}")
        if option.kind in (int, float) and option.low is None:
            found.append(f"{name} {option.flag}: a number needs its smallest value")
    return found + [f"{name}.{one.name}: neither an option nor settings" for one in inner_of(verb) if not _is_settings(one.base)]


def _is_settings(base: object) -> bool:
    return isinstance(base, Settings) or (isinstance(base, type) and issubclass(base, Settings))


def test_every_verb_says_all() -> None:
    assert len(verbs()) > 20
    assert not (found := [breach for name, verb in verbs() for breach in verb_breaches(name, verb)]), told(found)


@dataclass(frozen=True, kw_only=True)
class BrokenVerb(Verb):
    """no sentence"""

    number: int = setting(0, help="Number.")
    folder: list[str] | None = setting(None, help="cannot be taken.")
    loose: int = 3


def test_each_mistake_of_a_verb_is_named() -> None:
    found = verb_breaches("broken", BrokenVerb)
    sentences = ("no sentence", "smallest value", "capital to a full stop", "cannot take", "neither an option nor settings")
    assert [sum(sentence in breach for breach in found) for sentence in sentences] == [1] * 5, found


def test_flags_are_made_from_the_settings_of_what_a_verb_does() -> None:
    inner = {
        name: {type(one.base) if isinstance(one.base, Settings) else one.base for one in inner_of(verb)} for name, verb in verbs()
    }
    assert {cls.__name__ for cls in inner["segment"]} == {"ExportOptions", "ReadOptions", "SegmentSettings"}
    assert {cls.__name__ for cls in inner["evaluate"]} == {"MaskOptions", "SegmentSettings"}
    assert {cls.__name__ for cls in inner["phantom"]} == {"PhantomSettings"}
    assert inner["train"] == inner["cross-validate"] != set()


def test_an_option_means_the_same_in_every_verb() -> None:
    """A flag whose name is that of a setting is that setting."""
    known: dict[str, list[Option]] = {}
    for cls in settings_classes():
        for option in options(cls):
            known.setdefault(option.flag, []).append(option)
    found = [
        f"{name} {option.flag} is not the setting of that name"
        for name, verb in verbs()
        for option in options(verb)
        if not option.positional
        and option.flag in known.keys() - SAME_WORD
        and not any((one.help, one.choices) == (option.help, option.choices) for one in known[option.flag])
    ]
    assert not found, told(found)


def flags_by_hand(root: Path) -> list[str]:
    """Flags that are not made from a field."""
    return [
        file.at(node, "a flag made by hand; make it a field of the verb")
        for file in files(root)
        if file.path.name != "parser.py"
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument"
        and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == "--version")
    ]  # fmt: skip


def test_no_flag_is_made_by_hand(tmp_path: Path) -> None:
    assert not (found := flags_by_hand(PRODUCT) + flags_by_hand(STUDY)), told(found)
    broken = build(tmp_path, cli__segment="parser.add_argument('--mine')\n", cli__program="p.add_argument('--version')\n")
    assert flags_by_hand(broken) == ["cli/segment.py:1: a flag made by hand; make it a field of the verb"]


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
            assert option.help in form.fields[option.name].tooltip
        form.deleteLater()
