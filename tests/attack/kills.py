"""Kill a run while it writes: every file is whole, and a folder never holds files of two runs."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly import placing
from napari_liver_anomaly.io import results

from .setting import FILES, Fault, names_in, results_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari_liver_anomaly.job import Job

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
LATEST_S = 0.25  # after the first file was begun
SLOW_S = 0.005  # of a renaming on a slow disk


def kills(folder: Path, count: int, seed: int, job: Job) -> dict[str, Any]:
    """Kill a process that writes results of two models in turn into one folder, again and again, at random moments."""
    rng, found, out = random.Random(seed), results_of(folder), folder / "killed"
    whole = {}
    for result in found:
        results.write(result, out, replace=True)
        whole[result.model] = {name: _hash(out / name) for name in names_in(out) - {"report.json"}}
    seen: Counter[str] = Counter()
    for number in range(count):
        job.at("Killing", number, count)
        sign = SIGNALS[number % len(SIGNALS)]
        child = os.fork()
        if child == 0:
            _write_for_ever(found, out, slow=number % 2 == 0)
        _wait_until_it_writes(child, folder, out)
        time.sleep(rng.uniform(0, LATEST_S))
        os.kill(child, sign)
        os.waitpid(child, 0)
        left = [path for place in (folder, out) for path in place.iterdir() if path.name.startswith(".writing-")]
        seen["left files that were never put in place"] += bool(left)
        _require_one_run(out, whole, seen)
        for path in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return {"kills": count, **seen}


def _wait_until_it_writes(child: int, *folders: Path) -> None:
    while not any(name.startswith(".writing-") for folder in folders for name in os.listdir(folder)):
        if os.waitpid(child, os.WNOHANG)[0]:
            raise Fault("the process that writes ended by itself")
        time.sleep(0.0005)


def _write_for_ever(found: tuple[Any, ...], out: Path, *, slow: bool) -> None:
    """Write the results of one model after the other; never returns."""
    rename = os.replace

    def late(source: Any, target: Any) -> None:
        time.sleep(SLOW_S)
        rename(source, target)

    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if slow:
            placing.os.replace = late
        while True:
            for result in found:
                results.write(result, out, replace=True)
    except BaseException:
        os._exit(130)


def _require_one_run(out: Path, whole: dict[str, dict[str, str]], seen: Counter[str]) -> None:
    """What is in the folder is of one run; and when its report is there, all of it is."""
    there = {name: _hash(out / name) for name in names_in(out) if not name.startswith(".")}
    told = there.pop("report.json", None)
    of = [model for model, files in whole.items() if all(files[name] == there[name] for name in there)]
    if not of:
        raise Fault(f"half a file, or files of two runs: {sorted(there)}")
    if told is not None:
        model = json.loads((out / "report.json").read_text(encoding="utf-8"))["model"]
        if model not in of or len(there) != FILES - 1:
            raise Fault(f"a report beside files that are not its own: {sorted(there)}")
    seen["all files of one run" if told is not None else "some files of one run, without its report" if there else "no file"] += 1


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
