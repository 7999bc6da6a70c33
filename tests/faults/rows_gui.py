"""Rows about work beside the window: layers that go, windows that close, cancel, errors, and that the window answers."""

from __future__ import annotations

import dataclasses
import gc
import random
import subprocess
import sys
import threading
import tracemalloc
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from builders import refusal_of
from faults.table import row
from napari_liver_anomaly import errors
from napari_liver_anomaly.errors import Cancelled, Finding, Level, Refusal
from napari_liver_anomaly.job import Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.table import Kit

RESULTS = ["case restored", "case residual", "case anomaly score", "case tumours"]
BEAT_MS = 20
LONG_MS, LONG_S = 60_000, 60.0  # no measure of speed: only that nothing hangs
KEPT_BYTES = 20_000  # less than any scan of these rows


class Desk:
    """The panel tests' fixtures for a row: a viewer without a canvas, panels, a search and a finder that do as they are told."""

    def __init__(self, kit: Kit) -> None:
        from napari.components import ViewerModel

        get = kit.request.getfixturevalue
        get("quiet")
        self.kit, self.new_viewer = kit, ViewerModel
        self.bot, self.sample, self.method, self.finder = (get(name) for name in ("qtbot", "sample", "method", "finder"))
        self.make_panel, self.make_sample = get("make_panel"), get("make_sample")

    def panel(self, *, liver: bool = True, **engine: Any) -> Any:
        """A panel on a viewer of its own, with the sample's scan and, if wanted, its liver."""
        panel = self.make_panel(self.new_viewer(), self.sample, **engine)
        if not liver:
            panel.viewer.layers.remove("case liver")
        return panel

    def anomalies(self) -> Any:
        """The panel of synthetic anomalies, with scan and liver."""
        from napari_liver_anomaly.gui.anomaly_panel import AnomalyPanel
        from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer

        panel = AnomalyPanel(self.new_viewer())
        self.bot.addWidget(panel)
        panel.follow.setChecked(False)
        add(panel.viewer, scan_layer(self.sample.volume))
        add(panel.viewer, liver_layer(self.sample.liver, self.sample.volume))
        return panel

    def run(self, panel: Any, begin: Callable[[], object] | None = None) -> None:
        """Begin a run, by the big button if nothing else is said, and wait for its end."""
        with self.bot.waitSignal(panel.finished, timeout=LONG_MS):
            (begin or panel.runbar.button.click)()

    def during(self, act: Callable[[], object], step: int = 1) -> Callable[..., None]:
        """What to call in the run's thread so that something is done in the window's thread in mid-run."""
        at, goes = threading.Event(), threading.Event()

        def wait(now: int = step) -> None:
            if now == step:
                at.set()
                goes.wait(30)

        def look() -> None:
            if at.is_set():
                timer.stop()
                act()
                goes.set()

        from qtpy.QtCore import QTimer

        timer = QTimer(interval=5)
        timer.timeout.connect(look)
        timer.start()
        self.timer = timer
        return wait


def names(panel: Any) -> list[str]:
    return [layer.name for layer in panel.viewer.layers]


def paint(layer: Any, value: int = 1) -> None:
    layer.data_setitem((np.array([5, 5]), np.array([24, 25]), np.array([32, 32])), value)


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "liver-anomaly"]


@row(44)
def layers_deleted_during_a_run_lose_nothing_and_raise_nothing(kit: Kit) -> None:
    """A layer is deleted while its scan is being segmented."""
    desk = Desk(kit)
    removed = "The scan was removed during the run. The result was kept."
    cases = (("case", 0, removed), ("case", 3, removed), ("case liver", 1, ""), ("case tumours", 2, ""), ("all", 1, removed))
    for gone, step, told in cases:
        panel = desk.panel()
        desk.run(panel)  # so that there are targets of an earlier run

        def delete(panel: Any = panel, gone: str = gone) -> None:
            panel.viewer.layers.clear() if gone == "all" else panel.viewer.layers.remove(gone)

        desk.method.at_step = desk.during(delete, step)
        desk.run(panel)
        desk.method.at_step = lambda step: None
        assert set(RESULTS) <= set(names(panel)), f"{gone} removed at step {step}: {names(panel)}"
        assert panel.messages.text == told and not panel.messages.details, f"{gone} at {step}: {panel.messages.text}"
        assert not panel.runbar.running and panel.controller.shown is not None, gone
    panel = desk.panel()
    _delete_between_layers(panel)
    desk.run(panel)
    assert not panel.messages.details and not panel.runbar.running, panel.messages.details
    panel = desk.panel(liver=False)
    desk.finder.at_step = desk.during(panel.viewer.layers.clear)
    desk.run(panel, panel.inputs.find_button.click)
    assert names(panel) == [] and "The scan was removed while its liver was looked for." in panel.messages.text
    desk.finder.at_step = lambda: None
    other = desk.anomalies()
    _slow_synthesis(kit, desk.during(other.viewer.layers.clear))
    desk.run(other)
    assert names(other) == ["case anomalous", "case anomalous liver", "case anomalous mask"] and not other.messages.text


def _delete_between_layers(panel: Any) -> None:
    """Take a layer away after each that a result adds, while the next is on its way."""
    from qtpy.QtCore import QTimer

    doomed = ["case", "case restored", "case liver"]

    def delete() -> None:
        if doomed and doomed[0] in panel.viewer.layers:
            panel.viewer.layers.remove(doomed.pop(0))

    panel.viewer.layers.events.inserted.connect(lambda event: QTimer.singleShot(0, delete))


def _slow_synthesis(kit: Kit, at_step: Callable[[int], object]) -> None:
    """Let something happen at each slice that is drawn."""
    from napari_liver_anomaly.synthesis import apply

    steps = iter(range(10_000))
    on_plane = apply._Drawing.on_plane
    kit.patch.setattr(apply._Drawing, "on_plane", lambda *args: (at_step(next(steps)), on_plane(*args))[1])


@row(45)
def closing_the_window_asks_then_stops(kit: Kit) -> None:
    """The window is closed while a run is in progress."""
    from qtpy.QtGui import QCloseEvent
    from qtpy.QtWidgets import QApplication, QMainWindow

    from napari_liver_anomaly.gui.closing_guard import ClosingGuard

    class ByUser(QCloseEvent):
        def spontaneous(self) -> bool:
            return True

    desk = Desk(kit)
    desk.method.steps, desk.method.step_s = 5000, 0.01
    chance = random.Random(45)
    for n in range(10):
        panel, window, answers = desk.panel(), QMainWindow(), [False, True]
        desk.bot.addWidget(window)
        window.setCentralWidget(panel)
        panel._guard = ClosingGuard(panel, panel.segmenting, ask=lambda _, answers=answers: answers.pop(0))
        window.show()
        panel.runbar.button.click()
        desk.bot.wait(chance.randrange(150))
        QApplication.sendEvent(window, ByUser())
        assert answers == [True] and window.isVisible() and not panel.segmenting.stopping, f"closing {n}: the user chose to stay"
        if n % 2:
            QApplication.sendEvent(window, ByUser())
            assert not answers, "it asks each time"
        else:
            window.close()  # a program closes it: nobody is asked
        if n % 3 == 0:
            panel.deleteLater()
        desk.bot.waitUntil(lambda: not our_threads(), timeout=LONG_MS)
        assert n % 3 == 0 or names(panel) == ["case", "case liver"]
    for work in ("time.sleep(600)", "[job.at('Searching', n, 60) or time.sleep(0.05) for n in range(12_000)]"):
        _closes_in_time(kit.folder / "program.py", work)


def _closes_in_time(program: Path, work: str) -> None:
    """A program whose window is closed during a run ends with code 0, whether the work listens or not."""
    program.write_text(
        "import time\n"
        "from qtpy.QtCore import QTimer\n"
        "from qtpy.QtWidgets import QApplication, QMainWindow\n"
        "from napari_liver_anomaly.gui.closing_guard import ClosingGuard\n"
        "from napari_liver_anomaly.gui.background import Task\n"
        "app = QApplication([])\n"
        "window = QMainWindow()\n"
        "run = Task(window, alone=True)\n"
        "guard = ClosingGuard(window, run)\n"
        f"run.start(lambda job: {work})\n"
        "guard.watch()\n"
        "window.show()\n"
        "QTimer.singleShot(200, window.close)\n"
        "app.exec()\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 and not done.stderr, f"{work}: {done.stderr}"


@row(46)
def a_second_run_is_refused_while_one_is_in_progress(kit: Kit) -> None:
    """Two runs at once."""
    from qtpy.QtCore import Qt

    from napari_liver_anomaly.gui.tumour_panel import IN_PROGRESS

    desk = Desk(kit)
    first, goes = desk.panel(), threading.Event()
    same_viewer = desk.make_panel(first.viewer)
    other_viewer, drawing = desk.panel(), desk.anomalies()
    desk.method.at_step = lambda step: goes.wait(30)
    with desk.bot.waitSignal(first.finished, timeout=LONG_MS):
        desk.bot.mouseClick(first.runbar.button, Qt.MouseButton.LeftButton)
        desk.bot.mouseDClick(first.runbar.button, Qt.MouseButton.LeftButton)
        desk.bot.mouseRelease(first.runbar.button, Qt.MouseButton.LeftButton)
        assert first.segmenting.busy and not first.segmenting.stopping, "a double click starts one run and stops none"
        for how, press in (("panel", first.segment), ("finder", first.find_liver)):
            press()
            assert first.messages.text == IN_PROGRESS, f"the same {how}"
        for panel in (same_viewer, other_viewer):
            for press in (panel.runbar.button.click, panel.inputs.find_button.click):
                panel.messages.clear()
                press()
                assert panel.messages.text == IN_PROGRESS and not panel.segmenting.busy
                assert panel.runbar.button.isEnabled() and panel.runbar.button.text() == "Segment liver tumours"
        drawing.runbar.button.click()
        assert drawing.messages.text == IN_PROGRESS and not drawing.drawing.busy
        assert len(our_threads()) == 1
        goes.set()
    assert len(desk.method.calls) == 1 and not desk.finder.calls
    desk.run(other_viewer)
    assert len(desk.method.calls) == 2 and names(other_viewer)[-4:] == RESULTS, "and afterwards it can start"


@row(47)
def edits_during_a_run_do_not_reach_it(kit: Kit) -> None:
    """Scan or liver are changed while they are being segmented."""
    from napari_liver_anomaly.gui.worker import EDITED

    desk = Desk(kit)
    volume, liver = desk.sample.volume.voxels.copy(), desk.sample.liver.voxels.copy()
    panel = desk.panel()
    desk.run(panel)
    wanted = {layer.name: layer.data.copy() for layer in panel.viewer.layers if layer.name in RESULTS}
    for what in ("scan in place", "scan replaced", "liver in place", "liver painted", "liver replaced"):
        desk.sample.volume.voxels[:], desk.sample.liver.voxels[:] = volume, liver
        panel = desk.panel()

        def edit(panel: Any = panel, what: str = what) -> None:
            layer = panel.viewer.layers["case" if what.startswith("scan") else "case liver"]
            if what.endswith("painted"):
                paint(layer, 0)
            elif what.endswith("replaced"):
                layer.data = np.zeros_like(layer.data)
            else:
                layer.data[:] = 0

        desk.method.at_step = desk.during(edit)
        desk.run(panel)
        call = desk.method.calls[-1]
        assert np.array_equal(call["volume"].voxels, volume) and np.array_equal(call["liver"].voxels, liver), what
        for name, data in wanted.items():
            assert np.array_equal(panel.viewer.layers[name].data, data), f"{what}: {name}"
        assert panel.messages.text == str(EDITED), f"{what}: {panel.messages.text}"
    desk.sample.volume.voxels[:], desk.sample.liver.voxels[:] = volume, liver
    desk.method.at_step = lambda step: None
    calm, drawn = desk.anomalies(), desk.anomalies()
    desk.run(calm)

    def wipe() -> None:
        drawn.viewer.layers["case"].data[:] = 0
        drawn.viewer.layers["case liver"].data[:] = 0

    _slow_synthesis(kit, desk.during(wipe))
    desk.run(drawn)
    for name in ("case anomalous", "case anomalous mask"):
        assert np.array_equal(calm.viewer.layers[name].data, drawn.viewer.layers[name].data), f"drawing on the whole: {name}"
    assert (calm.messages.text, drawn.messages.text) == ("", str(EDITED))


@row(48)
def a_corrected_mask_is_never_overwritten(kit: Kit) -> None:
    """A mask that the user corrected is overwritten by another run."""
    from napari_liver_anomaly.gui.tumour_panel import CORRECTIONS_KEPT

    desk = Desk(kit)
    for how in ("brush", "fill", "script", "during the run"):
        for threshold in (0.5, 0.3):
            panel = desk.panel()
            desk.run(panel)
            layer = panel.viewer.layers["case tumours"]

            def correct(layer: Any = layer, how: str = how) -> None:
                if how == "fill":
                    layer.fill((5, 24, 32), 1)
                elif how == "script":
                    layer.data[5, 24, 32] = 1
                else:
                    paint(layer)

            if how == "during the run":
                desk.method.at_step = desk.during(correct)
            else:
                correct()
            panel.threshold.slider.setValue(threshold)
            desk.run(panel)
            desk.method.at_step = lambda step: None
            for again in (False, True):
                if again:
                    desk.run(panel)
                assert layer in panel.viewer.layers and layer.name == "case tumours", how
                assert layer.data[5, 24, 32] > 0, f"{how}, threshold {threshold}, again: {again}"
                assert "case tumours 2" not in names(panel), f"{how}: there is one layer of tumours, and one truth"
                assert CORRECTIONS_KEPT in panel.messages.text, f"{how}: it is said"
    panel = desk.panel(liver=False)
    desk.run(panel, panel.inputs.find_button.click)
    liver = panel.viewer.layers["case liver"]
    paint(liver, 0)
    before = liver.data.tobytes()
    desk.run(panel, panel.inputs.find_button.click)
    assert liver.data.tobytes() == before and "case liver 2" in names(panel)


@row(51)
def cancel_stops_at_the_next_step_and_leaves_nothing(kit: Kit) -> None:
    """Work is cancelled at every step in turn."""
    desk = Desk(kit)
    for button in ("segment", "find"):
        _panel_stops(desk, button)
    works = _library(kit.folder)
    _no_model_after_the_last_update(works["train"], kit.folder)
    for name, work in works.items():
        steps = _stops_at_every_step(name, work)
        assert steps >= 3, f"{name} tells of {steps} steps only"
        left = sorted(path.name for path in kit.folder.rglob("*") if path.is_file())
        assert all(
            part.endswith(".unfinished.stage1.safetensors") or part.endswith(".unfinished.stage2.safetensors") for part in left
        ), f"{name} left {left}"  # the state of an unfinished training is whole, and gone on with


def _no_model_after_the_last_update(train: Callable[[Job], object], folder: Path) -> None:
    """All is learned, and only the card and the file are left to be made."""
    ends: list[str] = []

    def report(progress: Any) -> None:
        ends.extend([progress.phase] if progress.done == progress.total else [])
        if len(ends) == 2:  # of the second of two stages
            job.cancel()

    job = Job(report=report)
    with pytest.raises(Cancelled):
        train(job)
    assert not (folder / "model.safetensors").exists()


def _panel_stops(desk: Desk, button: str) -> None:
    """The panel's two runs: nothing new on screen, said in words, and the copies are let go."""
    for step in range(4 if button == "segment" else 1):
        panel = desk.panel(liver=button == "segment")
        before = names(panel)
        (desk.method if button == "segment" else desk.finder).at_step = desk.during(panel.runbar.button.click, step)
        desk.run(panel, panel.runbar.button.click if button == "segment" else panel.inputs.find_button.click)
        assert panel.runbar.text.text() == "Stopped. Nothing was kept." and names(panel) == before, f"{button}, step {step}"
        assert panel.runbar.button.isEnabled() and not our_threads()
        call = (desk.method if button == "segment" else desk.finder).calls.pop()
        copied = weakref.ref(call["volume"].voxels)
        assert copied() is not panel.viewer.layers["case"].data
        del call
        gc.collect()
        assert copied() is None, f"{button}, step {step}: the run's copy of the scan is still in memory"
    desk.method.at_step, desk.finder.at_step = (lambda step: None), (lambda: None)


def _library(folder: Path) -> dict[str, Callable[[Job], object]]:
    """The long work of the library on a phantom, each ready to be started."""
    from napari_liver_anomaly.geometry import Geometry
    from napari_liver_anomaly.inference import segment
    from napari_liver_anomaly.liver import find_liver
    from napari_liver_anomaly.models.two_stage import CONFIGS, TwoStage
    from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.synthesis import Blobs
    from napari_liver_anomaly.synthesis.apply import synthesise
    from napari_liver_anomaly.training.fit import fit_and_save
    from napari_liver_anomaly.training.training_file import pack_case
    from napari_liver_anomaly.volume import Mask, Volume

    made = make_phantom(PhantomSettings(size_px=64, slices=24, tumours=False))
    part = slice(9, 15)  # little, so that each piece of work takes a moment only
    grid = Geometry((64, 64, 6), made.volume.geometry.source_affine)
    volume = Volume(np.ascontiguousarray(made.volume.voxels[part]), grid)
    liver = Mask(np.ascontiguousarray(made.liver.voxels[part]), grid, volume.identity, judged=True)
    small = CONFIGS["compact"]
    preset = dataclasses.replace(
        small,
        options=dataclasses.replace(
            small.options,
            restorer=dataclasses.replace(small.options.restorer, width=4),
            segmenter=dataclasses.replace(small.options.segmenter, width=4),
        ),
        schedule=dataclasses.replace(
            small.schedule, restorer_steps=2, segmenter_steps=2, segmenter_epochs=0, batch=2, crop_px=64
        ),
    )
    scan = pack_case(volume.voxels, liver.voxels, None, volume.geometry.spacing_mm, scan="a")
    method = TwoStage(preset)

    def train(job: Job) -> object:
        for left in folder.glob("model*"):
            left.unlink()
        return fit_and_save([scan], preset, folder / "model.safetensors", device="cpu", job=job)

    return {
        "segment": lambda job: segment(volume, liver, method, SegmentSettings(batch=2), device="cpu", job=job),
        "find_liver": lambda job: find_liver(volume, device="cpu", job=job),
        "synthesise": lambda job: synthesise(volume, liver, Blobs(), 0, job),
        "train": train,
    }


def _stops_at_every_step(name: str, work: Callable[[Job], object]) -> int:
    """Cancel at each report in turn; how many there are. Only after the last is a result allowed, for then all was done."""
    told: list[Any] = []
    work(Job(report=told.append))
    assert told[-1].done == told[-1].total, f"{name} ends at {told[-1]}"
    for step in range(len(told) - 1):
        seen, job = [0], Job()

        def report(progress: Any, seen: list[int] = seen, step: int = step, job: Job = job) -> None:
            if seen[0] == step:
                job.cancel()
            seen[0] += 1

        job.report = report
        gc.collect()
        weighed = step == len(told) - 2  # the most that there can be; tracing is slow
        if weighed:
            tracemalloc.start()
        try:
            work(job)
            stopped = False
        except Cancelled:
            stopped = True
        assert stopped, f"{name}, step {step} of {len(told)} ({told[step]}): a cancelled job gave a result"
        assert seen[0] == step + 1, f"{name}, step {step}: it went on for {seen[0] - step - 1} steps"
        kept = _traced_arrays_bytes() if weighed else 0
        assert kept < KEPT_BYTES, f"{name}, step {step}: arrays of {kept} bytes are still held"
    return len(told)


def _traced_arrays_bytes() -> int:
    """Memory of the arrays that were made since tracing began and are still there; tracing ends."""
    gc.collect()
    arrays = tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)
    kept = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([arrays]).traces)
    tracemalloc.stop()
    return kept


@row(62)
def the_window_answers_during_any_run(kit: Kit) -> None:
    """The window freezes during a run."""
    from qtpy.QtCore import QTimer

    from builders import nifti_file
    from napari_liver_anomaly import io as reading

    desk, beats = Desk(kit), threading.Semaphore(0)
    timer = QTimer(interval=BEAT_MS)
    timer.timeout.connect(beats.release)
    timer.start()
    silent: list[str] = []

    def work(_step: int = 0) -> None:
        """Go on once the window has beaten: if this work held the window up, it never would."""
        while beats.acquire(blocking=False):
            pass
        if not beats.acquire(timeout=LONG_S / 6):
            silent.append(threading.current_thread().name)

    desk.method.at_step, desk.finder.at_step = work, lambda: work()
    panel = desk.panel(write=lambda *_: work() or ())
    read = reading.read
    kit.patch.setattr(reading, "read", lambda *args, **more: (work(), read(*args, **more))[1])
    path = nifti_file(kit.folder / "scan.nii")
    drawing = desk.anomalies()
    _slow_synthesis(kit, work)
    for name, begin, ended in (
        ("segment", panel.segment, panel.finished),
        ("find", panel.find_liver, panel.finished),
        ("export", partial(panel.exports.write, kit.folder), panel.exports.writing.ended),
        ("open", partial(panel.open, [path]), panel.loaded),
        ("draw", drawing.draw_whole, drawing.finished),
    ):
        with desk.bot.waitSignal(ended, timeout=LONG_MS):
            begin()
        assert not silent, f"{name}: the window was silent during the work on {silent}"
    timer.stop()


class CardFull(RuntimeError):
    """What a graphics card raises when its memory is full."""


def _kinds_of_refusal() -> list[type[Refusal]]:
    """Refusal and all that derives from it."""
    found = [Refusal]
    for kind in found:
        found += [further for further in kind.__subclasses__() if further.__module__ == errors.__name__ and further not in found]
    return found


@row(63)
def every_error_of_a_worker_is_one_sentence_and_the_button_lives(kit: Kit) -> None:
    """An exception is raised in a worker."""
    from napari_liver_anomaly import io as reading
    from napari_liver_anomaly.synthesis import apply

    desk = Desk(kit)
    refusals = [refusal_of(kind, "code", "What is wrong.", "What it means.", "What to do.") for kind in _kinds_of_refusal()]
    assert len(refusals) >= 10
    faults = [
        RuntimeError("bare"),
        CardFull("CUDA out of memory"),
        ValueError("x"),
        KeyboardInterrupt(),
        SystemExit(3),
        MemoryError(),
    ]
    raised: list[BaseException] = []

    def stumble(*_: Any, **__: Any) -> Any:
        if raised:
            raise raised[0]

    def write(*_: Any) -> tuple[()]:
        stumble()
        return ()

    plain = reading.read
    kit.patch.setattr(reading, "read", lambda *args, **more: stumble() or plain(*args, **more))
    draw = apply.synthesise
    kit.patch.setattr(apply, "synthesise", lambda *args: stumble() or draw(*args))
    from builders import nifti_file

    path = nifti_file(kit.folder / "scan.nii")
    panel, drawing = desk.panel(write=write), desk.anomalies()
    desk.run(panel)
    desk.method.at_step = desk.finder.at_step = stumble
    panels = {
        "segment": (panel, panel.runbar.button.click, panel.finished, panel.runbar.button),
        "find": (panel, panel.inputs.find_button.click, panel.finished, panel.inputs.find_button),
        "export": (panel, partial(panel.exports.write, kit.folder), panel.exports.writing.ended, panel.exports.choice.button),
        "open": (panel, partial(panel.open, [path]), panel.scans.reading.ended, panel.scans.box.file),
        "draw": (drawing, drawing.runbar.button.click, drawing.finished, drawing.runbar.button),
    }
    for name, (shown, begin, ended, button) in panels.items():
        for error in (*refusals, *faults):
            raised[:] = [error]
            before = names(shown)
            with desk.bot.waitSignal(ended, timeout=LONG_MS):
                begin()
            case = f"{name}, {type(error).__name__}: {shown.messages.text}"
            if isinstance(error, Refusal):
                assert shown.messages.text == "What is wrong. What it means. What to do." and not shown.messages.details, case
            else:
                assert "Nothing was changed." in shown.messages.text and "Traceback" not in shown.messages.text, case
                assert type(error).__name__ in shown.messages.details and "Traceback" in shown.messages.details, case
                assert shown.messages._lines[0].more.isVisibleTo(shown), case
            assert button.isEnabled() and names(shown) == before and not shown.runbar.bar.isVisibleTo(shown), case
        raised.clear()
        with desk.bot.waitSignal(ended, timeout=LONG_MS):
            begin()
        assert not shown.messages.details and "What is wrong" not in shown.messages.text, f"{name} works again"
    asks = Finding(level=Level.ASK, code="x", what="A.", meaning="B.", action="C.")
    panel.messages.show_findings(asks)
    assert panel.messages.property("level") == "ask"


def settle(desk: Desk, panel: Any) -> None:
    """Wait until the lesions are those of the labels and the slider."""
    desk.bot.waitUntil(
        lambda: not (panel.threshold._settle.isActive() or panel.controller.busy or panel.exports.writing.busy), timeout=LONG_MS
    )


def agree(desk: Desk, panel: Any, written: list[Any]) -> None:
    """Table, mask and export of a panel say the same."""
    settle(desk, panel)
    panel.exports.write(desk.kit.folder)
    settle(desk, panel)
    result, shown = written.pop(), panel.controller.shown
    assert np.array_equal(result.labels, shown.now().labels) and result.lesions == shown.lesions
    assert shown.tumours is None or np.array_equal(shown.tumours.data, result.labels)
    ml = [lesion.volume_ml for lesion in result.lesions]
    assert sum(ml) == pytest.approx(np.count_nonzero(result.labels) * result.volume.geometry.voxel_ml)
    assert panel.table.model().rowCount() == len(ml)


@row(98)
def table_mask_and_export_agree(kit: Kit) -> None:
    """Table and exported mask disagree: after a threshold and a deleted layer, paint, undo, or a layer that is hidden."""
    desk, written = Desk(kit), []
    panel = desk.panel(write=lambda result, *_: written.append(result) or (kit.folder / "a",))
    desk.run(panel)
    layer = panel.viewer.layers["case tumours"]
    for act in (
        lambda: paint(layer),
        layer.undo,
        layer.redo,
        lambda: setattr(layer, "visible", False) or layer.undo(),
        lambda: setattr(layer, "data", np.where(layer.data == 1, 0, layer.data)),
        lambda: panel.threshold.slider.setValue(0.3),
        lambda: panel.viewer.layers.remove(layer),
        lambda: panel.threshold.slider.setValue(0.2),
    ):
        act()
        agree(desk, panel, written)


@row(99)
def a_new_stroke_is_a_new_lesion(kit: Kit) -> None:
    """A stroke far from every lesion is measured as part of lesion 1, with whose number the brush begins."""
    desk = Desk(kit)
    panel = desk.panel()
    desk.run(panel)
    before = panel.controller.shown.lesions
    layer = panel.viewer.layers["case tumours"]
    layer.data_setitem((np.array([1, 1]), np.array([3, 4]), np.array([3, 3])), 1)
    settle(desk, panel)
    after = panel.controller.shown.lesions
    assert len(after) == len(before) + 1 and after[0].long_mm == before[0].long_mm and layer.data[1, 3, 3] == after[-1].number


@row(100)
def two_scans_are_not_mixed_up(kit: Kit) -> None:
    """Two patients: table and overlays of one over the picture of the other, or the threshold of one for the other."""
    from napari_liver_anomaly.gui.layers import add, scan_layer

    desk = Desk(kit)
    panel = desk.panel()
    desk.run(panel)
    panel.threshold.slider.setValue(0.9)
    settle(desk, panel)
    first, second = panel.viewer.layers["case"], add(panel.viewer, scan_layer(desk.make_sample(name="second", seed=8).volume))
    for chosen, other in ((second, first), (first, second), (second, first)):
        panel.inputs.scan.choose(chosen)
        layers = panel.viewer.layers
        assert chosen.visible and not other.visible and layers.index(chosen) > layers.index(other)
        assert layers["case tumours"].visible is (chosen is first)
        assert panel.threshold.value == (0.9 if chosen is first else 0.5)
        assert (panel.table.model().rowCount() > 0) is (chosen is first)


@row(101)
def text_of_files_is_no_markup(kit: Kit) -> None:
    """A title, a name or a finding holds HTML: it would be rendered, and its pictures opened."""
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QLabel, QWidget

    markup = '<b>Approved</b><img src="/tmp/x.png">'
    desk = Desk(kit)
    panel = desk.panel()
    panel.model._describe = lambda name: type(panel.model.about)(line=markup, figure=markup, note=markup)
    panel.model._say()
    panel.messages.note(markup)
    labels = [label for label in panel.findChildren(QLabel) if "<" in label.text()]
    assert len(labels) >= 4 and all(label.textFormat() == Qt.TextFormat.PlainText for label in labels)
    assert all("<img" not in widget.toolTip() for widget in panel.findChildren(QWidget))


@row(102)
def contrast_of_nodules_the_wrong_way_round(kit: Kit) -> None:
    """*Bright high* below *Dark low* in the recipe Nodules: an error of the program at the first bright lesion."""
    from napari_liver_anomaly.synthesis.nodules import Nodules

    with pytest.raises(Refusal, match="right high") as caught:
        Nodules(dark_low_hu=50.0, bright_high_hu=20.0)
    assert caught.value.finding.code == "setting-order"


@row(110)
def a_lesion_that_is_left_out(kit: Kit) -> None:
    """A finding that the reader rejects stays in mask, sum or export, comes back at another threshold, or cannot be had back."""
    desk, written = Desk(kit), []
    panel = desk.panel(write=lambda result, *_: written.append(result) or (kit.folder / "a",))
    desk.run(panel)
    table, shown = panel.table, panel.controller.shown
    first, second = shown.lesions
    table.ticked.emit(first, False)
    settle(desk, panel)
    for threshold in (0.5, 0.3, 0.2):
        panel.threshold.slider.setValue(threshold)
        settle(desk, panel)
        panel.exports.write(kit.folder)
        settle(desk, panel)
        result = written.pop()
        kept = [row.kept for row in table.lesions]
        assert kept == [True, False] and table.lesions[1].lesion == first and len(result.lesions) == 1
        assert not result.labels.flat[shown.left_out[first]].any()
        assert "corrected-by-hand" in {finding.code for finding in result.findings}, "the report says that it was not the program"
    panel.threshold.slider.setValue(0.5)
    settle(desk, panel)
    table.ticked.emit(first, True)
    settle(desk, panel)
    assert sorted(lesion.volume_ml for lesion in shown.lesions) == sorted([first.volume_ml, second.volume_ml])
    assert all(row.kept for row in table.lesions)
    (back,) = (lesion for lesion in shown.lesions if lesion.volume_ml == first.volume_ml)
    table.ticked.emit(back, False)
    shown.tumours.undo()
    settle(desk, panel)
    assert all(row.kept for row in table.lesions) and len(shown.lesions) == 2, "undone as any correction"


@row(120)
def the_last_threshold_is_what_one_gets(kit: Kit) -> None:
    """The slider is let go while earlier thresholds are still cut: labels, table or preview of another threshold would stay."""
    from former_cut import former_cut, former_measure
    from napari_liver_anomaly.gui.lesion_state import how

    desk = Desk(kit)
    panel = desk.panel()
    desk.run(panel)
    shown, slider = panel.controller.shown, panel.threshold.slider
    result = shown.result
    for steps in ((20, 90, 35), (70, 71, 5), (40, 60, 40), (100, 1, 50)):
        slider.setSliderDown(True)
        for step in steps:
            slider.setValue(step / 100)
        slider.setSliderDown(False)
        slider.sliderReleased.emit()
        settle(desk, panel)
        now = shown.now()
        wanted, left_out = former_cut(result.score, result.liver.probability, result.volume.geometry, how(now.settings))
        assert now.settings.threshold == steps[-1] / 100 and now.left_out == left_out and not panel.controller.preview.on
        assert np.array_equal(shown.tumours.data, wanted) and np.array_equal(now.labels, wanted)
        assert now.lesions == former_measure(wanted, result.volume, result.liver)
        assert panel.table.model().rowCount() == wanted.max()
