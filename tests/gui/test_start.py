"""Starting napari with the plugin, and opening a panel, are quick: torch comes with the first run, not before."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

OPEN_S = 1.0
PANELS = [("tumour_panel", "TumourPanel"), ("anomaly_panel", "AnomalyPanel")]

PROGRAM = """
import json, sys, time
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
app = QApplication([])
viewer = ViewerModel()
began = time.process_time()
from napari_liver_anomaly.gui.{module} import {panel}
panel = {panel}(viewer)
panel.show()
app.processEvents()
heavy = [name for name in ("torch", "SimpleITK", "pydicom", "sklearn") if name in sys.modules]
print(json.dumps({{"seconds": time.process_time() - began, "heavy": heavy}}))
"""


def opened(module, panel):
    program = PROGRAM.format(module=module, panel=panel)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("module", "panel"), PANELS)
def test_a_panel_opens_without_torch(module, panel):
    assert opened(module, panel)["heavy"] == []


@pytest.mark.benchmark
@pytest.mark.parametrize(("module", "panel"), PANELS)
def test_a_panel_opens_quickly(module, panel, figure):
    seconds = opened(module, panel)["seconds"]
    figure(f"open_{module}_s", seconds)
    assert seconds <= OPEN_S, f"the panel took {seconds:.2f} s"


def test_the_hooks_are_light():
    heavy = ("torch", "qtpy", "napari", "scipy")
    program = f"import sys; import napari_liver_anomaly.gui.hooks; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch is simply imported")
def test_torch_is_warmed_without_being_imported():
    program = (
        "import sys; from pathlib import Path; from napari_liver_anomaly.gui.worker import TORCH, preload_torch\n"
        "print(preload_torch(), TORCH in Path('/proc/self/maps').read_text(), 'torch' in sys.modules)\n"
        "import torch; print(torch.ones(2).sum().item(), preload_torch())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == ["True", "True", "False", "2.0", "False"]
