"""From any napari layer to a scan or a mask, on another thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.gui.layers import AXES, Tag, tag_of
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.volume import Mask, Volume

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding


@dataclass(frozen=True, eq=False)
class LayerSnapshot:
    """What work on another thread may know of a layer; taken in the window's thread by :func:`snapshot_of`."""

    data: Any  # the layer's array itself, not a copy
    matrix: NDArray[np.float64]  # (4, 4), index to world, in the layer's own unit
    units: tuple[Any, ...]
    mm: tuple[float, ...]  # how many mm one unit is, per axis
    name: str
    tag: Tag | None

    @property
    def grid(self) -> Geometry | None:
        """The scan's own grid, where the layer came from our reader and its array still has the scan's shape."""
        geometry = self.tag.geometry if self.tag is not None else None
        return geometry if geometry is not None and geometry.shape == tuple(self.data.shape) else None

    @property
    def own(self) -> bool:
        """Whether the layer came from our reader and its array still has the scan's shape."""
        return self.grid is not None

    @property
    def geometry(self) -> Geometry:
        """Grid in the patient: known for our own layers, else from the layer's place, as if axes were down, back and left."""
        return self.grid or _assumed(self)

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


def snapshot_of(layer: Layer) -> LayerSnapshot:
    """Take from a layer what work on another thread needs."""
    if layer.ndim != 3 or getattr(layer, "rgb", False) or getattr(layer, "multiscale", False):
        raise make_refusal("layer-not-3d", layer=layer.name)
    first = np.array(layer.data_to_world((0, 0, 0)))
    matrix = np.eye(4)
    matrix[:3, 3] = first
    for axis in range(3):
        matrix[:3, axis] = np.array(layer.data_to_world(np.eye(3)[axis])) - first
    return LayerSnapshot(
        layer.data, matrix, tuple(layer.units), tuple(_mm(unit) for unit in layer.units), layer.name, tag_of(layer)
    )


def volume_of(snapshot: LayerSnapshot, *, copy: bool = True) -> Volume:
    """Make a scan from a layer, with what is doubtful about it. May be called on any thread."""
    if snapshot.own and snapshot.tag is not None:
        voxels = np.array(snapshot.data, dtype=np.int16, copy=copy or None)
        volume = Volume(voxels, snapshot.geometry, snapshot.name, snapshot.tag.findings, snapshot.tag.images)
        same = not volume.images or volume.identity == snapshot.tag.read_as
        return volume if same else replace(volume, images=())  # it was changed, and is no longer what its slices hold
    geometry = snapshot.geometry
    data = np.asarray(snapshot.data)
    if data.dtype.kind not in "iuf" or data.size == 0 or not np.isfinite(data).all():
        raise make_refusal("layer-values", layer=snapshot.name)
    low, high = float(data.min()), float(data.max())
    if low < -32768 or high > 32767:
        raise make_refusal("layer-range", layer=snapshot.name, low=low, high=high)
    voxels = np.rint(data).astype(np.int16) if data.dtype.kind == "f" else data.astype(np.int16)
    return Volume(
        geometry.to_canonical(voxels).astype(np.int16, copy=False), geometry, snapshot.name, _doubts(snapshot, low, high)
    )


def mask_of(snapshot: LayerSnapshot, scan: LayerSnapshot, volume: Volume, what: str) -> Mask:
    """Make a mask of a scan from a Labels layer: every label above 0 counts. May be called on any thread."""
    ours = snapshot.own and not scan.own  # our own layer over the scan of another reader, whose axes may run the other way
    shape, wanted = tuple(snapshot.data.shape), tuple(scan.data.shape)
    corners = np.array([[0, 0, 0, 1], [*(n - 1 for n in wanted), 1]]).T
    if shape != wanted or not (ours or np.allclose(snapshot.matrix @ corners, scan.matrix @ corners, atol=0.01)):
        raise make_refusal("mask-grid", what=what, mask=f"'{snapshot.name}'", scan=f"'{scan.name}'")
    voxels: NDArray[np.bool_] = np.asarray(snapshot.data) > 0
    if not scan.own and not ours:
        voxels = volume.geometry.to_canonical(voxels).astype(bool, copy=False)
    owner = snapshot.tag.scan if snapshot.tag is not None and snapshot.tag.scan else None
    if owner is not None and scan.tag is not None and owner == scan.tag.scan:
        owner = volume.identity  # the scan may have been edited since it was loaded; it is still this one
    probability = snapshot.tag.probability if snapshot.own and snapshot.tag is not None else None
    return Mask(voxels, snapshot.geometry if ours else volume.geometry, owner, probability).of(volume, what)


def _assumed(snapshot: LayerSnapshot) -> Geometry:
    """Grid of a layer from another reader: world axes are taken as down (z), back (y) and left (x) of the patient."""
    matrix = np.diag([*snapshot.mm, 1.0]) @ snapshot.matrix
    steps = matrix[:3, :3]
    if np.abs(steps - np.diag(np.diag(steps))).max() > 1e-4 * np.abs(steps).max():
        raise make_refusal("layer-turned", layer=snapshot.name)
    affine = np.eye(4)
    affine[:3] = -matrix[2::-1]
    return Geometry(snapshot.data.shape, affine)


def _doubts(snapshot: LayerSnapshot, low: float, high: float) -> tuple[Finding, ...]:
    """Say what is not known of a layer that another reader made."""
    orientation = make_finding("layer-orientation")
    units = make_finding("layer-not-hu", low=low, high=high)
    return (orientation, units) if low > -200 or high < 100 else (orientation,)


def _mm(unit: Any) -> float:
    """How many mm a unit is; a pixel is taken for one, as nothing better is known."""
    if unit.is_compatible_with("mm"):
        return float((1 * unit).to("mm").magnitude)
    return 1.0
