"""What came of many scans, as one table: for spreadsheets (CSV) and for programs (Parquet), without the names of files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.placing import replacing_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_liver_anomaly.many_scans.study import Study

TABLE, COLUMNS, KEY = "summary.csv", "summary.parquet", "key.csv"
NAMES = (TABLE, COLUMNS, KEY)


def rows_of(studies: Sequence[Study]) -> list[dict[str, Any]]:
    """Say of each study how it ended and what was found, in plain data without names."""
    return [
        {
            "number": number, "state": str(study.state), "code": study.finding.code if study.finding else "",
            "why": f"{study.finding.what} {study.finding.meaning}" if study.finding else "", "lesions": study.lesions,
            "tumour_ml": round(study.tumour_ml, 3), "liver_ml": round(study.liver_ml, 3),
            "tumour_share_of_liver": round(study.tumour_ml / study.liver_ml, 5) if study.liver_ml else None, "scan": study.scan,
            "done_before": study.again, "notice": NOT_A_MEDICAL_DEVICE,
        }
        for number, study in enumerate(studies, 1)
    ]  # fmt: skip


def write_summary(studies: Sequence[Study], folder: str | Path) -> tuple[Path, ...]:
    """Write the table, twice, and the key that says which scan has which number; all of them, or none.

    Parameters
    ----------
    studies : sequence of Study
        In the order of their numbers.
    folder : path-like
        Where to; tables of an earlier run are replaced.

    Returns
    -------
    tuple of Path
        ``summary.csv``, ``summary.parquet``, and ``key.csv``, the only one with the names of files, which may be patients'.

    Raises
    ------
    NotWritten
        When the disk does not take them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = rows_of(studies)
    key = [{"number": number, "file": str(study.path)} for number, study in enumerate(studies, 1)]
    writers: dict[str, Callable[[Path], None]] = {
        TABLE: lambda path: _write_csv(rows, path),
        COLUMNS: lambda path: pq.write_table(pa.Table.from_pylist(rows), path),
        KEY: lambda path: _write_csv(key, path),
    }
    paths = [Path(folder) / name for name in writers]
    with replacing_all(paths) as beside:
        for write, path in zip(writers.values(), beside, strict=True):
            write(path)
    return tuple(paths)


def _write_csv(rows: Sequence[dict[str, Any]], path: Path) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows({name: _as_text(value) for name, value in row.items()} for row in rows)


def _as_text(value: Any) -> Any:
    """Keep a spreadsheet from taking the name of a file for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
