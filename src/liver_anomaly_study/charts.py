"""Charts of the comparison as SVG, made from the record alone: shapes of equal area, the ablation, and sensitivity against false lesions."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from liver_anomaly_study.messages import make_refusal
from liver_anomaly_study.published import P2_TABLE_2
from liver_anomaly_study.record import dice_by_case
from napari_liver_anomaly.placing import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from liver_anomaly_study.cells import Record, Seeds

SHAPES = {"random-shape-squares": "square", "random-shape-circles": "circle", "random-shape": "random"}
CELLS = {line.key: line.label.split(":")[0].replace(", ", "\n") for line in P2_TABLE_2}
MAIN = (
    "two-stage", "two-stage-ours", "direct", "hu", "draem", "random-shape", "dae", "layers", "asc-net", "cycle-continuous", "dark-rule",
)  # fmt: skip
FALSE_LESIONS = (0, 1, 2, 5, 10, 20, 50, 100)
BASELINES = {"dark-rule": "--", "local-z": ":"}


@dataclass(frozen=True)
class Chart:
    """One chart."""

    title: str  # for those who do not see it
    keys: tuple[str, ...]  # methods it draws, as far as they are on record
    rows: int  # of panels; the data sets are the columns
    draw: Callable[[Sequence[Any], Record], None]  # takes the panels of a data set, top down, and its record


def _bars(axes: Any, record: Record, names: Mapping[str, str], figure: str, label: str) -> None:
    """Draw mean over cases as a bar, the cases as dots, and the SD over seeds as a line where there are several."""
    shown = [key for key in names if key in record]
    for x, key in enumerate(shown):
        found = sorted(dice_by_case(record[key], figure).values())
        each = [fmean(dice_by_case([seed], figure).values()) for seed in record[key] if dice_by_case([seed], figure)]
        if not found:
            continue
        axes.bar(x, fmean(found), width=0.7, color="0.8", yerr=stdev(each) if len(each) > 1 else None, capsize=4)
        aside = [((rank % 5) - 2) * 0.08 for rank in range(len(found))]  # so that equal cases do not hide each other
        axes.plot([x + one for one in aside], found, "o", markersize=3, color="tab:blue", alpha=0.7)
    axes.set(xticks=range(len(shown)), xticklabels=[names[key] for key in shown], ylim=(-0.02, 1.02), ylabel=label)
    axes.grid(axis="y", alpha=0.3)


def _shapes(panels: Sequence[Any], record: Record) -> None:
    _bars(panels[0], record, SHAPES, "dice", "Dice of a case")
    _bars(panels[1], record, SHAPES, "average_precision", "average precision of a case")


def _ablation(panels: Sequence[Any], record: Record) -> None:
    _bars(panels[0], record, CELLS, "dice", "Dice of a case")


def _froc(panels: Sequence[Any], record: Record) -> None:
    """Draw lesion sensitivity against false lesions, mean over seeds at each threshold from 0.1 to 0.9."""
    axes = panels[0]
    for key in MAIN:
        if key in record:
            style: dict[str, Any] = {"linestyle": BASELINES[key], "color": "black"} if key in BASELINES else {}
            false, detected = (_mean_curve(record[key], *path) for path in (("false_per_scan",), ("sensitivity", "all")))
            axes.plot(false, detected, marker="o", markersize=2.5, linewidth=1.2, label=key, **style)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks(FALSE_LESIONS, [str(count) for count in FALSE_LESIONS], minor=False)
    axes.set_xticks([], minor=True)
    axes.set(xlim=(0, 150), ylim=(0, 1.02), xlabel="false lesions per scan", ylabel="lesion sensitivity")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)


def _mean_curve(seeds: Seeds, *path: str) -> list[float]:
    """Mean over seeds, threshold by threshold; NaN where it is not defined."""
    curves = [seed["pooled"]["froc"] for seed in seeds]
    for key in path:
        curves = [curve[key] for curve in curves]
    return [fmean(values) if None not in values else float("nan") for values in zip(*curves, strict=True)]


CHARTS = {
    "p3-figure-4": Chart("Scorer trained on squares, circles and random shapes of equal area: Dice and average precision", tuple(SHAPES), 2, _shapes),
    "ablation": Chart("Dice of the eight cells of the ablation: bars over cases, dots for cases, lines SD over seeds", tuple(CELLS), 1, _ablation),
    "froc": Chart("Lesion sensitivity against false lesions per scan, main methods and baseline", MAIN, 1, _froc),
}  # fmt: skip


def drawable(records: Mapping[str, Record]) -> dict[str, Chart]:
    """List the charts for which there is anything on record."""
    return {name: chart for name, chart in CHARTS.items() if any(_drawn(chart, record) for record in records.values())}


def _drawn(chart: Chart, record: Record) -> Record:
    return {key: record[key] for key in chart.keys if key in record}


def mark_of(chart: Chart, records: Mapping[str, Record]) -> str:
    """Give the fingerprint that a chart carries of the figures it was drawn from, so that an outdated one is noticed."""
    used = {dataset: _drawn(chart, record) for dataset, record in records.items()}
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()[:16]


def require_matplotlib() -> None:
    """Refuse to go on without matplotlib."""
    if find_spec("matplotlib") is None:
        raise make_refusal("matplotlib-missing", python=sys.executable)


def draw_charts(records: Mapping[str, Record], folder: Path) -> list[str]:
    """Draw every chart for which there is anything on record."""
    require_matplotlib()
    from matplotlib.figure import Figure

    written = []
    for name, chart in drawable(records).items():
        datasets = {dataset: drawn for dataset, record in records.items() if (drawn := _drawn(chart, record))}
        figure = Figure(figsize=(6 * len(datasets), 3.6 * chart.rows), layout="constrained")
        panels = figure.subplots(chart.rows, len(datasets), squeeze=False)
        for column, (dataset, record) in enumerate(datasets.items()):
            panels[0][column].set_title(dataset)
            chart.draw(list(panels[:, column]), record)
        save_svg(figure, folder / f"{name}.svg", chart.title, mark_of(chart, records))
        written.append(f"{name}.svg")
    return written


def save_svg(figure: Any, path: Path, title: str, description: str = "") -> None:
    """Write a figure as SVG, the same in every byte for the same figure and matplotlib."""
    import matplotlib

    about = {"Date": None, "Title": title} | ({"Description": description} if description else {})
    with matplotlib.rc_context({"svg.hashsalt": path.stem, "svg.fonttype": "none"}), replacing(path) as beside:
        figure.savefig(beside, format="svg", metadata=about)
