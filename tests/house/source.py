"""The packages as the laws see them: their files, modules and levels, and trees in which a law is broken on purpose."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "napari_liver_anomaly"
REPOSITORY = Path(__file__).parents[2]
PRODUCT = REPOSITORY / "src" / PACKAGE
STUDY = REPOSITORY / "src" / "liver_anomaly_study"

LEVELS = {
    0: {"__init__", "errors", "messages", "notebook"},
    1: {
        "geometry",
        "volume",
        "stored_values",
        "settings",
        "job",
        "storage",
        "placing",
        "device",
        "memory",
        "processes",
        "sparse_labels",
        "score_voxels",
    },
    2: {"lesions", "simple_cyst", "thresholds", "liver_findings", "segmentation", "result", "preferences", "follow_up"},
    3: {"io", "preprocessing", "synthesis", "phantom", "metrics"},
    4: {"checkpoint"},
    5: {"adapters", "models", "training", "liver"},
    6: {"bench", "inference", "evaluation", "many_scans", "detection"},
    7: {"cli", "gui", "__main__"},
}
LEVEL_OF = {module: level for level, modules in LEVELS.items() for module in modules}
INTERFACES = 7
GENERATED = {"_version.py"}


@dataclass(frozen=True)
class File:
    """One source file below a package root."""

    path: Path
    root: Path

    @cached_property
    def module(self) -> str:
        """First name below the package: ``io`` for ``io/dicom.py``."""
        return self.path.relative_to(self.root).parts[0].removesuffix(".py")

    @cached_property
    def level(self) -> int | None:
        return LEVEL_OF.get(self.module)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"), filename=str(self.path))

    @cached_property
    def dotted(self) -> str:
        parts = self.path.relative_to(self.root).with_suffix("").parts
        return ".".join((PACKAGE, *(part for part in parts if part != "__init__")))

    def at(self, node: ast.AST | int, sentence: str) -> str:
        """One breach, as ``file:line: sentence``."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.path.relative_to(self.root)}:{line}: {sentence}"


def files(root: Path = PRODUCT) -> list[File]:
    """Every source file of a package, but for those that the build writes."""
    return [
        File(path, root) for path in sorted(root.rglob("*.py")) if path.name not in GENERATED and "__pycache__" not in path.parts
    ]


def build(root: Path, **modules: str) -> Path:
    """Make a small package below ``root``; ``gui__panel="..."`` becomes ``gui/panel.py``."""
    for name, text in {"__init__": '"""Package."""\n', **modules}.items():
        *folders, last = re.split(r"__(?!init|main|$)", name)
        path = root.joinpath(*folders, f"{last}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def told(breaches: list[str]) -> str:
    """The message of a failed law: one breach a line."""
    return "\n" + "\n".join(breaches)
