"""Scans and livers from files, and the sample; each in a worker, each as layer data for the panel to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.gui.layers import liver_layer, scan_layer
from napari_liver_anomaly.gui.pictures import Picture, volume_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.job import Job

    Fetched = list[tuple[tuple[Any, dict[str, Any], str], tuple[Finding, ...]]]


def read_scans(paths: Sequence[Path], job: Job) -> Fetched:
    """Read scans.

    Parameters
    ----------
    paths : sequence of Path
        Files or folders.
    job : Job
        Progress and cancel, asked before each.

    Returns
    -------
    list of tuple
        Layer data and findings of each scan.
    """
    from napari_liver_anomaly.reading import read

    made = []
    for n, path in enumerate(paths):
        job.at("Loading", n, len(paths))
        volume, findings = read(path)
        made.append((scan_layer(volume, findings, path), findings))
    return made


def read_liver(path: Path, scan: Picture, job: Job) -> Fetched:
    """Read a liver mask onto the grid of a scan.

    Parameters
    ----------
    path : Path
        A file.
    scan : Picture
        Of the scan's layer.
    job : Job
        Progress and cancel.

    Returns
    -------
    list of tuple
        Layer data of the liver, without findings.
    """
    from napari_liver_anomaly.reading import read_mask

    job.at("Loading", 0, 1)
    volume, _ = volume_of(scan, copy=False)
    mask = read_mask(path, volume).of(volume, "liver mask")
    return [(liver_layer(mask, volume, scan.place, f"{scan.name} liver", path), ())]


def make_sample(job: Job) -> Fetched:
    """Make the phantom with tumours.

    Parameters
    ----------
    job : Job
        Progress and cancel.

    Returns
    -------
    list of tuple
        Layer data of the scan and of its liver, without findings.
    """
    from napari_liver_anomaly.phantom import make_phantom

    job.at("Making the sample", 0, 1)
    made = make_phantom()
    return [(scan_layer(made.volume), ()), (liver_layer(made.liver, made.volume), ())]
