"""What a user waits for before the work begins: napari with the plugin and without it, and a panel; each in a process of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.gui.hooks import PANEL

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

WITH, WITHOUT, OPENING = "napari starts, with the plugin", "napari starts, without it", "the panel opens"
OPEN_GOAL_S = 1.0

# Tells the seconds until a window is drawn, and until a panel in it is, with those of the processor.
PROGRAM = """
import json, time
began, worked = time.perf_counter(), time.process_time()
from npe2 import PluginManager
plugins = PluginManager.instance()
plugins.discover()
if not {plugin}:
    plugins.disable("napari-liver-anomaly")
import napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
QApplication.processEvents()
laps = [[time.perf_counter() - began, time.process_time() - worked]]
if {plugin}:
    began, worked = time.perf_counter(), time.process_time()
    viewer.window.add_plugin_dock_widget("napari-liver-anomaly", {panel!r})
    QApplication.processEvents()
    laps.append([time.perf_counter() - began, time.process_time() - worked])
print(json.dumps(laps), flush=True)
viewer.close()
"""


def measure_opening(job: Job, rounds: int) -> dict[str, dict[str, Any]]:
    """Open napari with the plugin and without it in turn, and the panel; the first round does not count."""
    laps: dict[str, list[tuple[float, float]]] = {WITH: [], WITHOUT: [], OPENING: []}
    for number in range(rounds + 1):
        job.at("Measuring · start", number, rounds + 1)
        for names in ((WITH, OPENING), (WITHOUT,)):
            program = PROGRAM.format(plugin=len(names) > 1, panel=PANEL.partition(" (")[0])
            done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
            for name, lap in zip(names, json.loads(done.stdout.splitlines()[-1]), strict=True):
                laps[name] += [lap] if number else []
    found = {name: _spread(taken) for name, taken in laps.items()}
    found[OPENING]["goal_s"] = OPEN_GOAL_S
    return found


def _spread(taken: list[tuple[float, float]]) -> dict[str, Any]:
    walls = [wall for wall, _ in taken]
    return {
        "median_s": statistics.median(walls), "least_s": min(walls), "most_s": max(walls),
        "processor_s": statistics.median(worked for _, worked in taken), "rounds": len(taken),
    }  # fmt: skip
