"""The built-in sample in napari, segmented with the packaged model: ``liver-anomaly demo``."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_liver_anomaly.gui.tumour_panel import TumourPanel

SIZE_PX = (1500, 950)
LONGEST_S = 600.0
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def demo(screenshot: str | Path | None = None) -> None:
    """Open napari on the sample and search it."""
    require_screen()
    import napari

    viewer, panel = open_window()

    def start() -> None:
        if ready(panel):
            panel.segment()

    panel.loaded.connect(start)
    panel.scans.open_sample()
    if screenshot is None:
        napari.run()
        return
    try:
        wait_until(lambda: panel.controller.shown is not None or bool(panel.messages.text))
        if panel.controller.shown is None:
            raise make_refusal("demo-failed", reason=panel.messages.text)
        show_largest(panel)
        wait_until(lambda: not panel.controller.busy, at_least_s=1.0)
        viewer.screenshot(str(screenshot), canvas_only=False, flash=False)
    finally:
        viewer.close()


def require_screen() -> None:
    """Refuse to open a window where there is no screen: Qt would end the program."""
    if sys.platform == "linux" and not any(map(os.environ.get, SCREENS)):
        raise make_refusal("screen-missing")


def open_window(size_px: tuple[int, int] = SIZE_PX) -> tuple[Any, TumourPanel]:
    """Open napari with the panel in its place."""
    import napari

    from napari_liver_anomaly.gui.hooks import PANEL
    from napari_liver_anomaly.gui.tumour_panel import TumourPanel

    viewer = napari.Viewer()
    panel = TumourPanel(viewer)
    viewer.window.add_dock_widget(panel, name=PANEL, area="right")
    viewer.window.resize(*size_px)
    viewer.canvas.overlays.scale_bar.visible = True
    return viewer, panel


def ready(panel: TumourPanel) -> bool:
    """Whether a scan and its liver are there."""
    return panel.inputs.scan.layer is not None and panel.inputs.liver.layer is not None


def show_largest(panel: TumourPanel) -> None:
    """Turn to the largest lesion, if there is one."""
    shown = panel.controller.shown
    if shown is not None and shown.lesions:
        panel.table.picked.emit(max(shown.lesions, key=lambda lesion: lesion.volume_ml))


def require_no_error() -> None:
    """Refuse to go on when napari told of an error, which would be seen in a picture."""
    from napari.utils.notifications import NotificationSeverity, notification_manager

    told = [str(one.message) for one in notification_manager.records if one.severity >= NotificationSeverity.ERROR]
    if told:
        raise make_refusal("demo-failed", reason=told[0])


def wait_until(done: Callable[[], bool], at_least_s: float = 0.0, at_most_s: float = LONGEST_S, pause_s: float = 0.01) -> None:
    """Let the window work until something is done."""
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    began_s = time.monotonic()
    while not (done() and time.monotonic() - began_s >= at_least_s):
        if time.monotonic() - began_s > at_most_s:
            raise make_refusal("demo-slow")
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)  # or what is gone would still be seen
        time.sleep(pause_s)
