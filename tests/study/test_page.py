"""The page of the comparison: its words stay, its tables and charts are made again."""

from __future__ import annotations

import importlib.util
import re

import pytest

from liver_anomaly_study.charts import CHARTS, draw_charts, mark_of
from liver_anomaly_study.cli import main
from liver_anomaly_study.page import END, START, blocks, renewed
from liver_anomaly_study.record import DATASETS, gather, seeds_of
from napari_liver_anomaly.cli import REFUSED
from napari_liver_anomaly.errors import Refusal

NONE = {dataset: {} for dataset in DATASETS}


@pytest.fixture
def records(put, tmp_path):
    for hit, key in enumerate(
        ("random-shape-squares", "random-shape-circles", "random-shape", "dark-rule", "two-stage"), start=1
    ):
        put("patients", key, hit=hit)
        if key == "random-shape":
            put("patients", key, hit=hit + 1, seed=1)
    put("phantom", "two-stage", hit=3)
    gather(tmp_path / "runs", tmp_path / "record")
    return {dataset: seeds_of(dataset, tmp_path / "record") for dataset in DATASETS}


def test_words_stay_and_blocks_are_made_again():
    page = f"# Title\n\nMine.\n\n{START.format('a')}\nold\n{END}\n\nMine, too: a \\1 stays.\n"
    once = renewed(page, {"a": "| new \\1 |\n", "b": "more\n"})
    assert "old" not in once
    assert once.startswith("# Title\n\nMine.\n")
    assert "| new \\1 |" in once
    assert "Mine, too: a \\1 stays." in once
    assert once.endswith(f"## b\n\n{START.format('b')}\n\nmore\n\n{END}\n")
    assert renewed(once, {"a": "| new \\1 |\n", "b": "more\n"}) == once


@pytest.mark.parametrize(
    "page",
    [
        f"{START.format('a')}\nold\n{START.format('b')}\nold\n{END}\n",  # the first has no end
        f"{START.format('a')}\nold\n{END}\n{START.format('a')}\nold\n{END}\n",  # twice
        f"{START.format('a')}\nold\n",
    ],
)
def test_damaged_marks_are_refused(page):
    with pytest.raises(Refusal, match="marks around a"):
        renewed(page, {"a": "new\n", "b": "new\n"})


def test_charts_show_what_is_on_record(records, tmp_path):
    assert draw_charts(NONE, tmp_path / "none") == []
    assert not [line for line in blocks(NONE).values() if ".svg" in line]
    assert draw_charts(records, tmp_path / "a") == ["p3-figure-4.svg", "ablation.svg", "froc.svg"]
    shapes, ablation, froc = ((tmp_path / "a" / f"{name}.svg").read_text() for name in ("p3-figure-4", "ablation", "froc"))
    assert [word for word in ("square", "circle", "random", "phantom") if f">{word}<" in shapes] == ["square", "circle", "random"]
    assert ">patients<" in ablation and ">phantom<" in ablation
    assert ">dark-rule<" in froc
    assert len(re.findall(r"<use ", shapes)) > 2 * 3 * 8  # a dot for every case with tumour, in two panels
    draw_charts(records, tmp_path / "b")
    assert (tmp_path / "b" / "froc.svg").read_bytes() == (tmp_path / "a" / "froc.svg").read_bytes()


def test_a_chart_carries_the_mark_of_its_figures(records, tmp_path):
    draw_charts(records, tmp_path)
    before = mark_of(CHARTS["p3-figure-4"], records)
    assert before in (tmp_path / "p3-figure-4.svg").read_text()
    del records["patients"]["two-stage"]
    assert mark_of(CHARTS["p3-figure-4"], records) == before  # it is not drawn there
    records["patients"]["random-shape"][0]["cases"][0]["dice"] = 0.5
    assert mark_of(CHARTS["p3-figure-4"], records) != before


def test_the_command_brings_in_runs_and_makes_page_and_charts(put, tmp_path, capsys):
    put("patients", "two-stage", hit=3)
    page = tmp_path / "docs" / "evidence" / "systems.md"
    page.parent.mkdir(parents=True)
    page.write_text(f"Mine.\n{START.format('p2-table-2')}\n{END}\n")
    words = ["tables", "--out", str(page.parent), "--record", str(tmp_path / "record")]
    assert main([*words, "--runs", str(tmp_path / "runs")]) == 0
    assert "record: patients-two-stage.json" in capsys.readouterr().out
    text = page.read_text()
    assert text.startswith("Mine.\n")
    assert "| TP, PA, U-Net: two-stage, not equalised | 0.5303 ± 0.0178 | 0." in text
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert sorted(link.rsplit("/")[-1] for link in links) == ["ablation.svg", "froc.svg"]
    assert all((page.parent / link).exists() for link in links)
    assert main(words) == 0
    assert page.read_text() == text  # from the record alone


def test_without_matplotlib_nothing_is_written(put, tmp_path, monkeypatch, capsys):
    put("patients", "two-stage")
    find = importlib.util.find_spec
    monkeypatch.setattr("liver_anomaly_study.charts.find_spec", lambda name: None if name == "matplotlib" else find(name))
    record = tmp_path / "record"
    assert main(["tables", "--runs", str(tmp_path / "runs"), "--record", str(record), "--out", str(tmp_path / "out")]) == REFUSED
    assert "napari-liver-anomaly[plots]" in capsys.readouterr().err
    assert not record.exists()
    assert not (tmp_path / "out").exists()
