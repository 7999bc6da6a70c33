"""Many scans on several processes: how much quicker two are than one, and how memory grows with the number of scans."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.io import write_image
from napari_liver_anomaly.many_scans import State, segment_cohort
from napari_liver_anomaly.many_scans.cohort import Task
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.many_scans import Study
    from napari_liver_anomaly.many_scans.workers import Workers

SIZE_PX, SLICES = 64, 24  # the smallest phantom in which a liver is found
COMPARED = 40  # scans for one process against two
WARM = 2  # scans of each process that do not count: it loads libraries and networks
PARTS = 10  # of a run, for each of which the most memory is told


@dataclass
class _Watch:
    """Notes when each scan ended, and what memory the processes held then."""

    processes: dict[str, Any] = field(default_factory=dict)
    ends: list[float] = field(default_factory=list)
    memory: list[dict[str, int]] = field(default_factory=list)

    def opened(self, workers: Workers) -> None:
        import psutil

        pids = {f"worker {n}": pid for n, pid in enumerate(workers.client.run(os.getpid).values(), 1)}
        self.processes = {name: psutil.Process(pid) for name, pid in {"scheduler": os.getpid(), **pids}.items()}

    def told(self, number: int, study: Study) -> None:
        self.ends.append(time.perf_counter())
        self.memory.append({name: process.memory_info().rss for name, process in self.processes.items()})

    def scans_per_s(self) -> float:
        first = min(WARM * (len(self.processes) - 1), len(self.ends) - 2)
        return (len(self.ends) - 1 - first) / (self.ends[-1] - self.ends[first])

    def by_part(self) -> list[dict[str, int]]:
        """Give the most memory of each process in each tenth of the run."""
        tenths = np.array_split(np.arange(len(self.memory)), min(PARTS, len(self.memory)))
        return [{name: max(self.memory[n][name] for n in tenth) for name in self.processes} for tenth in tenths]


def measure_cohort(model: str, scans: int, job: Job) -> dict[str, Any]:
    """Segment small phantoms, each another one: some by one process and then by two, of one thread each, and then all by two."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [_phantom(Path(folder), seed, scans, job) for seed in range(scans)]
        some = paths[:COMPARED]
        rates = {workers: _segmented(some, Path(folder), model, workers, job)[0].scans_per_s() for workers in (1, 2)}
        watch, studies = _segmented(paths, Path(folder), model, 2, job)
    tenths = watch.by_part()
    return {
        "scans": scans, "compared": len(some), "done": sum(study.state is State.DONE for study in studies), "model": model,
        "times_faster_by_two": rates[2] / rates[1], "scans_per_s": watch.scans_per_s(), "memory_by_tenth": tenths,
        "grown": {name: _late(tenths, name) / tenths[len(tenths) // 2][name] for name in tenths[0]},
    }  # fmt: skip


def _late(tenths: Sequence[dict[str, int]], name: str) -> float:
    return statistics.median(one[name] for one in tenths[-3:])


def _phantom(folder: Path, seed: int, scans: int, job: Job) -> Path:
    job.at("Making phantoms", seed, scans)
    volume = make_phantom(PhantomSettings(seed=seed, size_px=SIZE_PX, slices=SLICES)).volume
    path = folder / f"{seed}.nii.gz"
    write_image(volume.voxels, volume.geometry, path)
    return path


def _segmented(paths: Sequence[Path], folder: Path, model: str, workers: int, job: Job) -> tuple[_Watch, tuple[Study, ...]]:
    watch = _Watch()
    with tempfile.TemporaryDirectory(dir=folder) as sessions:
        task = Task(folder=Path(sessions), model=model)
        studies = segment_cohort(paths, task, workers=workers, threads=1, told=watch.told, opened=watch.opened, job=job)
    return watch, studies
