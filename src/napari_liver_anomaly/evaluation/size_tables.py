"""Tables of lesions by their size, and of small lesions for each patient, from a stored evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.evaluation.tables import NONE, SIZE_WORDS, markdown_table, number

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALL = "under_10_mm"


def size_table(report: dict[str, Any], methods: Sequence[str]) -> str:
    """Say for each size how many lesions are detected and covered to half, and the sensitivity at numbers of false lesions per scan."""
    rows, falses = [], []
    for name in methods:
        lesions = report["summary"][name]["all"]["lesions"]
        if (
            "half_covered_by_size" not in lesions or "sensitivity_at" not in lesions
        ):  # of an earlier version, or a method without curves
            continue
        for size, words in SIZE_WORDS.items():
            at = lesions["sensitivity_at"][size]
            falses = list(at)
            counts = [
                f"{one[size]['found']} of {one[size]['of']}" for one in (lesions["by_size"], lesions["half_covered_by_size"])
            ]
            rows.append([name, words, *counts, *(number(at[false], 2) for false in falses)])
    head = ["what", "size", "detected", "covered to half", *(f"sensitivity at {false} false per scan" for false in falses)]
    return markdown_table(head, rows) if rows else ""


def patient_table(report: dict[str, Any], methods: Sequence[str]) -> str:
    """Say for each scan with lesions under 10 mm how many of them each method detects."""
    rows = []
    for case in report["cases"]:
        pairs = [case["methods"][name]["lesions"]["by_size"][SMALL] for name in methods]
        if any(pair["of"] for pair in pairs):
            rows.append([case["case"], *(f"{pair['found']} of {pair['of']}" if pair["of"] else NONE for pair in pairs)])
    return markdown_table(["scan", *(f"under 10 mm detected, {name}" for name in methods)], rows) if rows else ""
