"""Scans and liver masks from files, and the sample, read in the background into layer data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot, volume_of
from napari_liver_anomaly.gui.layers import liver_layer, scan_layer
from napari_liver_anomaly.io.read_options import ASK_ALL, ReadOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.job import Job

    Made = tuple[tuple[Any, dict[str, Any], str], tuple[Finding, ...]]

SEVERAL_SERIES = "several-series"


@dataclass(frozen=True, eq=False)
class SeriesEntry:
    """One series of a folder, for the chooser."""

    series: Any
    thumbnail: NDArray[np.uint8] | None
    reason: str = ""  # why it cannot be read, if so


@dataclass(frozen=True, eq=False)
class OpenQuestion:
    """A scan or liver mask that was not read, for only the user can decide something about it."""

    finding: Finding
    path: Path
    answers: ReadOptions  # what was answered about it before
    rest: tuple[Path, ...] = ()  # scans to be read after it
    series: tuple[SeriesEntry, ...] = ()  # what the folder holds, when that is the question
    scan: LayerSnapshot | None = None  # whose liver mask it is, if it is one


@dataclass(frozen=True, eq=False)
class Loaded:
    """What a worker brings: layer data and findings of each scan or liver, and the question at which it stopped, if any."""

    made: Sequence[Made]
    asked: OpenQuestion | None = None


def read_scans(
    paths: Sequence[Path], job: Job, *, answers: ReadOptions = ASK_ALL, series_in: Callable[[Path], Sequence[Any]] | None = None
) -> Loaded:
    """Read scans, up to the first that leaves a question open."""
    from napari_liver_anomaly.io import read
    from napari_liver_anomaly.io.recent_scans import remember_scan

    made: list[Made] = []
    for n, path in enumerate(paths):
        job.at("Loading", n, len(paths))
        given = answers if n == 0 else ASK_ALL
        try:
            volume = read(path, given, job=job)
        except Refusal as refusal:
            if not refusal.finding.answers:
                raise
            series = _listed(path, job, series_in) if refusal.finding.code == SEVERAL_SERIES else ()
            return Loaded(made, OpenQuestion(refusal.finding, path, given, tuple(paths[n + 1 :]), series))
        made.append((scan_layer(volume, volume.findings, path, given), volume.findings))
        remember_scan(path)
    return Loaded(made)


def _listed(path: Path, job: Job, series_in: Callable[[Path], Sequence[Any]] | None) -> tuple[SeriesEntry, ...]:
    """List the series of a folder with a small picture of each; nothing when that fails, for the question can be put without."""
    from napari_liver_anomaly import io

    listed = []
    try:
        found = (series_in or partial(io.series_in, job=job))(path)
        for n, series in enumerate(found):
            job.at("Looking at the series", n, len(found))
            listed.append(SeriesEntry(series, series.thumbnail(), "" if series.readable else _reason(path, series.number, job)))
    except Refusal:
        return ()
    return tuple(listed)


def _reason(path: Path, number: int, job: Job) -> str:
    """Say in a sentence why a series cannot be read, by trying; nothing when that is not said."""
    from napari_liver_anomaly.io import read

    try:
        read(path, ReadOptions(series=number), job=job)
    except Refusal as refusal:
        return refusal.finding.what
    return ""


def read_liver(path: Path, scan: LayerSnapshot, job: Job, *, answers: ReadOptions = ASK_ALL) -> Loaded:
    """Read a liver mask onto the grid of a scan and judge it, up to a question that it leaves open."""
    from napari_liver_anomaly.liver import read_given_liver

    job.at("Loading", 0, 1)
    volume = volume_of(scan, copy=False)
    try:
        mask = read_given_liver(path, volume, answers)
    except Refusal as refusal:
        if not refusal.finding.answers:
            raise
        return Loaded((), OpenQuestion(refusal.finding, path, answers, scan=scan))
    return Loaded([(liver_layer(mask, volume, scan.place, f"{scan.name} liver", path), mask.findings)])


def make_sample(job: Job) -> Loaded:
    """Make the phantom with tumours."""
    from napari_liver_anomaly.phantom import make_phantom

    job.at("Making the sample", 0, 1)
    made = make_phantom()
    return Loaded([(scan_layer(made.volume), ()), (liver_layer(made.liver, made.volume), ())])
