"""Law 1: imports go down the levels and never in a circle.

Every module has a place in the picture of docs/architecture.md and a name that says what it is.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from house.source import INTERFACES, LEVEL_OF, PACKAGE, PRODUCT, REPOSITORY, File, build, files, told

if TYPE_CHECKING:
    from pathlib import Path

# Imports between modules of one level that the picture in docs/architecture.md draws.
DRAWN = {
    ("messages", "errors"),
    ("memory", "storage"),
    ("processes", "device"),
    ("segmentation", "lesions"),
    ("lesions", "simple_cyst"),
    ("follow_up", "lesions"),
    ("result", "lesions"),
    ("result", "segmentation"),
    ("synthesis", "preprocessing"),
    ("volume", "geometry"),
    ("volume", "stored_values"),
    ("training", "models"),
    ("liver", "training"),
    ("training", "liver"),  # a training set of a folder judges the masks in it
    ("liver", "models"),
    ("evaluation", "inference"),
    ("many_scans", "inference"),
    ("detection", "inference"),
    ("bench", "many_scans"),
    ("cli", "gui"),
    ("__main__", "cli"),
}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
SCREEN = {"qtpy", "napari", "magicgui", "superqt", "vispy", "app_model", "PyQt5", "PyQt6", "PySide2", "PySide6"}


def modules_imported(file: File) -> list[tuple[ast.AST, str]]:
    """Modules of the package that a file imports, wherever in the file; '' for a name taken from the package itself."""
    modules = {path.name.removesuffix(".py") for path in file.root.iterdir()}
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name.split(".")[1]) for alias in node.names if alias.name.startswith(PACKAGE + ".")]
        elif isinstance(node, ast.ImportFrom):
            base = file.dotted if file.path.name == "__init__.py" else file.dotted.rpartition(".")[0]
            for _ in range(node.level - 1):
                base = base.rpartition(".")[0]
            whole = ".".join(part for part in (base if node.level else "", node.module or "") if part)
            if whole == PACKAGE:
                names = [alias.name for alias in node.names]
                found += [(node, name if name in modules else "__init__" if name.startswith("__") else "") for name in names]
            elif whole.startswith(PACKAGE + "."):
                found.append((node, whole.split(".")[1]))
    return found


def breaches(root: Path) -> list[str]:
    found = []
    for file in files(root):
        if set(file.path.relative_to(root).with_suffix("").parts) & NAMELESS:
            found.append(file.at(1, "a name that says nothing; name the module for its one idea"))
        if file.level is None:
            found.append(
                file.at(1, f"module {file.module!r} has no level: draw it in docs/architecture.md and tests/house/source.py")
            )
            continue
        if file.module == "__init__":
            continue  # its imports are for type checkers only; test_lightness.py holds that they load nothing
        for node, module in modules_imported(file):
            if module == "":
                if file.level < INTERFACES:
                    found.append(file.at(node, "import from the module itself, not from the package"))
            elif module not in LEVEL_OF:
                found.append(file.at(node, f"imports {module!r}, which has no level"))
            elif module != file.module and (file.module, module) not in DRAWN and LEVEL_OF[module] >= file.level:
                found.append(file.at(node, f"level {file.level} {file.module!r} imports level {LEVEL_OF[module]} {module!r}"))
    return found


def circles(root: Path) -> list[str]:
    """Files that import themselves by way of others; imports for type checkers only load nothing and do not count."""
    known = {file.dotted: file for file in files(root)}
    imports = {name: _files_imported(file, set(known)) for name, file in known.items()}
    found = []
    for name, direct in imports.items():
        reached, left = set(), list(direct)
        while left:
            if (one := left.pop()) not in reached:
                reached.add(one)
                left += imports[one]
        if name in reached:
            found += [
                known[name].at(line, f"{name} and {other} import each other, if by way of others")
                for other, line in direct.items()
                if other in reached and _reaches(imports, other, name)
            ]
    return found


def _reaches(imports: dict[str, dict[str, int]], start: str, goal: str) -> bool:
    reached, left = set(), [start]
    while left:
        if (one := left.pop()) == goal:
            return True
        left += [other for other in imports[one] if other not in reached]
        reached |= set(imports[one])
    return False


def _files_imported(file: File, known: set[str]) -> dict[str, int]:
    """Dotted names of the package's files that a file imports when it runs, and in which line."""
    blocks = [node for node in ast.walk(file.tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    unread = {id(node) for block in blocks for statement in block.body for node in ast.walk(statement)}
    found: dict[str, int] = {}
    for node in ast.walk(file.tree):
        if id(node) in unread or not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        base = f"{node.module or ''}." if isinstance(node, ast.ImportFrom) else ""
        for name in (base + alias.name for alias in node.names):
            other = name if name in known else name.rpartition(".")[0]
            if other in known and other != file.dotted:
                found.setdefault(other, node.lineno)
    return found


def screen_breaches(root: Path) -> list[str]:
    found = []
    for file in files(root):
        if file.module == "gui":
            continue
        for node in ast.walk(file.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            found += [
                file.at(node, f"imports {name}; only gui/ knows the screen") for name in names if name.split(".")[0] in SCREEN
            ]
    return found


def test_no_file_imports_itself_by_way_of_others(tmp_path: Path) -> None:
    assert not (found := circles(PRODUCT)), told(found)
    checked = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from {PACKAGE}.job import Job\n"
    late = f"def f():\n    from {PACKAGE} import device\n"
    broken = build(
        tmp_path,
        job=f"import {PACKAGE}.settings\nimport {PACKAGE}.volume\n",
        settings=checked,
        volume=late,
        device=f"from {PACKAGE}.job import Job\n",
    )
    assert [breach.split(" ")[0] for breach in circles(broken)] == ["device.py:1:", "job.py:2:", "volume.py:2:"]


def test_imports_go_down() -> None:
    assert not (found := breaches(PRODUCT)), told(found)


def modules_drawn() -> dict[str, int]:
    """Modules and their levels as the picture in docs/architecture.md has them."""
    rows = re.findall(
        r"^\| (\d) [^|]*\|([^|]*)\|", (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return {module: int(level) for level, cell in rows for module in re.findall(r"`(\w+)(?:\.py|/)`", cell)}


def test_the_picture_shows_the_modules_there_are() -> None:
    standing = {file.module: file.level for file in files()}
    assert modules_drawn() == standing


def test_only_the_gui_knows_the_screen() -> None:
    assert not (found := screen_breaches(PRODUCT)), told(found)


@pytest.mark.parametrize(
    ("modules", "where"),
    [
        ({"volume": "from napari_liver_anomaly.io import read\n", "io": ""}, "volume.py:1:"),
        ({"job": "x = 1\nimport napari_liver_anomaly.settings\n", "settings": ""}, "job.py:2:"),
        ({"thresholds": "from . import metrics\n", "metrics": ""}, "thresholds.py:1:"),
        ({"synthesis__perlin": "from ..metrics import dice\n", "metrics": ""}, "synthesis/perlin.py:1:"),
        (
            {"io__nifti": "def f():\n    from napari_liver_anomaly.gui import hooks\n", "gui": ""},
            "io/nifti.py:2:",
        ),
        ({"inference": "from napari_liver_anomaly import Volume\n"}, "inference.py:1:"),
        ({"kitchen": ""}, "kitchen.py:1:"),
        ({"io__utils": ""}, "io/utils.py:1:"),
    ],
)
def test_an_import_upwards_or_sideways_is_named(tmp_path: Path, modules: dict[str, str], where: str) -> None:
    found = breaches(build(tmp_path, **modules))
    assert [breach for breach in found if breach.startswith(where)], found


def test_imports_that_the_law_allows(tmp_path: Path) -> None:
    tree = build(
        tmp_path,
        errors="",
        volume="from napari_liver_anomaly.errors import WrongGrid\n",
        io__dicom="from napari_liver_anomaly.io.checks import doubt\nfrom .checks import doubt\n",
        io__checks="from ..volume import Volume\nfrom .. import errors\n",
        models="",
        inference="from napari_liver_anomaly import models\n",
        cli="from napari_liver_anomaly import __version__, segment\nfrom napari_liver_anomaly.gui import hooks\n",
        gui__hooks="",
    )
    assert breaches(tree) == []


@pytest.mark.parametrize(
    "line", ["import napari", "from qtpy.QtCore import Qt", "import superqt.utils as s", "from napari.layers import Image"]
)
def test_a_screen_library_below_the_interfaces_is_named(tmp_path: Path, line: str) -> None:
    tree = build(tmp_path, writing__report=f"def f():\n    {line}\n", gui__panel=line + "\n")
    assert [breach.split(" ")[0] for breach in screen_breaches(tree)] == ["writing/report.py:2:"]
