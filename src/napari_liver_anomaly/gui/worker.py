"""The run itself, in a worker: a scan and a mask of their own from the layers, a model, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import Finding, Level, Refusal
from napari_liver_anomaly.gui.found_liver import AUTOMATIC, FoundLiver, find_liver_in
from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot, mask_of, volume_of
from napari_liver_anomaly.gui.preload import preload_torch
from napari_liver_anomaly.gui.result_layers import checksum
from napari_liver_anomaly.liver_findings import about_pieces
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.volume import Mask, Volume

EDITED = make_finding("scan-edited")
NO_HEALTHY_IMAGE = "No healthy image: score and tumours only."


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What the panel calls for the work itself, replaceable in a test. None stands for the real one, loaded at first use."""

    segment: Callable[..., Result] | None = None
    load: Callable[[str], Any] | None = None
    names: Sequence[str] | None = None
    write: Callable[..., Any] | None = None
    find_liver: Callable[..., Mask] | None = None
    series_in: Callable[[Path], Sequence[Any]] | None = None
    card: Callable[[str], dict[str, Any]] | None = None


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run brings back to the panel; ``sum`` is the checksum of the result's labels, ``liver`` one that the run found."""

    result: Result
    scan: LayerSnapshot
    findings: tuple[Finding, ...]
    sum: int
    liver: FoundLiver | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """What the panel says of a model before it is used, in short lines; ``restores`` is whether it gives a healthy image."""

    line: str = ""
    figure: str = ""
    note: str = ""
    restores: bool = True


def listed(engine: Engine) -> Sequence[str]:
    """List the models that are found by name."""
    if engine.names is not None:
        return engine.names
    from napari_liver_anomaly.models import names

    return names()


def about(engine: Engine, name: str | None) -> ModelSummary:
    """Say what a model is and how good, from its card alone."""
    if name is None:
        return ModelSummary()
    from napari_liver_anomaly.models.card import ModelCard

    try:
        if engine.card is not None:
            card = ModelCard.from_dict(engine.card(name))
        else:
            from napari_liver_anomaly.models import path_of

            card = ModelCard.read(path_of(name))
    except Refusal as refusal:
        return ModelSummary(line=f"Cannot be used: {refusal.finding.what}")
    healthy = card.restores()
    return ModelSummary(line=card.name(), figure=card.figure(), note="" if healthy else NO_HEALTHY_IMAGE, restores=healthy)


def search(
    engine: Engine,
    scan: LayerSnapshot,
    liver: LayerSnapshot | None,
    name: str,
    settings: SegmentSettings,
    device: str,
    job: Job,
    *,
    written: int | None = None,
    way: Callable[[FoundLiver], object] = lambda _: None,
) -> RunResult:
    """Search a liver for tumours; find the liver first when none is given."""
    job.at("Preparing the scan", 0, 1)
    volume, findings = volume_of(scan)
    mask = mask_of(liver, scan, volume, "liver mask") if liver is not None else None
    if mask is not None and liver is not None and written is not None and checksum(liver.data) == written:
        mask = replace(mask, found=True, findings=(AUTOMATIC,))
    found: list[FoundLiver] = []

    def find(volume: Volume, *, device: str, job: Job) -> Mask:
        found.append(find_liver_in(volume, engine, scan, device, job))
        way(found[0])
        return replace(found[0].mask, findings=found[0].findings)

    segment = engine.segment
    if segment is None:
        preload_torch()
        from napari_liver_anomaly.inference import segment
    model = engine.load(name) if engine.load is not None else name
    result = segment(replace(volume, findings=findings), mask, model, settings, find=find, device=device, job=job)
    # Pieces left out are said beside the threshold, with which they change; of an automatic liver the user was told when it was found.
    elsewhere = (*about_pieces(result.left_out), *(() if found else (AUTOMATIC,)))
    notes = [finding for finding in result.findings if finding.level is not Level.ASK and finding not in elsewhere]
    now, _ = volume_of(scan, copy=False)
    mask_now = mask_of(liver, scan, now, "liver mask") if liver is not None else result.liver
    if not np.array_equal(now.voxels, volume.voxels) or not np.array_equal(mask_now.voxels, result.liver.voxels):
        notes.append(EDITED)
    return RunResult(result, scan, tuple(notes), checksum(result.labels), found[0] if found else None)
