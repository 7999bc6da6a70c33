"""Law 4: no print, no assert, no broad except, no pickle, no eval, no network; our errors never derive from RuntimeError."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING

import pytest

from house.source import INTERFACES, PRODUCT, STUDY, File, build, files, told
from napari_liver_anomaly import errors

if TYPE_CHECKING:
    from pathlib import Path

CALLS = {"print", "eval", "exec", "compile", "input", "breakpoint", "__import__"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NETWORKS = {
    "socket",
    "urllib",
    "urllib3",
    "http",
    "requests",
    "httpx",
    "aiohttp",
    "ftplib",
    "smtplib",
    "pooch",
    "huggingface_hub",
    "websockets",
}
METHODS = {("torch", "load"), ("torch", "save"), ("hub", "load"), ("os", "system"), ("os", "popen")}
BROAD = {"Exception", "BaseException"}


def _names(node: ast.expr | None) -> set[str]:
    """Plain and dotted last names in an expression such as ``(OSError, x.Broken)``."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return {part.id if isinstance(part, ast.Name) else part.attr for part in parts if isinstance(part, (ast.Name, ast.Attribute))}


def _call(file: File, node: ast.Call) -> list[str]:
    found = []
    function = node.func
    if isinstance(function, ast.Name) and function.id in CALLS:
        found.append(file.at(node, f"{function.id}() is forbidden here"))
    if isinstance(function, ast.Attribute) and isinstance(owner := function.value, (ast.Name, ast.Attribute)):
        said = owner.id if isinstance(owner, ast.Name) else owner.attr
        if (said, function.attr) in METHODS:
            found.append(file.at(node, f"{said}.{function.attr}() is forbidden here; weights are safetensors"))
    for keyword in node.keywords:
        if keyword.arg == "allow_pickle" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
            found.append(file.at(node, "allow_pickle runs whatever a file says"))
        if keyword.arg == "shell" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True:
            found.append(file.at(node, "a shell runs whatever a name says"))
    return found


def breaches(root: Path) -> list[str]:
    found = []
    for file in files(root):
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Call):
                found += _call(file, node)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                dotted = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else []
                    if node.level
                    else [node.module or ""]
                )
                for name in dotted:
                    if (top := name.split(".")[0]) in PICKLES | NETWORKS:
                        found.append(file.at(node, f"imports {name}: " + ("no pickle" if top in PICKLES else "no network")))
            elif isinstance(node, ast.Assert):
                found.append(file.at(node, "assert vanishes under python -O; raise a Refusal"))
            elif isinstance(node, ast.ExceptHandler):
                if node.type is None:
                    found.append(file.at(node, "bare except"))
                elif _names(node.type) & BROAD and file.module != "cli" and (file.level is None or file.level < INTERFACES):
                    found.append(file.at(node, "except Exception below the interfaces hides what went wrong"))
            elif isinstance(node, ast.ClassDef) and "RuntimeError" in {name for base in node.bases for name in _names(base)}:
                found.append(file.at(node, f"{node.name} derives from RuntimeError, which Qt's workers swallow"))
            elif isinstance(node, ast.Raise) and _names(node.exc.func if isinstance(node.exc, ast.Call) else node.exc) & (
                BROAD | {"RuntimeError"}
            ):
                found.append(file.at(node, "raise one of our own errors"))
    return found


@pytest.mark.parametrize("root", [PRODUCT, STUDY], ids=lambda root: root.name)
def test_nothing_forbidden_is_used(root: Path) -> None:
    assert not (found := breaches(root)), told(found)


@pytest.mark.parametrize(
    "line",
    [
        "print('x')",
        "eval('x')",
        "exec('x')",
        "import pickle",
        "from pickle import loads",
        "import urllib.request",
        "from requests import get",
        "import socket",
        "torch.load(path)",
        "torch.save(x, path)",
        "torch.hub.load('a', 'b')",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "subprocess.run(name, shell=True)",
        "assert path",
        "try: x()\nexcept: pass",
        "try: x()\nexcept Exception: pass",
        "try: x()\nexcept (OSError, BaseException): pass",
        "class Broken(RuntimeError): pass",
        "raise RuntimeError('x')",
        "raise Exception",
    ],
)
def test_each_forbidden_thing_is_named(tmp_path: Path, line: str) -> None:
    found = breaches(build(tmp_path, io__nifti=f"x = 1\n{line}\n"))
    assert len(found) == 1
    assert found[0].startswith("io/nifti.py:"), found


def test_what_is_allowed(tmp_path: Path) -> None:
    caught = "try: x()\nexcept (OSError, ValueError) as error: raise WrongGrid() from error\n"
    text = "import re\nre.compile('x')\nnp.load(path, allow_pickle=False)\n" + caught
    assert breaches(build(tmp_path, io=text, cli="try: x()\nexcept Exception: show()\n")) == []


def test_our_errors_are_refusals_in_three_sentences() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert len(kinds) > 5
    for kind in kinds:
        assert issubclass(kind, errors.LiverAnomalyError), kind
        assert not issubclass(kind, RuntimeError), kind
