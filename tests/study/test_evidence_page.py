"""The page of the comparison, and its charts, are what ``liver-anomaly-study tables`` makes from the record."""

from __future__ import annotations

from house.source import REPOSITORY
from liver_anomaly_study.charts import drawable, mark_of
from liver_anomaly_study.page import IMAGES, PAGE, START, blocks, renewed
from liver_anomaly_study.record import DATASETS, STRICT, lengths_of, seeds_of

FOLDER = REPOSITORY / "docs" / "evidence"
AGAIN = "run 'liver-anomaly-study tables'"


def test_the_page_is_what_the_record_says() -> None:
    records = {dataset: seeds_of(dataset) for dataset in DATASETS}
    text, made = (
        (FOLDER / PAGE).read_text(encoding="utf-8"),
        blocks(records, seeds_of(STRICT), {dataset: lengths_of(dataset) for dataset in DATASETS}),
    )
    assert not (homeless := [name for name in made if START.format(name) not in text]), homeless
    assert renewed(text, made) == text, AGAIN


def test_the_charts_are_those_of_the_record() -> None:
    records = {dataset: seeds_of(dataset) for dataset in DATASETS}
    drawn = drawable(records)
    there = {path.stem: path for path in (FOLDER / IMAGES).glob("*.svg")}
    for name, chart in drawn.items():
        assert name in there, AGAIN
        assert mark_of(chart, records) in there[name].read_text(encoding="utf-8"), f"{name}: {AGAIN}"
