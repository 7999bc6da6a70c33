"""The list of all methods with their figures, as data and as a table for people; needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liver_anomaly_study.record import methods
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.models import names, path_of
from napari_liver_anomaly.models.card import ModelCard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NONE = "–"
HEAD = ("method", "status", "parameters", "size", "Dice ± SD, patients", "Dice ± SD, phantom", "installed as")
WIDTHS = (22, 12, 11, 9, 26, 19, 15)  # with the gaps 120 columns
NOTE = "Dice: mean over cases ± SD over cases (cases × seeds). Install a model with 'liver-anomaly install FILE'."


def list_methods() -> list[dict[str, Any]]:
    """List every method with its figures, and the models of it that are there."""
    found: dict[str, list[str]] = {}
    for name in names():
        try:
            method = ModelCard.read(path_of(name)).known_method()
        except Refusal:  # said when the model is used
            continue
        if method is not None:
            found.setdefault(method.key, []).append(name)
    return [one | {"installed": one["key"] in found, "models": found.get(one["key"], [])} for one in methods()]


def table_of(listed: Sequence[Mapping[str, Any]]) -> str:
    """Make the table of methods for a terminal."""
    lines = [_line(HEAD)]
    for one in listed:
        status = "rule" if not one["learns"] else "trained" if one["trained"] else "not trained"
        size = f"{one['megabytes']:.2f} MB" if one["megabytes"] else NONE
        parameters = f"{one['parameters']:,}" if one["parameters"] is not None else NONE
        lines += [
            _line((
                one["key"], status, parameters, size, figure_of(one), figure_of(one["phantom"] or {}),
                ", ".join(one["models"]) or NONE,
            )),
            f"    {one['title']} · {one['paper']}"[:120],
        ]  # fmt: skip
    return "\n".join([*lines, NOTE])


def figure_of(summary: Mapping[str, Any]) -> str:
    """Give the figure of a method on one data set, such as ``0.31 ± 0.25 (12 × 3)``: cases and seeds in brackets."""
    if summary.get("case_mean_dice") is None:
        return NONE
    spread = f" ± {summary['sd_cases']:.2f}" if summary.get("sd_cases") is not None else ""
    return f"{summary['case_mean_dice']:.2f}{spread} ({summary['cases']} × {summary['seeds']})"


def _line(cells: Sequence[str]) -> str:
    """Set cells into columns; numbers to the right, the last as long as there is room."""
    fitted = [
        cell.rjust(width) if place in (2, 3) else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    ]
    line = " ".join(fitted).rstrip()
    return line if len(line) <= 120 else f"{line[:119]}…"
