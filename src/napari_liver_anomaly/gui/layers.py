"""Scans and masks as napari layers: scale, units, axes, and which layer belongs to which scan.

A layer's scan is known by the scan's identity, never by a name. What we know of a layer travels in its ``metadata``; for a layer
of somebody else it is kept beside it, so that their layer stays as it was.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.volume import Geometry, Mask, Volume

KEY = "napari-liver-anomaly"
AXES = ("z", "y", "x")
UNITS = ("mm", "mm", "mm")
HU_RANGE = (-1024, 3071)
OUTLINE_PX = 2
LIVER_WINDOW = (15, 165)  # width 150, level 90
GREEN, RED = "#3ddc84", "#ff4d4d"


class Role(StrEnum):
    """What a layer is to its scan."""

    SCAN = "scan"
    LIVER = "liver"
    RESTORED = "restored"
    RESIDUAL = "residual"
    SCORE = "anomaly score"
    TUMOURS = "tumours"
    ANOMALIES = "anomalies"
    PREVIEW = "preview"


@dataclass(frozen=True)
class Tag:
    """What we know of a layer.

    Attributes
    ----------
    role : Role
        What it is.
    scan : str
        Identity of the scan it belongs to; empty for a preview.
    geometry : Geometry, optional
        The scan's grid; None where the layer came from another reader and orientation is its word only.
    findings : tuple of Finding
        Doubts about the scan, as its reader told them.
    path : str
        File or folder it was read from, never to be written over; empty when it was not read by us.
    probability : ndarray, (z, y, x) uint8, or None
        Of a liver that the program found: how sure it is of each voxel, 0…255 for 0…1, and 255 outside, for what the user adds is certain.
    """

    role: Role
    scan: str
    geometry: Geometry | None = None
    findings: tuple[Finding, ...] = ()
    path: str = ""
    probability: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)


_beside: WeakKeyDictionary[Layer, Tag] = WeakKeyDictionary()


def tag_of(layer: Layer | None) -> Tag | None:
    """Say what we know of a layer.

    Parameters
    ----------
    layer : Layer or None
        Any layer.

    Returns
    -------
    Tag or None
        None for a layer we know nothing about.
    """
    if layer is None:
        return None
    tag = layer.metadata.get(KEY)
    return tag if isinstance(tag, Tag) else _beside.get(layer)


def inputs_of(viewer: Any) -> tuple[str, ...]:
    """List the files that the layers of a viewer were read from.

    Parameters
    ----------
    viewer : ViewerModel or None
        A viewer.

    Returns
    -------
    tuple of str
        Paths that must not be written over.
    """
    tags = (tag_of(layer) for layer in (viewer.layers if viewer is not None else ()))
    return tuple(tag.path for tag in tags if tag is not None and tag.path)


def remember(layer: Layer, tag: Tag) -> None:
    """Keep what we learned of somebody else's layer, without touching it.

    Parameters
    ----------
    layer : Layer
        The layer.
    tag : Tag
        What we know of it.
    """
    if isinstance(layer.metadata.get(KEY), Tag):
        layer.metadata[KEY] = tag
    else:
        _beside[layer] = tag


def scan_layer(
    volume: Volume, findings: tuple[Finding, ...] = (), path: object = ""
) -> tuple[NDArray[np.int16], dict[str, Any], str]:
    """Layer data of a scan, for a reader or for :meth:`napari.layers.Layer.create`.

    Parameters
    ----------
    volume : Volume
        The scan; its array becomes the layer's, without a copy.
    findings : tuple of Finding
        Doubts to ride along.
    path : path-like
        Where it was read.

    Returns
    -------
    tuple
        Voxels (z, y, x) int16 HU, keyword arguments, ``"image"``.
    """
    look = {
        "name": volume.name,
        "colormap": "gray",
        "contrast_limits": LIVER_WINDOW,
        "metadata": {KEY: Tag(Role.SCAN, volume.identity, volume.geometry, findings, str(path))},
    }
    return volume.voxels, look | placed(volume.geometry), "image"


def liver_layer(
    mask: Mask, volume: Volume, place: dict[str, Any] | None = None, name: str = "", path: object = ""
) -> tuple[NDArray[np.uint8], dict[str, Any], str]:
    """Layer data of a scan's liver.

    Parameters
    ----------
    mask : Mask
        The liver, on the grid of the scan. How sure the program is of a found one travels with the layer.
    volume : Volume
        The scan.
    place : dict, optional
        Scale, units and axes of the scan's layer; those of the scan when left out.
    name : str
        Name of the layer; "<scan> liver" when left out.
    path : path-like
        Where it was read.

    Returns
    -------
    tuple
        Labels (z, y, x) uint8, keyword arguments, ``"labels"``.
    """
    probability = None if mask.probability is None else np.where(mask.voxels, mask.probability, np.uint8(255))
    tag = Tag(Role.LIVER, volume.identity, volume.geometry, path=str(path), probability=probability)
    look = outlined(name or f"{volume.name} liver", GREEN, tag)
    return mask.voxels.astype(np.uint8), look | (place or placed(volume.geometry)), "labels"


def outlined(name: str, colour: str, tag: Tag) -> dict[str, Any]:
    """Look of a Labels layer of one colour, shown as an outline so that the scan stays visible.

    Parameters
    ----------
    name : str
        Name of the layer.
    colour : str
        Colour of every label.
    tag : Tag
        What the layer is.

    Returns
    -------
    dict
        Keyword arguments of a Labels layer; the outline itself is drawn by :func:`finish`.
    """
    from napari.utils.colormaps import DirectLabelColormap

    colours = DirectLabelColormap(color_dict={None: colour, 0: "transparent"})
    return {"name": name, "colormap": colours, "opacity": 0.8, "metadata": {KEY: tag}}


def free_name(viewer: Any, name: str) -> str:
    """Find a name nobody has: the second and later layers of a kind are numbered.

    Parameters
    ----------
    viewer : ViewerModel
        Whose layers.
    name : str
        The name of the first.

    Returns
    -------
    str
        "case liver", "case liver 2" and so on.
    """
    taken = {layer.name for layer in viewer.layers}
    return next(n for n in (name, *(f"{name} {k}" for k in range(2, 1000))) if n not in taken)


def add(viewer: Any, layer_data: tuple[Any, dict[str, Any], str]) -> Layer:
    """Add a layer of ours to a viewer.

    Parameters
    ----------
    viewer : ViewerModel
        Where to.
    layer_data : tuple
        Array, keyword arguments, kind.

    Returns
    -------
    Layer
        The layer, finished by :func:`finish`.
    """
    from napari.layers import Layer

    layer = viewer.add_layer(Layer.create(*layer_data))
    finish(layer)
    return layer


def finish(layer: Layer) -> None:
    """Give a layer of ours what napari takes only after the layer is made: room to widen the window, and outlines.

    Parameters
    ----------
    layer : Layer
        Any layer; one without our tag, or finished before, stays as it is.
    """
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
    """Scale, units and axes of a layer in canonical order.

    Parameters
    ----------
    geometry : Geometry
        The grid.

    Returns
    -------
    dict
        ``scale`` in mm, ``units``, ``axis_labels``.
    """
    return {"scale": geometry.spacing_mm, "units": UNITS, "axis_labels": AXES}
