"""Many scans on several processes: the same results as one at a time, whatever ends on the way."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from distributed import KilledWorker

from builders import ct, nifti_file
from cohort_stand_ins import FAILS, KILLS, WAITS, Model, Segment
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.errors import Cancelled, Refusal
from napari_liver_anomaly.io import read_session, write_image
from napari_liver_anomaly.io.read_options import ASK_ALL
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.many_scans import State, cohort, segment_all, segment_cohort, workers, write_summary
from napari_liver_anomaly.many_scans.cohort import Task
from napari_liver_anomaly.many_scans.listing import studies_of
from napari_liver_anomaly.many_scans.memory_need import FIXED_BYTES, bytes_for
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

FAR_MM = np.diag([-10.0, -10.0, 10.0, 1.0])


def scan(path, mark):
    hu = ct(40, 40, 8)
    hu[20, 20, 4] = mark
    return nifti_file(path, hu, FAR_MM)


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture
def task(tmp_path, notes):
    (tmp_path / "sessions").mkdir()
    return Task(folder=tmp_path / "sessions", model=Model(), segment=Segment(notes), results=tmp_path / "results")


def test_one_bad_scan_stops_no_other(tmp_path, task, notes, own_processes):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no scan")
    marks = {"a": 201, "kills": KILLS, "fails": FAILS, "b": 202, "c": 203}
    paths = [broken, *(scan(tmp_path / f"{name}.nii.gz", mark) for name, mark in marks.items())]
    told = {}
    found = segment_cohort(paths, task, workers=2, told=told.__setitem__)
    assert [str(study.state) for study in found] == ["refused", "done", "refused", "refused", "done", "done"]
    assert [study.finding.code for study in found if study.finding][1:] == ["scan-ended-process", "scan-ended-in-error"]
    assert "ValueError" in found[3].finding.what
    assert {number: study.scan for number, study in told.items()} == {number: study.scan for number, study in enumerate(found)}
    assert told[1].picture is not None and not any(study.picture is not None for study in found), "many would fill the memory"
    ran = sorted(note.name.split(".")[0] for note in notes.iterdir())
    assert len(ran) == 3 + 2 + 2 and len({note.name.split(".")[1] for note in notes.iterdir()}) >= 3, (
        "tried twice, by another process"
    )
    (tmp_path / "alone").mkdir()
    alone = segment_all([paths[1], paths[4]], tmp_path / "alone", Model(), segment=task.segment)
    for one, other in zip(alone, (found[1], found[4]), strict=True):
        first, second = read_session(one.session), read_session(other.session)
        assert np.array_equal(first.score, second.score) and np.array_equal(first.labels, second.labels)
        assert (
            first.rows == second.rows and json.loads((task.results / other.scan / "report.json").read_text())["scan"] == one.scan
        )
    write_summary(found, tmp_path)
    with open(tmp_path / "summary.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [str(study.state) for study in found]
    assert pq.read_table(tmp_path / "summary.parquet").to_pydict()["lesions"] == [study.lesions for study in found]
    assert "nii.gz" not in (tmp_path / "summary.csv").read_text() and "kills.nii.gz" in (tmp_path / "key.csv").read_text()
    before = {note.name for note in notes.iterdir()}
    assert [study.again for study in segment_cohort([paths[1], paths[5]], task, workers=1)] == [True, True]
    assert {note.name for note in notes.iterdir()} == before, "what is done is not done again"


@pytest.mark.slow
def test_networks_give_the_same_bit_for_bit(tmp_path, own_processes):
    """The liver finder and a packaged model, on two processes and one scan at a time."""
    paths = []
    for seed in range(3):
        volume = make_phantom(PhantomSettings(seed=seed, size_px=64, slices=24)).volume
        paths.append(tmp_path / f"{seed}.nii.gz")
        write_image(volume.voxels, volume.geometry, paths[-1])
    for name in ("alone", "beside"):
        (tmp_path / name).mkdir()
    alone = segment_all(paths, tmp_path / "alone", "hu")
    beside = segment_cohort(paths, Task(folder=tmp_path / "beside", model="hu"), workers=2)
    for one, other in zip(alone, beside, strict=True):
        first, second = read_session(one.session), read_session(other.session)
        assert first.liver.voxels.any() and first.score.any() and first.rows == second.rows
        for name in ("score", "labels"):
            assert np.array_equal(getattr(first, name), getattr(second, name))
        assert np.array_equal(first.liver.voxels, second.liver.voxels)


def test_it_goes_on_after_the_scheduler_was_lost(tmp_path, task, notes, own_processes):
    paths = [scan(tmp_path / "a.nii.gz", 201), scan(tmp_path / "waits.nii.gz", WAITS)]
    with _scheduler(tmp_path) as (address, scheduler):
        threading.Thread(target=_when, args=(lambda: len(list(notes.iterdir())) >= 2, scheduler.kill), daemon=True).start()
        with pytest.raises(Refusal) as caught:
            segment_cohort(paths, task, scheduler=address)
    assert caught.value.finding.code == "scheduler-lost" and "same command" in caught.value.finding.action
    (notes / "go").touch()
    with _scheduler(tmp_path) as (address, _):
        found = segment_cohort(paths, task, scheduler=address)
    assert [study.state for study in found] == [State.DONE] * 2 and found[0].again


def test_a_scheduler_that_is_not_there(own_processes, monkeypatch):
    monkeypatch.setattr(workers, "REACHED_S", 1)
    with pytest.raises(Refusal) as caught:
        segment_cohort([], Task(folder=None), scheduler="tcp://127.0.0.1:9")
    assert caught.value.finding.code == "scheduler-unreachable"


class _scheduler:
    """A scheduler and a worker in processes of their own."""

    def __init__(self, folder):
        self.file = folder / f"scheduler-{time.monotonic_ns()}.json"

    def __enter__(self):
        env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # stand-ins are loaded by name
        self.run = [
            subprocess.Popen(
                [sys.executable, "-m", "dask", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env
            )
            for words in (
                ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file)],
                [
                    "worker",
                    "--no-dashboard",
                    "--nthreads",
                    "1",
                    "--no-nanny",
                    "--scheduler-file",
                    str(self.file),
                    "--death-timeout",
                    "60",
                ],
            )
        ]
        _when(self.file.exists, lambda: None)
        address = json.loads(self.file.read_text())["address"]
        from distributed import Client

        with Client(address) as client:
            client.wait_for_workers(1, timeout=60)
        return address, self.run[0]

    def __exit__(self, *_):
        for process in self.run:
            process.kill()
            process.wait()


def _when(true, do, seconds=60):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)
    do()


class _Done:
    """A task that has ended."""

    status = "finished"

    def __init__(self, name):
        self.name, self.finding = name, None

    def exception(self):
        return KilledWorker(self.name, None, 1) if self.name == "unlucky" else None

    def result(self):
        return self


class _Crew:
    """Stands for processes: does a task when it is looked at, and notes how many are out at once, with what memory."""

    def __init__(self, memory):
        self.client, self.memory, self.count = self, memory, 2
        self.out, self.most, self.taken, self.dropped, self.names = [], [], [], [], []

    def submit(self, task, path, *, resources, **_):
        self.taken.append((path.name, resources))
        self.out.append(_Done(path.name if path.name not in self.names else "again"))
        self.names.append(path.name)
        self.most.append(len(self.out))
        return self.out[-1]

    def ended(self, futures, seconds):
        return [self.out.pop(0)]

    def require_alive(self): ...

    def drop(self, futures):
        self.dropped += list(futures)


def test_scans_that_do_not_fit_beside_each_other_run_alone(monkeypatch, tmp_path):
    sizes = {"small": 4, "large": 20, "middle": 9, "huge": 11}
    monkeypatch.setattr(cohort, "bytes_for", lambda path, answers: sizes[path.name])
    crew, order = _Crew(10), []
    paths = list(enumerate(tmp_path / name for name in sizes))
    large = cohort._run(
        crew, Task(folder=tmp_path), paths, 4, Job(), lambda number, study: order.append(study.name), put_off=True
    )
    assert crew.taken == [("small", {"memory": 4}), ("middle", {"memory": 9})] and [number for number, _ in large] == [1, 3]
    cohort._run(crew, Task(folder=tmp_path), large, 1, Job(), lambda number, study: order.append(study.name))
    assert crew.taken[2:] == [("large", {"memory": 10}), ("huge", {"memory": 10})] and crew.most == [1, 2, 1, 1]
    assert order == ["small", "middle", "large", "huge"]


def test_a_scan_beside_which_another_ended_the_process_gets_its_chance(tmp_path):
    crew, ended = _Crew(0), {}
    paths = list(enumerate(tmp_path / name for name in ("killer", "unlucky", "other")))
    left = cohort._run(crew, Task(folder=tmp_path), paths, 2, Job(), ended.__setitem__, put_off=True)
    assert left == [paths[1]] and sorted(ended) == [0, 2]
    cohort._run(crew, Task(folder=tmp_path), left, 1, Job(), ended.__setitem__)
    assert ended[1].name == "again"


def test_stopping_takes_back_what_is_out(tmp_path):
    crew, job = _Crew(0), Job()
    paths = [(number, tmp_path / str(number)) for number in range(9)]
    with pytest.raises(Cancelled):
        cohort._run(crew, Task(folder=tmp_path), paths, 3, job, lambda number, study: job.cancel(), put_off=True)
    assert len(crew.taken) == 3 and len(crew.dropped) == 2


def test_the_memory_of_a_scan_is_foreseen_from_its_header(tmp_path):
    small, large = (bytes_for(nifti_file(tmp_path / f"{n}.nii.gz", ct(40, 40, n), FAR_MM), ASK_ALL) for n in (8, 80))
    (tmp_path / "broken.nii").write_bytes(b"no scan")
    assert FIXED_BYTES == bytes_for(tmp_path / "broken.nii", ASK_ALL) < small < large


def test_a_list_of_scans(tmp_path):
    (tmp_path / "list.txt").write_text("# two\na.nii.gz\n\n/other/b\n", encoding="utf-8")
    assert [str(path) for path in studies_of(tmp_path / "list.txt")] == [str(tmp_path / "a.nii.gz"), "/other/b"]
    (tmp_path / "long.txt").write_text("".join(f"{number}.nii.gz\n" for number in range(100_000)), encoding="utf-8")
    assert len(studies_of(tmp_path / "long.txt")) == 100_000
    (tmp_path / "empty.txt").write_text("# none\n", encoding="utf-8")
    (tmp_path / "odd.txt").write_bytes(b"\xff\xfe\x00")
    for name, code in (("empty.txt", "no-studies"), ("odd.txt", "file-unreadable")):
        with pytest.raises(Refusal) as caught:
            studies_of(tmp_path / name)
        assert caught.value.finding.code == code


def test_the_verb(tmp_path, monkeypatch, capsys):
    """What is not done makes the exit code other than 0; the table is written all the same."""
    scans = tmp_path / "scans"
    scans.mkdir()
    scan(scans / "a.nii.gz", 201)
    (scans / "broken.nii.gz").write_bytes(b"no scan")
    monkeypatch.setattr("napari_liver_anomaly.many_scans.segment_cohort", _here)
    (tmp_path / "notes").mkdir()
    monkeypatch.setattr("napari_liver_anomaly.many_scans.study._segment", lambda: Segment(tmp_path / "notes"))
    assert main(["cohort", str(scans), "--out", str(tmp_path / "out"), "--model", "compact"]) == 3
    said = capsys.readouterr()
    assert "1 of 2 scans segmented" in said.out and "not a medical device" in said.out and "1 of 2 scans were not" in said.err
    assert re.findall(r"scan (\d)", said.out) == ["1", "2"] and "nii.gz" not in said.out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "key.csv",
        "results",
        "sessions",
        "summary.csv",
        "summary.parquet",
    ]


def _here(paths, task, *, workers, scheduler, told, opened, job):
    opened(SimpleNamespace(count=workers, dashboard=""))
    found = [task(path) for path in paths]
    for number, study in enumerate(found):
        told(number, study)
    return tuple(found)


def test_without_dask(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Refusal) as caught:
        segment_cohort([], Task(folder=tmp_path))
    assert caught.value.finding.code == "dask-missing" and "pip install" in caught.value.finding.action
