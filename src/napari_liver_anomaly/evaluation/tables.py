"""Tables and curves of stored evaluations, in Markdown and as images, made from JSON alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import Refusal, UnreadableFile
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.metrics import froc
from napari_liver_anomaly.storage import opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

LARGEST_REPORT = 2**28
NONE = "–"
SIZE_WORDS = {"under_10_mm": "under 10 mm", "10_to_20_mm": "10 to 20 mm", "over_20_mm": "over 20 mm"}
HEAD = (
    "what", "Dice, pooled", "case mean ± SD", "slice mean", "best Dice, pooled (oracle)", "AUROC, mean", "≥ 10 mm detected", "< 10 mm detected",
    "false per scan ± SD", "false, scans without tumour",
)  # fmt: skip


def read_json(path: str | Path) -> dict[str, Any]:
    """Read figures that a verb wrote earlier."""
    try:
        with opened(path) as stream:
            report = json.loads(stream.read(LARGEST_REPORT))
        if not isinstance(report, dict):
            raise ValueError("no evaluation")
    except (UnreadableFile, ValueError, RecursionError):
        raise _unreadable() from None
    return report


def read_report(path: str | Path) -> dict[str, Any]:
    """Read a stored evaluation."""
    import numpy as np

    report = read_json(path)
    try:
        if not {"summary", "cases"} <= report.keys():
            raise ValueError("no evaluation")
        with np.errstate(all="raise"):  # it holds what tables are made of
            _ = method_table(report), seeds_line(report), case_table(report, list(report["summary"])[:1])
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError):
        raise _unreadable() from None
    return report


def _unreadable() -> Refusal:
    return make_refusal("report-unreadable")


def method_table(report: dict[str, Any], methods: Sequence[str] | None = None, words: dict[str, str] | None = None) -> str:
    """Compare methods over all scans of a report."""
    wanted = methods or list(report["summary"])
    return markdown_table(
        HEAD, [[(words or {}).get(name, name), *_row(report, name)] for name in wanted if name in report["summary"]]
    )


def seeds_line(report: dict[str, Any]) -> str:
    """Say how much the figures scatter over seeds."""
    import numpy as np

    seeds = [report["summary"][name]["all"] for name in report["summary"] if name.startswith("seed-") and "," not in name]
    if len(seeds) < 2:
        return ""
    parts = []
    for word, values in (
        ("pooled Dice", [s["dice"]["pooled"] for s in seeds]),
        ("case mean", [s["dice"]["case_mean"]["mean"] for s in seeds]),
        ("slice mean", [s["dice"]["slice_mean"]["mean"] for s in seeds]),
        ("AUROC", [s["auroc_in_liver"]["case_mean"]["mean"] for s in seeds]),
        ("false lesions per scan", [s["lesions"]["false_per_scan"]["mean"] for s in seeds]),
    ):
        parts.append(f"{word} {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}")
    return f"Single models, mean ± SD over {len(seeds)} seeds: {', '.join(parts)}."


def case_table(report: dict[str, Any], methods: Sequence[str]) -> str:
    """Compare methods scan by scan."""
    head = ["scan", "tumour, ml", *(f"{what}, {name}" for what in ("Dice", "AUROC", "detected", "false") for name in methods)]
    rows = []
    for case in report["cases"]:
        found = [case["methods"][name] for name in methods]
        cells = [case["case"], f"{case['tumour_ml']:.1f}"]
        cells += [number(row["dice"], 2) for row in found] + [number(row["auroc_in_liver"], 2) for row in found]
        cells += [f"{row['lesions']['found']} of {row['lesions']['of']}" if row["lesions"]["of"] else NONE for row in found]
        rows.append(cells + [str(row["lesions"]["false"]) for row in found])
    return markdown_table(head, rows)


def draw_curves(report: dict[str, Any], method: str, path: str | Path) -> None:
    """Draw FROC, sensitivity by size, and calibration of the scores."""
    import numpy as np
    from matplotlib.figure import Figure

    curves = [case["methods"][method]["curve"] for case in report["cases"] if "curve" in case["methods"].get(method, {})]
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    free, size, sure = figure.subplots(1, 3)
    curve = froc([curve["thresholds"] for curve in curves])
    for name, words in SIZE_WORDS.items():
        free.plot(curve["false_per_scan"], curve["sensitivity"][name], "o-", markersize=3, label=words)
        size.plot(curve["thresholds"], curve["sensitivity"][name], "o-", markersize=3, label=words)
    free.set(
        xlabel="false lesions per scan",
        ylabel="fraction of lesions detected",
        title="FROC by equivalent diameter",
        ylim=(0, 1.02),
    )
    size.set(xlabel="threshold", ylabel="fraction of lesions detected", title="Sensitivity and threshold", ylim=(0, 1.02))
    voxels = np.sum([curve["bins"]["voxels"] for curve in curves], axis=0)
    tumour = np.sum([curve["bins"]["tumour"] for curve in curves], axis=0)
    middle = (np.arange(len(voxels)) + 0.5) / len(voxels)
    sure.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    sure.plot(middle[voxels > 0], (tumour / np.maximum(voxels, 1))[voxels > 0], "o-", markersize=3)
    sure.set(xlabel="score", ylabel="share of voxels that are tumour", title="Calibration of the score", xlim=(0, 1), ylim=(0, 1))
    for axes in (free, size):
        axes.legend(fontsize=8)
    for axes in (free, size, sure):
        axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None} if str(path).endswith(".svg") else None)


def _row(report: dict[str, Any], name: str) -> list[str]:
    """Give the cells of one method."""
    all_ = report["summary"][name]["all"]
    dice, lesions = all_["dice"], all_["lesions"]
    sizes = lesions["by_size"]
    large = [sizes[size] for size in ("10_to_20_mm", "over_20_mm")]
    without = [str(case["methods"][name]["lesions"]["false"]) for case in report["cases"] if not case["tumour_ml"]]
    case, false = dice["case_mean"], lesions["false_per_scan"]
    return [
        number(dice["pooled"], 3), _mean(case, 3), _mean(dice["slice_mean"], 3, sd=False),
        number(all_["best_dice"]["pooled"], 3), _mean(all_["auroc_in_liver"]["case_mean"], 3, sd=False),
        f"{sum(s['found'] for s in large)} of {sum(s['of'] for s in large)}",
        f"{sizes['under_10_mm']['found']} of {sizes['under_10_mm']['of']}",
        _mean(false, 1), ", ".join(without) or NONE,
    ]  # fmt: skip


def _mean(mean: dict[str, Any], digits: int, *, sd: bool = True) -> str:
    """Say a mean with what it was taken over."""
    spread = f" ± {number(mean['sd'], digits)}" if sd else ""
    return f"{number(mean['mean'], digits)}{spread} ({mean['n']} of {mean['of']})"


def number(value: float | None, digits: int) -> str:
    """Write a number for a cell."""
    return NONE if value is None else f"{value:.{digits}f}"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
