"""Benchmark: load, run and clear again and again, and the memory does not grow. ``pytest -m benchmark tests/gui/test_growth.py -s``."""

from __future__ import annotations

import ctypes
import gc
import os
import sys

import pytest

from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer

RUNS, WARM, MOST_MB = 60, 10, 20


def taken_mb():
    """Memory in use, after what was freed went back to the system."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.benchmark
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_fifty_runs_leave_nothing(make_panel, make_sample, method, viewer, qtbot, figure):
    sample = make_sample((40, 128, 128), (3.0, 1.5, 1.5))
    method.sample, method.steps, method.step_s = sample, 1, 0
    panel = make_panel(viewer)
    for number in range(RUNS):
        for made in (scan_layer(sample.volume), liver_layer(sample.liver, sample.volume)):
            add(viewer, made)
        with qtbot.waitSignal(panel.finished, timeout=60_000):
            panel.runbar.button.click()
        qtbot.waitUntil(lambda: not panel.busy and not panel.controller.busy)
        viewer.layers.clear()
        qtbot.waitUntil(lambda: not panel.busy and not panel.controller.busy)
        method.calls.clear()  # the stand-in keeps what it was called with
        if number == WARM - 1:
            before = taken_mb()
    grown = taken_mb() - before
    figure("grown_mb_over_50_runs", grown)
    assert grown <= MOST_MB, f"{grown:.0f} MB"
