"""The run itself, in a worker: a scan and a mask of their own from the layers, a model, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import Finding, Level
from napari_liver_anomaly.gui.pictures import Picture, mask_of, volume_of
from napari_liver_anomaly.gui.results import checksum
from napari_liver_anomaly.gui.warming import warm_torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_liver_anomaly.inference import Result, Segment
    from napari_liver_anomaly.job import Job

EDITED = Finding(
    level=Level.NOTE, code="scan-edited", what="The scan or its liver was changed during the run.",
    meaning="The result is that of the scan as it was when the run began.", action="Run again to search the scan as it is now.",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What the panel calls for the work itself, replaceable in a test. None stands for the real one, loaded at first use."""

    segment: Callable[..., Result] | None = None
    load: Callable[[str], Any] | None = None
    names: Sequence[str] | None = None
    write: Callable[..., Any] | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """What a run brings back to the panel; ``sum`` is the checksum of the result's labels."""

    result: Result
    scan: Picture
    findings: tuple[Finding, ...]
    sum: int


def packaged(engine: Engine) -> Sequence[str]:
    """List the models that came with the package.

    Parameters
    ----------
    engine : Engine
        May name others.

    Returns
    -------
    sequence of str
        The recommended one first.
    """
    if engine.names is not None:
        return engine.names
    from napari_liver_anomaly.methods import names

    return names()


def search(engine: Engine, scan: Picture, liver: Picture, name: str, settings: Segment, device: str, job: Job) -> Found:
    """Search a liver for tumours.

    Parameters
    ----------
    engine : Engine
        What does it.
    scan, liver : Picture
        Of the two layers; copied first, so that later edits do not reach the run.
    name : str
        Name of a packaged model, or path of a file.
    settings : Segment
        Threshold, smallest lesion, batch.
    device : str
        "auto", "cpu" or "cuda".
    job : Job
        Progress and cancel.

    Returns
    -------
    Found
        The result, with notes to show.
    """
    job.at("Preparing the scan", 0, 1)
    volume, findings = volume_of(scan)
    mask = mask_of(liver, scan, volume, "liver mask")
    load, segment = engine.load, engine.segment
    job.at("Loading the model", 0, 1)
    if load is None:
        warm_torch()
        from napari_liver_anomaly.methods import load
    if segment is None:
        from napari_liver_anomaly.inference import segment
    result = segment(volume, mask, load(name), settings, device=device, job=job)
    notes = [finding for finding in (*findings, *result.findings) if finding.level is not Level.ASK]
    now, _ = volume_of(scan, copy=False)
    mask_now = mask_of(liver, scan, now, "liver mask")
    if not np.array_equal(now.voxels, volume.voxels) or not np.array_equal(mask_now.voxels, mask.voxels):
        notes.append(EDITED)
    return Found(result, scan, tuple(notes), checksum(result.labels))
