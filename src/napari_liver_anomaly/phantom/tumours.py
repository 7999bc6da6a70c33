"""Tumours for the phantom: deformed soft ellipsoids with rim and necrosis, another family than any training synthesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from napari_liver_anomaly.phantom.space import Box, Canvas, Field

SMALLEST_MM, LARGEST_MM = 4.0, 60.0
DIM_HU, STRONG_HU = 15.0, 80.0


def paint_tumours(canvas: Canvas, box: Box, liver: Field, count: int, rng: Generator) -> NDArray[np.bool_]:
    """Paint tumours into the liver."""
    space = canvas.space
    mask = np.zeros(space.shape, bool)
    free = liver.copy()
    for number in range(count):
        low, high = (20.0, 38.0) if number == 0 else (SMALLEST_MM, LARGEST_MM * 0.8)
        radius = 0.5 * float(np.exp(rng.uniform(np.log(low), np.log(high))))
        places = np.argwhere(free < -0.75 * radius)
        while not len(places) and radius > SMALLEST_MM / 4:
            radius *= 0.8
            places = np.argwhere(free < -0.75 * radius)
        if not len(places):
            break  # the liver is full
        index = tuple(places[int(rng.random() * len(places))] + [part.start for part in box])
        centre = (float(space.x[index]), float(space.y[index]), float(space.z[index]))
        near, distance = _shape(canvas, centre, radius, rng)
        inside = _overlap(near, box)
        local = _within(inside, box)
        distance = np.maximum(distance[_within(inside, near)], liver[local] - np.float32(1.0))
        _fill(canvas, inside, distance, radius, rng)
        mask[inside] |= (distance < 0) & (liver[local] < 0)
        mask[index] = True
        free[local] = np.maximum(free[local], 6 - distance)
    return mask


def _overlap(a: Box, b: Box) -> Box:
    """Cut two boxes with each other."""
    z, y, x = (slice(max(p.start, q.start), min(p.stop, q.stop)) for p, q in zip(a, b, strict=True))
    return (z, y, x)


def _within(box: Box, outer: Box) -> Box:
    """Where a box lies inside another that holds it."""
    z, y, x = (slice(p.start - q.start, p.stop - q.start) for p, q in zip(box, outer, strict=True))
    return (z, y, x)


def _shape(canvas: Canvas, centre: tuple[float, ...], radius: float, rng: Generator) -> tuple[Box, Field]:
    """Shape one tumour: an ellipsoid with bumps."""
    space = canvas.space
    radii = radius * np.exp(rng.normal(0, 0.14, 3))
    box = space.box(centre, 1.6 * radius + 2)
    body = space.ellipsoid(box, centre, tuple(radii), float(rng.uniform(0, 180)))
    bumps = space.texture(rng, max(0.9 * radius, 4.0), box)
    return box, np.asarray(body + 0.13 * radius * bumps, np.float32)


def _fill(canvas: Canvas, box: Box, distance: Field, radius: float, rng: Generator) -> None:
    """Paint one tumour: an offset to the liver that may differ at the rim and in the core."""
    space = canvas.space
    offset = float(rng.uniform(DIM_HU, STRONG_HU)) * (1 if rng.random() < 0.2 else -1)
    base = float(np.median(canvas.hu[box][distance < 3])) if (distance < 3).any() else 105.0
    depth = -distance / np.float32(radius)  # 0 at the surface, near 1 in the middle
    hu = base + offset * (1 + 0.12 * space.texture(rng, 9.0, box))
    rim, core = rng.random() < 0.45, rng.random() < 0.5
    if rim and radius > 6:
        ring = np.exp(-((depth - 0.12) ** 2) / (2 * 0.10**2))
        hu = hu + ring * float(rng.uniform(0.25, 0.6)) * abs(offset)
    if core and radius > 9 and offset < 0:
        dead = np.clip((depth - float(rng.uniform(0.35, 0.5))) / 0.15, 0, 1)
        hu = hu + dead * (max(8.0, base + 1.5 * offset) - hu) * 0.8
    canvas.paint(box, distance, np.asarray(hu, np.float32), float(rng.uniform(1.5, 3.5)))
