"""A straight, even stack from slices that are tilted, uneven or have gaps: on request only, with a note.

Values are interpolated linearly: within a slice where it lies aside of the new grid, and between the two slices around each new one.
Nothing is made up beyond the slices; there is air.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Answer
from napari_liver_anomaly.io.hounsfield import AIR_HU, BELOW_AIR_HU
from napari_liver_anomaly.io.source import Source, affine_of
from napari_liver_anomaly.messages import make_finding
from napari_liver_anomaly.storage import MAX_AXIS, voxel_bytes
from napari_liver_anomaly.stored_values import to_hounsfield

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding

    Floats = NDArray[np.float64]
    Voxels = NDArray[np.int16]

STRAIGHTEN = Answer(words="Straighten it: resample to an even stack at right angles", option="tilt", value="straighten")
FILL = Answer(words="Fill in missing slices from their neighbours", option="gaps", value="fill")
MUCH_FINER = 0.75  # of the usual distance: a stack with a finer part is resampled as finely as that part
FINER_SHARE = 0.1
WHOLE = 1e-6
MOST_LISTED = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Where each new slice comes from.

    Attributes
    ----------
    shape : tuple of int
        Columns, rows and slices of the new stack.
    affine : ndarray, (4, 4) float64
        Index to mm, in the system of the positions it was made from.
    below : ndarray, (slices,) int
        Old slice at, or before, each new one.
    share : ndarray, (slices,) float64
        How much the following old slice counts, from 0 to 1.
    aside : ndarray, (old slices, 2) float64
        How far each old slice lies from the first column and row of the new grid, voxels, at least 0.
    """

    shape: tuple[int, int, int]
    affine: Floats
    below: NDArray[np.intp]
    share: Floats
    aside: Floats

    def follow(self, voxels: Voxels) -> Voxels:
        """Make the new stack."""
        voxel_bytes(self.shape, 2)
        result = np.empty(self.shape[::-1], np.int16).transpose(2, 1, 0)
        placed: dict[int, Floats] = {}
        for index, (first, share) in enumerate(zip(self.below.tolist(), self.share.tolist(), strict=True)):
            wanted = (first, first + 1) if share else (first,)
            placed = {k: placed[k] if k in placed else self._placed(voxels[..., k], k) for k in wanted}
            mixed = placed[first] if not share else (1 - share) * placed[first] + share * placed[first + 1]
            result[..., index] = np.rint(np.where(np.isnan(mixed), AIR_HU, mixed))
        return result

    def _placed(self, picture: Voxels, index: int) -> Floats:
        """Move a slice to its place on the new grid; NaN where it does not reach."""
        values = np.where(picture < BELOW_AIR_HU, AIR_HU, picture).astype(np.float64)
        for axis in (0, 1):
            whole, part = divmod(float(self.aside[index, axis]), 1.0)
            before = [(0, 0), (0, 0)]
            before[axis] = (int(whole), self.shape[axis] - values.shape[axis] - int(whole))
            wide = np.pad(values, before, constant_values=np.nan)
            if part:
                wide = (1 - part) * wide + part * np.roll(wide, 1, axis)
            values = wide
        return values


def straight(points: Floats, axes: Floats, voxel_mm: tuple[float, float], size: tuple[int, int]) -> Plan:
    """Plan an even stack at right angles that covers all slices."""
    normal = np.cross(axes[0], axes[1])
    heights = points @ normal
    if heights[-1] < heights[0]:
        normal, heights = -normal, -heights
    gaps = np.diff(heights)
    usual, fine = float(np.median(gaps)), float(np.quantile(gaps, FINER_SHARE))
    wanted = fine if fine < MUCH_FINER * usual else usual
    count = 1 + int(np.clip(np.rint((heights[-1] - heights[0]) / wanted), 1, MAX_AXIS))
    places = np.linspace(heights[0], heights[-1], count)
    below = np.clip(np.searchsorted(heights, places, "right") - 1, 0, len(heights) - 2)
    share = np.clip((places - heights[below]) / gaps[below], 0, 1)
    below, share = np.where(share > 1 - WHOLE, below + 1, below), np.where((share < WHOLE) | (share > 1 - WHOLE), 0.0, share)
    aside = (points @ axes.T) / np.array(voxel_mm)
    low = aside.min(axis=0)
    aside = _rounded(aside - low)
    columns, rows = (int(n) for n in np.array(size) + np.ceil(aside.max(axis=0)).astype(int))
    origin = low[0] * voxel_mm[0] * axes[0] + low[1] * voxel_mm[1] * axes[1] + heights[0] * normal
    steps = np.column_stack([axes[0] * voxel_mm[0], axes[1] * voxel_mm[1], normal * (places[1] - places[0])])
    return Plan(shape=(columns, rows, count), affine=affine_of(steps, origin), below=below, share=share, aside=aside)


def filled(lost: Sequence[int], size: tuple[int, int], affine: Floats) -> Plan:
    """Plan a stack whose missing slices are interpolated between their neighbours."""
    below = np.concatenate([np.full(1 + n, k) for k, n in enumerate([*lost, 0])])
    share = np.concatenate([np.arange(1 + n) / (1 + n) for n in [*lost, 0]])
    return Plan(shape=(*size, len(below)), affine=affine, below=below, share=share, aside=np.zeros((len(lost) + 1, 2)))


def straightened_note(plan: Plan, angle: float, widest_mm: float) -> Finding:
    """State that a stack was straightened."""
    moved = float((plan.aside * np.sqrt((plan.affine[:3, :2] ** 2).sum(axis=0))).max())
    apart = float(np.sqrt((plan.affine[:3, 2] ** 2).sum()))
    return make_finding("stack-straightened", angle=angle, moved=moved, apart=apart, widest=widest_mm)


def filled_note(lost: Sequence[int]) -> Finding:
    """State that missing slices were filled in."""
    places = [f"{n} after slice {k}" for k, n in enumerate(lost, start=1) if n]
    more = f", and in {len(places) - MOST_LISTED} more places" if len(places) > MOST_LISTED else ""
    return make_finding("slices-filled", places=", ".join(places[:MOST_LISTED]), more=more)


def unsheared(source: Source) -> Source:
    """Straighten a file whose axes are not at right angles, as a tilted stack saved by a converter."""
    steps = source.affine[:3, :3]
    sizes = np.sqrt((steps**2).sum(axis=0))
    cosines = np.abs((steps / sizes).T @ (steps / sizes))
    order = min(((0, 1, 2), (0, 2, 1), (1, 2, 0)), key=lambda axes: cosines[axes[0], axes[1]])
    first, second, along = order
    if cosines[first, second] * max(source.shape) > 0.5:
        return source
    axes = (steps / sizes)[:, [first, second]].T
    axes[1] -= (axes[1] @ axes[0]) * axes[0]
    axes[1] /= np.linalg.norm(axes[1])
    points = source.affine[:3, 3] + np.arange(source.shape[along])[:, None] * steps[:, along]
    plan = straight(points, axes, (float(sizes[first]), float(sizes[second])), (source.shape[first], source.shape[second]))
    back = np.argsort(order)
    x, y, z = (plan.shape[k] for k in back)
    affine = plan.affine.copy()
    affine[:3, :3] = plan.affine[:3, back]
    normal = np.cross(*axes)
    told = straightened_note(plan, float(np.degrees(np.arccos(min(1.0, abs(normal @ steps[:, along]) / sizes[along])))),
                         float(abs(normal @ steps[:, along])))  # fmt: skip

    def load() -> Voxels:
        voxels = to_hounsfield(source.load(), source.slope, source.intercept)
        return plan.follow(voxels.transpose(order)).transpose(back)

    return replace(
        source, shape=(x, y, z), affine=affine, load=load, slope=1.0, intercept=0.0,
        findings=tuple(told if one.code == "geometry-sheared" else one for one in source.findings),
    )  # fmt: skip


def _rounded(aside: Floats) -> Floats:
    """Whole numbers where they are meant, so that nothing is blurred for nothing."""
    whole = np.rint(aside)
    return np.where(np.abs(aside - whole) < WHOLE * 100, whole, aside)
