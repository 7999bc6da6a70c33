"""Walk through the built-in sample in a real window and take the pictures of the documentation.

Run it from the repository: ``python docs/screenshots.py`` (without a screen: ``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/screenshots.py``).
The sample is made by code, so no picture shows a patient.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.gui.anomalies import AnomalyPanel
from napari_liver_anomaly.gui.demo import open_window, ready, show_largest, wait_until
from napari_liver_anomaly.gui.layers import Role

if TYPE_CHECKING:
    from napari_liver_anomaly.gui.tumours import TumourPanel

IMAGES = Path(__file__).parent / "images"


def walk(folder: Path, panel: TumourPanel | None = None) -> None:
    """Take all pictures.

    Parameters
    ----------
    folder : Path
        Where to.
    panel : TumourPanel, optional
        A panel that stands for the product's, for a trial without a model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    viewer, panel = open_window() if panel is None else (panel.viewer, panel)

    def take(name: str) -> None:
        wait_until(lambda: not panel.cutting.busy, at_least_s=0.8)
        viewer.screenshot(str(folder / f"{name}.png"), canvas_only=False, flash=False)

    panel.open_sample()
    wait_until(lambda: ready(panel) and not panel.loading.busy, at_least_s=0.5)
    search(panel)
    panel.messages.clear()
    show_largest(panel)
    zoom(viewer)
    take("panel")

    panel.threshold.slider.setSliderDown(True)
    panel.threshold.slider.setValue(20)
    take("threshold")
    panel.threshold.slider.setValue(50)
    panel.threshold.slider.setSliderDown(False)
    wait_until(lambda: not panel.cutting.preview.on)

    switch(panel, Role.RESIDUAL, on=True)
    take("residual")
    switch(panel, Role.RESIDUAL, on=False)
    switch(panel, Role.SCORE, on=True)
    take("score")

    viewer.window.remove_dock_widget(panel)
    viewer.layers.clear()
    anomalies(viewer, take)
    viewer.close()


def search(panel: TumourPanel) -> None:
    """Press the button and wait for the result."""
    panel.segment()
    wait_until(lambda: panel.cutting.shown is not None or bool(panel.messages.text))
    if panel.cutting.shown is None:
        raise SystemExit(panel.messages.text)
    wait_until(lambda: bool(panel.runbar.text.text()) and panel.runbar.button.isEnabled())


def switch(panel: TumourPanel, role: Role, *, on: bool) -> None:
    """Switch an overlay on or off."""
    panel.overlays.rows[role][0].setChecked(on)


def zoom(viewer: Any) -> None:
    """Fill the view with the patient."""
    viewer.scene.camera.zoom *= 1.25


def anomalies(viewer: Any, take: Any) -> None:
    """Show the second panel on the healthy sample."""
    viewer.open_sample("napari-liver-anomaly", "phantom-healthy")
    panel = AnomalyPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Synthetic anomalies (Liver Anomaly)", area="right")
    liver = viewer.layers["phantom liver"]
    viewer.dims.set_point(0, liver.data_to_world((liver.data.sum(axis=(1, 2)).argmax(), 0, 0))[0])
    for seed in range(50):
        panel.recipe.seed.setValue(seed)
        wait_until(lambda: not panel.latest.busy, at_least_s=0.3)
        if panel.said.text().startswith("Anomaly of"):
            break
    take("anomalies")


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description="Take the pictures of the documentation.")
    asked.add_argument("--out", type=Path, default=IMAGES, help="Folder for the pictures.")
    walk(asked.parse_args().out)
