"""The package as the laws see it: its files, their rooms and levels, and trees in which a law is broken on purpose."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = "napari_liver_anomaly"
REPOSITORY = Path(__file__).parents[2]
HOUSE = REPOSITORY / "src" / PACKAGE

LEVELS = {
    0: {"__init__", "errors"},
    1: {"volume", "settings", "job", "storage", "device", "memory"},
    2: {"io", "preprocessing", "synthesis", "phantom", "metrics", "lesions", "thresholds", "liver_findings"},
    3: {"checkpoint"},
    4: {"models", "training", "liver", "inference", "evaluation"},
    5: {"cli", "gui", "__main__"},
}
LEVEL_OF = {room: level for level, rooms in LEVELS.items() for room in rooms}
DOORS = 5
GENERATED = {"_version.py"}


@dataclass(frozen=True)
class File:
    """One source file below a package root."""

    path: Path
    root: Path

    @cached_property
    def room(self) -> str:
        """First name below the package: ``reading`` for ``reading/dicom.py``."""
        return self.path.relative_to(self.root).parts[0].removesuffix(".py")

    @cached_property
    def level(self) -> int | None:
        return LEVEL_OF.get(self.room)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"), filename=str(self.path))

    @cached_property
    def module(self) -> str:
        parts = self.path.relative_to(self.root).with_suffix("").parts
        return ".".join((PACKAGE, *(part for part in parts if part != "__init__")))

    def at(self, node: ast.AST | int, sentence: str) -> str:
        """One breach, as ``file:line: sentence``."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.path.relative_to(self.root)}:{line}: {sentence}"


def files(root: Path = HOUSE) -> list[File]:
    """Every source file of a package, but for those that the build writes."""
    return [
        File(path, root) for path in sorted(root.rglob("*.py")) if path.name not in GENERATED and "__pycache__" not in path.parts
    ]


def build(root: Path, **rooms: str) -> Path:
    """Make a small package below ``root``; ``gui__panel="..."`` becomes ``gui/panel.py``."""
    for name, text in {"__init__": '"""House."""\n', **rooms}.items():
        *folders, last = [name] if name.startswith("__") else name.split("__")
        path = root.joinpath(*folders, f"{last}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def told(breaches: list[str]) -> str:
    """The message of a failed law: one breach a line."""
    return "\n" + "\n".join(breaches)
