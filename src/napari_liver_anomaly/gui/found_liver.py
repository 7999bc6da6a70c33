"""The layer of an automatic liver mask, which is replaced only while it was not corrected by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_liver_anomaly.gui.layers import KEY, Role, Tag, add, checksum, free_name, remember, tag_of
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    import numpy as np
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.gui.inputs import Inputs
    from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot
    from napari_liver_anomaly.volume import Mask

AUTOMATIC = make_finding("liver-automatic")

_sums: WeakKeyDictionary[Layer, int] = WeakKeyDictionary()  # livers that we found, and the checksum of what we wrote

_probabilities: WeakKeyDictionary[Layer, NDArray[np.uint8]] = WeakKeyDictionary()  # what the finder said of their voxels


@dataclass(frozen=True, eq=False)
class FoundLiver:
    """A liver as a worker found it: its layer's data with their checksum, and what there is to say of it."""

    scan: LayerSnapshot
    mask: Mask
    made: tuple[Any, dict[str, Any], str]
    sum: int
    notes: tuple[Finding, ...]


def probability_of(layer: Layer) -> NDArray[np.uint8] | None:
    """Give the probability of liver of every voxel, 0…255 for 0…1, for a liver that was found by the program."""
    return _probabilities.get(layer)


def written(layer: Layer | None) -> int | None:
    """Give the checksum of a liver that was found by the program, to see whether somebody corrected it since."""
    return _sums.get(layer) if layer is not None else None


def show(found: FoundLiver, viewer: Any, inputs: Inputs) -> Layer:
    """Show a found liver: in the layer of an earlier one that nobody corrected, else in a new layer."""
    data, look, kind = found.made
    tag, known = look["metadata"][KEY], found.scan.tag
    scan = scan_of(found, viewer)
    if scan is not None:
        remember(scan, replace(known or Tag(Role.SCAN, ""), scan=tag.scan))
    layer = _free_layer(viewer, {tag.scan, known.scan if known is not None else ""}, data.shape)
    if layer is None:
        layer = add(viewer, (data, look | {"name": free_name(viewer, look["name"])}, kind))
    else:
        layer.data = data
        remember(layer, tag)
    _sums[layer] = found.sum
    if found.mask.probability is not None:
        _probabilities[layer] = found.mask.probability
    if scan is not None and scan is inputs.scan.layer:
        inputs.liver.list_again()
        inputs.liver.choose(layer)
    return layer


def scan_of(found: FoundLiver, viewer: Any) -> Layer | None:
    """Find the layer of the scan whose liver was found."""
    return next((layer for layer in viewer.layers if layer.data is found.scan.data), None)


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
