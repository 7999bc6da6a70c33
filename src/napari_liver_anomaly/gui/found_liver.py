"""The liver found by the program: in a worker, then as a layer that is written over only while nobody corrected it by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_liver_anomaly.errors import Finding, Level
from napari_liver_anomaly.gui.layer_snapshot import volume_of
from napari_liver_anomaly.gui.layers import KEY, Role, Tag, add, free_name, liver_layer, remember, tag_of
from napari_liver_anomaly.gui.preload import preload_torch
from napari_liver_anomaly.gui.result_layers import checksum
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_liver_anomaly.gui.inputs import Inputs
    from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot
    from napari_liver_anomaly.gui.worker import Engine
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.volume import Mask, Volume

AUTOMATIC = make_finding("liver-automatic")

_sums: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()  # livers that we found, and the checksum of what we wrote


@dataclass(frozen=True, eq=False)
class FoundLiver:
    """A liver as a worker found it; ``sum`` is the checksum of its labels."""

    scan: LayerSnapshot
    mask: Mask
    made: tuple[Any, dict[str, Any], str]
    findings: tuple[Finding, ...]
    sum: int


def find_liver_of(engine: Engine, scan: LayerSnapshot, device: str, job: Job) -> FoundLiver:
    """Find the liver of a scan, in a worker."""
    job.at("Preparing the scan", 0, 1)
    volume, doubts = volume_of(scan)
    return find_liver_in(volume, engine, scan, device, job, doubts)


def find_liver_in(
    volume: Volume, engine: Engine, scan: LayerSnapshot, device: str, job: Job, doubts: tuple[Finding, ...] = ()
) -> FoundLiver:
    """Find the liver of a scan that was made from its layer already."""
    job.at("Finding the liver", 0, 1)
    find_liver = engine.find_liver
    if find_liver is None:
        preload_torch()
        from napari_liver_anomaly.liver import find_liver
    mask = find_liver(volume, device=device, job=job).of(volume, "liver mask")
    made = liver_layer(mask, volume, scan.place, f"{scan.name} liver")
    told = tuple(finding for finding in (AUTOMATIC, *doubts, *mask.findings) if finding.level is not Level.ASK)
    return FoundLiver(scan, mask, made, told, checksum(made[0]))


def written(layer: Layer | None) -> int | None:
    """Give the checksum of a liver that was found by the program, to see whether somebody corrected it since."""
    return _sums.get(layer) if layer is not None else None


def show(located: FoundLiver, viewer: Any, inputs: Inputs) -> Layer:
    """Show a found liver: in the layer of an earlier one that nobody corrected, else in a new layer."""
    data, look, kind = located.made
    tag, known = look["metadata"][KEY], located.scan.tag
    scan = scan_of(located, viewer)
    if scan is not None:
        remember(scan, replace(known or Tag(Role.SCAN, ""), scan=tag.scan))
    layer = _free_layer(viewer, {tag.scan, known.scan if known is not None else ""}, data.shape)
    if layer is None:
        layer = add(viewer, (data, look | {"name": free_name(viewer, look["name"])}, kind))
    else:
        layer.data = data
        remember(layer, tag)
    _sums[layer] = located.sum
    if scan is not None and scan is inputs.scan.layer:
        inputs.liver.list_again()
        inputs.liver.choose(layer)
    return layer


def scan_of(located: FoundLiver, viewer: Any) -> Layer | None:
    """Find the layer of the scan whose liver was found."""
    return next((layer for layer in viewer.layers if layer.data is located.scan.data), None)


def _free_layer(viewer: Any, scans: set[str], shape: tuple[int, ...]) -> Layer | None:
    """Find the newest liver that we found for a scan and that is still as we wrote it."""
    for layer in reversed(viewer.layers):
        sum_, tag = _sums.get(layer), tag_of(layer)
        if (
            sum_ is not None
            and tag is not None
            and tag.scan in scans
            and layer.data.shape == shape
            and checksum(layer.data) == sum_
        ):
            return layer
    return None
