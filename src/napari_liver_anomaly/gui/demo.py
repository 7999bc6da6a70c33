"""``liver-anomaly demo``: napari on the built-in sample, searched for tumours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import Refusal

if TYPE_CHECKING:
    from napari_liver_anomaly.gui.tumours import TumourPanel

AFTER_DRAWING_MS = 1500


def demo(screenshot: Path | None = None) -> None:
    """Open napari, load the sample with tumours, and press the button.

    Parameters
    ----------
    screenshot : Path, optional
        Write a picture of the window there and close, instead of staying open.

    Raises
    ------
    Refusal
        When the search was refused and there is nobody to see it on screen.
    """
    import napari

    from napari_liver_anomaly.gui.hooks import PANEL
    from napari_liver_anomaly.gui.tumours import TumourPanel

    viewer = napari.Viewer(title="Liver Anomaly: built-in sample")
    panel = TumourPanel(viewer)
    viewer.window.add_dock_widget(panel, name=PANEL, area="right")
    panel.loaded.connect(panel.segment)
    panel.finished.connect(lambda: look_at_largest(panel))
    trouble: list[str] = []
    if screenshot is not None:
        viewer.window.resize(1500, 980)
        panel.finished.connect(lambda: _later(lambda: _take(viewer, screenshot)))
        for run in (panel.loading, panel.segmenting):
            run.refused.connect(lambda finding: _give_up(viewer, trouble, str(finding)))
            run.failed.connect(lambda *words: _give_up(viewer, trouble, str(words[0])))
    panel.open_sample()
    napari.run()
    if trouble:
        raise Refusal("demo-failed", trouble[0], "No picture was made.", "Run 'liver-anomaly info' to see what is installed.")


def look_at_largest(panel: TumourPanel) -> None:
    """Show the slice through the largest lesion, where one was found.

    Parameters
    ----------
    panel : TumourPanel
        After a run.
    """
    shown: Any = next(iter(panel.shown.values()), None)
    lesions = getattr(shown, "lesions", ()) or ()
    if lesions:
        step = list(panel.viewer.dims.current_step)
        step[-3] = round(lesions[0].centroid_index[0])
        panel.viewer.dims.current_step = tuple(step)


def _later(action: Any) -> None:
    from qtpy.QtCore import QTimer

    QTimer.singleShot(AFTER_DRAWING_MS, action)


def _take(viewer: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(path=str(path), canvas_only=False, flash=False)
    viewer.close()


def _give_up(viewer: Any, trouble: list[str], words: str) -> None:
    trouble.append(words)
    viewer.close()
