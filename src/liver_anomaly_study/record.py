"""The stored figures of the comparison: one file for each method and data set, with every seed pooled over its folds, that comes with the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liver_anomaly_study.messages import make_refusal
from napari_liver_anomaly.models.methods import BUDGET, METHODS
from napari_liver_anomaly.placing import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

DATASETS = ("patients", "phantom")  # what methods are compared on
STRICT = "strict"  # patients, trained on those without any tumour only
LENGTHS = "lengths"  # folder in the record of trainings that are longer or shorter than the comparison's
RECORD = Path(__file__).parent / "record"
DIGITS = 5  # decimal places that stored figures keep
SHOWN = ("sd_cases", "sd_seeds", "cases", "seeds", "steps", "train_s", "ms_per_slice")


def read_figures(path: Path, *needed: str) -> dict[str, Any]:
    """Read figures that a run wrote; refused where they are cut short or lack what is needed."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stored, dict) or not set(needed) <= stored.keys():
            raise ValueError("no figures")
    except (ValueError, RecursionError):
        raise make_refusal("figures-damaged", file=path.name) from None
    return stored


def seeds_of(dataset: str, record: Path | None = None) -> dict[str, list[dict[str, Any]]]:
    """Read what is on record of one data set: key of the method to its seeds, each from :func:`pooled_over_folds`."""
    folder = record or RECORD
    found = {}
    for method in METHODS:
        file = folder / f"{dataset}-{method.key}.json"
        if file.is_file():
            found[method.key] = read_figures(file, "seeds")["seeds"]
    return found


def lengths_of(dataset: str, record: Path | None = None) -> list[tuple[str, list[dict[str, Any]]]]:
    """Read what is on record of trainings of other lengths: key of the method and its seeds, in the order of the methods and of length."""
    order = [method.key for method in METHODS]
    found = []
    for file in ((record or RECORD) / LENGTHS).glob(f"{dataset}-*.json"):
        stored = read_figures(file, "key", "budget", "seeds")
        if stored["key"] in order:
            found.append((order.index(stored["key"]), stored["budget"], stored["seeds"]))
    return [(order[place], seeds) for place, _, seeds in sorted(found, key=lambda one: one[:2])]


def pooled_over_folds(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the folds of one method and seed together."""
    from napari_liver_anomaly.metrics import pool

    rows = []
    for case in [case for run in runs for case in run["cases"]]:
        alone = pool([case["figures"]])
        rows.append({
            "case": case["case"], "tumour_ml": case["tumour_ml"], "dice": case["figures"]["dice"],
            "post_processed_dice": case["figures"]["post_processed"]["dice"], "best_dice": alone["best_dice"]["pooled"],
            "average_precision": alone["average_precision"]["pooled"], "auroc": alone["auroc_in_liver"]["pooled"],
            "false": case["figures"]["lesions"]["false"], "dice_at_half": case["dice_at_half"],
            **{key: case[key] for key in ("change_healthy_hu", "dice_at_outlines") if key in case},
        })  # fmt: skip
    mean = {key: round(sum(run[key] for run in runs) / len(runs), 3) for key in ("train_s", "ms_per_slice")}
    inserted = [run["inserted_auroc"] for run in runs if run["inserted_auroc"] is not None]
    mean["inserted_auroc"] = round(sum(inserted) / len(inserted), 4) if inserted else None
    mean["thresholds"] = [run["threshold"] for run in runs]
    same = {key: runs[0][key] for key in ("seed", "parameters", "steps", "threads", "version")}
    return {
        **same, **mean, "folds": len(runs), "trained_on": [run["trained_on"] for run in runs],
        "cases": rows, "pooled": pool([case["figures"] for run in runs for case in run["cases"]]),
    }  # fmt: skip


def gather(runs: Path, record: Path, budget: int = BUDGET) -> list[str]:
    """Bring finished runs into the record: every method and seed of which all folds are there.

    Seeds on record of other cases or another length go, so that a record is one comparison; runs of other lengths than ``budget`` have files of
    their own, in the folder ``lengths``.
    """
    from napari_liver_anomaly.metrics import plain

    there: dict[tuple[str, str, int], dict[int, list[dict[str, Any]]]] = {}
    for file in sorted(runs.glob("*.json")):
        run = read_figures(file, "budget", "dataset", "key", "seed", "of_folds")
        other = 0 if run["budget"] == budget else run["budget"]  # 0, too, for what is not trained
        there.setdefault((run["dataset"], run["key"], other), {}).setdefault(run["seed"], []).append(run)
    written = []
    for (dataset, key, other), seeds in there.items():
        whole = [group for _, group in sorted(seeds.items()) if len(group) == group[0]["of_folds"]]
        if not whole:
            continue
        name = f"{LENGTHS}/{dataset}-{key}-{other}.json" if other else f"{dataset}-{key}.json"
        path = record / name
        new = [pooled_over_folds(group) for group in whole]
        old = read_figures(path, "seeds")["seeds"] if path.is_file() else []
        known = {seed["seed"] for seed in new}
        kept = [seed for seed in old if seed["seed"] not in known and _comparable(seed, new[0])]
        about = {"dataset": dataset, "key": key} | ({"budget": other} if other else {})
        found = about | {"seeds": sorted([*kept, *new], key=lambda seed: seed["seed"])}
        with replacing(path) as beside:
            beside.write_text(json.dumps(plain(found, DIGITS), ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(name)
    return written


def _comparable(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two seeds were trained as long, on the same livers, and measured on the same."""
    same = [({case["case"] for case in seed["cases"]}, seed["steps"], seed["folds"], seed["trained_on"]) for seed in (one, other)]
    return same[0] == same[1]


def dice_by_case(seeds: Sequence[dict[str, Any]], figure: str = "dice") -> dict[str, float]:
    """Dice, or another figure, of every case with tumour, mean over seeds."""
    values: dict[str, list[float]] = {}
    for seed in seeds:
        for case in seed["cases"]:
            if case.get(figure) is not None and case["tumour_ml"] > 0:
                values.setdefault(case["case"], []).append(case[figure])
    return {name: sum(many) / len(many) for name, many in values.items()}


def summary_of(seeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum up one method on one data set; times are medians over seeds, since a machine that does other work makes single ones long."""
    from statistics import fmean, median, stdev

    cases = list(dice_by_case(seeds).values())
    means = [fmean(dice_by_case([seed]).values()) for seed in seeds if dice_by_case([seed])]
    return {
        "case_mean_dice": round(fmean(cases), 4) if cases else None,
        "sd_cases": round(stdev(cases), 4) if len(cases) > 1 else None,
        "sd_seeds": round(stdev(means), 4) if len(means) > 1 else None,
        "cases": len(cases), "seeds": len(seeds), "parameters": seeds[0]["parameters"], "steps": seeds[0]["steps"],
        "train_s": round(median(seed["train_s"] for seed in seeds), 1),
        "ms_per_slice": round(median(seed["ms_per_slice"] for seed in seeds), 2),
    }  # fmt: skip


def methods() -> list[dict[str, Any]]:
    """List every method with its state and its figures on patients, and on the phantom under ``phantom``."""
    patients, phantom = (seeds_of(dataset) for dataset in DATASETS)
    listed = []
    for method in METHODS:
        here = summary_of(patients[method.key]) if method.key in patients else {}
        there = summary_of(phantom[method.key]) if method.key in phantom else None
        parameters = (here or there or {}).get("parameters")
        listed.append({
            "key": method.key, "title": method.title, "paper": method.paper, "learns": method.trains, "restores": method.restores,
            "trained": bool(here or there), "parameters": parameters,
            "megabytes": None if parameters is None else round(parameters * 4 / 1e6, 2),
            "case_mean_dice": here.get("case_mean_dice"), **{key: here.get(key) for key in SHOWN}, "phantom": there,
        })  # fmt: skip
    return listed
