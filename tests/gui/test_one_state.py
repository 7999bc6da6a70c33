"""Whatever a user does, in whatever order: the table, the layer, the export and the state of a result say the same."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel

from gui.desk import Session
from napari_liver_anomaly.gui import threshold_controller, threshold_slider
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer

SEED = int(os.environ.get("PANEL_SEED", "11"))
RECORD = os.environ.get("PANEL_RECORD")  # file that tells how far a long run is
ACTIONS = int(os.environ.get("PANEL_ACTIONS", "2000"))  # docs/contributing.md has the command for 20,000
IN_WINDOW = 20  # times fewer actions in a window, where each is drawn
EVERY = 10  # actions between two exports


class BySample:
    """A stand-in for the model that knows the score of each sample."""

    def __init__(self, make, samples):
        self.methods = {sample.volume.identity: make(sample, steps=1, step_s=0) for sample in samples}

    def __call__(self, volume, *args, **kwargs):
        return self.methods[volume.identity](volume, *args, **kwargs)


@pytest.fixture
def begin(make_panel, make_sample, method, qtbot, monkeypatch, tmp_path):
    """Begin a session with two scans on a viewer of its own."""
    monkeypatch.setattr(threshold_controller, "AFTER_EDIT_MS", 1)
    monkeypatch.setattr(threshold_slider, "SETTLE_MS", 1)
    samples = [make_sample(), make_sample(name="second", seed=8)]
    samples[1].score = np.ascontiguousarray(samples[1].score[:, ::-1])

    def session(seed=0, viewer=None):
        written = []
        panel = make_panel(
            viewer or ViewerModel(),
            segment=BySample(type(method), samples),
            write=lambda result, folder, inputs: written.append(result) or (folder / "a",),
        )
        if viewer is not None:
            viewer.window.add_dock_widget(panel, name="Liver tumours (Liver Anomaly)", area="right")
        layers = []
        for sample in samples:
            layers.append(add(panel.viewer, scan_layer(sample.volume)))
            add(panel.viewer, liver_layer(sample.liver, sample.volume))
        panel.inputs.scan.choose(layers[0])
        made = Session(panel, layers, written, qtbot.waitUntil, np.random.default_rng(seed))
        made.do_run()
        made.check(tmp_path)
        return made

    return session


def names():
    return sorted(name[3:] for name in dir(Session) if name.startswith("do_"))


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=st.lists(st.sampled_from(names()), min_size=3, max_size=9), seed=st.integers(0, 99))
def test_after_every_action_all_say_the_same(begin, tmp_path, actions, seed):
    session = begin(seed)
    for action in actions:
        session.actions[action]()
        session.check(tmp_path)
    session.panel.deleteLater()


@pytest.mark.parametrize(
    "actions",
    [
        ["threshold", "delete_tumours"],
        ["paint", "delete_tumours", "threshold"],
        ["paint", "threshold", "undo", "redo"],
        ["erase_lesion", "threshold", "run"],
        ["replace", "run", "other_scan", "run", "other_scan"],
        ["threshold", "other_scan", "run", "auto"],
        ["paint", "hide", "undo"],
    ],
)
def test_sequences_that_once_went_wrong(begin, tmp_path, actions):
    session = begin(3)
    for action in actions:
        session.actions[action]()
        session.check(tmp_path)


def test_a_monkey_at_the_panel(begin, tmp_path):
    wander(begin(SEED), ACTIONS, tmp_path)


@pytest.mark.slow
def test_a_monkey_at_the_window(begin, tmp_path, make_napari_viewer):
    """The same where there is a canvas: small views, wipe and space are drawn."""
    session = begin(SEED, make_napari_viewer(show=True))
    wander(session, ACTIONS // IN_WINDOW, tmp_path)
    session.panel.look.compare.stop()
    session.panel.look.space.leave()


def wander(session, actions, tmp_path):
    """Do things at random."""
    chosen = session.rng.choice(names(), actions)
    for n, action in enumerate(chosen):
        session.actions[action]()
        if n % 2 or n % EVERY == 0:  # also two actions in a row, the second while the first is still under way
            try:
                session.check(tmp_path, export=n % EVERY == 0)
            except AssertionError as error:
                raise AssertionError(f"after action {n}, {chosen[max(0, n - 5) : n + 1].tolist()}: {error}") from error
        if RECORD and (n + 1) % 100 == 0:
            Path(RECORD).write_text(json.dumps({"seed": SEED, "actions": n + 1, "of": actions}) + "\n", encoding="utf-8")
