"""Every control has a name and can be reached and pressed without a mouse, and nothing is cut off on a small or a finely drawn screen."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QScrollBar,
    QTableView,
)

from napari_liver_anomaly.gui import export
from napari_liver_anomaly.gui.anomaly_panel import AnomalyPanel
from napari_liver_anomaly.gui.availability import TIP
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
from napari_liver_anomaly.gui.many_scans_panel import ManyScansPanel

CONTROLS = (QAbstractButton, QComboBox, QAbstractSpinBox, QAbstractSlider, QAbstractItemView, QLineEdit)


def controls(panel):
    """What a user can operate: not the parts that Qt makes inside of it, which it speaks for."""
    for kind in CONTROLS:
        for widget in panel.findChildren(kind):
            inner = (
                isinstance(widget.parentWidget(), (QAbstractSpinBox, QComboBox, QTableView))
                or "QComboBox" in type(widget.window().parentWidget()).__name__
            )
            if not inner and not isinstance(widget, (QScrollBar, QHeaderView)) and widget.window() is panel.window():
                yield widget


def nameless(panel):
    found = []
    for widget in controls(panel):
        name = widget.accessibleName() or (widget.text() if isinstance(widget, QAbstractButton) else "")
        if not name.strip() or widget.focusPolicy() == Qt.FocusPolicy.NoFocus:
            found.append(
                f"{type(widget).__name__} in {type(widget.parentWidget()).__name__}: {name!r}, {widget.toolTip()[:40]!r}"
            )
    return found


def test_every_control_has_a_name_and_takes_the_focus(make_panel, viewer, sample, run, qtbot):
    panel = make_panel(viewer, sample)
    run(panel)
    others = AnomalyPanel(viewer), ManyScansPanel(viewer)
    for other in others:
        qtbot.addWidget(other)
    panel.follow_ups.open()
    panel.follow_ups.section.question.ask("Which?", {"This": list, "That": list})
    page = panel.open_settings()
    windows = (panel, *others, panel.follow_ups.section.window(), page)
    assert [sum(1 for _ in controls(one)) > least for one, least in zip(windows, (30, 20, 8, 6, 9), strict=True)] == [True] * 5, (
        "the walk finds them"
    )
    assert not [line for one in windows for line in nameless(one)]
    page.close()


def test_tool_tips_name_the_keys_and_no_two_are_alike(panel):
    buttons = [button for button in panel.findChildren(QAbstractButton) if not button.shortcut().isEmpty()]
    keys = [button.shortcut().toString() for button in buttons]
    assert set(keys) >= {"Alt+1", "Alt+2", "Alt+3", "Alt+4", "Alt+A", "Alt+D", "Alt+G", "Alt+E"}
    tips = [button.property(TIP) or button.toolTip() for button in buttons]
    assert all(f"({key})" in tip for key, tip in zip(keys, tips, strict=True))
    keys += [action.shortcut().toString() for action in panel.look.overlays.menu.compare.values()]
    assert len(set(keys)) == len(keys) and all("+" in key for key in keys), "a bare letter would be taken from napari"


@pytest.fixture
def window(make_napari_viewer, make_panel, sample, qtbot):
    viewer = make_napari_viewer(show=True)
    panel = make_panel(viewer)
    viewer.window.add_dock_widget(panel, name="Liver tumours (Liver Anomaly)", area="right")
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    panel.window().activateWindow()
    qtbot.waitUntil(lambda: QApplication.activeWindow() is panel.window(), timeout=30_000)
    return panel


def test_keys_work_from_the_picture(window, qtbot):
    from napari.qt import QtViewer

    canvas = window.window().findChild(QtViewer).canvas.native
    canvas.setFocus()
    for key, done in (
        ("3", lambda: window.look.window_now() == (-1350, 150)),
        ("D", lambda: window.viewer.dims.ndisplay == 3),
        ("D", lambda: window.viewer.dims.ndisplay == 2),
        ("A", lambda: window.look.planes.side is not None),
        ("A", lambda: window.look.planes.side is None),
    ):
        qtbot.keyClick(canvas, QKeySequence(key)[0].key(), Qt.KeyboardModifier.AltModifier)
        qtbot.waitUntil(done, timeout=30_000)


def test_keys_segment_but_do_not_cancel_and_export(window, qtbot, method, monkeypatch):
    button, stopped, asked = window.runbar.button, [], []
    monkeypatch.setattr(export, "ask_folder", lambda _parent, title: asked.append(title))
    assert button.text() == "Segment liver tumours" and window.runbar.keys.isVisible() and window.runbar.keys.text() == "Alt+G"
    window.runbar.stopped.connect(lambda: stopped.append(True))
    method.at_step = lambda _step: release.wait(30)
    release = threading.Event()
    for _ in range(2):
        qtbot.keyClick(window.window(), Qt.Key.Key_G, Qt.KeyboardModifier.AltModifier)
        qtbot.waitUntil(lambda: window.runbar.running, timeout=30_000)
    assert button.text() == "Cancel" and not stopped and not window.runbar.keys.isVisible()
    release.set()
    qtbot.waitUntil(lambda: not window.busy, timeout=30_000)
    assert len(method.calls) == 1 and button.shortcut().toString() == "Alt+G" and window.runbar.keys.isVisible()
    qtbot.keyClick(window.window(), Qt.Key.Key_E, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: asked == ["Export into this folder"], timeout=30_000)


TWICE = """
import sys
from gui.conftest import FakeMethod, FakeFinder, _make_sample
from napari_liver_anomaly.gui.demo import wait_until
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import QAbstractButton, QApplication, QLabel

import napari
from napari_liver_anomaly.gui.tumour_panel import TumourPanel
from napari_liver_anomaly.gui.worker import Engine

sample, viewer = _make_sample(), napari.Viewer()
panel = TumourPanel(viewer, Engine(segment=FakeMethod(sample), find_liver=FakeFinder(sample), names=("compact",)))
viewer.window.add_dock_widget(panel, name="Liver tumours (Liver Anomaly)", area="right")
viewer.window.resize(1280, 720)
add(viewer, scan_layer(sample.volume))
add(viewer, liver_layer(sample.liver, sample.volume))
panel.segment()
wait_until(lambda: panel.controller.shown is not None and not panel.busy, at_least_s=1.0)
assert panel.window().devicePixelRatioF() == 2
for button in panel.findChildren(QAbstractButton):
    if button.isVisible() and button.text() and type(button).__name__ != "ElidedButton":
        needed = QFontMetrics(button.font()).horizontalAdvance(button.text().replace("&", ""))
        if needed > button.width():
            print("cut off:", button.text(), needed, button.width())
if panel.scroller.widget().width() > panel.scroller.viewport().width():
    print("cut off at the right")
if len(sys.argv) > 1:
    viewer.screenshot(sys.argv[1], canvas_only=False, flash=False)
print("end", flush=True)
viewer.close()
"""


def test_nothing_is_cut_off_at_twice_the_size(tmp_path):
    program = tmp_path / "twice.py"
    program.write_text(TWICE)
    tests = Path(__file__).parents[1]
    surroundings = os.environ | {"QT_SCALE_FACTOR": "2", "PYTHONPATH": os.pathsep.join([str(tests.parent / "src"), str(tests)])}
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        surroundings[name] = str(tmp_path / name)
    said = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=600, check=False, env=surroundings)
    assert said.stdout == "end\n", said.stdout + said.stderr[-2000:]
