"""Sessions that earlier versions wrote open as they were saved; one of a later version is refused in words.

``tests/gui/sessions`` has one session of each format, made by the panel from a small phantom. When the format changes, the new one is added by
``python tests/gui/test_session_format.py`` (a screen or ``xvfb-run``), and the older ones stay as they are.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from gui.conftest import FakeMethod
from napari_liver_anomaly.gui.demo import wait_until
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
from napari_liver_anomaly.gui.saved_session import session_of
from napari_liver_anomaly.gui.tumour_panel import TumourPanel
from napari_liver_anomaly.gui.worker import Engine
from napari_liver_anomaly.io import read_session, session, write_session
from napari_liver_anomaly.io.session import FORMAT
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

FOLDER = Path(__file__).parent / "sessions"
LONG_MS = 120_000


def told(panel):
    """What of a session can be seen, as plain data."""
    shown, point = panel.controller.shown, panel.viewer.dims.point
    rows = [
        [
            row.lesion.number,
            round(row.lesion.volume_ml, 4),
            round(row.lesion.mean_hu, 2),
            row.kept,
            row.target,
            row.comment,
            row.origin,
        ]
        for row in shown.rows()
    ]
    arrays = {
        "labels": shown.tumours.data,
        "score": shown.result.score,
        "residual": shown.result.residual,
        "scan": shown.result.volume.voxels,
    }
    arrays |= {"liver": panel.inputs.liver.layer.data, "restored": shown.result.restored}
    return {
        "rows": rows, "threshold": shown.settings.threshold, "slice": point[0], "model": shown.result.model,
        "checksums": {name: zlib.crc32(np.ascontiguousarray(array).tobytes()) for name, array in arrays.items()},
    }  # fmt: skip


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.liver-session")), ids=lambda path: path.stem)
def test_it_opens_as_it_was_saved(make_panel, viewer, qtbot, path):
    panel = make_panel(viewer)
    with qtbot.waitSignal(panel.sessions.reopened, timeout=LONG_MS):
        panel.open([path])
    qtbot.waitUntil(lambda: not panel.controller.busy, timeout=LONG_MS)
    assert told(panel) == json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def test_the_format_of_now_is_among_them():
    assert (FOLDER / f"format-{FORMAT}.liver-session").is_file(), "add one, as the head of this file says"


def test_one_of_a_later_version_is_refused_in_words(make_panel, viewer, qtbot, tmp_path, monkeypatch):
    later = tmp_path / "later.liver-session"
    with monkeypatch.context() as patched:
        patched.setattr(session, "FORMAT", FORMAT + 1)
        write_session(read_session(FOLDER / f"format-{FORMAT}.liver-session"), later)
    panel = make_panel(viewer)
    with qtbot.waitSignal(panel.sessions.opening.refused, timeout=LONG_MS) as refused:
        panel.open([later])
    assert refused.args[0].code == "session-newer" and panel.messages.text.startswith(
        "This session was saved by a later version of the program."
    )
    assert not viewer.layers


def save_one():
    """Correct what a stand-in found in the phantom, and save it with its scan."""
    app = QApplication.instance() or QApplication([])
    phantom = make_phantom(PhantomSettings(slices=8, size_px=64))
    score = np.where(phantom.tumours.voxels, 220, 10).astype(np.uint8) * phantom.liver.voxels
    panel = TumourPanel(ViewerModel(), Engine(segment=FakeMethod(SimpleNamespace(score=score)), names=("compact",)))
    add(panel.viewer, scan_layer(phantom.volume))
    add(panel.viewer, liver_layer(phantom.liver, phantom.volume))

    def settle():
        wait_until(lambda: not (panel.busy or panel.controller.busy or panel.sessions.keeping.busy), at_least_s=0.2)

    panel.segment()
    settle()
    shown = panel.controller.shown
    for act in (
        lambda: shown.tumours.data_setitem(
            tuple(axis[:6] for axis in np.nonzero(phantom.liver.voxels & (shown.tumours.data == 0))), 9
        ),
        lambda: shown.tumours.data_setitem(tuple(axis[:2] for axis in np.nonzero(shown.tumours.data == 1)), 0),
        lambda: panel.lesions.keep(panel.table.lesions[1].lesion, False),
        lambda: panel.lesions.comment(panel.table.lesions[0].lesion, "cyst?"),
        lambda: panel.lesions.aim(panel.table.lesions[0].lesion, True),
        lambda: panel.viewer.dims.set_current_step(0, 4),
        lambda: panel.inputs.liver.layer.data_setitem(tuple(np.array([[0], [0], [0]])), 1),
    ):
        act()
        settle()
    path = FOLDER / f"format-{FORMAT}.liver-session"
    write_session(session_of(panel.sessions.seen()), path)
    path.with_suffix(".json").write_text(json.dumps(told(panel), indent=1) + "\n", encoding="utf-8")
    panel.deleteLater()
    app.processEvents()


if __name__ == "__main__":
    save_one()
