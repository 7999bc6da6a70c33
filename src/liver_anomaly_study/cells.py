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

    Seeds = Sequence[dict[str, Any]]  # one system in one world, as in the record
    World = dict[str, list[dict[str, Any]]]  # by key of the system


@dataclass(frozen=True)
class Column:
    """One column of measured figures.

    Attributes
    ----------
    head : str
        What stands above it.
    cell : callable
        Takes the seeds of a system, and gives what stands in its row.
    """

    head: str
    cell: Callable[[Seeds], str]


def values(seeds: Seeds, path: str) -> list[float]:
    """Give one pooled figure of every seed.

    Parameters
    ----------
    seeds : sequence of dict
        As in the record.
    path : str
        Where it stands in ``pooled``, such as ``dice.case_mean.mean``.

    Returns
    -------
    list of float
        Without the seeds for which it has no meaning.
    """
    found = []
    for seed in seeds:
        value: Any = seed["pooled"]
        for key in path.split("."):
            value = value[key]
        if value is not None:
            found.append(float(value))
    return found


def over_seeds(path: str, digits: int = 3, *, sd: bool = False) -> Callable[[Seeds], str]:
    """Make a cell with a pooled figure's mean over seeds.

    Parameters
    ----------
    path : str
        As for :func:`values`.
    digits : int
        Decimal places.
    sd : bool
        Whether the SD over seeds is said; a dash for a single seed.

    Returns
    -------
    callable
        For a :class:`Column`.
    """

    def cell(seeds: Seeds) -> str:
        found = values(seeds, path)
        spread = f" ± {number(stdev(found) if len(found) > 1 else None, digits)}" if sd else ""
        return f"{number(fmean(found), digits)}{spread}" if found else NONE

    return cell


def over_slices(path: str, digits: int = 3) -> Callable[[Seeds], str]:
    """Make a cell with mean ± SD over slices with tumour, both the mean over seeds.

    Parameters
    ----------
    path : str
        As for :func:`values`, of a mean over slices.
    digits : int
        Decimal places.

    Returns
    -------
    callable
        For a :class:`Column`.
    """

    def cell(seeds: Seeds) -> str:
        return f"{over_seeds(f'{path}.mean', digits)(seeds)} ± {over_seeds(f'{path}.sd', digits)(seeds)}"

    return cell


def over_cases(figure: str = "dice", digits: int = 3) -> Callable[[Seeds], str]:
    """Make a cell with mean ± SD over the cases with tumour, each its mean over seeds.

    Parameters
    ----------
    figure : str
        Of a case's row in the record.
    digits : int
        Decimal places.

    Returns
    -------
    callable
        For a :class:`Column`.
    """

    def cell(seeds: Seeds) -> str:
        found = list(dice_by_case(seeds, figure).values())
        return f"{number(fmean(found), digits)} ± {number(stdev(found) if len(found) > 1 else None, digits)}" if found else NONE

    return cell


def planted(seeds: Seeds) -> str:
    """Say how well a ball 60 HU darker than healthy liver is ranked above the liver around it.

    Parameters
    ----------
    seeds : sequence of dict
        As in the record.

    Returns
    -------
    str
        Mean over seeds; a dash where no liver had room for it.
    """
    found = [seed["planted_auroc"] for seed in seeds if seed["planted_auroc"] is not None]
    return number(fmean(found), 3) if found else NONE


def change_hu(seeds: Seeds) -> str:
    """Say how much healthy liver is changed by the restorer, in HU.

    Parameters
    ----------
    seeds : sequence of dict
        As in the record.

    Returns
    -------
    str
        Mean over cases and seeds; a dash where nothing is restored.
    """
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


def beside_paper(record: World, world: str, lines: Iterable[Line], head: Sequence[str], columns: Sequence[Column]) -> str:
    """Set measured figures beside published ones, each under a head that says which it is.

    Parameters
    ----------
    record : dict
        What is on record of a world.
    world : str
        Its name.
    lines : iterable of Line
        Rows.
    head : sequence of str
        Above the published columns.
    columns : sequence of Column
        Measured here.

    Returns
    -------
    str
        A Markdown table with :data:`BESIDE` at its right; a system that is not on record has dashes.
    """
    rows = []
    for line in lines:
        seeds = record.get(line.key, [])
        cells = [column.cell([_tidied(seed) for seed in seeds] if line.tidied else seeds) for column in columns] if seeds else []
        around = [column.cell(seeds) for column in BESIDE] if seeds else []
        dashes = [NONE] * (len(columns) + len(BESIDE))
        rows.append([line.label, *(*line.paper, *[NOT_PRINTED] * len(head))[: len(head)], *([*cells, *around] or dashes)])
    heads = [f"here ({world}): {column.head}" for column in columns]
    return markdown_table(("system", *head, *heads, *(column.head for column in BESIDE)), rows)


def _tidied(seed: dict[str, Any]) -> dict[str, Any]:
    """Put the Dice after opening and closing where that before it stands; what is taken from scores alone does not change."""
    cases = [case | {"dice": case["post_processed_dice"]} for case in seed["cases"]]
    return seed | {"cases": cases, "pooled": seed["pooled"] | seed["pooled"]["post_processed"]}
