"""What can be measured, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.job import Job

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PARTS = ("floor", "slices", "scan", "growth", "training", "start")  # of a whole run
SCANS = 100


def measure(
    parts: Sequence[str] = PARTS, *, scan: Path | None = None, model: str = "standard", threads: int = 1, rounds: int = 5, scans: int = SCANS,
    job: Job | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Measure the program on this machine.

    Parameters
    ----------
    parts : sequence of str
        Some of :data:`PARTS`, or ``cohort``, which takes long.
    scan : Path, optional
        A CT for the part ``scan``; the phantom of 512 × 512 × 100 voxels when nothing is given.
    model : str
        Name of a packaged model, or a ``.safetensors`` file.
    threads : int
        Threads of torch, 1 or more.
    rounds : int
        How often each piece of work is measured, 1 or more.
    scans : int
        Small phantoms for the part ``cohort``, 2 or more.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    dict
        ``machine``, and what each part found; seconds, bytes, operations. Only ratios mean something on another machine.

    Raises
    ------
    Cancelled
        When the job was cancelled.
    """
    import torch

    from napari_liver_anomaly.bench import floor, slices, training, whole

    job = job or Job()
    torch.set_num_threads(threads)
    found: dict[str, Any] = {"machine": floor.describe_machine(), "model": model}
    for part in parts:
        if part == "floor":
            found[part] = floor.measure_floor(job)
        elif part == "slices":
            found[part] = slices.measure_slices(model, job, rounds)
        elif part == "scan":
            found[part] = whole.measure_whole(scan, model, threads, job, rounds)
        elif part == "growth":
            found[part] = whole.measure_growth(model, job)
        elif part == "training":
            found[part] = training.measure_training(job)
        elif part == "cohort":
            from napari_liver_anomaly.bench.cohort import measure_cohort  # needs Dask

            found[part] = measure_cohort(model, scans, job)
        else:
            found[part] = whole.measure_start(job, rounds)
    if "floor" in found and "slices" in found:
        ours = found["slices"][slices.OURS]
        found["distance_to_floor"] = found["floor"]["convolution, float32"]["giga_per_s"] / (ours["gflop"] / ours["median_s"])
    return found
