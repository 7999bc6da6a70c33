"""Many scans on several processes, of this machine or of a cluster, by Dask: what is one task, when it may start, and what becomes of one that dies.

A scan that is refused, asks, or kills its process is recorded, and the rest go on. What is done is known by its session, so that a run that was
stopped goes on when it is started again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_liver_anomaly.io.read_options import ASK_ALL
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.many_scans.memory_need import bytes_for
from napari_liver_anomaly.many_scans.study import State, Study, segment_study
from napari_liver_anomaly.many_scans.workers import MEMORY, Workers, gone, lost, open_workers
from napari_liver_anomaly.messages import make_finding, make_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_liver_anomaly.io.read_options import ReadOptions
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.segmentation import SegmentSettings

TRIES_AGAIN = 1  # after an error that is no refusal
AHEAD = 2  # tasks given out for each process, so that none waits for the next
ENDED_PROCESS = "scan-ended-process"
LOOK_S = 0.5  # between two looks whether the run was cancelled


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a process does with one scan; goes to it in one piece.

    Attributes
    ----------
    folder : Path
        Where sessions are kept.
    model : str, path-like or object
        As :func:`~napari_liver_anomaly.inference.segment` takes it.
    settings : SegmentSettings or None
        As there.
    answers : ReadOptions
        Answers to what reading may ask.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    segment : callable or None
        In the place of :func:`~napari_liver_anomaly.inference.segment`.
    results : Path or None
        Where the files of each scan are written, in a folder of its own; none when nothing is given.
    """

    folder: Path
    model: Any = "standard"
    settings: SegmentSettings | None = None
    answers: ReadOptions = ASK_ALL
    device: str = "auto"
    segment: Callable[..., Any] | None = None
    results: Path | None = None

    def __call__(self, path: Path) -> Study:
        """Segment one scan."""
        return segment_study(
            path, self.folder, self.model, self.settings, answers=self.answers, device=self.device, segment=self.segment,
            also=None if self.results is None else partial(_write, self.results, path),
        )  # fmt: skip


def _write(results: Path, path: Path, result: Result) -> None:
    """Write the files of one scan; those of a run that was stopped, or was with other settings, make room."""
    from napari_liver_anomaly.io import write

    write(result, results / result.volume.identity, inputs=(path,), replace=True)


def segment_cohort(
    paths: Sequence[str | Path], task: Task, *, workers: int = 1, scheduler: str = "", threads: int = 0,
    told: Callable[[int, Study], object] = lambda number, study: None, opened: Callable[[Workers], object] = lambda workers: None,
    job: Job | None = None,
) -> tuple[Study, ...]:  # fmt: skip
    """Segment many scans on several processes; the results are those of one scan at a time, bit for bit.

    Parameters
    ----------
    paths : sequence of path-like
        Their files or folders, as :func:`studies_in` lists them; a cluster has to see them under the same names.
    task : Task
        What is done with each.
    workers : int
        Processes of this machine, 1 or more.
    scheduler : str
        Address of a Dask scheduler, as ``tcp://host:8786``, whose workers are used instead.
    threads : int
        Threads of each process of this machine; with 0, the processes share its processors.
    told : callable
        Called with number and study when one has ended, and with its picture, which is not kept: many would fill the memory.
    opened : callable
        Called with the processes when they are there.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    tuple of Study
        One for each path, in their order, without pictures.

    Raises
    ------
    Refusal
        When Dask is not installed, or the scheduler cannot be reached or is lost; what was done before is kept.
    Cancelled
        When the job was cancelled; what was done before is kept.
    """
    job, found = job or Job(), dict[int, Study]()

    def end(number: int, study: Study) -> None:
        told(number, study)
        found[number] = replace(study, picture=None)
        job.at("Segmenting the scans", len(found), len(paths))

    job.at("Starting the processes", 0, 1)
    with open_workers(workers, scheduler, threads) as crew:
        opened(crew)
        job.at("Segmenting the scans", 0, len(paths))
        left = _run(crew, task, enumerate(map(Path, paths)), AHEAD * crew.count, job, end, put_off=True)
        _run(crew, task, left, 1, job, end)  # each has all processes for itself
    return tuple(found[number] for number in range(len(paths)))


def _run(
    crew: Workers, task: Task, scans: Iterable[tuple[int, Path]], most: int, job: Job, end: Callable[[int, Study], None], *,
    put_off: bool = False,
) -> list[tuple[int, Path]]:  # fmt: skip
    """Give out tasks, a few at a time, and take what they give.

    Given back is what was put off: scans that need more than a process's share of memory, and those whose process ended, perhaps for another's fault.
    """
    running: dict[Any, tuple[int, Path]] = {}
    waiting, left = deque(scans), list[tuple[int, Path]]()
    try:
        while waiting or running:
            while waiting and len(running) < most:
                number, path = waiting.popleft()
                needed = bytes_for(path, task.answers) if crew.memory else 0
                if put_off and needed > crew.memory:
                    left.append((number, path))
                    continue
                bound = {MEMORY: min(needed, crew.memory)} if crew.memory else None
                key = f"scan-{number + 1}-{uuid4().hex}"  # no name of a file on Dask's pages
                running[crew.client.submit(task, path, key=key, retries=TRIES_AGAIN, resources=bound)] = (number, path)
            for future in crew.ended(running, LOOK_S):
                number, path = running.pop(future)
                study = _outcome(future, path)
                if put_off and study.finding is not None and study.finding.code == ENDED_PROCESS:
                    left.append((number, path))
                else:
                    end(number, study)
            if job.cancelled:
                job.at("Segmenting the scans", 0, 1)  # says that it was stopped
            crew.require_alive()
    finally:
        crew.drop(running)
    return left


def _outcome(future: Any, path: Path) -> Study:
    """Give what a task gave; one that ended in an error becomes a refused study."""
    error = future.exception() if future.status != "cancelled" else None
    if future.status == "cancelled" or (error is not None and lost(error)):
        raise make_refusal("scheduler-lost")
    if error is None:
        study: Study = future.result()
        return study
    finding = (
        make_finding("scan-ended-process") if gone(error) else make_finding("scan-ended-in-error", kind=type(error).__name__)
    )
    return Study(path=path, state=State.REFUSED, finding=finding)
