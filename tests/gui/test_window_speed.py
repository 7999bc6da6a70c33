"""The benchmark of the window measures every action, and says how long each may take."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from qtpy.QtCore import QTimer

from napari_liver_anomaly.bench import tables_of
from napari_liver_anomaly.gui import opening_speed
from napari_liver_anomaly.gui.demo import wait_until
from napari_liver_anomaly.gui.heartbeat import Heart
from napari_liver_anomaly.gui.opening_speed import OPENING, WITH, WITHOUT
from napari_liver_anomaly.gui.window_speed import ALONE, GOALS_S, LAID_OVER, MARKED, PLAIN, TOGGLE
from napari_liver_anomaly.job import Job

PROGRAM = """
import json
from napari_liver_anomaly.gui import window_speed
from napari_liver_anomaly.job import Job
window_speed.measure_opening = lambda *_: {}
print(json.dumps(window_speed.measure_window("compact", Job(), 1, slices=24, size_px=64)), flush=True)
"""


@pytest.mark.slow
def test_every_action_is_measured_on_a_small_scan(qapp):
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == {*GOALS_S, MARKED, LAID_OVER, PLAIN, TOGGLE, ALONE}
    assert all(0 <= one["least_s"] <= one["median_s"] <= one["most_s"] < 600 for one in found.values()), found
    assert all(one["median_s"] > 0 for name, one in found.items() if "beat" not in name)
    assert {name: one["goal_s"] for name, one in found.items() if "goal_s" in one} == GOALS_S
    text = tables_of({"machine": {}, "gui": found})
    assert all(f"| {name} | " in text for name in found) and "| 200 ms |" in text


@pytest.mark.slow
def test_napari_and_a_panel_are_opened_in_processes_of_their_own():
    found = opening_speed.measure_opening(Job(), 1)
    assert set(found) == {WITH, WITHOUT, OPENING} and found[OPENING]["goal_s"] == 1.0
    assert all(0 < one["median_s"] < 600 and one["processor_s"] > 0 for one in found.values())


def test_the_heart_tells_how_long_the_window_was_silent(qapp):
    heart = Heart()
    QTimer.singleShot(60, lambda: sum(n for n in range(6_000_000)))
    wait_until(lambda: len(heart.late_s) >= 6)
    heart.stop()
    assert max(heart.late_s) >= max(heart.busy_s) > 0.05, "it worked for that long"
    assert sorted(heart.late_s)[0] < 0.05, "and at other times it answered"
    found = heart.latest()
    assert found["median_s"] == found["most_s"] > found["least_s"] and found["rounds"] >= 6 and heart.latest()["rounds"] == 1
