"""Scans and masks as napari layers, and back: scale, units, axes, and which layer belongs to which scan.

A layer's scan is known by the scan's identity, never by a name. What we know of a layer travels in its ``metadata``; for a layer
of somebody else it is kept beside it, so that their layer stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_liver_anomaly.errors import Finding, ImpossibleGeometry, Level, Refusal, WrongGrid
from napari_liver_anomaly.volume import Geometry, Mask, Volume

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

KEY = "napari-liver-anomaly"
AXES = ("z", "y", "x")
UNITS = ("mm", "mm", "mm")
HU_RANGE = (-1024, 3071)
LIVER_WINDOW = (15, 165)  # width 150, level 90
GREEN, RED = "#3ddc84", "#ff4d4d"
OUTLINE_PX = 2


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
    """

    role: Role
    scan: str
    geometry: Geometry | None = None
    findings: tuple[Finding, ...] = ()


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


def scan_layer(volume: Volume, findings: tuple[Finding, ...] = ()) -> tuple[NDArray[np.int16], dict[str, Any], str]:
    """Layer data of a scan, for a reader or for :meth:`napari.layers.Layer.create`.

    Parameters
    ----------
    volume : Volume
        The scan; its array becomes the layer's, without a copy.
    findings : tuple of Finding
        Doubts to ride along.

    Returns
    -------
    tuple
        Voxels (z, y, x) int16 HU, keyword arguments, ``"image"``.
    """
    look = {
        "name": volume.name,
        "colormap": "gray",
        "contrast_limits": LIVER_WINDOW,
        "metadata": {KEY: Tag(Role.SCAN, volume.identity, volume.geometry, findings)},
    }
    return volume.voxels, look | placed(volume.geometry), "image"


def liver_layer(
    mask: Mask, volume: Volume, place: dict[str, Any] | None = None, name: str = ""
) -> tuple[NDArray[np.uint8], dict[str, Any], str]:
    """Layer data of a scan's liver.

    Parameters
    ----------
    mask : Mask
        The liver, on the grid of the scan.
    volume : Volume
        The scan.
    place : dict, optional
        Scale, units and axes of the scan's layer; those of the scan when left out.
    name : str
        Name of the layer; "<scan> liver" when left out.

    Returns
    -------
    tuple
        Labels (z, y, x) uint8, keyword arguments, ``"labels"``.
    """
    tag = Tag(Role.LIVER, volume.identity, volume.geometry)
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


@dataclass(frozen=True, eq=False)
class Picture:
    """What work on another thread may know of a layer; taken in the window's thread by :func:`picture_of`.

    Attributes
    ----------
    data : array-like
        The layer's array itself, not a copy.
    matrix : ndarray, (4, 4)
        Index to world, in the layer's own unit.
    units : tuple
        The layer's units, one per axis.
    mm : tuple of float
        How many mm one unit is, per axis.
    name : str
        The layer's name.
    tag : Tag or None
        What we know of it.
    """

    data: Any
    matrix: NDArray[np.float64]
    units: tuple[Any, ...]
    mm: tuple[float, ...]
    name: str
    tag: Tag | None

    @property
    def own(self) -> bool:
        """Whether the layer came from our reader and its array still has the scan's shape."""
        return self.tag is not None and self.tag.geometry is not None and self.tag.geometry.shape == tuple(self.data.shape)

    @property
    def geometry(self) -> Geometry:
        """Grid in the patient: known for our own layers, else from the layer's place, as if axes were down, back and left."""
        return self.tag.geometry if self.own else _assumed(self)

    @property
    def place(self) -> dict[str, Any]:
        """Keyword arguments that put an array in canonical order over this layer."""
        shape = self.data.shape
        flip = np.eye(4)
        if not self.own:
            for axis in range(3):
                if self.matrix[axis, axis] < 0:
                    flip[axis, axis], flip[axis, 3] = -1, shape[axis] - 1
        matrix = self.matrix @ flip
        scale = np.diag(matrix)[:3]
        there = {"units": self.units, "axis_labels": AXES}
        if np.allclose(matrix[:3, :3], np.diag(scale)) and (scale > 0).all():
            return there | {"scale": tuple(scale), "translate": tuple(matrix[:3, 3])}
        return there | {"affine": matrix}


def picture_of(layer: Layer) -> Picture:
    """Take from a layer what work on another thread needs.

    Parameters
    ----------
    layer : Layer
        A layer of three dimensions.

    Returns
    -------
    Picture
        References and numbers; no copy of the array.

    Raises
    ------
    WrongGrid
        When the layer does not have three dimensions.
    """
    if layer.ndim != 3 or getattr(layer, "rgb", False) or getattr(layer, "multiscale", False):
        raise WrongGrid(
            "layer-not-3d", f"'{layer.name}' is not a plain stack of slices.",
            "A liver is searched in one three-dimensional CT scan.",
            "Choose a layer of three dimensions, without colours or resolution levels.",
        )  # fmt: skip
    first = np.array(layer.data_to_world((0, 0, 0)))
    matrix = np.eye(4)
    matrix[:3, 3] = first
    for axis in range(3):
        matrix[:3, axis] = np.array(layer.data_to_world(np.eye(3)[axis])) - first
    return Picture(layer.data, matrix, tuple(layer.units), tuple(_mm(unit) for unit in layer.units), layer.name, tag_of(layer))


def volume_of(picture: Picture, *, copy: bool = True) -> tuple[Volume, tuple[Finding, ...]]:
    """Make a scan from a layer. May be called on any thread.

    Parameters
    ----------
    picture : Picture
        Of an Image layer.
    copy : bool
        Whether the scan gets its own voxels, so that later edits of the layer do not reach it.

    Returns
    -------
    tuple
        The scan, and doubts about it.

    Raises
    ------
    Refusal
        When the layer's values cannot be Hounsfield units or its place cannot be one of a CT.
    """
    if picture.own:
        voxels = np.array(picture.data, dtype=np.int16, copy=copy or None)
        return Volume(voxels, picture.geometry, picture.name), picture.tag.findings
    geometry = picture.geometry
    data = np.asarray(picture.data)
    if data.dtype.kind not in "iuf" or data.size == 0 or not np.isfinite(data).all():
        raise Refusal(
            "layer-values", f"'{picture.name}' holds values that are not numbers of a CT.", "They cannot be Hounsfield units.",
            "Choose a CT scan, or open its file with the Load button.",
        )  # fmt: skip
    low, high = float(data.min()), float(data.max())
    if low < -32768 or high > 32767:
        raise Refusal(
            "layer-range", f"'{picture.name}' holds values from {low:g} to {high:g}.", "They cannot be Hounsfield units.",
            "Choose a CT scan, or open its file with the Load button.",
        )  # fmt: skip
    voxels = np.rint(data).astype(np.int16) if data.dtype.kind == "f" else data.astype(np.int16)
    return Volume(geometry.to_canonical(voxels), geometry, picture.name), _doubts(picture, low, high)


def mask_of(picture: Picture, scan: Picture, volume: Volume, what: str) -> Mask:
    """Make a mask of a scan from a Labels layer: every label above 0 counts. May be called on any thread.

    Parameters
    ----------
    picture : Picture
        Of the Labels layer.
    scan : Picture
        Of the scan's layer.
    volume : Volume
        The scan made from it.
    what : str
        What the mask is, for messages: "liver mask".

    Returns
    -------
    Mask
        On the grid of the scan, with its own voxels.

    Raises
    ------
    WrongGrid
        When the two layers do not cover each other voxel by voxel, or the mask belongs to another scan.
    """
    shape, wanted = tuple(picture.data.shape), tuple(scan.data.shape)
    corners = np.array([[0, 0, 0, 1], [*(n - 1 for n in wanted), 1]]).T
    if shape != wanted or not np.allclose(picture.matrix @ corners, scan.matrix @ corners, atol=0.01):
        raise WrongGrid(
            "mask-grid", f"The {what} '{picture.name}' and the scan '{scan.name}' are not on the same grid.",
            "The mask would lie beside the organ.", f"Use a {what} drawn on this very scan.",
        )  # fmt: skip
    voxels = np.asarray(picture.data) > 0
    voxels = voxels if scan.own else volume.geometry.to_canonical(voxels)
    owner = picture.tag.scan if picture.tag is not None and picture.tag.scan else None
    if owner is not None and scan.tag is not None and owner == scan.tag.scan:
        owner = volume.identity  # the scan may have been edited since it was loaded; it is still this one
    return Mask(voxels, volume.geometry, owner).of(volume, what)


def in_layer_order(canonical: NDArray[Any], scan: Picture) -> NDArray[Any]:
    """Turn an array from canonical order to that of a scan's layer.

    Parameters
    ----------
    canonical : ndarray, (z, y, x)
        On the scan's grid.
    scan : Picture
        Of the scan's layer.

    Returns
    -------
    ndarray
        Same values in the layer's order.
    """
    return canonical if scan.own else scan.geometry.to_source(canonical)


def _assumed(picture: Picture) -> Geometry:
    """Grid of a layer from another reader: world axes are taken as down (z), back (y) and left (x) of the patient."""
    matrix = np.diag([*picture.mm, 1.0]) @ picture.matrix
    steps = matrix[:3, :3]
    if np.abs(steps - np.diag(np.diag(steps))).max() > 1e-4 * np.abs(steps).max():
        raise ImpossibleGeometry(
            "layer-turned", f"The layer '{picture.name}' is turned or sheared.", "How it lies in the patient is not known.",
            "Open the file with the Load button of this panel.",
        )  # fmt: skip
    affine = np.eye(4)
    affine[:3] = -matrix[2::-1]
    return Geometry(picture.data.shape, affine)


def _doubts(picture: Picture, low: float, high: float) -> tuple[Finding, ...]:
    """Say what is not known of a layer that another reader made."""
    orientation = Finding(
        level=Level.NOTE, code="layer-orientation", what=f"'{picture.name}' was not opened by this plugin.",
        meaning="Left and right are not verified, and voxel sizes are those of the layer.",
        action="Open the file with the Load button to be sure.",
    )  # fmt: skip
    units = Finding(
        level=Level.ASK, code="layer-not-hu", what=f"'{picture.name}' holds values from {low:g} to {high:g}.",
        meaning="They do not look like Hounsfield units of a CT.", action="Go on only if you know that they are.",
    )  # fmt: skip
    return (orientation, units) if low > -200 or high < 100 else (orientation,)


def _mm(unit: Any) -> float:
    """How many mm a unit is; a pixel is taken for one, as nothing better is known."""
    if unit.is_compatible_with("mm"):
        return float((1 * unit).to("mm").magnitude)
    return 1.0
