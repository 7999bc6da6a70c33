"""Law 6: lesions are cut from a score in one place, ``segmentation.cut``, so that a run, the slider and the evaluation give the same."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from house.source import PRODUCT, build, files, told

if TYPE_CHECKING:
    from pathlib import Path

PARTS = {"Pieces", "pieces"}  # of score_voxels.py: pieces that nobody numbered are half a cut


def breaches(root: Path) -> list[str]:
    found = []
    for file in files(root):
        if file.module in ("segmentation", "score_voxels"):
            continue
        for node in ast.walk(file.tree):
            names: set[str] = set()
            if isinstance(node, ast.ImportFrom) and (node.module or "").endswith("score_voxels"):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute):
                names = {node.attr}
            found += [file.at(node, f"{name} is half a cut: use segmentation.cut") for name in sorted(names & PARTS)]
    return found


def test_there_is_one_way_to_cut() -> None:
    assert not (found := breaches(PRODUCT)), told(found)


@pytest.mark.parametrize(
    "line",
    [
        "from napari_liver_anomaly.score_voxels import Pieces, ScoreVoxels",
        "pieces = ScoreVoxels.of(score, None).pieces(128)",
    ],
)
def test_each_other_way_is_named(tmp_path: Path, line: str) -> None:
    tree = build(tmp_path, evidence__curves=f"x = 1\n{line}\n", segmentation="pieces = voxels.pieces(128)\n")
    found = breaches(tree)
    assert len(found) == 1 and found[0].startswith("evidence/curves.py:2"), found
