"""Record the tour of the README: a walk through both panels on the built-in sample, as an animated WebP with a caption under each picture.

``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/tour.py`` writes ``docs/images/tour.webp`` (some minutes). The sample is made by code, so no
picture shows a patient.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from qtpy.QtCore import Qt
from screenshots import IMAGES, SEEN_SEED, switch

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE
from napari_liver_anomaly.gui.anomaly_panel import AnomalyPanel
from napari_liver_anomaly.gui.demo import open_window, ready, show_largest, wait_until
from napari_liver_anomaly.gui.fold import Fold
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.lesion_model import NAMES

if TYPE_CHECKING:
    from napari_liver_anomaly.gui.tumour_panel import TumourPanel

SIZE_PX, WIDE_PX, CAPTION_PX = (1280, 760), 1024, 44
FONT_PX, QUALITY, MOST_BYTES = 19, 75, 3 * 10**6
INK, PAPER = (255, 255, 255), (24, 24, 28)


class Film:
    """Pictures of a window with captions, and how long each is shown."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._frames: list[Image.Image] = []
        self._lengths_ms: list[int] = []

    def take(self, caption: str, seconds: float, *, settle_s: float = 0.5) -> None:
        """Take a picture of the window as it is once it has settled."""
        wait_until(lambda: True, at_least_s=settle_s)
        shown = Image.fromarray(np.asarray(self._viewer.screenshot(canvas_only=False, flash=False))[..., :3])
        shown = shown.resize((WIDE_PX, round(shown.height * WIDE_PX / shown.width)), Image.Resampling.LANCZOS)
        frame = Image.new("RGB", (WIDE_PX, shown.height + CAPTION_PX), PAPER)
        frame.paste(shown, (0, 0))
        font = ImageFont.load_default(FONT_PX)
        ImageDraw.Draw(frame).text((WIDE_PX // 2, shown.height + CAPTION_PX // 2), caption, INK, font, anchor="mm")
        self._frames.append(frame)
        self._lengths_ms.append(round(1000 * seconds))

    def write(self, path: Path) -> str:
        """Write all as one file, and say how long and large it is."""
        first, *others = self._frames
        first.save(path, save_all=True, append_images=others, duration=self._lengths_ms, loop=0, quality=QUALITY, method=6)
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise SystemExit(f"{size:,} bytes are too many.")
        return f"{len(self._frames)} pictures, {sum(self._lengths_ms) / 1000:.0f} s, {size:,} bytes"


def tumours(film: Film, panel: TumourPanel) -> None:
    """Open, segment, read."""
    film.take("Open a CT scan or a DICOM folder, or try the sample", 5)
    panel.scans.open_sample()
    wait_until(lambda: ready(panel) and not panel.scans.reading.busy, at_least_s=0.5)
    film.take("The scan opens in a liver window. Turquoise: its liver, given or found", 5)
    panel.segment()
    wait_until(lambda: "%" in panel.runbar.text.text() or not panel.segmenting.busy)
    film.take("Segment liver tumours: in the background, with progress, and Cancel", 4, settle_s=0.2)
    wait_until(lambda: panel.controller.shown is not None or bool(panel.messages.text))
    wait_until(lambda: not panel.busy, at_least_s=0.5)
    if panel.controller.shown is None:
        raise SystemExit(panel.messages.text)
    panel.messages.clear()
    show_largest(panel)
    film.take("Each lesion with slice, volume, size and HU; the view turns to the largest", 6)
    for lesion in panel.controller.shown.lesions[1:]:
        panel.table.picked.emit(lesion)
        film.take("A click on a row goes to its lesion", 4)
    show_largest(panel)
    panel.threshold.slider.setSliderDown(True)
    for threshold in (0.3, 0.15, 0.6, 0.8):
        panel.threshold.slider.setValue(threshold)
        film.take("Drag the threshold: what would be found is tinted, number and volume follow", 2, settle_s=0.8)
    panel.threshold.slider.setSliderDown(False)
    panel.threshold.auto.click()
    wait_until(lambda: not panel.controller.preview.on and not panel.controller.busy, at_least_s=1)
    film.take("Auto: the threshold that suits this scan's own scores", 5)
    panel.look.views.planes.click()
    film.take("3 planes through one point: a click goes there, a double click changes places", 6, settle_s=4)
    panel.look.views.planes.click()
    panel.look.views.space.click()
    film.take("3D: liver and tumours in space", 5, settle_s=3)
    panel.look.views.space.click()
    wait_until(lambda: not panel.controller.busy, at_least_s=1)
    show_largest(panel)
    switch(panel, Role.RESIDUAL, on=True)
    film.take("Residual: the scan minus the restored scan, blue where it is darker than a healthy liver", 6)
    switch(panel, Role.RESIDUAL, on=False)
    switch(panel, Role.SCORE, on=True)
    film.take("Anomaly score: how unlike a healthy liver each voxel is", 5)
    switch(panel, Role.SCORE, on=False)
    rows = panel.table.model()
    rows.setData(rows.index(rows.rowCount() - 1, NAMES.index("Keep")), Qt.CheckState.Unchecked, Qt.ItemDataRole.CheckStateRole)
    film.take("Untick Keep to reject a lesion; it stays out of mask, sum, report and export", 6)
    film.take("Export: masks, table, a report for people, a DICOM segmentation. Or save the session", 5)


def anomalies(film: Film, viewer: Any) -> None:
    """Show what training draws, whether the model sees it, and the detection limit."""
    panel = AnomalyPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Synthetic anomalies (Liver Anomaly)", area="right")
    panel.sample.click()
    wait_until(lambda: panel.inputs.liver.layer is not None and not panel.latest.busy, at_least_s=1)
    liver = panel.inputs.liver.layer
    viewer.dims.set_point(0, liver.data_to_world((liver.data.sum(axis=(1, 2)).argmax(), 0, 0))[0])
    panel.beside.click()
    for seed in (SEEN_SEED, SEEN_SEED + 1, SEEN_SEED + 2):
        panel.recipe.seed.setValue(seed)
        wait_until(lambda: not panel.latest.busy, at_least_s=0.5)
        film.take("Synthetic anomalies: what models are trained on, drawn on this scan, beside the original", 3)
    panel.recipe.seed.setValue(SEEN_SEED)
    panel.check.runbar.button.click()
    wait_until(lambda: not panel.check.busy, at_least_s=0.5)
    panel.beside.click()
    film.take("Would the model see this? Red: what was drawn. Blue: what the model found", 7, settle_s=1)
    for fold in panel.findChildren(Fold):
        fold.open(fold.body.isAncestorOf(panel.card))
    panel.card.runbar.button.click()
    wait_until(lambda: "inserted" in panel.card.runbar.text.text() or not panel.card.measuring.busy)
    film.take("Detection limit: lesions of known size and contrast, inserted into copies of this liver", 5, settle_s=0.2)
    wait_until(lambda: not panel.card.measuring.busy)
    film.take("From which size and contrast on the model finds a lesion in this very liver", 8, settle_s=1)


def record(path: Path) -> str:
    """Record the tour."""
    viewer, panel = open_window(SIZE_PX)
    film = Film(viewer)
    tumours(film, panel)
    viewer.layers.clear()
    viewer.window.remove_dock_widget(panel)
    anomalies(film, viewer)
    film.take(NOT_A_MEDICAL_DEVICE, 5)
    viewer.close()
    return film.write(path)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description="Record the tour of the README.")
    asked.add_argument("--out", type=Path, default=IMAGES / "tour.webp", help="File for the tour.")
    print(record(asked.parse_args().out))
