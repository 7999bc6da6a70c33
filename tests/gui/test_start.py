"""Starting napari with the plugin, and opening a panel, are quick: torch comes with the first run, not before."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

OPEN_S = 1.0

PROGRAM = """
import json, sys, time
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
app = QApplication([])
viewer = ViewerModel()
began, worked = time.perf_counter(), time.process_time()
from napari_liver_anomaly.gui.{room} import {panel}
panel = {panel}(viewer)
panel.show()
app.processEvents()
heavy = [name for name in ("torch", "SimpleITK", "pydicom", "sklearn") if name in sys.modules]
print(json.dumps({{"seconds": min(time.perf_counter() - began, time.process_time() - worked), "heavy": heavy}}))
"""


@pytest.mark.parametrize(("room", "panel"), [("tumour_panel", "TumourPanel"), ("anomaly_panel", "AnomalyPanel")])
def test_a_panel_opens_quickly_and_without_torch(room, panel, figure, patience):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(room=room, panel=panel)], capture_output=True, text=True, timeout=120, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    figure(f"open_{room}_s", told["seconds"])
    assert told["heavy"] == []
    assert told["seconds"] <= OPEN_S * patience, f"the panel took {told['seconds']:.2f} s"


def test_the_hooks_are_light():
    heavy = ("torch", "qtpy", "napari", "scipy")
    program = f"import sys; import napari_liver_anomaly.gui.hooks; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch is simply imported")
def test_torch_is_warmed_without_being_imported():
    program = (
        "import sys; from pathlib import Path; from napari_liver_anomaly.gui.preload import LIBRARY, preload_torch\n"
        "print(preload_torch(), LIBRARY in Path('/proc/self/maps').read_text(), 'torch' in sys.modules)\n"
        "import torch; print(torch.ones(2).sum().item(), preload_torch())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["True", "True", "False", "2.0", "False"]
