"""A detection limit as text, as a table, and as plain data."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, version
from napari_liver_anomaly.placing import replacing

if TYPE_CHECKING:
    from napari_liver_anomaly.detection.detection_limit import DetectionLimit

CORNER = "found/inserted"


def text_of(limit: DetectionLimit) -> str:
    """Write the table for a terminal: a row for each size, a column for each contrast."""
    rows = [[CORNER, *(f"{hu:g} HU darker" for hu in limit.settings.darker_hu)], *cells_of(limit)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def cells_of(limit: DetectionLimit) -> list[list[str]]:
    """Say each size and its cells; a cell without an inserted lesion says so with a dash, which is not the same as none found."""
    inserted, found = limit.inserted, limit.found
    return [
        [f"{mm:g} mm", *(f"{found[n, k]}/{inserted[n, k]}" if inserted[n, k] else "–" for k in range(inserted.shape[1]))]
        for n, mm in enumerate(limit.settings.diameters_mm)
    ]


def write_limit(limit: DetectionLimit, path: str | Path) -> None:
    """Write every inserted lesion as a table ``.csv``, or all of it as ``.json``."""
    path = Path(path)
    with replacing(path) as beside:
        if path.suffix.lower() == ".json":
            beside.write_text(json.dumps(plain_limit(limit), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            return
        lesions = _lesions(limit)
        with open(beside, "w", newline="", encoding="utf-8") as file:
            rows = csv.DictWriter(file, [*lesions[0], "notice"], lineterminator="\n")
            rows.writeheader()
            rows.writerows([row | {"notice": NOT_A_MEDICAL_DEVICE} for row in lesions])


def plain_limit(limit: DetectionLimit) -> dict[str, Any]:
    """Say a detection limit in plain data without anything about the patient."""
    return {
        "notice": NOT_A_MEDICAL_DEVICE, "summary": limit.summary, "version": version(),
        "model": limit.model, "model_hash": limit.model_hash, "threshold": limit.threshold, "liver_ml": round(limit.liver_ml, 3),
        "settings": asdict(limit.settings), "searches": limit.searches, "planned_searches": limit.planned,
        "without_place": limit.without_place, "diameters_mm": limit.settings.diameters_mm, "darker_hu": limit.settings.darker_hu,
        "inserted": limit.inserted.tolist(), "found": limit.found.tolist(), "lesions": _lesions(limit),
    }  # fmt: skip


def _lesions(limit: DetectionLimit) -> list[dict[str, Any]]:
    return [
        {
            "diameter_mm": one.diameter_mm, "darker_hu": one.darker_hu, "search": one.search, "found": one.known.found,
            "peak_score": round(one.known.peak_score, 3), "dice": round(one.known.dice, 3),
            "z": one.known.centre[0], "y": one.known.centre[1], "x": one.known.centre[2],
        }
        for one in limit.lesions
    ]  # fmt: skip
