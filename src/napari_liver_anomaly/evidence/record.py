"""The stored figures of the comparison, as they come with the package: one file for each system and world, written by ``evidence tables``."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from napari_liver_anomaly.methods.registry import SYSTEMS, WORLDS


def runs_of(world: str) -> dict[str, list[dict[str, Any]]]:
    """Read what is on record of one world.

    Parameters
    ----------
    world : str
        ``patients`` or ``phantom``.

    Returns
    -------
    dict
        System key to its runs, each as written by ``comparing.run_one``; a system without a run has no entry.
    """
    folder = resources.files("napari_liver_anomaly") / "evidence" / "record"
    found = {}
    for entry in SYSTEMS:
        file = folder / f"{world}-{entry.key}.json"
        if file.is_file():
            found[entry.key] = json.loads(file.read_text(encoding="utf-8"))["runs"]
    return found


def summary_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum up the runs of one system in one world.

    Parameters
    ----------
    runs : list of dict
        Seeds and folds of one system; every fold has other cases.

    Returns
    -------
    dict
        ``case_mean_dice``: mean over seeds of the mean over cases with tumour; ``sd_cases`` over cases (mean over seeds first), ``sd_seeds``
        over seeds (None for one); ``cases``, ``seeds``, ``parameters``, ``updates``, ``train_s`` (mean of a run), ``ms_per_slice``.
    """
    import numpy as np

    seeds = sorted({run["seed"] for run in runs})
    table: dict[str, dict[int, float]] = {}
    for run in runs:
        for case in run["cases"]:
            if case["tumour_ml"] > 0:
                table.setdefault(case["case"], {})[run["seed"]] = case["dice"]
    whole = [seed for seed in seeds if all(seed in by_seed for by_seed in table.values())]
    by_seed = [float(np.mean([values[seed] for values in table.values()])) for seed in whole]
    by_case = [float(np.mean(list(values.values()))) for values in table.values()]
    return {
        "case_mean_dice": round(float(np.mean(by_case)), 4) if by_case else None,
        "sd_cases": round(float(np.std(by_case, ddof=1)), 4) if len(by_case) > 1 else None,
        "sd_seeds": round(float(np.std(by_seed, ddof=1)), 4) if len(by_seed) > 1 else None,
        "cases": len(by_case), "seeds": len(seeds), "parameters": runs[0]["parameters"], "updates": runs[0]["updates"],
        "train_s": round(float(np.mean([run["train_s"] for run in runs])), 1),
        "ms_per_slice": round(float(np.mean([run["ms_per_slice"] for run in runs])), 2),
    }  # fmt: skip


def systems() -> list[dict[str, Any]]:
    """List every system with its state and figures.

    Returns
    -------
    list of dict
        In the order of :data:`SYSTEMS`: ``key``, ``title``, ``paper``, ``trained`` (whether a run is on record; a rule without learning counts as
        ready), ``learns``, ``restores``, ``parameters``, ``megabytes`` (of its weights in single precision), ``case_mean_dice`` on patients and
        the rest of :func:`summary_of`, and ``phantom`` with the same for the phantom; None where nothing is on record.
    """
    patients, phantom = (runs_of(world) for world in WORLDS)
    listed = []
    for entry in SYSTEMS:
        here = summary_of(patients[entry.key]) if entry.key in patients else {}
        there = summary_of(phantom[entry.key]) if entry.key in phantom else None
        parameters = here.get("parameters", there["parameters"] if there else 0 if not entry.learns else None)
        listed.append({
            "key": entry.key, "title": entry.title, "paper": entry.paper, "learns": entry.learns, "restores": entry.restores,
            "trained": bool(here or there), "parameters": parameters,
            "megabytes": None if parameters is None else round(parameters * 4 / 1e6, 2),
            "case_mean_dice": here.get("case_mean_dice"), **{key: here.get(key) for key in SAID}, "phantom": there,
        })  # fmt: skip
    return listed


SAID = ("sd_cases", "sd_seeds", "cases", "seeds", "updates", "train_s", "ms_per_slice")
