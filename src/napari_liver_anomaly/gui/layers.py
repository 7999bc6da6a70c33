"""Scans and masks as napari layers: scale, units, axes, and which layer belongs to which scan.

A layer's scan is known by the scan's identity, never by a name. What we know of a layer travels in its ``metadata``; for a layer
of somebody else it is kept beside it, so that their layer stays as it was.
"""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_liver_anomaly.gui.panel_defaults import opening_window

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.geometry import Geometry
    from napari_liver_anomaly.io.read_options import ReadOptions
    from napari_liver_anomaly.volume import Mask, SourceImage, Volume

KEY = "napari-liver-anomaly"
AXES = ("z", "y", "x")
UNITS = ("mm", "mm", "mm")
HU_RANGE = (-1024, 3071)
OUTLINE_PX = 2
LIVER_WINDOW = (15, 165)  # width 150, level 90
TURQUOISE, RED, AMBER, BLUE, YELLOW = "#2ad4c8", "#ff4d4d", "#ffb000", "#4da3ff", "#ffff66"


class Role(StrEnum):
    """What a layer is to its scan."""

    SCAN = "scan"
    LIVER = "liver"
    RESTORED = "restored"
    RESIDUAL = "residual"
    SCORE = "anomaly score"
    TUMOURS = "tumours"
    ANOMALIES = "anomalies"
    FOUND = "found anomalies"
    PREVIEW = "preview"
    EARLIER = "lesions of last time"


@dataclass(frozen=True)
class Tag:
    """What we know of a layer."""

    role: Role
    scan: str  # identity of the scan it belongs to; empty for a preview
    geometry: Geometry | None = None  # None for a layer of another reader, whose orientation is its word only
    findings: tuple[Finding, ...] = ()
    path: str = ""  # where it was read, never to be written over
    # Of a liver that the program found: 0…255 for 0…1, and 255 outside, for what the user adds is certain.
    probability: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)
    read_as: str = ""  # identity of the scan when it was read
    judged_as: int | None = None  # checksum of a liver's labels when they were judged against the scan
    answers: ReadOptions | None = None  # with which it was read
    images: tuple[SourceImage, ...] = field(default=(), repr=False)  # the DICOM images that the slices of a scan are


_beside: WeakKeyDictionary[Layer, Tag] = WeakKeyDictionary()


def tag_of(layer: Layer | None) -> Tag | None:
    """Say what we know of a layer."""
    if layer is None:
        return None
    tag = layer.metadata.get(KEY)
    return tag if isinstance(tag, Tag) else _beside.get(layer)


def find(viewer: Any, role: Role, scan: str) -> Layer | None:
    """Find the newest layer of a kind that belongs to a scan."""
    for layer in reversed(viewer.layers):
        tag = tag_of(layer)
        if tag is not None and tag.role is role and tag.scan == scan:
            return layer
    return None


def inputs_of(viewer: Any) -> tuple[str, ...]:
    """List the files that the layers of a viewer were read from."""
    tags = (tag_of(layer) for layer in (viewer.layers if viewer is not None else ()))
    return tuple(tag.path for tag in tags if tag is not None and tag.path)


def remember(layer: Layer, tag: Tag) -> None:
    """Keep what we learned of somebody else's layer, without touching it."""
    if isinstance(layer.metadata.get(KEY), Tag):
        layer.metadata[KEY] = tag
    else:
        _beside[layer] = tag


def checksum(labels: NDArray[np.integer]) -> int:
    """Checksum of labels, to see whether somebody changed them. Quick, and may be called on any thread."""
    return zlib.crc32(np.ascontiguousarray(labels).data)


def scan_layer(
    volume: Volume, findings: tuple[Finding, ...] = (), path: object = "", answers: ReadOptions | None = None
) -> tuple[NDArray[np.int16], dict[str, Any], str]:
    """Layer data of a scan, for a reader or for :meth:`napari.layers.Layer.create`."""
    tag = Tag(
        Role.SCAN, volume.identity, volume.geometry, findings, str(path), read_as=volume.identity, answers=answers, images=volume.images
    )  # fmt: skip
    look = {"name": volume.name, "colormap": "gray", "contrast_limits": opening_window(), "metadata": {KEY: tag}}
    return volume.voxels, look | placed(volume.geometry), "image"


def liver_layer(
    mask: Mask, volume: Volume, place: dict[str, Any] | None = None, name: str = "", path: object = ""
) -> tuple[NDArray[np.uint8], dict[str, Any], str]:
    """Layer data of a scan's liver."""
    probability = None if mask.probability is None else np.where(mask.voxels, mask.probability, np.uint8(255))
    labels = mask.voxels.astype(np.uint8)
    tag = Tag(
        Role.LIVER, volume.identity, volume.geometry, mask.findings, str(path), probability,
        judged_as=checksum(labels) if mask.judged else None,
    )  # fmt: skip
    look = outlined(name or f"{volume.name} liver", TURQUOISE, tag)
    return labels, look | (place or placed(volume.geometry)), "labels"


def outlined(name: str, colour: str, tag: Tag) -> dict[str, Any]:
    """Look of a Labels layer of one colour, shown as an outline so that the scan stays visible."""
    from napari_liver_anomaly.gui.label_colours import colours_of

    return {"name": name, "colormap": colours_of(colour), "opacity": 0.8, "metadata": {KEY: tag}}


def free_name(viewer: Any, name: str) -> str:
    """Find a name nobody has: the second and later layers of a kind are numbered."""
    taken = {layer.name for layer in viewer.layers}
    return next(n for n in (name, *(f"{name} {k}" for k in range(2, 1000))) if n not in taken)


def add(viewer: Any, layer_data: tuple[Any, dict[str, Any], str]) -> Layer:
    """Add a layer of ours to a viewer."""
    from napari.layers import Layer

    layer = viewer.add_layer(Layer.create(*layer_data))
    finish(layer)
    return layer


def finish(layer: Layer) -> None:
    """Give a layer of ours what napari takes only after the layer is made: room to widen the window, and outlines."""
    tag = layer.metadata.get(KEY)
    if not isinstance(tag, Tag):
        return
    if tag.role in (Role.SCAN, Role.RESTORED) and tuple(layer.contrast_limits_range) == tuple(layer.contrast_limits):
        layer.contrast_limits_range = HU_RANGE
    if getattr(layer, "contour", None) == 0:
        layer.contour = OUTLINE_PX
        # In space napari fills what it outlines in flat views, and would say so at every turn.
        warnings.filterwarnings("ignore", message="Contours are not displayed during 3D rendering")


def placed(geometry: Geometry) -> dict[str, Any]:
    """Scale, units and axes of a layer in canonical order."""
    return {"scale": geometry.spacing_mm, "units": UNITS, "axis_labels": AXES}
