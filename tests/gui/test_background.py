"""Work beside the window: every ending arrives, and nothing is told to a panel that is gone."""

from __future__ import annotations

import time
from threading import Event

import pytest
from qtpy.QtCore import QObject

from builders import refusal_of
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.gui import background
from napari_liver_anomaly.gui.background import Task, TimeLeft
from napari_liver_anomaly.job import Job, Progress


def heard(run: Task) -> list[tuple]:
    told: list[tuple] = []
    for name in ("returned", "refused", "failed", "cancelled", "ended"):
        getattr(run, name).connect(lambda *values, name=name: told.append((name, *values)))
    return told


def finish(qtbot, run, work) -> list[tuple]:
    told = heard(run)
    with qtbot.waitSignal(run.ended, timeout=30_000):
        assert run.start(work)
    assert not run.busy
    return told


def stumble(error: BaseException):
    def work(job: Job) -> None:
        raise error

    return work


def test_what_the_work_returns_arrives(qtbot):
    assert finish(qtbot, Task(None), lambda job: 42) == [("returned", 42), ("ended",)]


def test_a_refusal_arrives_as_its_finding(qtbot):
    told = finish(qtbot, Task(None), stumble(refusal_of(Refusal, "x", "What.", "Meaning.", "Action.")))
    assert (told[0][0], str(told[0][1])) == ("refused", "What. Meaning. Action.")


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_every_fault_arrives_with_details(qtbot, error):
    """RuntimeError above all, which napari's generator workers swallow."""
    told = finish(qtbot, Task(None), stumble(error))
    assert [t[0] for t in told] == ["failed", "ended"]
    assert type(error).__name__ in told[0][1] and "stumble" not in told[0][1]
    assert "Traceback" in told[0][2]


def test_too_little_memory_is_said_in_words(qtbot):
    assert "not enough memory" in finish(qtbot, Task(None), stumble(MemoryError()))[0][1]


def test_a_run_can_start_again_after_a_fault(qtbot):
    run = Task(None)
    finish(qtbot, run, stumble(RuntimeError()))
    with qtbot.waitSignal(run.returned, timeout=30_000):
        run.start(lambda job: 1)


@pytest.mark.parametrize("step", range(4))
def test_cancel_at_every_step(qtbot, step):
    """Also after the last one, when the work no longer looks."""
    run = Task(None)
    told = heard(run)

    def work(job: Job) -> str:
        for n in range(4):
            job.at("Searching", n, 4)
            if n == step:
                run.cancel()
        return "result"

    with qtbot.waitSignal(run.ended, timeout=30_000):
        run.start(work)
    assert told == [("cancelled",), ("ended",)]


def test_only_one_run_alone_in_the_whole_program(qtbot):
    first, second, goes = Task(None, alone=True), Task(None, alone=True), Event()
    with qtbot.waitSignal(first.ended, timeout=30_000):
        assert first.start(lambda job: goes.wait(30))
        assert not second.start(lambda job: 1)
        assert not first.start(lambda job: 1)
        goes.set()
    with qtbot.waitSignal(second.returned, timeout=30_000):
        assert second.start(lambda job: 1)


def test_progress_within_a_phase_is_shown_now_and_then(qtbot, monkeypatch):
    """Each phase at its beginning, and after that no more often than the pause allows."""
    monkeypatch.setattr(background, "SHOW_S", 1e9)
    run, shown, looked = Task(None), [], Event()
    run.progressed.connect(lambda progress, left_s: shown.append((progress.phase, progress.done)))
    run._timer.timeout.connect(looked.set)

    def work(job: Job) -> None:
        for phase in ("Preparing", "Searching"):
            for n in range(5):
                job.at(phase, n, 10)
                for _ in range(2):  # the first look may have begun before
                    looked.clear()
                    assert looked.wait(60)

    with qtbot.waitSignal(run.ended, timeout=300_000):
        run.start(work)
    assert shown == [("Preparing", 0), ("Searching", 0)]


def test_a_panel_that_goes_stops_its_run(qtbot):
    parent = QObject()
    run, steps, ended = Task(parent), [], Event()

    def work(job: Job) -> None:
        try:
            for n in range(500):
                job.at("Searching", n, 500)
                steps.append(n)
                time.sleep(0.01)
        finally:
            ended.set()

    run.start(work)
    qtbot.waitUntil(lambda: bool(steps))
    parent.deleteLater()
    qtbot.waitUntil(ended.is_set, timeout=60_000)
    assert len(steps) < 200
    qtbot.wait(100)  # the end is told to nobody, and nothing raises


def test_the_newest_wish_wins(qtbot):
    latest, got, first_runs, goes = Task(None), [], Event(), Event()
    latest.returned.connect(got.append)

    def slow(job: Job) -> int:
        first_runs.set()
        goes.wait(30)
        return 0

    latest.ask(slow)
    first_runs.wait(30)
    for n in range(1, 5):
        latest.ask(lambda job, n=n: n)
    goes.set()
    qtbot.waitUntil(lambda: not latest.busy, timeout=30_000)
    assert got == [4]


def test_time_left_comes_from_the_pace_of_the_phase(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("napari_liver_anomaly.gui.background.time.monotonic", lambda: now[0])
    pace = TimeLeft()
    assert pace.left_s(Progress("a", 0, 10)) is None
    now[0] = 104.0
    assert pace.left_s(Progress("a", 2, 10)) == pytest.approx(4.0 / 2 * 8)
    assert pace.left_s(Progress("b", 0, 5)) is None
