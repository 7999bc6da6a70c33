"""The whole way in a real window: run, threshold, overlays, space, closing."""

from __future__ import annotations

import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QPushButton

from napari_liver_anomaly.gui.closing_guard import ClosingGuard
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer

SMALL_SCREEN = (1366, 768)


@pytest.fixture
def panel(make_napari_viewer, make_panel, sample):
    """The panel in the dock of a window on a small screen."""
    viewer = make_napari_viewer(show=True)
    panel = make_panel(viewer)
    viewer.window.add_dock_widget(panel, name="Liver tumours (Liver Anomaly)", area="right")
    panel.window().resize(*SMALL_SCREEN)
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    viewer.dims.set_point(0, 2.5 * 6)
    return panel


def picture(panel):
    return panel.viewer.screenshot(canvas_only=True, flash=False).astype(int)


def our_threads():
    return [thread for thread in threading.enumerate() if thread.name == "liver-anomaly"]


def test_the_whole_way_is_seen(panel, run, qtbot, sample):
    run(panel)
    for theme in ("light", "dark"):
        panel.viewer.theme = theme
        qtbot.waitUntil(lambda: panel.scroller.widget().width() <= panel.scroller.viewport().width(), timeout=30_000)
        assert panel.window().height() <= SMALL_SCREEN[1] and panel.width() <= 420
        assert panel.scroller.widget().width() <= panel.scroller.viewport().width(), "nothing is cut off at the right"
        assert panel.scroller.verticalScrollBar().maximum() == 0, "all is seen without scrolling"
    primary = [button for button in panel.findChildren(QPushButton) if button.property("kind") == "primary"]
    assert primary == [panel.runbar.button]
    seen = [picture(panel)]
    for tick, _ in panel.look.overlays.rows.values():
        tick.click()
        seen.append(picture(panel))
    assert all(not np.array_equal(one, other) for one, other in pairwise(seen)), "each switch changes the picture"
    tint_is_what_counts(panel, sample)
    panel.viewer.dims.ndisplay = 3
    panel.threshold.slider.setValue(0.31)
    assert picture(panel).std() > 0
    panel.controller.follow(None)


def tint_is_what_counts(panel, sample):
    """While the slider moves, the red area on screen is the area of the voxels at or above the threshold."""
    for layer in panel.viewer.layers:
        layer.visible = False
    panel.threshold.slider.setSliderDown(True)
    share = []
    for step in (90, 50, 10):
        panel.threshold.slider.setValue(step / 100)
        now = picture(panel)
        share.append(np.count_nonzero(now[..., 0] > now[..., 2] + 40) / np.count_nonzero(sample.score[6] >= 2.55 * step))
    assert share[0] == pytest.approx(share[2], rel=0.2) and share[1] == pytest.approx(share[2], rel=0.2)
    panel.threshold.slider.setSliderDown(False)


class ClosedByUser(QCloseEvent):
    def spontaneous(self):
        return True


def test_closing_asks_then_stops_the_run_at_once(panel, method, qtbot):
    answers, at = [False, True], threading.Event()
    panel._guard = ClosingGuard(panel, panel.segmenting, ask=lambda _: answers.pop(0))
    method.steps, method.step_s, method.at_step = 100_000, 0.01, lambda step: at.set()
    panel.segment()
    assert at.wait(30)
    assert panel._guard.eventFilter(panel.window(), ClosedByUser()) is True, "the user chose to stay"
    assert not panel.segmenting.stopping
    assert panel._guard.eventFilter(panel.window(), ClosedByUser()) is False
    assert panel.segmenting.stopping and not answers
    qtbot.waitUntil(lambda: not panel.segmenting.busy, timeout=60_000)
    panel.segment()
    qtbot.wait(100)
    panel.viewer.close()
    qtbot.waitUntil(lambda: not our_threads(), timeout=60_000)


def test_the_program_ends_during_a_run(tmp_path):
    """Work that does not listen cannot keep the process alive."""
    program = tmp_path / "program.py"
    program.write_text(
        "import time\n"
        "from qtpy.QtCore import QTimer\n"
        "from qtpy.QtWidgets import QApplication\n"
        "from napari_liver_anomaly.gui.background import Task\n"
        "app = QApplication([])\n"
        "run = Task(app)\n"
        "run.start(lambda job: time.sleep(3600))\n"
        "QTimer.singleShot(100, app.quit)\n"
        "app.exec()\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
