"""How quick the window is on a CT of full size, for ``liver-anomaly bench --part gui``: each action timed until it is drawn."""

from __future__ import annotations

import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.bench.rounds import in_turn
from napari_liver_anomaly.gui.demo import SIZE_PX, open_window, require_screen, wait_until
from napari_liver_anomaly.gui.heartbeat import Heart
from napari_liver_anomaly.gui.layers import Role, add, liver_layer, scan_layer
from napari_liver_anomaly.gui.opening_speed import measure_opening
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.gui.result_layers import ResultLayers
    from napari_liver_anomaly.gui.tumour_panel import TumourPanel
    from napari_liver_anomaly.job import Job

SLICES, FULL_PX, TALL = 200, 512, 2  # the scan that is painted first has so many times the slices
REST_S = 1.0  # after layers were added, until nothing is left to draw
BETWEEN_S = 0.15  # between two actions, so that none draws what the one before left to be drawn
TICK, TABLE, JUMP, SCROLL = "threshold tick, Python", "lesion table after release", "jump to a lesion", "slice scroll, all layers"
MARKED, LAID_OVER, PLAIN = (
    "jump to a lesion, until it is marked",
    "jump to a lesion, all layers",
    "slice scroll, scan with liver and tumours",
)
TOGGLE, PAINT, PREVIEW = "overlay on or off", "first paint of a CT of 400 slices", "synthesis preview"
ALONE = "slice scroll, napari alone with the scan"
BEAT, SHOWING = "latest beat during a run", "latest beat while its result comes on screen"
GOALS_S = {TICK: 0.005, TABLE: 1.0, JUMP: 0.1, SCROLL: 0.016, PAINT: 3.0, PREVIEW: 0.05, BEAT: 0.2, SHOWING: 0.2}


def measure_window(model: str, job: Job, rounds: int, slices: int = SLICES, size_px: int = FULL_PX) -> dict[str, Any]:
    """Open a window on the phantom, search it, and time what a reader does, with the time that each should take at most."""
    require_screen()
    found = measure_opening(job, rounds)
    sample = make_phantom(PhantomSettings(slices=slices, size_px=size_px))
    viewer, panel = open_window()
    try:
        add(viewer, scan_layer(sample.volume))
        add(viewer, liver_layer(sample.liver, sample.volume))
        panel.model.add_file(Path(model)) if model.endswith(".safetensors") else panel.model.model.setCurrentText(model)
        found |= _run(panel)
        found |= _reading(viewer, panel, job, rounds)
        found[PREVIEW] = _previews(viewer, panel, job, rounds)
        viewer.layers.clear()
        found[PAINT] = _first_paint(viewer, np.repeat(sample.volume.voxels, TALL, axis=0), job, rounds)
    finally:
        viewer.close()
    found[ALONE] = _alone(sample.volume.voxels, job, rounds)
    return {name: one | ({"goal_s": GOALS_S[name]} if name in GOALS_S else {}) for name, one in found.items()}


def _run(panel: TumourPanel) -> dict[str, Any]:
    """Search the scan, and see how the window answers meanwhile; what the layers just added still have to draw does not count."""
    rest(REST_S)
    heart = Heart()
    panel.segment()
    wait_until(lambda: not panel.segmenting.busy)
    found = {BEAT: heart.latest()}
    wait_until(lambda: panel.controller.shown is not None and not panel.busy and not panel.sessions.keeping.busy)
    found[SHOWING] = heart.latest()
    heart.stop()
    return found


def _reading(viewer: Any, panel: TumourPanel, job: Job, rounds: int) -> dict[str, Any]:
    """Move the threshold, let go, go to lesions, scroll, switch an overlay."""
    shown, slider = panel.controller.shown, panel.threshold.slider
    if shown is None or not shown.lesions:
        raise make_refusal("demo-failed", reason=panel.messages.text)
    thresholds, numbers = cycle(np.arange(20, 80) / 100), cycle(range(1000))
    places = cycle(range(0, shown.result.volume.voxels.shape[0], 3))
    tick, _ = panel.look.overlays.rows[Role.RESIDUAL]
    slider.setSliderDown(True)
    found = in_turn({TICK: lambda: slider.setValue(next(thresholds)), "drawing": draw}, job, 4 * rounds)
    slider.setSliderDown(False)
    until(lambda: not panel.controller.outdated)

    def jump() -> int:
        lesion = panel.table.lesions[next(numbers) % len(panel.table.lesions)].lesion
        drawn(lambda: panel.table.picked.emit(lesion))
        return lesion.number

    def marked() -> None:
        number = jump()
        until(lambda: shown.marked == number)
        draw()

    def scroll() -> None:
        drawn(lambda: viewer.dims.set_current_step(0, next(places)))

    as_a_run_leaves_it = {
        TABLE: lambda: _release(panel, shown, float(next(thresholds))),
        JUMP: jump, MARKED: marked, PLAIN: scroll, TOGGLE: lambda: drawn(tick.click),
    }  # fmt: skip
    found |= in_turn(as_a_run_leaves_it, job, 2 * rounds, rest)
    for role in (Role.SCORE, Role.RESIDUAL):
        shown.layers[role].visible = True
    found |= in_turn({LAID_OVER: jump, SCROLL: scroll}, job, 2 * rounds, rest)
    return {name: one for name, one in found.items() if name != "drawing"}


def _release(panel: TumourPanel, shown: ResultLayers, threshold: float) -> None:
    """Let the slider go at a threshold, and wait for its lesions."""
    panel.threshold.slider.setValue(threshold)
    panel.threshold.slider.sliderReleased.emit()
    until(lambda: not panel.controller.outdated and shown.settings.threshold == panel.threshold.value)


def _previews(viewer: Any, panel: TumourPanel, job: Job, rounds: int) -> dict[str, Any]:
    """Draw a synthetic anomaly on a slice of the liver, with one seed after the other."""
    from napari_liver_anomaly.gui.anomaly_panel import AnomalyPanel

    anomalies, seeds = AnomalyPanel(viewer), cycle(range(1, 1000))
    anomalies.inputs.scan.choose(panel.inputs.scan.layer)
    liver: Any = anomalies.inputs.liver.layer
    viewer.dims.set_current_step(0, int(liver.data.any(axis=(1, 2)).nonzero()[0].mean()))
    seen: list[object] = []
    anomalies.latest.returned.connect(seen.append)
    until(lambda: bool(seen))

    def one() -> None:
        seen.clear()
        anomalies.recipe.seed.setValue(next(seeds))
        until(lambda: bool(seen))

    found = in_turn({PREVIEW: one}, job, 2 * rounds, rest)
    anomalies.follow.setChecked(False)
    draw()
    anomalies.deleteLater()
    return found[PREVIEW]


def _first_paint(viewer: Any, voxels: Any, job: Job, rounds: int) -> dict[str, Any]:
    """Show a CT that was read, and take it away again, which does not count."""

    def show() -> None:
        viewer.add_image(voxels, contrast_limits=(15, 165), name="tall")
        draw()

    return in_turn({PAINT: show, "taking it away": lambda: drawn(viewer.layers.clear)}, job, rounds)[PAINT]


def _alone(voxels: Any, job: Job, rounds: int) -> dict[str, Any]:
    """Scroll through a scan in napari alone: nothing of ours can be quicker on this machine."""
    import napari

    viewer, places = napari.Viewer(), cycle(range(0, len(voxels), 3))
    viewer.window.resize(*SIZE_PX)
    viewer.add_image(voxels, contrast_limits=(15, 165))
    draw()
    try:
        return in_turn({ALONE: lambda: drawn(lambda: viewer.dims.set_current_step(0, next(places)))}, job, 2 * rounds, rest)[
            ALONE
        ]
    finally:
        viewer.close()


def rest(seconds: float = BETWEEN_S) -> None:
    """Let the window do what is left to be done."""
    until_s = time.monotonic() + seconds
    until(lambda: time.monotonic() > until_s)


def draw() -> None:
    """Draw what there is to draw."""
    from qtpy.QtWidgets import QApplication

    QApplication.processEvents()


def drawn(act: Callable[[], object]) -> None:
    """Do something, and draw it."""
    act()
    draw()


def until(done: Callable[[], bool]) -> None:
    """Let the window work until something is done, looking every millisecond."""
    wait_until(done, pause_s=0.001)
