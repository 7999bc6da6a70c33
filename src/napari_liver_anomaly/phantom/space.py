"""The space of the phantom: warped coordinates, soft-edged bodies, and the canvas they are painted on.

Coordinates are mm in the directions of the canonical array: x to the patient's left, y to the back, z to the feet. The middle of
the trunk is x = y = 0; z = 0 is the upper end of the stack. Bodies are signed distances in mm, negative inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Field: TypeAlias = NDArray[np.float32]
    Box: TypeAlias = tuple[slice, slice, slice]

FIELD_MM = 360.0
WARP_MM = 3.2
MARGIN_MM = 14.0  # no voxel is warped farther than this


class Space:
    """Voxel grid with coordinates bent by a smooth random warp, so that nothing is exactly an ellipse.

    Parameters
    ----------
    slices, size_px : int
        Shape of the stack.
    height_mm : float
        Its extent from the first slice to the last, outer edges included.
    rng : Generator
        Draws the warp.
    """

    def __init__(self, slices: int, size_px: int, height_mm: float, rng: Generator) -> None:
        self.shape = (slices, size_px, size_px)
        self.steps_mm = (height_mm / slices, FIELD_MM / size_px, FIELD_MM / size_px)
        self.px_mm = self.steps_mm[1]
        z, y, x = ((np.arange(n, dtype=np.float32) + 0.5) * step for n, step in zip(self.shape, self.steps_mm, strict=True))
        self._axes = (z, y - FIELD_MM / 2, x - FIELD_MM / 2)
        bend = [np.clip(WARP_MM * self.texture(rng, 64.0), -MARGIN_MM, MARGIN_MM) for _ in range(3)]
        self.z = bend[0] * 0.6 + self._axes[0][:, None, None]
        self.y = bend[1] + self._axes[1][None, :, None]
        self.x = bend[2] + self._axes[2][None, None, :]

    def texture(self, rng: Generator, length_mm: float, box: Box | None = None) -> Field:
        """Smooth random field of mean 0 and standard deviation near 1."""
        extents = [n * step for n, step in zip(self.shape, self.steps_mm, strict=True)]
        knots = rng.standard_normal([int(np.ceil(extent / length_mm)) + 3 for extent in extents]).astype(np.float32)
        weights = []
        for axis, (step, extent) in enumerate(zip(self.steps_mm, extents, strict=True)):
            index = np.arange(self.shape[axis])[box[axis] if box else slice(None)]
            place = (index + 0.5) * step * (np.ceil(extent / length_mm) / extent)
            weights.append(_cubic(place[:, None] - np.arange(knots.shape[axis])[None] + 1))
        knots *= np.float32(3.0)  # the spline takes two thirds of the spread away
        rows = np.matmul(weights[1], np.tensordot(weights[0], knots, axes=1))
        field: Field = rows.reshape(-1, rows.shape[2]) @ np.ascontiguousarray(weights[2].T)
        return field.reshape(*rows.shape[:2], -1)

    def box(self, centre: tuple[float, ...], reach: tuple[float, ...] | float) -> Box:
        """Voxels that may lie within a reach of a place, whatever the warp."""
        around = np.broadcast_to(np.asarray(reach, float), 3) + MARGIN_MM
        made = []
        for axis, places in enumerate(self._axes):
            low, high = np.searchsorted(places, [centre[2 - axis] - around[2 - axis], centre[2 - axis] + around[2 - axis]])
            made.append(slice(int(low), int(high)))
        return (made[0], made[1], made[2])

    @property
    def whole(self) -> Box:
        """The box of the whole stack."""
        return (slice(0, self.shape[0]), slice(0, self.shape[1]), slice(0, self.shape[2]))

    def ellipsoid(self, box: Box, centre: tuple[float, ...], radii: tuple[float, ...], turn_deg: float = 0.0) -> Field:
        """Signed distance (good near the surface) to an ellipsoid."""
        offsets = [
            c[box] - np.float32(at) for c, at, r in zip((self.x, self.y, self.z), centre, radii, strict=True) if np.isfinite(r)
        ]
        if turn_deg:
            cos, sin = np.float32(np.cos(np.deg2rad(turn_deg))), np.float32(np.sin(np.deg2rad(turn_deg)))
            offsets[:2] = [offsets[0] * cos + offsets[1] * sin, offsets[1] * cos - offsets[0] * sin]
        near, slope = np.float32(1e-8), np.float32(1e-12)
        for offset, radius in zip(offsets, radii, strict=False):
            offset *= np.float32(1 / radius)
            offset *= offset
            near = offset + near
            offset *= np.float32(1 / radius**2)
            slope = offset + slope
        root = np.sqrt(near)
        distance: Field = (near - root) / np.sqrt(slope)
        return distance

    def trunk(self, box: Box, centre: tuple[float, float], radii: tuple[float, float]) -> Field:
        """Signed distance to an upright column of superelliptic section (power 2.5), the outline of a trunk."""
        u = np.abs(self.x[box] - np.float32(centre[0])) * np.float32(1 / radii[0])
        v = np.abs(self.y[box] - np.float32(centre[1])) * np.float32(1 / radii[1])
        near = (u * u * np.sqrt(u) + v * v * np.sqrt(v) + np.float32(1e-9)) ** np.float32(0.4)
        slope = np.sqrt((u * np.sqrt(u) / np.float32(radii[0])) ** 2 + (v * np.sqrt(v) / np.float32(radii[1])) ** 2)
        distance: Field = (near - 1) * near * np.sqrt(near) / np.maximum(slope, np.float32(1e-6))
        return distance

    def capsule(self, box: Box, start: NDArray[np.float64], end: NDArray[np.float64], radii: tuple[float, float]) -> Field:
        """Signed distance to a straight tube with round ends whose radius runs from one end to the other."""
        way = (end - start).astype(np.float32)
        x, y, z = (c[box] - np.float32(s) for c, s in zip((self.x, self.y, self.z), start, strict=True))
        along = np.clip((x * way[0] + y * way[1] + z * way[2]) / max(float(way @ way), 1e-6), 0, 1)
        off = (x - along * way[0]) ** 2 + (y - along * way[1]) ** 2 + (z - along * way[2]) ** 2
        distance: Field = np.sqrt(off) - (np.float32(radii[0]) + along * np.float32(radii[1] - radii[0]))
        return distance


class Canvas:
    """Hounsfield units being painted, one soft-edged body over another.

    Parameters
    ----------
    space : Space
        Where.
    hu : float
        What everything is before the first body.
    """

    def __init__(self, space: Space, hu: float) -> None:
        self.space = space
        self.hu: Field = np.full(space.shape, hu, np.float32)

    def paint(self, box: Box, distance: Field, hu: Field | float, edge_mm: float | None = None) -> None:
        """Cover the inside of a body with a value; voxels on its surface get a share."""
        share = np.clip(np.float32(0.5) - distance * np.float32(1 / (edge_mm or self.space.px_mm)), 0, 1)
        part = self.hu[box]
        part += share * (hu - part)


def join(a: Field, b: Field, round_mm: float) -> Field:
    """Union of two bodies with a rounded seam."""
    over = np.maximum(np.float32(round_mm) - np.abs(a - b), 0)
    return np.asarray(np.minimum(a, b) - over * over * np.float32(0.25 / round_mm), np.float32)


def both(a: Field, b: Field, round_mm: float) -> Field:
    """Intersection of two bodies with rounded edges; ``both(a, -b, r)`` takes b away from a."""
    return -join(-a, -b, round_mm)


def _cubic(distance: NDArray[np.float64]) -> Field:
    """Weights of the cubic B-spline at a distance in knots."""
    d = np.abs(distance)
    inner = 2 / 3 - d**2 + d**3 / 2
    outer = np.clip(2 - d, 0, None) ** 3 / 6
    return np.where(d < 1, inner, outer).astype(np.float32)
