"""The stored figures of the comparison: one file for each system and world, with every seed pooled over its folds, that comes with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.models.registry import BUDGET, SYSTEMS, WORLDS
from napari_liver_anomaly.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORD = Path(__file__).parent / "record"
DIGITS = 5  # decimal places that stored figures keep
SAID = ("sd_cases", "sd_seeds", "cases", "seeds", "updates", "train_s", "ms_per_slice")


def seeds_of(world: str, record: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """Read what is on record of one world.

    Parameters
    ----------
    world : str
        ``patients`` or ``phantom``.
    record : Path, optional
        Folder written by :func:`gather`; the one that comes with the package when nothing is said.

    Returns
    -------
    dict
        System key to its seeds, each as made by :func:`pooled_over_folds`; a system without a run has no entry.
    """
    folder = record or RECORD
    found = {}
    for entry in SYSTEMS:
        file = folder / f"{world}-{entry.key}.json"
        if file.is_file():
            found[entry.key] = json.loads(file.read_text(encoding="utf-8"))["seeds"]
    return found


def pooled_over_folds(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the folds of one system and seed together.

    Parameters
    ----------
    runs : sequence of dict
        As written by ``comparing.run_one``; every fold has other cases.

    Returns
    -------
    dict
        ``seed``, ``folds``, ``parameters``, ``updates``, ``train_s`` (mean of a fold), ``ms_per_slice``, ``planted_auroc``,
        ``thresholds``, ``threads``; ``cases``, a row of plain
        figures for each; and ``pooled``, as :func:`metrics.pool` gives it for all cases.
    """
    from napari_liver_anomaly.metrics import pool

    rows = []
    for case in [case for run in runs for case in run["cases"]]:
        alone = pool([case["figures"]])
        rows.append({
            "case": case["case"], "tumour_ml": case["tumour_ml"], "dice": case["figures"]["dice"],
            "post_processed_dice": case["figures"]["post_processed"]["dice"], "best_dice": alone["best_dice"]["pooled"],
            "average_precision": alone["average_precision"]["pooled"], "auroc": alone["auroc_in_liver"]["pooled"],
            "false": case["figures"]["lesions"]["false"], "dice_at_half": case["dice_at_half"],
            **{key: case[key] for key in ("change_healthy_hu",) if key in case},
        })  # fmt: skip
    mean = {key: round(sum(run[key] for run in runs) / len(runs), 3) for key in ("train_s", "ms_per_slice")}
    planted = [run["planted_auroc"] for run in runs if run["planted_auroc"] is not None]
    mean["planted_auroc"] = round(sum(planted) / len(planted), 4) if planted else None
    mean["thresholds"] = [run["threshold"] for run in runs]
    same = {key: runs[0][key] for key in ("seed", "parameters", "updates", "threads", "version")}
    return {
        **same, **mean, "folds": len(runs), "learned_from": [run["learned_from"] for run in runs],
        "cases": rows, "pooled": pool([case["figures"] for run in runs for case in run["cases"]]),
    }  # fmt: skip


def gather(runs: Path, record: Path, budget: int = BUDGET) -> list[str]:
    """Bring finished runs into the record: every system and seed of which all folds are there.

    Other seeds that are on record of the same cases and length stay; those of other cases or another length go, so that a record is one comparison.

    Parameters
    ----------
    runs : Path
        Folder with the files of ``comparing.run_one``.
    record : Path
        Folder to write to, one file for each world and system; files of systems without a run are left as they are.
    budget : int
        Updates of the runs that are taken; runs of other lengths are no folds of theirs. Rules, which do not learn, are always taken.

    Returns
    -------
    list of str
        Names of the files written.
    """
    from napari_liver_anomaly.metrics import plain

    there: dict[tuple[str, str], dict[int, list[dict[str, Any]]]] = {}
    for file in sorted(runs.glob("*.json")):
        run = json.loads(file.read_text(encoding="utf-8"))
        if run["budget"] not in (0, budget):
            continue
        there.setdefault((run["world"], run["key"]), {}).setdefault(run["seed"], []).append(run)
    written = []
    for (world, key), seeds in there.items():
        whole = [group for _, group in sorted(seeds.items()) if len(group) == group[0]["of_folds"]]
        if not whole:
            continue
        path = record / f"{world}-{key}.json"
        new = [pooled_over_folds(group) for group in whole]
        old = json.loads(path.read_text(encoding="utf-8"))["seeds"] if path.is_file() else []
        known = {seed["seed"] for seed in new}
        kept = [seed for seed in old if seed["seed"] not in known and _comparable(seed, new[0])]
        found = {"world": world, "key": key, "seeds": sorted([*kept, *new], key=lambda seed: seed["seed"])}
        with replacing(path) as beside:
            beside.write_text(json.dumps(plain(found, DIGITS), ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path.name)
    return written


def _comparable(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two seeds were trained as long, on the same livers, and measured on the same."""
    same = [
        ({case["case"] for case in seed["cases"]}, seed["updates"], seed["folds"], seed["learned_from"]) for seed in (one, other)
    ]
    return same[0] == same[1]


def dice_by_case(seeds: Sequence[dict[str, Any]], figure: str = "dice") -> dict[str, float]:
    """Give every tumour case's Dice, mean over seeds.

    Parameters
    ----------
    seeds : sequence of dict
        As in the record.
    figure : str
        Another figure of the case's row instead, such as ``average_precision``.

    Returns
    -------
    dict
        Name of the case to Dice; cases without tumour have none.
    """
    values: dict[str, list[float]] = {}
    for seed in seeds:
        for case in seed["cases"]:
            if case[figure] is not None and case["tumour_ml"] > 0:
                values.setdefault(case["case"], []).append(case[figure])
    return {name: sum(many) / len(many) for name, many in values.items()}


def summary_of(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum up one system in one world.

    Parameters
    ----------
    seeds : sequence of dict
        As in the record.

    Returns
    -------
    dict
        ``case_mean_dice``: mean over cases with tumour of the mean over seeds; ``sd_cases`` over cases, ``sd_seeds`` over seeds' means (None for
        one); ``cases``, ``seeds``, ``parameters``, ``updates``; ``train_s`` and ``ms_per_slice``, medians over seeds, since a
        machine that does other work, or a training that is paused, makes single ones long.
    """
    from statistics import fmean, median, stdev

    cases = list(dice_by_case(seeds).values())
    means = [fmean(dice_by_case([seed]).values()) for seed in seeds if dice_by_case([seed])]
    return {
        "case_mean_dice": round(fmean(cases), 4) if cases else None,
        "sd_cases": round(stdev(cases), 4) if len(cases) > 1 else None,
        "sd_seeds": round(stdev(means), 4) if len(means) > 1 else None,
        "cases": len(cases), "seeds": len(seeds), "parameters": seeds[0]["parameters"], "updates": seeds[0]["updates"],
        "train_s": round(median(seed["train_s"] for seed in seeds), 1),
        "ms_per_slice": round(median(seed["ms_per_slice"] for seed in seeds), 2),
    }  # fmt: skip


def systems() -> list[dict[str, Any]]:
    """List every system with its state and figures.

    Returns
    -------
    list of dict
        In the order of :data:`SYSTEMS`: ``key``, ``title``, ``paper``, ``trained`` (whether a training, or for a rule a measurement, is on
        record), ``learns``, ``restores``, ``parameters``, ``megabytes`` (of its weights in single precision), ``case_mean_dice`` on patients and
        the rest of :func:`summary_of`, and ``phantom`` with the same for the phantom; None where nothing is on record.
    """
    patients, phantom = (seeds_of(world) for world in WORLDS)
    listed = []
    for entry in SYSTEMS:
        here = summary_of(patients[entry.key]) if entry.key in patients else {}
        there = summary_of(phantom[entry.key]) if entry.key in phantom else None
        parameters = (here or there or {}).get("parameters")
        listed.append({
            "key": entry.key, "title": entry.title, "paper": entry.paper, "learns": entry.learns, "restores": entry.restores,
            "trained": bool(here or there), "parameters": parameters,
            "megabytes": None if parameters is None else round(parameters * 4 / 1e6, 2),
            "case_mean_dice": here.get("case_mean_dice"), **{key: here.get(key) for key in SAID}, "phantom": there,
        })  # fmt: skip
    return listed
