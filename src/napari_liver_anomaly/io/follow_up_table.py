"""A follow-up as a file: the table as CSV, or all of it as JSON."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.placing import replacing

if TYPE_CHECKING:
    from napari_liver_anomaly.follow_up import FollowedLesion, FollowUp

COLUMNS = (
    "state", "then", "now", "then_ml", "now_ml", "change_ml_percent", "then_mm", "now_mm", "change_mm_percent", "apart_mm", "notice",
)  # fmt: skip


def write_follow_up(found: FollowUp, path: str | Path) -> None:
    """Write a follow-up as ``.json``, with alignment and findings, or as a table ``.csv``."""
    path = Path(path)
    with replacing(path) as beside:
        if path.suffix.lower() == ".json":
            beside.write_text(json.dumps(plain(found), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            return
        with open(beside, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(COLUMNS)
            for row in found.rows:
                rows.writerow([_cell(row_of(row)[name]) for name in COLUMNS[:-1]] + [NOT_A_MEDICAL_DEVICE])


def plain(found: FollowUp) -> dict[str, Any]:
    """Say a follow-up in plain data without anything about the patient."""
    return {
        "notice": NOT_A_MEDICAL_DEVICE, "summary": found.summary, "liver_ml": [round(ml, 3) for ml in found.liver_ml],
        "lesions": [row_of(row) for row in found.rows],
        "alignment": {
            "liver_dice": round(found.alignment.liver_dice, 4), "turned_deg": round(found.alignment.turned_deg, 3),
            "matrix": found.alignment.matrix.tolist(),
        },
        "findings": [str(finding) for finding in found.findings],
    }  # fmt: skip


def row_of(row: FollowedLesion) -> dict[str, Any]:
    """Say a row in plain data; what has no meaning is None."""
    values = asdict(row) | {"change_ml_percent": row.change_ml_percent, "change_mm_percent": row.change_mm_percent}
    return {name: _plain(values[name]) for name in COLUMNS[:-1]}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 3)
    return list(value) if isinstance(value, tuple) else value


def _cell(value: Any) -> Any:
    return "" if value is None else "+".join(map(str, value)) if isinstance(value, list) else value
