"""Figures of the record as the cells of a table: means over seeds, with spreads over cases and over seeds told apart."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any

from liver_anomaly_study.published import NOT_PRINTED
from liver_anomaly_study.record import dice_by_case
from napari_liver_anomaly.evaluation.tables import NONE, markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from liver_anomaly_study.published import Line

    Seeds = Sequence[dict[str, Any]]  # one method on one data set, as in the record
    Record = dict[str, list[dict[str, Any]]]  # of one data set, by key of the method
    Lengths = Sequence[tuple[str, list[dict[str, Any]]]]  # of one data set, key of the method and seeds of one length


@dataclass(frozen=True)
class Column:
    """One column of measured figures: its head, and what stands in the row of a method."""

    head: str
    cell: Callable[[Seeds], str]


def values(seeds: Seeds, path: str) -> list[float]:
    """One pooled figure of every seed that has it; ``path`` is where it stands in ``pooled``, such as ``dice.case_mean.mean``."""
    found = []
    for seed in seeds:
        value: Any = seed["pooled"]
        for key in path.split("."):
            value = value[key]
        if value is not None:
            found.append(float(value))
    return found


def over_seeds(path: str, digits: int = 3, *, sd: bool = False) -> Callable[[Seeds], str]:
    """Make a cell with a pooled figure's mean over seeds, and the SD over seeds if asked for."""

    def cell(seeds: Seeds) -> str:
        found = values(seeds, path)
        spread = f" ± {number(stdev(found) if len(found) > 1 else None, digits)}" if sd else ""
        return f"{number(fmean(found), digits)}{spread}" if found else NONE

    return cell


def over_slices(path: str, digits: int = 3) -> Callable[[Seeds], str]:
    """Make a cell with mean ± SD over slices with tumour, both the mean over seeds."""

    def cell(seeds: Seeds) -> str:
        return f"{over_seeds(f'{path}.mean', digits)(seeds)} ± {over_seeds(f'{path}.sd', digits)(seeds)}"

    return cell


def over_cases(figure: str = "dice", digits: int = 3) -> Callable[[Seeds], str]:
    """Make a cell with mean ± SD over the cases with tumour, each its mean over seeds."""

    def cell(seeds: Seeds) -> str:
        found = list(dice_by_case(seeds, figure).values())
        return f"{number(fmean(found), digits)} ± {number(stdev(found) if len(found) > 1 else None, digits)}" if found else NONE

    return cell


def inserted(seeds: Seeds) -> str:
    """AUROC of the inserted lesion against the liver around it, mean over seeds."""
    found = [seed["inserted_auroc"] for seed in seeds if seed["inserted_auroc"] is not None]
    return number(fmean(found), 3) if found else NONE


def change_hu(seeds: Seeds) -> str:
    """Change of healthy liver by the restorer in HU, mean over cases and seeds."""
    found = [case["change_healthy_hu"] for seed in seeds for case in seed["cases"] if "change_healthy_hu" in case]
    return number(fmean(found), 1) if found else NONE


# What stands beside every row: without it no figure can be judged.
BESIDE = (
    Column("cases with tumour", lambda seeds: f"{seeds[0]['pooled']['scans_with_tumour']} of {seeds[0]['pooled']['scans']}"),
    Column("seeds", lambda seeds: str(len(seeds))),
    Column("prevalence", over_seeds("average_precision.prevalence", 4)),
    Column("parameters", lambda seeds: f"{seeds[0]['parameters']:,}"),
    Column("ms per slice", lambda seeds: number(median(seed["ms_per_slice"] for seed in seeds), 1)),
    Column("training, s", lambda seeds: number(median(seed["train_s"] for seed in seeds), 0)),
)


def beside_paper(record: Record, dataset: str, lines: Iterable[Line], head: Sequence[str], columns: Sequence[Column]) -> str:
    """Set measured figures beside published ones, each under a head that says which it is."""
    rows = []
    for line in lines:
        seeds = record.get(line.key, [])
        shown = [_post_processed(seed) for seed in seeds] if line.post_processed else seeds
        cells = [column.cell(shown) for column in columns] + [column.cell(seeds) for column in BESIDE] if seeds else []
        paper = (*line.paper, *[NOT_PRINTED] * len(head))[: len(head)]
        rows.append([line.label, *paper, *(cells or [NONE] * (len(columns) + len(BESIDE)))])
    heads = [f"here ({dataset}): {column.head}" for column in columns]
    return markdown_table(("method", *head, *heads, *(column.head for column in BESIDE)), rows)


def _post_processed(seed: dict[str, Any]) -> dict[str, Any]:
    """Put the Dice after opening and closing where that before it stands; what is taken from scores alone does not change."""
    cases = [case | {"dice": case["post_processed_dice"]} for case in seed["cases"]]
    return seed | {"cases": cases, "pooled": seed["pooled"] | seed["pooled"]["post_processed"]}
