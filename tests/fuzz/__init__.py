"""Damage files of every kind by the thousand, and hold that reading refuses them or reads them correctly.

What "correctly" means is defined in :mod:`.oracle`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version as installed
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import version
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.placing import replacing

from .work import CPU_S, READ_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .oracle import Bench, Outcome

__all__ = ["fuzz", "keep", "replay"]

CHILD = [sys.executable, "-m", f"{__package__}.worker"]
ROOT = Path(__file__).parents[__package__.count(".") + 1]  # where this package is imported from, as ``fuzz`` or as ``tests.fuzz``
LIBRARIES = ("numpy", "nibabel", "pydicom", "pynrrd", "safetensors", "torch")
NO_END = 2**62
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - only tried; the usual place where it is not there
KEPT = "fuzz_escapes.json"
LARGEST = 4096  # bytes of one record
ALIKE = 3  # escapes of one kind and place that are kept


def fuzz(
    *, inputs: int = NO_END, seconds: float = float("inf"), seed: int = 0, jobs: int = 1, only: str = "", job: Job | None = None
) -> dict[str, Any]:
    """Read damaged files until so many were read or so much time has passed."""
    job, start = job or Job(), time.time()
    tally = _Tally(seed, jobs)
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None) as folder:
        order = {"seed": seed, "end": inputs, "step": jobs, "seconds": min(seconds, 1e9), "only": only}
        threads = [Thread(target=_serve, args=(tally, order, number, Path(folder)), daemon=True) for number in range(jobs)]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                job.at("Reading damaged files", min(tally.tried, inputs), inputs if inputs < NO_END else 0)
                time.sleep(0.2)
        finally:
            tally.stop()
            for thread in threads:
                thread.join()
    return tally.report(time.time() - start) | {"only": only}


def replay(records: Iterable[dict[str, Any]], folder: Path) -> list[tuple[dict[str, Any], Outcome]]:
    """Read kept files again in this process."""
    from .oracle import Bench

    bench: Bench = Bench(folder)
    return [(record, bench.checked(bench.goldens[record["golden"]], record["inside"], record["edits"])) for record in records]


def keep(escapes: Iterable[dict[str, Any]], folder: str | Path) -> int:
    """Add escapes to those that are kept as JSON in a folder, a few of each kind."""
    path = Path(folder) / KEPT
    kept: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    before, seen = len(kept), Counter((one["golden"].split("-")[0], one["how"], one["where"]) for one in kept)
    for escape in escapes:
        same = (escape["golden"].split("-")[0], escape["how"], escape["where"])
        stored = {key: escape[key] for key in ("golden", "inside", "edits", "how", "where")}
        if seen[same] < ALIKE and escape["edits"] and len(json.dumps(stored)) < LARGEST:
            seen[same] += 1
            kept.append(stored)
    with replacing(path) as beside:
        lines = ",\n".join(json.dumps(one) for one in kept)
        beside.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return len(kept) - before


class _Tally:
    """What all processes have reported so far."""

    def __init__(self, seed: int, jobs: int) -> None:
        self.seed, self.jobs = seed, jobs
        self.counts: Counter[str] = Counter()
        self.escapes: list[dict[str, Any]] = []
        self.slowest = (0.0, -1)
        self.peak_mb = 0.0
        self.shares = [0.0, 0.0]
        self.stopped = False
        self.children: list[subprocess.Popen[str]] = []

    @property
    def tried(self) -> int:
        return sum(self.counts.values())

    def add(self, said: dict[str, Any]) -> None:
        if "escape" in said:
            self.escapes.append(said["escape"])
            return
        self.counts.update(said["counts"])
        self.slowest = max(self.slowest, tuple(said["slowest"]))
        self.peak_mb = max(self.peak_mb, said["peak_mb"])
        self.shares = list(map(max, self.shares, said.get("shares", self.shares)))

    def stop(self) -> None:
        self.stopped = True
        for child in self.children:
            if child.poll() is None:
                child.kill()

    def report(self, seconds: float) -> dict[str, Any]:
        kinds: dict[str, Counter[str]] = {}
        refusals: Counter[str] = Counter()
        for key, count in self.counts.items():
            name, how, *code = key.split(" ")
            kinds.setdefault(name, Counter())[how if how in ("right", "refused") else "escapes"] += count
            refusals.update(dict.fromkeys(code, count))
        whole = sum(kinds.values(), Counter())
        return {
            "inputs": self.tried, "right": whole["right"], "refused": whole["refused"], "escapes": len(self.escapes),
            "kinds": {name: {"inputs": sum(found.values()), **{how: found[how] for how in ("right", "refused", "escapes")}}
                      for name, found in sorted(kinds.items())},
            "refusals": dict(refusals.most_common()), "escaped": self.escapes,
            "slowest_input_s": round(self.slowest[0], 3), "slowest_input": self.slowest[1], "peak_memory_mb": round(self.peak_mb, 1),
            "most_work": {"read_bytes": READ_BYTES, "cpu_s": CPU_S, "share_of_read_bytes": round(self.shares[0], 3),
                          "share_of_cpu_s": round(self.shares[1], 3)},
            "seconds": round(seconds, 1), "inputs_per_s": round(self.tried / seconds, 1), "jobs": self.jobs, "seed": self.seed,
            "versions": {"napari-liver-anomaly": version(), "python": sys.version.split()[0], **{name: installed(name) for name in LIBRARIES}},
        }  # fmt: skip


def _serve(tally: _Tally, order: dict[str, Any], number: int, folder: Path) -> None:
    """Keep one process at work; after a crash or a hang go on behind the input that did it."""
    first, place, start = number, folder / f"place-{number}", time.monotonic()
    for attempt in range(10**6):
        bench = folder / f"bench-{number}-{attempt}"
        bench.mkdir()
        said = _run(
            tally,
            order
            | {
                "seconds": order["seconds"] - (time.monotonic() - start if attempt else 0),
                "first": first,
                "folder": str(bench),
                "place": str(place),
            },
        )
        if said.get("done") or tally.stopped:
            return
        at = int.from_bytes(place.read_bytes()[:8], "little") if place.exists() else first
        how = "hang" if "Timeout" in said["words"] else "crash"
        tally.escapes.append(
            {"index": at, "golden": "", "inside": False, "edits": [], "how": how, "where": "", "detail": said["words"][-2000:]}
        )
        if not place.exists():
            return  # it never began
        first = at + order["step"]


def _run(tally: _Tally, order: dict[str, Any]) -> dict[str, Any]:
    """Run one process to its end; gives the last that it said, or its last words."""
    with tempfile.TemporaryFile("w+") as words:
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        child = subprocess.Popen(
            CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, text=True, env=os.environ | {"PYTHONPATH": paths}
        )
        tally.children.append(child)
        said: dict[str, Any] = {}
        if child.stdin is not None and child.stdout is not None:
            child.stdin.write(json.dumps(order))
            child.stdin.close()
            for line in child.stdout:
                said = json.loads(line)
                tally.add(said)
            child.stdout.close()
        child.wait()
        words.seek(0)
        return said if said.get("done") else {"words": words.read()}
