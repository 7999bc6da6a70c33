"""Veins of the liver: trees that fill it, made by splitting a cloud of points recursively."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from napari_liver_anomaly.phantom.space import Box, Canvas, Field, Space

    Points: TypeAlias = NDArray[np.float64]
    Segment: TypeAlias = tuple[Points, Points, float, float]

THINNEST_MM = 0.9
NEARLY_MURRAY = 0.36  # his law says a third
PORTA = np.array((-30.0, 4.0, 104.0))  # where the portal vein enters
CAVA = np.array((-24.0, 18.0, 44.0))  # where the hepatic veins leave


def grow(root: Points, points: Points, radius_mm: float, rng: Generator) -> list[Segment]:
    """Grow a tree from a root into a cloud of points.

    Each branch runs part of the way to the middle of its points, which are then shared between two children along their longest
    direction; radii shrink nearly as Murray's law says (the cubes of the children's add up to the cube of the parent's).

    From C. D. Murray, "The physiological principle of minimum work", PNAS 12 (1926) 207-214.
    """
    pieces: list[Segment] = []
    waiting = [(root, points, radius_mm)]
    while waiting:
        start, cloud, radius = waiting.pop()
        if radius < THINNEST_MM or len(cloud) < 3:
            continue
        way = (cloud.mean(axis=0) - start) * rng.uniform(0.5, 0.75)
        length = float(np.linalg.norm(way))
        halfway = start + way / 2 + rng.normal(0, 0.06 * length, 3)
        end = start + way
        thin = 0.93 * radius
        pieces += [(start, halfway, radius, (radius + thin) / 2), (halfway, end, (radius + thin) / 2, thin)]
        spread = cloud - cloud.mean(axis=0)
        axis = np.linalg.svd(spread, full_matrices=False)[2][0]
        order = np.argsort(spread @ axis)
        cut = round(len(cloud) * rng.uniform(0.3, 0.7))
        for part in (order[:cut], order[cut:]):
            waiting.append((end, cloud[part], thin * float((len(part) / len(cloud)) ** NEARLY_MURRAY)))
    return pieces


def distance_to(pieces: list[Segment], space: Space, box: Box) -> Field:
    """Signed distance to all vessels, inside a box."""
    found = np.full([part.stop - part.start for part in box], 50, np.float32)
    for start, end, first, last in pieces:
        near = space.box(tuple((start + end) / 2), tuple(np.abs(end - start) / 2 + first + 2))
        cut = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(near, box, strict=True))
        if any(part.start >= part.stop for part in cut):
            continue
        here = (cut[0], cut[1], cut[2])
        local = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(cut, box, strict=True))
        np.minimum(found[local], space.capsule(here, start, end, (first, last)), out=found[local])
    return found


def paint_veins(canvas: Canvas, box: Box, liver: Field, hu: float, rng: Generator) -> None:
    """Paint portal and hepatic veins into the liver, and the portal vein's way to it."""
    space = canvas.space
    inside = np.argwhere(liver < -4)
    chosen = inside[(rng.random(1400) * len(inside)).astype(int)]
    index = tuple((chosen + [part.start for part in box]).T)
    cloud = np.stack([space.x[index], space.y[index], space.z[index]], axis=1).astype(float)
    portal = grow(PORTA, cloud[:700], 7.0, rng)
    third = np.digitize(np.arctan2(cloud[700:, 0] - CAVA[0], CAVA[1] - cloud[700:, 1]), [-1.0, 0.0])
    hepatic: list[Segment] = []
    for sector, radius in enumerate((5.8, 5.2, 5.0)):  # right, middle and left hepatic vein
        hepatic += grow(CAVA, cloud[700:][third == sector], radius, rng)
    for pieces, bright in ((portal, hu), (hepatic, hu - 4)):
        within = np.maximum(distance_to(pieces, space, box), liver + np.float32(1.0))
        canvas.paint(box, within, bright)
    trunk = [(np.array((-8.0, -2.0, 124.0)), PORTA, 6.8, 6.4)]
    canvas.paint(box, distance_to(trunk, space, box), hu)
