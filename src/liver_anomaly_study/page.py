"""The page of the comparison: tables and charts between marks, the words around them left as they were written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from liver_anomaly_study.charts import CHARTS, draw_charts, drawable
from liver_anomaly_study.messages import make_refusal
from liver_anomaly_study.paper_tables import NOTHING, tables
from liver_anomaly_study.record import DATASETS, STRICT, lengths_of, seeds_of
from napari_liver_anomaly.placing import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from liver_anomaly_study.cells import Lengths, Record

PAGE = "systems.md"
IMAGES = "../images/evidence"  # from the page
START, END = "<!-- made by liver-anomaly-study tables: {} -->", "<!-- to here -->"


def blocks(
    records: Mapping[str, Record], strict: Record | None = None, lengths: Mapping[str, Lengths] | None = None
) -> dict[str, str]:
    """Make all that stands between marks."""
    there = drawable(records)
    shown = {
        name: f"![{chart.title}]({IMAGES}/{name}.svg)\n" if name in there else f"Chart: {NOTHING}"
        for name, chart in CHARTS.items()
    }
    return tables(records, strict, lengths) | shown


def renewed(text: str, made: Mapping[str, str], mark: str = START) -> str:
    """Put new blocks in place of the old ones."""
    for name, block in made.items():
        start = mark.format(name)
        new = f"{start}\n\n{block}\n{END}"
        places = re.findall(rf"{re.escape(start)}(?:(?!<!--).)*{END}", text, re.DOTALL)
        if len(places) != text.count(start) or len(places) > 1:
            raise make_refusal("page-damaged", block=name, mark=END)
        text = text.replace(places[0], new) if places else f"{text}\n## {name}\n\n{new}\n"
    return text


def write_page(folder: Path, record: Path | None = None) -> list[str]:
    """Make page and charts again, from the record alone."""
    records = {dataset: seeds_of(dataset, record) for dataset in DATASETS}
    path = folder / PAGE
    text = renewed(
        path.read_text(encoding="utf-8") if path.exists() else "# The methods of the literature\n",
        blocks(records, seeds_of(STRICT, record), {dataset: lengths_of(dataset, record) for dataset in DATASETS}),
    )
    written = draw_charts(records, folder / IMAGES)
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return [PAGE, *written]
