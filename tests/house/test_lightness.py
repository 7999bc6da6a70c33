"""Law 2: importing the package, and starting napari with the plugin installed, brings neither torch nor Qt nor scipy."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from house.source import PACKAGE, PRODUCT

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("torch", "scipy", "skimage", "qtpy", "PyQt5", "PyQt6", "PySide6", "napari", "magicgui", "superqt", "nibabel", "pydicom")


def loaded(code: str, names: tuple[str, ...], cwd: Path = PRODUCT.parent) -> set[str]:
    """Run code in a fresh Python with ``cwd`` first on its path, and tell which of ``names`` it loaded."""
    first = f"import sys, json; sys.path.insert(0, {str(cwd)!r})"
    last = f"print(json.dumps([name for name in {names!r} if name in sys.modules]))"
    script = "\n".join((first, code, last))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_is_light() -> None:
    assert loaded(f"import {PACKAGE}; {PACKAGE}.__version__; dir({PACKAGE})", HEAVY) == set()


@pytest.mark.parametrize(
    "words", [["info"], ["info", "--model", "standard"], ["models"], ["segment", "--help"], ["bench", "--help"]]
)
def test_the_command_line_starts_light(words: list[str]) -> None:
    """What only lists or explains loads no torch, which takes longer than all the rest; a card is asked for where there is a driver."""
    code = f"""
from pathlib import Path
from {PACKAGE} import cli, device
device.DRIVERS, device.AMD = (), Path("no driver")
try:
    cli.main({words!r})
except SystemExit:
    pass
"""
    assert loaded(code, HEAVY) == set()


def test_a_heavy_import_is_seen(tmp_path: Path) -> None:
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").write_text("import scipy\n")
    assert loaded(f"import {PACKAGE}", HEAVY, tmp_path) == {"scipy"}


def test_what_napari_loads_at_start_brings_no_torch() -> None:
    """The manifest is read, and every module that it names is imported, as opening the panel does."""
    pytest.importorskip("napari")
    code = f"""
from importlib import import_module
from npe2 import PluginManifest
manifest = PluginManifest.from_file({str(PRODUCT / "napari.yaml")!r})
names = {{command.python_name.split(":")[0] for command in manifest.contributions.commands}}
assert names
for name in names:
    import_module(name)
"""
    assert loaded(code, ("torch",)) == set()


def test_the_public_names_are_there() -> None:
    package = importlib.import_module(PACKAGE)
    missing = []
    for name in package.__all__:
        try:
            getattr(package, name)
        except (ImportError, AttributeError) as error:
            missing.append(f"{name}: {error}")
    assert not missing, missing
    with pytest.raises(AttributeError):
        _ = package.no_such_name


def test_type_checkers_are_told_the_same_modules() -> None:
    """The imports for type checkers and the table of lazy names say the same."""
    package = importlib.import_module(PACKAGE)
    told = {}
    for node in ast.walk(ast.parse((PRODUCT / "__init__.py").read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE + ".") and node.col_offset == 4:
            told |= {alias.name: str(node.module).removeprefix(PACKAGE + ".") for alias in node.names}
    told.pop("version", None)
    assert told == package._MODULES
    assert sorted(package.__all__) == sorted(package._MODULES)
