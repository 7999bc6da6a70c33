"""Where the time of a slice scroll, a jump and a preview goes: ``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/profile_window.py``.

Scrolls through the phantom with the scan alone, with its liver, with a result (of a model that restores nothing) and with the
score over it, and prints the milliseconds of each until it is drawn, and Python's profile of the last.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from itertools import cycle

from napari_liver_anomaly.gui.demo import open_window, wait_until
from napari_liver_anomaly.gui.layers import Role, add, liver_layer, scan_layer
from napari_liver_anomaly.gui.window_speed import drawn
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.synthesis import RECIPES
from napari_liver_anomaly.synthesis.apply import Synthesis

TIMES = 20


def main() -> None:
    """Measure and print."""
    sample = make_phantom(PhantomSettings(slices=100, size_px=512))
    viewer, panel = open_window()
    places = cycle(range(20, 80, 3))

    def scroll() -> None:
        drawn(lambda: viewer.dims.set_current_step(0, next(places)))

    add(viewer, scan_layer(sample.volume))
    tell("scroll, scan alone", scroll)
    add(viewer, liver_layer(sample.liver, sample.volume))
    tell("scroll, and its liver", scroll)
    panel.model.model.setCurrentText("hu")
    panel.segment()
    wait_until(lambda: panel.controller.shown is not None and not panel.busy and not panel.sessions.keeping.busy)
    tell("scroll, and tumours", scroll)
    shown = panel.controller.shown
    shown.layers[Role.SCORE].visible = True
    tell("scroll, and score", scroll)
    lesions = cycle(shown.lesions)
    tell("jump to a lesion", lambda: drawn(lambda: panel.table.picked.emit(next(lesions))))
    synthesis, seeds = Synthesis(sample.volume, sample.liver), cycle(range(1, 1000))
    tell("anomalies of a preview, drawing alone", lambda: synthesis.slice(50, RECIPES["nodules"](), next(seeds)))
    with cProfile.Profile() as profile:
        for _ in range(TIMES):
            scroll()
    pstats.Stats(profile).sort_stats("tottime").print_stats(12)
    viewer.close()


def tell(what: str, act: object) -> None:
    """Print what something takes by the clock and on the processor."""
    act()
    began_s, worked_s = time.perf_counter(), time.process_time()
    for _ in range(TIMES):
        act()
    print(
        f"{what}: {1000 * (time.perf_counter() - began_s) / TIMES:.0f} ms, {1000 * (time.process_time() - worked_s) / TIMES:.0f} on the processor"
    )


if __name__ == "__main__":
    main()
