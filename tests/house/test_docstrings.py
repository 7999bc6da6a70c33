"""Law 5: a public name says in a numpy-style docstring what it takes, gives and raises, with shapes, and which paper it comes from.

Public is what an ``__init__`` file lists in ``__all__``, and every class of settings, recipes and models. All else needs a sentence at most.
"""

from __future__ import annotations

import ast
import re
from functools import cached_property
from typing import TYPE_CHECKING

import pytest
from docstring_parser import Docstring, DocstringStyle, parse

from house.source import INTERFACES, PACKAGE, PRODUCT, File, build, files, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef
FAMILIES = {"Settings", "Recipe", "Model"}  # every class that derives from one of them is public
FROM_PAPERS = {"models", "synthesis", "metrics", "preprocessing"}
PAPER = re.compile(r"\b[A-Z][\w'-]+(,? (and|et al\.?|[A-Z][\w'-]+))*,? \(?(19|20)\d\d\b|doi|\bReferences\b", re.UNICODE)
GROUND = {
    "__init__.py",
    "base.py",
    "apply.py",
    "registry.py",
    "card.py",
    "config.py",
    "stage.py",
    "installing.py",
    "model_file.py",
    "locations.py",
}  # plumbing, no method of a paper
SHAPE = re.compile(r"\(.+\)|shape")


class Package:
    """The definitions of a package, and which of them are public."""

    def __init__(self, root: Path) -> None:
        self.files = [file for file in files(root) if file.level is None or file.level < INTERFACES]
        self.by_name = {file.dotted: file for file in self.files}

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        return {node.name: node for file in self.files for node in file.tree.body if isinstance(node, ast.ClassDef)}

    def bases(self, node: ast.ClassDef) -> Iterator[ast.ClassDef]:
        """The classes of the package that a class derives from, the nearest first."""
        for name in (base.id for base in node.bases if isinstance(base, ast.Name)):
            if name in self.classes and self.classes[name] is not node:
                yield self.classes[name]
                yield from self.bases(self.classes[name])

    def public(self) -> Iterator[tuple[File, Definition]]:
        """Every public function and class, and the file that defines it."""
        found = [self.definition(file, name) for file in self.files for name in _exported(file)]
        found += [
            (file, node)
            for file in self.files
            for node in file.tree.body
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and self.families(node) & FAMILIES
        ]
        seen = {id(one[1]): one for one in found if one is not None}
        return iter(sorted(seen.values(), key=lambda one: (one[0].path, one[1].lineno)))

    def definition(self, file: File, name: str) -> tuple[File, Definition] | None:
        """Where an exported name is defined; None for a constant, whose comment says what it is."""
        for node in ast.walk(file.tree):
            if (
                isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                and node.name == name
                and node in file.tree.body
            ):
                return file, node
            if isinstance(node, ast.ImportFrom) and name in {alias.asname or alias.name for alias in node.names}:
                origin = next(alias.name for alias in node.names if name == (alias.asname or alias.name))
                if node.module in self.by_name:
                    return self.definition(self.by_name[node.module], origin)
        return None

    def inherited(self, owner: ast.ClassDef, name: str) -> bool:
        """Whether a base class documents a method of that name, which says it for all that override it."""
        methods = [node for base in self.bases(owner) for node in base.body if isinstance(node, Function)]
        return any(node.name == name and ast.get_docstring(node) for node in methods)

    def families(self, node: ast.ClassDef) -> set[str]:
        """Names of a class and of all that it derives from, whether they stand in the package or not."""
        line = [node, *self.bases(node)]
        return {one.name for one in line} | {base.id for one in line for base in one.bases if isinstance(base, ast.Name)}


def _exported(file: File) -> list[str]:
    """The names that an ``__init__`` file lists in ``__all__``."""
    if file.path.name != "__init__.py":
        return []
    for node in file.tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


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


def _arguments(function: Function) -> list[ast.arg]:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [one for one in named if one is not None and one.arg not in ("self", "cls") and not one.arg.startswith("_")]


def _parameters(function: Function) -> list[str]:
    return [argument.arg for argument in _arguments(function)]


def _missing(function: Function) -> Iterator[str]:
    """What the docstring of a public function leaves unsaid."""
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
    yield from _shapeless(function, said)
    nodes = list(_own(function))
    values = [node.value for node in nodes if isinstance(node, ast.Return)]
    gives = any(value is not None and not (isinstance(value, ast.Constant) and value.value is None) for value in values)
    yields = any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in nodes)
    if (gives or yields) and not said.many_returns:
        yield "does not say what it " + ("yields" if yields else "returns")
    told_errors = {name.strip() for error in said.raises for name in (error.type_name or "").split(",")}
    if lost := sorted(name for name in _raised(function) - told_errors if name[0].isupper()):
        yield f"does not say that it raises {', '.join(lost)}"


def _undescribed(node: ast.ClassDef, package: Package) -> Iterator[str]:
    """What the docstring of a public class leaves unsaid; fields of settings describe themselves."""
    if not (text := ast.get_docstring(node)):
        yield "has no docstring"
        return
    if "Settings" in package.families(node):
        return
    said = {name.strip() for one in parse(text, style=DocstringStyle.NUMPYDOC).params for name in one.arg_name.split(",")}
    fields = [one for one in node.body if isinstance(one, ast.AnnAssign) and "ClassVar" not in ast.unparse(one.annotation)]
    names = [ast.unparse(one.target) for one in fields]
    if lost := [name for name in names if not name.startswith("_") and name not in said]:
        yield f"does not name {', '.join(lost)}"


def _shapeless(function: Function, said: Docstring) -> Iterator[str]:
    """Arrays that a docstring names without their shape."""
    arrays = [argument.arg for argument in _arguments(function) if argument.annotation and _is_array(argument.annotation)]
    for parameter in said.params:
        names = [name.strip() for name in parameter.arg_name.split(",")]
        if set(names) & set(arrays) and not SHAPE.search(f"{parameter.type_name} {parameter.description}"):
            yield f"does not say the shape of {', '.join(names)}"


def _is_array(annotation: ast.expr) -> bool:
    return ast.unparse(annotation).startswith(("NDArray", "np.ndarray", "Tensor", "torch.Tensor"))


def _raised(function: Function) -> set[str]:
    """Names of the errors that a function raises itself and does not catch."""
    caught = _caught_inside(function)
    raises = [node.exc for node in _own(function) if isinstance(node, ast.Raise) and id(node) not in caught]
    calls = [one.func for one in raises if isinstance(one, ast.Call)]
    return {one.id if isinstance(one, ast.Name) else one.attr for one in calls if isinstance(one, (ast.Name, ast.Attribute))}


def breaches(root: Path) -> list[str]:
    """Files without a word about them, and public names that leave something unsaid."""
    package = Package(root)
    found = [file.at(1, "the file does not say what it is for") for file in package.files if not ast.get_docstring(file.tree)]
    for file, node in package.public():
        if not isinstance(node, ast.ClassDef):
            found += [file.at(node, f"{node.name} {sentence}") for sentence in _missing(node)]
            continue
        found += [file.at(node, f"{node.name} {sentence}") for sentence in _undescribed(node, package)]
        for method in node.body:
            if isinstance(method, Function) and not method.name.startswith("_") and not package.inherited(node, method.name):
                found += [file.at(method, f"{node.name}.{method.name} {sentence}") for sentence in _missing(method)]
    return found


def unsourced(root: Path) -> list[str]:
    """Files that define a public method, or a network, and name no paper."""
    package = Package(root)
    public = {file.path: file for file, _ in package.public() if file.module in FROM_PAPERS and file.path.name not in GROUND}
    networks = {file.path: file for file in package.files if "networks" in file.path.parts and file.path.name != "__init__.py"}
    found = []
    for _, file in sorted((public | networks).items()):
        documented = [node for node in ast.walk(file.tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
        if not any(PAPER.search(ast.get_docstring(node) or "") for node in documented):
            found.append(file.at(1, "a method without its paper: add a References section"))
    return found


def test_every_public_name_says_what_it_takes_gives_and_raises() -> None:
    assert not (found := breaches(PRODUCT)), told(found)


def test_every_method_names_its_paper() -> None:
    assert not (found := unsourced(PRODUCT)), told(found)


GOOD = '''"""Losses."""

class Weigher:
    """Weighs.

    Attributes
    ----------
    mass_g : float
        Its own.
    """

    mass_g: float

    @property
    def ml(self):
        """Volume in ml."""
        return 1

    def weigh(self, image: NDArray[np.int16]):
        """Weigh.

        Parameters
        ----------
        image : ndarray
            Any shape.

        Returns
        -------
        float
            In g.
        """
        return 1

class Scale(Weigher):
    """Weighs better."""

    def weigh(self, image): return 2

def focal(score: NDArray[np.float32], *, gamma=2.0, **rest):
    """Weigh errors.

    Parameters
    ----------
    score : ndarray, (z, y, x)
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
    return score

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

def inner(x): return x
'''
LISTED = f'''"""Metrics."""
from {PACKAGE}.metrics.losses import Scale, Weigher, careful, focal, planes
__all__ = ["Scale", "Weigher", "careful", "focal", "planes"]
'''


def _with(losses: str, root: Path, listed: str = LISTED) -> Path:
    return build(root, metrics____init__=listed, metrics__losses=losses, cli="def main(x): return x\n")


def test_a_complete_docstring_passes(tmp_path: Path) -> None:
    tree = _with(GOOD, tmp_path)
    assert breaches(tree) == []
    assert unsourced(tree) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"""Losses."""', "", "losses.py:1: the file does not say"),
        ('"""Weighs better."""', "pass", "Scale has no docstring"),
        ("mass_g : float\n        Its own.", "", "Weigher does not name mass_g"),
        ('"""Volume in ml."""', "", "Weigher.ml has no docstring"),
        ("Any shape", "Grey", "Weigher.weigh does not say the shape of image"),
        ("ndarray, (z, y, x)", "ndarray", "focal does not say the shape of score"),
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
    found = breaches(_with(GOOD.replace(old, new), tmp_path))
    assert len(found) == 1
    assert sentence in found[0], found


def test_what_is_not_listed_may_be_silent(tmp_path: Path) -> None:
    tree = _with(GOOD.replace('"""Volume in ml."""', ""), tmp_path, listed='"""Metrics."""\n')
    assert breaches(tree) == []


def test_every_class_of_a_family_is_public(tmp_path: Path) -> None:
    recipe = '"""Spots."""\nclass Spots(DonorRecipe):\n    def grow(self): return 1\n'
    base = '"""Base."""\nclass DonorRecipe(Recipe):\n    """Pieces."""\n'
    found = breaches(build(tmp_path, synthesis__spots=recipe, synthesis__base=base))
    assert [breach.partition(": ")[2] for breach in found] == ["Spots has no docstring", "Spots.grow has no docstring"]


def test_a_method_without_a_paper_is_named(tmp_path: Path) -> None:
    ours = GOOD.replace("References", "Notes").replace("Lin et al. 2017", "Ours")
    network = '"""A network."""\ndef f(): ...\n'
    tree = build(tmp_path, metrics____init__=LISTED, metrics__losses=ours, models__networks__net=network, storage=network)
    assert [breach.split(" ")[0] for breach in unsourced(tree)] == ["metrics/losses.py:1:", "models/networks/net.py:1:"]
