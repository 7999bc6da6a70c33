"""A parser made from settings classes: every field is a flag, and the flags of a command become an instance of the class again."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

from napari_liver_anomaly.errors import WrongSetting
from napari_liver_anomaly.settings import REQUIRED, Option, Settings, options, summary_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

S = TypeVar("S", bound=Settings)
LAST_WITH_OLD_NAMES = "0.2"


class Parser(argparse.ArgumentParser):
    """Says what is wrong with a command in one line, instead of listing every flag."""

    settings: type[Settings] | None = None  # what its flags were made from

    def error(self, message: str) -> NoReturn:
        """Stop with exit code 2."""
        self.exit(2, f"{self.prog}: {message.rstrip('.')}. See '{self.prog} --help'.\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse a command that may use former names of flags."""
        return super().parse_known_args(current_names(args, self.settings) if self.settings else args, namespace)


class Inner(NamedTuple):
    """Settings inside a settings class: an instance with its defaults, or a class where others decide them."""

    name: str
    base: Settings | type[Settings]
    changes: bool  # whether the field holds what was given and nothing else

    @property
    def flags(self) -> list[Option]:
        """Its options; without a default where others decide it."""
        found = options(self.base)
        return [dataclasses.replace(one, default=None) for one in found] if isinstance(self.base, type) else list(found)


def inner_of(settings: type[Settings]) -> list[Inner]:
    """List the settings inside a settings class."""
    fields = [field for field in dataclasses.fields(settings) if "help" not in field.metadata]  # type: ignore[arg-type]
    return [Inner(field.name, field.metadata.get("changes", field.default), "changes" in field.metadata) for field in fields]


def own_flags(settings: type[Settings]) -> list[Option]:
    """List the options of a settings class itself: those without a flag, those that must be given, and the rest."""
    return sorted(options(settings), key=lambda option: (not option.positional, option.default is not REQUIRED))


def flags_of(settings: type[Settings]) -> list[Option]:
    """List every option of a settings class and of the settings inside it."""
    return [*own_flags(settings), *(option for inner in inner_of(settings) for option in inner.flags)]


def add_flags(parser: Parser, settings: type[Settings]) -> None:
    """Make the flags of a settings class. What is not said is None, so that the class alone knows the defaults."""
    parser.settings = settings
    either: dict[str, Any] = {"": parser}
    for option in own_flags(settings):
        if option.either not in either:
            either[option.either] = parser.add_mutually_exclusive_group(required=True)
        _add(either[option.either], option)
    for inner in inner_of(settings):
        group = parser.add_argument_group(title_of(inner.base))
        for option in inner.flags:
            _add(group, option)


def _add(group: Any, option: Option) -> None:
    names, words = _argument(option)
    group.add_argument(*names, **words)


def _argument(option: Option) -> tuple[list[str], dict[str, Any]]:
    """Give the words with which argparse adds an option."""
    required = option.default is REQUIRED
    words: dict[str, Any] = {"help": _help(option).replace("%", "%%")}
    if option.kind is bool:
        return [option.flag], words | {"dest": option.name, "action": argparse.BooleanOptionalAction}
    words |= {"choices": option.choices} if option.choices else {"type": _reader(option)}
    if option.word or not (option.choices or option.positional):
        words["metavar"] = option.word or option.name.rstrip("_").rsplit("_", 1)[-1].upper()
    if option.depth:
        words["nargs"] = "+" if required or option.depth > 1 else "*"
    if option.depth > 1:
        words["action"] = "append"
    if option.positional:
        return [option.name], words if required or option.depth else words | {"nargs": "?"}
    return [option.flag], words | {"dest": option.name, "required": required}


def _help(option: Option) -> str:
    """Say what an option is for, its unit, its range and its default."""
    about = ", ".join(filter(None, [option.unit, option.range]))
    default = default_of(option)
    return option.help + (f" [{about}]" if about else "") + (f" Default {default}." if default not in ("", "no") else "")


def default_of(option: Option) -> str:
    """Give the default of an option in words; nothing where there is none."""
    if option.default in (REQUIRED, None, "", ()):
        return ""
    if option.kind is bool:
        return "yes" if option.default else "no"
    return " ".join(map(str, option.default)) if option.depth else str(option.default)


def title_of(inner: Settings | type[Settings]) -> str:
    """Give a heading for the flags of settings inside a verb."""
    return summary_of(inner).split(";")[0].rstrip(".")


def _reader(option: Option) -> Callable[[str], Any]:
    """Read one word of a command: the range is checked before any work begins."""
    one = dataclasses.replace(option, depth=0)

    def read(word: str) -> Any:
        try:
            value = option.kind(word)
        except ValueError:
            value = word
        try:
            one.check(value)
        except WrongSetting as refusal:
            raise argparse.ArgumentTypeError(f"{word!r} cannot be used. {refusal.finding.action}") from None
        return value

    return read


def settings_from(args: argparse.Namespace, settings: type[S]) -> S:
    """Make the settings class again from parsed flags; raises WrongSetting where two values do not go together."""
    values = _said(args, options(settings))
    for inner in inner_of(settings):
        said = _said(args, options(inner.base))
        values[inner.name] = said if inner.changes else dataclasses.replace(inner.base, **said)  # type: ignore[type-var]
    return settings(**values)


def _said(args: argparse.Namespace, listed: Sequence[Option]) -> dict[str, Any]:
    return {option.name: _fixed(value) for option in listed if (value := getattr(args, option.name)) is not None}


def _fixed(value: Any) -> Any:
    return tuple(map(_fixed, value)) if isinstance(value, list) else value


def current_names(words: Sequence[str], settings: type[Settings]) -> list[str]:
    """Put the present names of flags in the place of former ones, and say so on stderr."""
    renamed: dict[str, str] = {}
    for option in flags_of(settings):
        if option.was:
            old, new = dataclasses.replace(option, name=option.was).flag, option.flag
            renamed |= {old: new} | ({f"--no-{old[2:]}": f"--no-{new[2:]}"} if option.kind is bool else {})
    found = []
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in renamed:
            sys.stderr.write(f"note: {flag} is now {renamed[flag]}; the old name works until {LAST_WITH_OLD_NAMES}.\n")
        found.append(f"{renamed.get(flag, flag)}{equals}{value}")
    return found


def command_of(words: Sequence[str], settings: Settings, leave_out: Sequence[str] = (), **shown: Any) -> str:
    """Write the command that gives these settings; ``shown`` stands in the place of values, and of a path only its name is told.

    Defaults of the verb itself are written too, so that the command means the same when they change.
    """
    values = _values_of(settings)
    own = {option.name for option in options(settings) if option.kind is not bool}
    parts = list(words)
    for option in flags_of(type(settings)):
        value = values.get(option.name)
        said = value not in (None, "", ()) and (option.name in own or value != option.default)
        if said and option.name not in leave_out:
            parts += _written(option, shown.get(option.name, value))
    return shlex.join(parts)


def numbered(word: str, values: Sequence[object]) -> tuple[str, ...]:
    """Give numbers to what must not be named, for it may be called after patients."""
    return tuple(f"{word}{number}" for number in range(1, len(values) + 1))


def _values_of(settings: Settings) -> dict[str, Any]:
    """Give every value of a settings class and of those nested in it by its name."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        values |= value if isinstance(value, dict) else _values_of(value) if isinstance(value, Settings) else {field.name: value}
    return values


def _written(option: Option, value: Any) -> list[str]:
    """Write one option as words of a command."""
    if option.kind is bool:
        return [option.flag if value else f"--no-{option.flag[2:]}"]
    if option.depth > 1:
        return [word for row in value for word in (option.flag, *row)]
    values = [one.name if isinstance(one, Path) else str(one) for one in (value if option.depth else (value,))]
    return values if option.positional else [option.flag, *values]
