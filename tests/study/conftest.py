"""Invented runs of the comparison, as the runner writes them."""

from __future__ import annotations

import json
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_liver_anomaly.metrics import measure_slices
from napari_liver_anomaly.models.methods import BUDGET, method_of

if TYPE_CHECKING:
    from pathlib import Path

FOLDS = {
    "patients": (("lits_014", "lits_015", "lits_016", "lits_032"), ("lits_017", "lits_018", "lits_019", "lits_020", "lits_021")),
    "phantom": (("test-301", "test-302"),),
}
FOLDS["strict"] = FOLDS["patients"]
HEALTHY = {"lits_032"}


@cache
def figures(hit: int, healthy: bool = False) -> dict:
    """Figures of a liver whose tumour has six rows of voxels, of which some are predicted, beside one false lesion."""
    liver_mask = np.zeros((3, 16, 16), bool)
    liver_mask[:, 1:15, 1:15] = True
    truth, score = np.zeros(liver_mask.shape, bool), np.full(liver_mask.shape, 0.1, np.float32)
    if not healthy:
        truth[1, 2:8, 2:8] = True
    score[1, 2 : 2 + hit, 2:8] = 0.9
    score[2, 10:14, 10:14] = 0.7
    return measure_slices(score, truth, liver_mask, (4.0, 2.5, 2.5), window_px=3)


def run(dataset: str, key: str, fold: int, seed: int, hits: dict[str, int], budget: int = BUDGET) -> dict:
    """One run; ``hits`` are the rows of the tumour that are predicted in each case."""
    cases = [
        {
            "case": name,
            "tumour_ml": 0.0 if name in HEALTHY else 0.9,
            "figures": figures(hits[name], name in HEALTHY),
            "dice_at_half": 0.25,
        }
        | ({"change_healthy_hu": 2.0 + fold} if method_of(key).restores else {})
        for name in FOLDS[dataset][fold - 1]
    ]
    return {
        "dataset": dataset, "key": key, "fold": fold, "seed": seed, "budget": budget if method_of(key).trains else 0, "of_folds": len(FOLDS[dataset]),
        "trained_on": ["a"], "parameters": 12345, "steps": budget, "train_s": 10.0 * fold, "ms_per_slice": 2.0,
        "inserted_auroc": 0.9, "threshold": 0.5, "threads": 1, "version": "0", "cases": cases,
    }  # fmt: skip


def write_folds(folder: Path, dataset: str, key: str, hit: int = 1, seed: int = 0, budget: int = BUDGET) -> None:
    """Write all folds of a method's seed to ``runs`` in a folder; in every second case one row more is predicted than ``hit``."""
    (folder / "runs").mkdir(exist_ok=True)
    for fold, names in enumerate(FOLDS[dataset], start=1):
        made = run(dataset, key, fold, seed, {name: min(6, hit + place % 2) for place, name in enumerate(names)}, budget)
        (folder / "runs" / f"{dataset}-{key}-f{fold}-s{seed}-b{made['budget']}.json").write_text(json.dumps(made))


@pytest.fixture
def put(tmp_path):
    """Write invented runs to the test's own folder."""
    return partial(write_folds, tmp_path)


@pytest.fixture(scope="module")
def put_once(tmp_path_factory):
    """Write invented runs for all tests of a file; gives the folder, too."""
    folder = tmp_path_factory.mktemp("invented")
    return folder, partial(write_folds, folder)
