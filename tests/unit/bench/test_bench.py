"""What the benchmark says, on work whose length is known; and what a slice costs, which no machine changes."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest
import torch
from monai.inferers import SlidingWindowInferer

from napari_liver_anomaly.bench import parts, tables_of
from napari_liver_anomaly.bench.cohort import _Watch
from napari_liver_anomaly.bench.rounds import in_turn
from napari_liver_anomaly.bench.slices import OURS, PAPER, operations_of
from napari_liver_anomaly.bench.sliding import patches
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.errors import Cancelled
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.registry import build, config_of

GFLOP_A_SLICE = 7.2  # of the packaged default: three segmenters and their restorer
SECONDS = {"median_s": 0.2, "least_s": 0.1, "most_s": 0.4, "processor_s": 0.15}
TIMES_FEWER = 20  # than the paper's networks


def test_each_round_runs_each_piece_once_and_the_first_does_not_count():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    found = in_turn(works, Job(), rounds=3)
    assert calls == ["a", "b"] * 4 and found["a"]["rounds"] == 3
    waits = iter((9, 0.0, 0.02, 0.06))
    found = in_turn({"wait": lambda: time.sleep(min(next(waits), 0.1))}, Job(), rounds=3)["wait"]
    assert found["least_s"] < 0.02 <= found["median_s"] < 0.06 <= found["most_s"]


def test_it_can_be_stopped():
    job = Job()
    with pytest.raises(Cancelled):
        in_turn({"once": job.cancel, "never": lambda: pytest.fail("it went on")}, job)


def test_the_default_needs_few_operations():
    ours = operations_of(load("standard").scales[0])
    assert ours / 1e9 == pytest.approx(GFLOP_A_SLICE, rel=0.01)


def test_a_part_that_is_not_there(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["bench", "--part", "floors"])
    assert caught.value.code == 2 and "floor" in capsys.readouterr().err


def test_the_tables_say_what_was_measured(tmp_path, monkeypatch, capsys):
    seconds = SECONDS
    one = seconds | {"gflop": 7.0, "rounds": 5}
    stages = ("read", "find liver", "prepare", "score", "back and post-process", "write")
    found = {
        "machine": {"threads": 1}, "model": "standard", "distance_to_floor": 1.5,
        "floor": {"copy": seconds | {"giga_per_s": 10.0, "unit": "GB"}},
        "slices": {OURS: one | {"times_faster_than_paper": 20.0}, PAPER: one | {"gflop": None, "times_faster_than_paper": 1.0}},
        "scan": dict.fromkeys(stages, 1.0)
        | {"all": 8.0, "voxels": 1e6, "slices": 80, "threads": 1, "peak_bytes": 2e9, "share_of_networks": 0.25}
        | {"others": {"nnU-Net": {"patches": 50, "patch_s": 3.2, "all_s": 160.0}}}
        | {"spread": dict.fromkeys(stages, (0.5, 2.0))},
        "growth": [{"scan_slices": 50, "slices": 40, "threads": 1, "all": 4.0, "peak_bytes": 1e9}],
        "training": {"restorer": {"steps_per_s": 2.0, "slices_per_s": 16.0, "share_of_batches": 0.3, "share_of_waiting": 0.02}},
        "cohort": {"scans": 1000, "done": 999, "compared": 40, "model": "hu", "times_faster_by_two": 1.9,
                   "memory_by_tenth": [{"scheduler": 300e6, "worker 1": 500e6}], "grown": {"scheduler": 1.0, "worker 1": 1.02}},
        "start": {"python alone": seconds, "info": seconds | {"median_s": 0.6}},
        "gui": {"jump": seconds | {"goal_s": 0.1}, "overlay": seconds},
    }  # fmt: skip
    text = tables_of(found)
    for words in (
        f"| {OURS} | 20.00 | 200.0 (100.0 to 400.0) | 7.0 |",
        f"| {PAPER} | 1.00 | 200.0 (100.0 to 400.0) |  |",
        "1.50 times slower",
    ):
        assert words in text
    for words in (
        "| copy | 10.0 GB/s |",
        "| read | 12% | 1.00 (0.50 to 2.00) |",
        "take 25%",
        "| nnU-Net | 20.0 | 50 | 3.20 | 160 |",
        "| 50 | 40 | 1 | 4.0 | 0.100 | 1,000 |",
        "| 1 | 300 | 500 |",
        "999 of 1,000",
        "1.90 times as fast",
        "worker 1 1.02",
        "| restorer | 2% | 30% | 2.00 | 16.0 |",
        "| info | 3.0 | 0.60 |",
        "| jump | 200.0 (100.0 to 400.0) | 150.0 | 100 ms |",
        "| overlay | 200.0 (100.0 to 400.0) | 150.0 |  |",
    ):
        assert words in text
    monkeypatch.setattr("napari_liver_anomaly.bench.measure", lambda parts, **_: found | {"asked": list(parts)})
    assert main(["bench", "--json", str(tmp_path / "bench.json")]) == 0
    assert text.strip() in capsys.readouterr().out and json.loads((tmp_path / "bench.json").read_text())["asked"] == list(
        parts.PARTS
    )


def test_the_window_is_measured_only_when_that_is_asked(monkeypatch, tmp_path):
    pytest.importorskip("napari")
    monkeypatch.setattr("napari_liver_anomaly.bench.measure", lambda parts, **_: {"machine": {}, "asked": list(parts)})
    monkeypatch.setattr(
        "napari_liver_anomaly.gui.window_speed.measure_window", lambda model, job, rounds: {f"{model} {rounds}": SECONDS}
    )
    assert main(["bench", "--part", "gui", "--rounds", "2", "--json", str(tmp_path / "bench.json")]) == 0
    assert json.loads((tmp_path / "bench.json").read_text()) == {"machine": {}, "asked": [], "gui": {"standard 2": SECONDS}}
    assert "gui" not in parts.PARTS


def test_what_is_noted_while_many_scans_are_segmented():
    watch = _Watch()
    for number in range(20):
        held = SimpleNamespace(memory_info=lambda number=number: SimpleNamespace(rss=100 + number))
        watch.processes = {"scheduler": held, "worker 1": held}
        watch.told(number, None)
    assert [tenth["worker 1"] for tenth in watch.by_part()] == list(range(101, 121, 2))
    watch.ends = [0.0, 10.0, 11.0, 11.5, 12.5]
    assert watch.scans_per_s() == 2 / 1.5, "the first two of each process only warm it up"


def test_start_and_training_are_measured_for_real():
    found = parts.measure(("start",), rounds=1)["start"]
    assert (
        found["python alone"]["median_s"]
        < found["import napari_liver_anomaly"]["median_s"]
        < found["liver-anomaly info"]["median_s"]
    )


@pytest.mark.parametrize("step", [0.5, 0.25])
@pytest.mark.parametrize("extent_mm", [(192, 360, 360), (90, 360.4, 361), (96, 97, 144)])
def test_patches_are_those_of_the_sliding_window(extent_mm, step):
    slide, seen = SlidingWindowInferer((96, 96, 96), 1, 1 - step), []
    slide(
        torch.zeros(1, 1, *(round(mm) for mm in extent_mm)),
        lambda block: seen.append(1) or block,
    )
    assert len(seen) == patches(extent_mm, (96, 96, 96), step)


def test_the_papers_networks_are_the_papers():
    paper = operations_of(build(config_of("paper"))) / (128 * 160) * 256**2
    assert paper > TIMES_FEWER * operations_of(load("standard").scales[0])
