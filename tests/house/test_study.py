"""Law 1, second half: the product never imports the study, and works where the study is not installed."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from house.source import PACKAGE, PRODUCT, build, files, told

if TYPE_CHECKING:
    from pathlib import Path

STUDY = "liver_anomaly_study"
# Every module is imported in a process that cannot find the study; gui/ needs a screen's libraries, which are there in the tests.
ALONE = """
import importlib, pkgutil, sys
package = importlib.import_module(sys.argv[1])
assert package.__file__.startswith(sys.argv[2]), package.__file__
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert not any(name.startswith("liver_anomaly_study") for name in sys.modules)
"""


def breaches(root: Path) -> list[str]:
    """Imports of the study, also those by name: ``import_module("liver_anomaly_study.record")``."""
    found = []
    for file in files(root):
        for node in ast.walk(file.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []
            if any(name.split(".")[0] == STUDY for name in names):
                found.append(file.at(node, "imports the study; the product works without it"))
    return found


def test_the_product_never_imports_the_study() -> None:
    assert not (found := breaches(PRODUCT)), told(found)


@pytest.mark.parametrize(
    "line",
    [
        "from liver_anomaly_study.record import methods",
        "import liver_anomaly_study",
        "import_module('liver_anomaly_study.record')",
        "def f():\n    from liver_anomaly_study import record",
    ],
)
def test_an_import_of_the_study_is_named(tmp_path: Path, line: str) -> None:
    found = breaches(build(tmp_path, gui__panel="x = 1\n" + line + "\n"))
    assert [breach.split(" ")[0] for breach in found] == [f"gui/panel.py:{3 if line.startswith('def') else 2}:"]


def test_the_product_alone_is_whole(tmp_path: Path) -> None:
    """A copy without the study imports every module and answers ``info``."""
    shutil.copytree(PRODUCT, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    # -S leaves out the editable install, which would find the study; its libraries are named instead.
    libraries = [path for path in sys.path if path.endswith("-packages")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *libraries]), "QT_QPA_PLATFORM": "offscreen"}
    for words in (["-c", ALONE, PACKAGE, str(tmp_path)], ["-m", PACKAGE, "info"]):
        done = subprocess.run([sys.executable, "-S", *words], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert words[0] == "-c" or "standard" in done.stdout
