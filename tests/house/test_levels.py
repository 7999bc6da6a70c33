"""Law 1: imports go down the levels only; law 6: every room has a place in the picture and a name that says what it is."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from house.source import DOORS, HOUSE, LEVEL_OF, PACKAGE, REPOSITORY, File, build, files, told

if TYPE_CHECKING:
    from pathlib import Path

# Imports between rooms of one level that the picture in docs/architecture.md draws.
DRAWN = {
    ("memory", "storage"),
    ("metrics", "lesions"),
    ("synthesis", "preprocessing"),
    ("io", "lesions"),
    ("io", "inference"),
    ("io", "phantom"),
    ("models", "training"),
    ("training", "models"),
    ("liver", "training"),
    ("liver", "models"),
    ("inference", "models"),
    ("evaluation", "inference"),
    ("evaluation", "models"),
    ("evaluation", "training"),
    ("evaluation", "liver"),
    ("cli", "gui"),
    ("__main__", "cli"),
}
NO_ROOM = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
SCREEN = {"qtpy", "napari", "magicgui", "superqt", "vispy", "app_model", "PyQt5", "PyQt6", "PySide2", "PySide6"}


def rooms_imported(file: File) -> list[tuple[ast.AST, str]]:
    """Rooms of the house that a file imports, wherever in the file; '' for a name taken from the package itself."""
    rooms = {path.name.removesuffix(".py") for path in file.root.iterdir()}
    found: list[tuple[ast.AST, str]] = []
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            found += [(node, alias.name.split(".")[1]) for alias in node.names if alias.name.startswith(PACKAGE + ".")]
        elif isinstance(node, ast.ImportFrom):
            base = file.module if file.path.name == "__init__.py" else file.module.rpartition(".")[0]
            for _ in range(node.level - 1):
                base = base.rpartition(".")[0]
            whole = ".".join(part for part in (base if node.level else "", node.module or "") if part)
            if whole == PACKAGE:
                names = [alias.name for alias in node.names]
                found += [(node, name if name in rooms else "__init__" if name.startswith("__") else "") for name in names]
            elif whole.startswith(PACKAGE + "."):
                found.append((node, whole.split(".")[1]))
    return found


def breaches(root: Path) -> list[str]:
    found = []
    for file in files(root):
        if set(file.path.relative_to(root).with_suffix("").parts) & NO_ROOM:
            found.append(file.at(1, "a name that says nothing; name the room for its one idea"))
        if file.level is None:
            found.append(
                file.at(1, f"room {file.room!r} has no level: draw it in docs/architecture.md and tests/house/source.py")
            )
            continue
        if file.room == "__init__":
            continue  # its imports are for type checkers only; test_lightness.py holds that they load nothing
        for node, room in rooms_imported(file):
            if room == "":
                if file.level < DOORS:
                    found.append(file.at(node, "import from the room itself, not from the package"))
            elif room not in LEVEL_OF:
                found.append(file.at(node, f"imports {room!r}, which has no level"))
            elif room != file.room and (file.room, room) not in DRAWN and LEVEL_OF[room] >= file.level:
                found.append(file.at(node, f"level {file.level} {file.room!r} imports level {LEVEL_OF[room]} {room!r}"))
    return found


def screen_breaches(root: Path) -> list[str]:
    found = []
    for file in files(root):
        if file.room == "gui":
            continue
        for node in ast.walk(file.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            found += [
                file.at(node, f"imports {name}; only gui/ knows the screen") for name in names if name.split(".")[0] in SCREEN
            ]
    return found


def test_imports_go_down() -> None:
    assert not (found := breaches(HOUSE)), told(found)


def rooms_drawn() -> dict[str, int]:
    """Rooms and their levels as the picture in docs/architecture.md has them."""
    rows = re.findall(
        r"^\| (\d) [^|]*\|([^|]*)\|", (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return {room: int(level) for level, cell in rows for room in re.findall(r"`(\w+)(?:\.py|/)`", cell)}


def test_the_picture_shows_the_rooms_there_are() -> None:
    standing = {file.room: file.level for file in files()}
    assert rooms_drawn() == standing


def test_only_the_gui_knows_the_screen() -> None:
    assert not (found := screen_breaches(HOUSE)), told(found)


@pytest.mark.parametrize(
    ("rooms", "where"),
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
def test_an_import_upwards_or_sideways_is_named(tmp_path: Path, rooms: dict[str, str], where: str) -> None:
    found = breaches(build(tmp_path, **rooms))
    assert [breach for breach in found if breach.startswith(where)], found


def test_imports_that_the_law_allows(tmp_path: Path) -> None:
    house = build(
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
    assert breaches(house) == []


@pytest.mark.parametrize(
    "line", ["import napari", "from qtpy.QtCore import Qt", "import superqt.utils as s", "from napari.layers import Image"]
)
def test_a_screen_library_below_the_doors_is_named(tmp_path: Path, line: str) -> None:
    house = build(tmp_path, writing__report=f"def f():\n    {line}\n", gui__panel=line + "\n")
    assert [breach.split(" ")[0] for breach in screen_breaches(house)] == ["writing/report.py:2:"]
