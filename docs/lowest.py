"""Install exactly the lowest versions that ``pyproject.toml`` allows: ``python docs/lowest.py`` prints them, one a line, for ``pip --constraint``."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
BOUND = re.compile(r"([A-Za-z0-9_.-]+)>=([0-9.]+)(,|;|$)")


def lowest(dependencies: list[str]) -> list[str]:
    """Turn every lower bound into that very version."""
    found = [BOUND.match(one.replace(" ", "")) for one in dependencies]
    if None in found:
        raise ValueError(f"a dependency without a lower bound: {dependencies[found.index(None)]}")
    return [f"{one[1]}=={one[2]}" for one in found if one]


if __name__ == "__main__":
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    sys.stdout.write("\n".join(lowest(project["dependencies"])) + "\n")
