"""A whole CT from file to files: each stage's share, the peak of memory, and how both grow."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.bench.sliding import measure_sliding
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

FULL_PX, SLICES = 512, 100
STAGES = ("read", "find liver", "prepare", "score", "back and post-process", "write")
MM = ("depth_mm", "height_mm", "width_mm")
KEPT = ("slices", "peak_bytes", "voxels", "load", "written_bytes", "session_bytes", "file_bytes", *MM)
GROWTH = (50, 100, 200)

# One run in a process of its own, which tells its seconds and its peak of memory: read, segment, write.
PROGRAM = """
import json, resource, sys, tempfile, time
def peak():  # what the system counts for a process holds its parent's peak, too
    try:
        with open("/proc/self/status") as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
import numpy as np
import torch
torch.set_num_threads({threads})
from napari_liver_anomaly import read, segment, write
from functools import partial
from pathlib import Path
from napari_liver_anomaly.io.session import Session, write_session
from napari_liver_anomaly.liver import find_liver
def bytes_of(place):
    return sum(path.stat().st_size for path in (place.rglob("*") if place.is_dir() else [place]) if path.is_file())

segment_with = partial(segment, model={model!r}, find=partial(find_liver, unlikely="accept"))
laps, began = {{}}, time.perf_counter()
volume = read({scan!r})
laps["read"] = time.perf_counter() - began
result = segment_with(volume)
laps |= result.timings_s
began = time.perf_counter()
with tempfile.TemporaryDirectory() as folder:
    write(result, folder, replace=True)
    laps["write"] = time.perf_counter() - began
    laps["written_bytes"] = bytes_of(Path(folder))
    write_session(Session.of(result, Path({scan!r})), Path(folder, "kept"))
    laps["session_bytes"] = Path(folder, "kept").stat().st_size
laps |= zip(("depth_mm", "height_mm", "width_mm"), np.multiply(volume.voxels.shape, volume.geometry.spacing_mm).tolist())
laps["file_bytes"] = bytes_of(Path({scan!r}))
laps["slices"] = int(result.liver.voxels.any(axis=(1, 2)).sum())
laps["peak_bytes"] = peak()
laps["voxels"] = int(volume.voxels.size)
print(json.dumps(laps))
"""


def run_once(scan: Path, model: str, threads: int) -> dict[str, float]:
    """Search one scan in a process of its own, and give the seconds of each stage and the peak of memory."""
    import json

    program = PROGRAM.format(threads=threads, model=model, scan=str(scan))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    laps: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    stages = {
        "read": laps["read"], "find liver": laps["liver"], "prepare": laps["prepare"], "score": laps["score"],
        "back and post-process": laps["total"] - sum(laps[name] for name in ("load", "liver", "prepare", "score")), "write": laps["write"],
    }  # fmt: skip
    kept = {name: laps[name] for name in KEPT}
    return stages | kept | {"all": sum(stages.values())}


def measure_whole(scan: Path | None, model: str, threads: int, job: Job, rounds: int) -> dict[str, Any]:
    """Measure a whole CT: the phantom of 512 × 512 × 100, or a given scan."""
    with tempfile.TemporaryDirectory() as folder:
        path = scan or write_phantom(Path(folder), SLICES)
        found = []
        for number in range(rounds):
            job.at("Measuring · a whole CT", number, rounds)
            found.append(run_once(path, model, threads))
    medians = {name: float(np.median([one[name] for one in found])) for name in found[0]}
    spread = {name: [min(one[name] for one in found), max(one[name] for one in found)] for name in STAGES}
    networks = medians["find liver"] + medians["score"]
    return medians | {
        "spread": spread, "rounds": rounds, "threads": threads, "share_of_networks": networks / medians["all"],
        "others": measure_sliding([medians[name] for name in MM], job, 1),
    }  # fmt: skip


def measure_growth(model: str, job: Job) -> list[dict[str, Any]]:
    """Measure scans of more slices, by one thread and by two."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for place, slices in enumerate(GROWTH):
            path = write_phantom(Path(folder), slices)
            for threads in (1, 2) if slices == SLICES else (1,):
                job.at("Measuring · growth", place, len(GROWTH))
                rows.append({"scan_slices": slices, "threads": threads} | run_once(path, model, threads))
    return rows


def write_phantom(folder: Path, slices: int) -> Path:
    """Write the phantom at full size."""
    from napari_liver_anomaly.io import write_image

    sample = make_phantom(PhantomSettings(slices=slices, size_px=FULL_PX))
    path = folder / f"phantom-{slices}.nii.gz"
    write_image(sample.volume.voxels, sample.volume.geometry, path)
    return path


def measure_start(job: Job, rounds: int) -> dict[str, Any]:
    """Measure what a user waits for before the work begins, each in a process of its own."""
    from napari_liver_anomaly.bench.rounds import in_turn

    program = ["-m", "napari_liver_anomaly"]
    words = {
        "python alone": ["-c", "pass"],
        "import napari_liver_anomaly": ["-c", "import napari_liver_anomaly"],
        "liver-anomaly segment --help": [*program, "segment", "--help"],
        "liver-anomaly info": [*program, "info"],
    }
    return in_turn({name: lambda given=given: _python(given) for name, given in words.items()}, job, rounds)  # type: ignore[misc]


def _python(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], capture_output=True, check=True)  # noqa: S603
    return time.perf_counter() - began
