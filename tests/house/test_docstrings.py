"""Law 5: every public function below the doors says its parameters, what it returns and raises, and a method says its paper."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest
from docstring_parser import DocstringStyle, parse

from house.source import DOORS, HOUSE, File, build, files, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
FROM_PAPERS = {"models", "synthesis", "metrics", "preprocessing"}
PAPER = re.compile(r"\b[A-Z][\w'-]+(,? (and|et al\.?|[A-Z][\w'-]+))*,? \(?(19|20)\d\d\b|doi", re.UNICODE)


def _public(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Public functions, classes and methods, with the name a reader knows them by."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            yield owner + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, node.name + ".")


def _own(function: Function) -> Iterator[ast.AST]:
    """Nodes of a function, without those of functions and classes inside it."""
    stack: list[ast.AST] = list(function.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            stack += ast.iter_child_nodes(node)


def _caught_inside(function: Function) -> set[int]:
    """Raises, by identity, that the same function catches again."""
    caught = set()
    for node in _own(function):
        if isinstance(node, ast.Try):
            kinds = {
                part.id
                for handler in node.handlers
                if handler.type
                for part in ast.walk(handler.type)
                if isinstance(part, ast.Name)
            }
            inside = [found for statement in node.body for found in ast.walk(statement) if isinstance(found, ast.Raise)]
            caught |= {
                id(found) for found in inside if {part.id for part in ast.walk(found) if isinstance(part, ast.Name)} & kinds
            }
    return caught


def _decorators(node: Function) -> set[str]:
    parts = [decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in node.decorator_list]
    return {
        part.attr if isinstance(part, ast.Attribute) else part.id for part in parts if isinstance(part, (ast.Name, ast.Attribute))
    }


def _parameters(function: Function) -> list[str]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = [argument.arg for argument in named if argument is not None]
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def _missing(function: Function) -> Iterator[str]:
    """What the docstring of a function leaves unsaid."""
    text = ast.get_docstring(function)
    if not text:
        yield "has no docstring"
        return
    if _decorators(function) & {"property", "cached_property", "setter", "overload"}:
        return
    said = parse(text, style=DocstringStyle.NUMPYDOC)
    told_names = {name.strip().lstrip("*") for parameter in said.params for name in parameter.arg_name.split(",")}
    if lost := [name for name in _parameters(function) if name not in told_names]:
        yield f"does not name {', '.join(lost)}"
    if odd := sorted(told_names - set(_parameters(function)) - {"self"}):
        yield f"names {', '.join(odd)}, which it does not take"
    nodes = list(_own(function))
    caught = _caught_inside(function)
    values = [node.value for node in nodes if isinstance(node, ast.Return)]
    gives = any(value is not None and not (isinstance(value, ast.Constant) and value.value is None) for value in values)
    yields = any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in nodes)
    if (gives or yields) and not said.many_returns:
        yield "does not say what it " + ("yields" if yields else "returns")
    raised = {
        call.func.id if isinstance(call.func, ast.Name) else call.func.attr
        for node in nodes
        if isinstance(node, ast.Raise)
        and id(node) not in caught
        and isinstance(call := node.exc, ast.Call)
        and isinstance(call.func, (ast.Name, ast.Attribute))
    }
    told_errors = {name.strip() for error in said.raises for name in (error.type_name or "").split(",")}
    if lost := sorted(name for name in raised - told_errors if name[0].isupper()):
        yield f"does not say that it raises {', '.join(lost)}"


def breaches(root: Path) -> list[str]:
    found = []
    for file in files(root):
        if file.level is not None and file.level >= DOORS:
            continue
        if not ast.get_docstring(file.tree):
            found.append(file.at(1, "the file does not say what it is for"))
        for name, node in _public(file.tree.body):
            if isinstance(node, ast.ClassDef):
                found += [] if ast.get_docstring(node) else [file.at(node, f"{name} has no docstring")]
            else:
                found += [file.at(node, f"{name} {sentence}") for sentence in _missing(node)]
    return found


def unsourced(root: Path) -> list[str]:
    """Rooms of methods whose files cite nothing, neither for the file nor for any of its functions."""
    found = []
    for file in files(root):
        if file.room not in FROM_PAPERS or not any(True for _ in _public(file.tree.body)) or _only_plumbing(file):
            continue
        nodes = [file.tree, *(node for node in ast.walk(file.tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef)))]
        texts = [ast.get_docstring(node) or "" for node in nodes]
        if not any(PAPER.search(text) or "References" in text for text in texts):
            found.append(file.at(1, "a method without its paper: add a References section"))
    return found


def _only_plumbing(file: File) -> bool:
    """Whether a file only lists, describes or installs what is in the room, or declares the contract that its files keep."""
    return file.path.name in {"__init__.py", "base.py", "apply.py", "registry.py", "describing.py", "installing.py"}


def test_every_public_name_says_what_it_takes_gives_and_raises() -> None:
    assert not (found := breaches(HOUSE)), told(found)


def test_every_method_names_its_paper() -> None:
    assert not (found := unsourced(HOUSE)), told(found)


GOOD = '''"""Losses."""

class Weigher:
    """Weighs."""

    @property
    def ml(self):
        """Volume in ml."""
        return 1

def focal(guess, *, gamma=2.0, **rest):
    """Weigh errors.

    Parameters
    ----------
    guess : ndarray, (z, y, x)
        Score.
    gamma, **rest : float
        Exponent.

    Returns
    -------
    float
        Loss.

    Raises
    ------
    WrongSetting
        When gamma is negative.

    References
    ----------
    Lin et al. 2017.
    """
    if gamma < 0:
        raise WrongSetting("x")
    return guess

def careful(path):
    """Read.

    Parameters
    ----------
    path : str
        File.

    Raises
    ------
    UnreadableFile
        When it is damaged.
    """
    try:
        if not path:
            raise KeyError("x")
    except KeyError:
        raise UnreadableFile("x")

def planes(scan):
    """Walk.

    Parameters
    ----------
    scan : Volume
        Scan.

    Yields
    ------
    int
        Plane.
    """
    yield 1

def _private(x): return x
'''


def test_a_complete_docstring_passes(tmp_path: Path) -> None:
    house = build(tmp_path, losses=GOOD, cli="def main(x): return x\n")
    assert breaches(house) == []
    assert unsourced(house) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"""Losses."""', "", "losses.py:1: the file does not say"),
        ('"""Weighs."""', "pass", "Weigher has no docstring"),
        ('"""Volume in ml."""', "", "Weigher.ml has no docstring"),
        ("gamma, **rest : float", "rest : float", "focal does not name gamma"),
        ("gamma, **rest : float", "gamma, rest, beta : float", "focal names beta, which it does not take"),
        ("Returns\n    -------\n    float\n        Loss.\n", "", "focal does not say what it returns"),
        (
            "Raises\n    ------\n    WrongSetting\n        When gamma is negative.\n",
            "",
            "focal does not say that it raises WrongSetting",
        ),
        ("Yields\n    ------\n    int\n        Plane.\n", "", "planes does not say what it yields"),
    ],
)
def test_a_silence_is_named(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in GOOD
    found = breaches(build(tmp_path, losses=GOOD.replace(old, new)))
    assert len(found) == 1
    assert sentence in found[0], found


def test_a_method_without_a_paper_is_named(tmp_path: Path) -> None:
    house = build(
        tmp_path,
        models__losses=GOOD.replace("References", "Notes").replace("Lin et al. 2017", "Ours"),
        storage='"""Files."""\ndef f(): ...\n',
    )
    assert [breach.split(" ")[0] for breach in unsourced(house)] == ["models/losses.py:1:"]
