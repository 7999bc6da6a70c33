"""One list of options: each field with unit, range and one sentence of help.

Command-line flags and panel rows are made from these fields, so a name, a range or a default stands in one place.
"""

from __future__ import annotations

import dataclasses
import reprlib
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, get_args, get_origin, get_type_hints

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
SHOWN = 3  # fields that one line shows at most
REQUIRED: Any = dataclasses.MISSING  # the default of a field that must be given


def summary_of(thing: object) -> str:
    """Give the first line of a docstring; the name where there is none, as under ``python -OO``."""
    lines = (thing.__doc__ or "").strip().splitlines()
    return lines[0] if lines else str(getattr(thing, "__name__", type(thing).__name__))


def setting(
    default: T,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    help: str,  # noqa: A002
    was: str = "",
    choices: tuple[str, ...] = (),
    word: str = "",
    positional: bool = False,
    either: str = "",
    added: bool = False,
    title: str = "",
) -> T:
    """Declare a field of a settings class.

    Parameters
    ----------
    default : T
        Value when nothing is said; :data:`REQUIRED` when it must be said.
    unit : str
        Unit as shown to the user: "mm", "HU", "px", "steps".
    low, high : float, optional
        Smallest and largest allowed value, both included.
    help : str
        One sentence.
    was : str
        Former name of the field, under which stored settings and command lines of earlier versions have it.
    choices : tuple of str
        Allowed words that only a list of the program knows; those of a ``Literal`` are known from its type.
    word : str
        What stands for the value in the help of the command line; the last part of the name when nothing is said.
    positional : bool
        Whether the command line takes the value without a flag.
    either : str
        Fields with the same word here exclude each other on the command line, and one of them must be given.
    added : bool
        Whether settings that were stored by earlier versions lack the field, which then has its default.
    title : str
        What a reader calls it, in panel and report; made from the name of the field when nothing is said.

    Returns
    -------
    T
        A dataclass field, typed as its default.
    """
    said = {"unit": unit, "low": low, "high": high, "help": help, "was": was, "choices": choices}
    said |= {"word": word, "positional": positional, "either": either, "added": added, "title": title}
    field: T = dataclasses.field(default=default, metadata=said)
    return field


@dataclass(frozen=True, slots=True)
class Option:
    """One field of a settings class, as an interface shows it.

    Attributes
    ----------
    name : str
        Of the field.
    kind : type
        Of one value: bool, int, float, str or Path.
    default : object
        Value when nothing is said; :data:`REQUIRED` when it must be said.
    unit : str
        As shown to the user, or empty.
    low, high : float or None
        Smallest and largest value, both included.
    choices : tuple of str
        The allowed words; empty when any will do.
    help : str
        One sentence.
    was : str
        Former name, or empty.
    depth : int
        0 for one value, 1 for a tuple of values, 2 for a tuple of tuples.
    optional : bool
        Whether None is allowed: nothing was said.
    word, positional, either, added, title
        As in :func:`setting`.
    """

    name: str
    kind: type
    default: Any
    unit: str
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    help: str
    was: str = ""
    depth: int = 0
    optional: bool = False
    word: str = ""
    positional: bool = False
    either: str = ""
    added: bool = False
    title: str = ""

    @property
    def flag(self) -> str:
        """Name on the command line, for example ``--sigma-px``."""
        return "--" + self.name.rstrip("_").replace("_", "-")

    @property
    def words(self) -> str:
        """What a reader calls it, without its unit; a probability ``p_dark`` reads ``Share dark``."""
        name = "share_" + self.name[2:] if self.name.startswith("p_") else self.name
        words = name.removesuffix("_" + self.unit.replace("³", "3").lower()).replace("_", " ")
        return self.title or words[:1].upper() + words[1:]

    @property
    def label(self) -> str:
        """Name in the panel, for example ``Sigma (px)``; the unit is said once."""
        return self.words + (f" ({self.unit})" if self.unit and self.unit not in self.words.lower() else "")

    @property
    def range(self) -> str:
        """Smallest and largest value in words, ``0 to 1``; nothing where one of them is open."""
        ends = [str(end) if isinstance(end, int) else f"{end:g}" for end in (self.low, self.high) if end is not None]
        return " to ".join(ends) if len(ends) == 2 else ""

    @property
    def allowed(self) -> str:
        """What may be given, in words: ``a number from 0 to 1``."""
        if self.choices:
            return " or ".join(self.choices)
        if self.kind in (int, float):
            bounds = f"from {self.range}" if self.range else f"of {self.low} or more" if self.low is not None else ""
            return " ".join(filter(None, ["a number", bounds, self.unit]))
        return self.kind.__name__

    def check(self, value: Any) -> None:
        """Refuse a value of the wrong kind or outside the range."""
        if not (self.optional and value is None) and not _fits(self, value, self.depth):
            raise make_refusal("setting-range", name=self.name, value=reprlib.repr(value), help=self.help, allowed=self.allowed)


def _fits(option: Option, value: Any, depth: int) -> bool:
    if depth:
        return isinstance(value, tuple) and all(_fits(option, one, depth - 1) for one in value)
    if option.choices:
        return value in option.choices
    if option.kind not in (int, float):
        return isinstance(value, option.kind)
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
    whole = number and (option.kind is float or isinstance(value, int) or value.is_integer())
    return whole and (option.low is None or value >= option.low) and (option.high is None or value <= option.high)


def options(settings: Any) -> tuple[Option, ...]:
    """List the options of a settings class or instance."""
    cls = settings if isinstance(settings, type) else type(settings)
    hints = _hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        if "help" in field.metadata:
            default = field.default if isinstance(settings, type) else getattr(settings, field.name)
            found.append(Option(name=field.name, default=default, **{**field.metadata, **_shape(hints[field.name])}))
    return tuple(found)


def _shape(hint: Any) -> dict[str, Any]:
    """Take a type apart: kind of one value, its choices, how deep it lies in tuples, and whether it may be left out."""
    depth, optional = 0, False
    if isinstance(hint, UnionType):
        hint, optional = next(one for one in get_args(hint) if one is not NoneType), True
    while get_origin(hint) is tuple:
        hint, depth = get_args(hint)[0], depth + 1
    if get_origin(hint) is Literal:
        return {"kind": str, "choices": tuple(map(str, get_args(hint))), "depth": depth, "optional": optional}
    return {"kind": hint, "depth": depth, "optional": optional}


_hints: Callable[[type], dict[str, Any]] = cache(get_type_hints)  # types of the fields, worked out once for each class


class Settings:
    """Base of every settings class: checks ranges when made, turns into plain data and back."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        cls.__repr__ = Settings.__repr__  # type: ignore[method-assign]  # before dataclass would make one of its own

    def __repr__(self) -> str:
        """Show the fields that are not as they begin, in one line."""
        made = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))  # type: ignore[arg-type]
        changed = [f"{field.name}={reprlib.repr(value)}" for field, value in made if value != field.default]
        return f"{type(self).__name__}({', '.join(changed[:SHOWN])}{', …' if len(changed) > SHOWN else ''})"

    def __post_init__(self) -> None:
        there = {option.name: option for option in options(self)}
        for option in there.values():
            option.check(option.default)
            if (
                option.kind is int and not option.depth and isinstance(option.default, float)
            ):  # 2.0 of a file is 2: counts and shapes are whole
                object.__setattr__(self, option.name, int(option.default))
        _require_order(there)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and words, ready for JSON.

        Returns
        -------
        dict
            Field name to value; nested settings become nested dictionaries.
        """
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make settings from plain data, as stored in a model's card.

        Parameters
        ----------
        values : dict
            As given by :meth:`to_dict`.

        Returns
        -------
        Self
            The same settings.

        Raises
        ------
        WrongSetting
            For a name this class does not know, one that is missing, or a value out of range.
        """
        hints = _hints(cls)
        fields = {field.name: field.metadata.get("was", "") for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        now = {was: name for name, was in fields.items() if was}
        values = {now.get(name, name): value for name, value in values.items()}
        later = {field.name for field in dataclasses.fields(cls) if field.metadata.get("added")}  # type: ignore[arg-type]
        if odd_names := (set(values) ^ set(fields)) - (later - set(values)):
            odd = repr(sorted(odd_names)[:6])[1:-1]
            raise make_refusal("settings-names", settings=cls.__name__, odd=odd)
        made = {}
        for name, value in values.items():
            hint = hints[name]
            nested = isinstance(hint, type) and issubclass(hint, Settings)
            made[name] = hint.from_dict(value) if nested else value
        return cls(**made)


def differing(one: Any, other: Any, name: str = "") -> list[str]:
    """Name what differs between two pieces of plain data, such as the settings of two trainings."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            found
            for key in dict.fromkeys([*one, *other])
            for found in differing(one.get(key), other.get(key), f"{name}.{key}" if name else str(key))
        ]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        return [found for n, pair in enumerate(zip(one, other, strict=True)) for found in differing(*pair, f"{name}.{n}")]
    return [] if one == other and isinstance(one, bool) is isinstance(other, bool) else [name]


def _require_order(there: dict[str, Option]) -> None:
    """Refuse a range whose ends are the wrong way round: fields ``…_low…`` and ``…_high…`` of the same name are its ends."""
    for name, low in there.items():
        high = there.get(name.replace("_low", "_high"), low)
        if "_low" in name and low.default > high.default:
            raise make_refusal("setting-order", low=low.label, least=low.default, high=high.label, most=high.default)
