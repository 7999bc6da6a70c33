"""Progress and cancel without Qt."""

from __future__ import annotations

from threading import Thread

import pytest

from napari_liver_anomaly.errors import Cancelled, LiverAnomalyError
from napari_liver_anomaly.job import Job, Progress


def work(job: Job, steps: int = 5) -> list[int]:
    done = []
    for step in range(steps):
        job.at("Restoring the liver", step, steps)
        done.append(step)
    return done


def test_each_step_is_reported() -> None:
    seen: list[Progress] = []
    assert work(Job(seen.append), 3) == [0, 1, 2]
    assert seen == [Progress("Restoring the liver", step, 3) for step in range(3)]


def test_a_job_that_nobody_watches_is_silent() -> None:
    assert work(Job()) == [0, 1, 2, 3, 4]


def test_cancel_stops_before_the_next_step_is_reported() -> None:
    seen: list[int] = []

    def watch(progress: Progress) -> None:
        seen.append(progress.done)
        if progress.done == 2:
            job.cancel()

    job = Job(watch)
    with pytest.raises(Cancelled, match="no result was kept"):
        work(job)
    assert seen == [0, 1, 2]
    assert job.cancelled


def test_cancel_from_another_thread() -> None:
    job = Job()
    thread = Thread(target=job.cancel)
    thread.start()
    thread.join()
    with pytest.raises(Cancelled):
        job.at("Reading", 0, 1)


def test_jobs_do_not_share_their_stop() -> None:
    first, second = Job(), Job()
    first.cancel()
    assert work(second, 1) == [0]


def test_cancelled_is_no_refusal_and_no_runtime_error() -> None:
    assert issubclass(Cancelled, LiverAnomalyError)
    assert not issubclass(Cancelled, RuntimeError)
