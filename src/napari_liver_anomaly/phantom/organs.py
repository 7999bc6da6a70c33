"""The organs of the upper abdomen in the portal-venous phase, each painted over its neighbours behind."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.phantom.space import both, join
from napari_liver_anomaly.phantom.trunk import FAT, UPRIGHT

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from napari_liver_anomaly.phantom.space import Box, Canvas, Field
    from napari_liver_anomaly.phantom.trunk import Body

BILE = 9.0


def paint_organs(canvas: Canvas, cavity: Field, rng: Generator) -> None:
    """Paint bowel, kidneys, spleen, stomach and pancreas."""
    _bowel(canvas, cavity, rng)
    _kidneys(canvas, rng)
    _spleen(canvas, cavity, rng)
    _stomach(canvas, cavity, rng)
    _pancreas(canvas, rng)


def paint_liver(canvas: Canvas, body: Body, cavity: Field, rng: Generator) -> tuple[Box, Field]:
    """Paint liver and gallbladder."""
    box, liver, bladder = _liver_shape(canvas, body, cavity, rng)
    canvas.paint(box, liver, body.liver_hu + np.float32(2.5) * canvas.space.texture(rng, 12.0, box))
    canvas.paint(box, bladder - np.float32(1.5), 70.0)
    canvas.paint(box, bladder, BILE)
    return box, liver


def _kidneys(canvas: Canvas, rng: Generator) -> None:
    """Paint both kidneys: bright cortex, pyramids, fat in the sinus."""
    space = canvas.space
    for side, low in ((-1, 150.0), (1, 132.0)):
        centre = (side * float(rng.uniform(61, 66)), 52.0, low + float(rng.uniform(-6, 6)))
        box = space.box(centre, (36, 36, 58))
        kidney = space.ellipsoid(box, centre, (25, 29, 52), side * -35)
        mouth = (centre[0] - side * 19, centre[1] - 10, centre[2])
        kidney = both(kidney, -space.ellipsoid(box, mouth, (13, 9, 17), side * -35), 5.0)
        pyramids = space.texture(rng, 13.0, box)
        core = np.clip(-(kidney + 7.5) / 2.0, 0, 1) * np.clip(0.5 + pyramids, 0, 1)
        canvas.paint(box, kidney - np.float32(9), FAT)
        canvas.paint(box, np.asarray(np.abs(kidney - np.float32(9)) - 0.4, np.float32), -55.0)
        canvas.paint(box, kidney, (196 - 48 * core).astype(np.float32))
        sinus = space.ellipsoid(box, (centre[0] - side * 9, centre[1] - 5, centre[2]), (9, 7, 24), side * -35)
        canvas.paint(box, sinus, -75.0)
        canvas.paint(box, sinus + np.float32(4.5), 60.0)
        vein = (np.array(mouth), np.array((side * 14.0 - 4, 24.0, centre[2] - 8)))
        tube = space.box(tuple((vein[0] + vein[1]) / 2), tuple(np.abs(vein[1] - vein[0]) / 2 + 6))
        canvas.paint(tube, space.capsule(tube, *vein, (4.0, 5.0)), 150.0)


def _spleen(canvas: Canvas, cavity: Field, rng: Generator) -> None:
    """Paint the spleen against the left wall behind."""
    space = canvas.space
    size = float(rng.uniform(0.9, 1.1))
    centre = (94.0, 26.0, 78.0)
    box = space.box(centre, (44 * size, 56 * size, 56 * size))
    spleen = space.ellipsoid(box, centre, (36 * size, 50 * size, 50 * size), 18)
    hollow = space.ellipsoid(box, (58, 2, 82), (40, 42, 70), 25)
    hollow = np.minimum(hollow, space.ellipsoid(box, (64, 52, 132), (31, 33, 58), -35))  # stomach, and the bed of the left kidney
    spleen = both(both(spleen, -hollow, 6.0), cavity[box] + np.float32(5.0), 4.0)
    canvas.paint(box, np.asarray(spleen + 1.2 * space.texture(rng, 18.0, box), np.float32), 122.0)


def _stomach(canvas: Canvas, cavity: Field, rng: Generator) -> None:
    """Paint the stomach: wall, a meal, and a bubble that lies in front because the patient lies on the back."""
    space = canvas.space
    high, low = (66.0, -14.0, 62.0), (46.0, -46.0, 112.0)
    box = space.box((50, -32, 92), (84, 64, 78))
    stomach = join(space.ellipsoid(box, high, (38, 42, 38)), space.ellipsoid(box, low, (46, 27, 27), 14), 16.0)
    stomach = join(stomach, space.ellipsoid(box, (4, -46, 124), (40, 16, 16), -12), 12.0)
    stomach = both(stomach, cavity[box] + np.float32(6.0), 6.0)
    stomach = np.asarray(stomach + 1.6 * space.texture(rng, 14.0, box), np.float32)
    meal = 30 + 14 * space.texture(rng, 11.0, box)
    canvas.paint(box, stomach, 84.0)
    canvas.paint(box, stomach + np.float32(4.0), meal)
    surface = space.y[box] + np.float32(rng.uniform(40, 52))
    canvas.paint(box, np.maximum(stomach + np.float32(4.0), surface), -940.0)


def _pancreas(canvas: Canvas, rng: Generator) -> None:
    """Paint pancreas, splenic and mesenteric veins, and the superior mesenteric artery."""
    space = canvas.space
    way = np.array([(-26, 4, 138), (-14, -6, 122), (10, -10, 110), (40, 8, 98), (66, 24, 88)], float)
    width = (15.0, 13.0, 10.0, 9.5, 8.0)
    box = space.box((20, 4, 112), (66, 36, 46))
    body = np.minimum.reduce([
        space.capsule(box, way[i], way[i + 1], (width[i], width[i + 1])) for i in range(4)
    ])  # fmt: skip
    lobules = space.texture(rng, 6.0, box)
    canvas.paint(box, np.asarray(body + 2.2 * lobules, np.float32), (92 + 12 * lobules).astype(np.float32), 3.0)
    splenic = way + np.array([0, 9, 0])
    for start, end in pairwise(splenic[1:]):
        canvas.paint(box, space.capsule(box, start, end, (4.6, 4.2)), 168.0)
    below = space.box((-6, -2, 170), (14, 14, 70))
    canvas.paint(below, space.capsule(below, np.array((-8.0, -4, 116)), np.array((-8.0, -6, 260)), (6.0, 5.5)), 168.0)
    canvas.paint(below, space.capsule(below, np.array((9.0, 14, 108)), np.array((7.0, -4, 260)), (4.0, 3.6)), 160.0)


def _bowel(canvas: Canvas, cavity: Field, rng: Generator) -> None:
    """Paint colon under liver and stomach, and loops of small bowel in the mesentery."""
    flank = np.array([
        (-96, 12, 226), (-90, -6, 194), (-72, -46, 176), (-40, -66, 170), (20, -72, 172), (70, -62, 150), (108, -24, 118),
        (112, 14, 150), (110, 18, 215),
    ], float)  # fmt: skip
    _tube(canvas, cavity, flank, (19.0, 15.0), rng, gas=0.55)
    for _ in range(11):
        start = np.array([rng.uniform(-55, 85), rng.uniform(-62, -16), rng.uniform(150, 205)])
        bends = rng.normal(0, 17, (4, 3)) * (1, 0.8, 0.5)
        loop = start + np.concatenate([np.zeros((1, 3)), np.cumsum(bends, 0)])
        loop[:, 1] = np.minimum(loop[:, 1], -12)  # in front of the great vessels
        loop[:, 2] = np.maximum(loop[:, 2], 142 + 0.25 * np.abs(loop[:, 0] - 20))
        _tube(canvas, cavity, loop, (11.0, 9.0), rng, gas=0.15)


def _tube(
    canvas: Canvas, cavity: Field, way: NDArray[np.float64], radii: tuple[float, float], rng: Generator, gas: float
) -> None:
    """Paint one loop of bowel along a way, with enhancing wall, contents and perhaps gas in its upper part."""
    space = canvas.space
    way = way + rng.normal(0, 3, way.shape)
    sizes = rng.uniform(radii[1], radii[0], len(way))
    for i in range(len(way) - 1):
        middle, reach = (way[i] + way[i + 1]) / 2, np.abs(way[i + 1] - way[i]) / 2 + radii[0] + 3
        box = space.box(tuple(middle), tuple(reach))
        if 0 in canvas.hu[box].shape:
            continue
        folds = space.texture(rng, 9.0, box)
        tube = space.capsule(box, way[i], way[i + 1], (sizes[i], sizes[i + 1])) + 1.8 * folds
        tube = both(np.asarray(tube, np.float32), cavity[box] + np.float32(4.0), 3.0)
        canvas.paint(box, tube, 78.0)
        canvas.paint(box, tube + np.float32(2.6), (28 + 26 * folds).astype(np.float32))
        if rng.random() < gas:
            level = space.y[box] - np.float32(middle[1] + rng.uniform(-6, 6))
            canvas.paint(box, np.maximum(tube + np.float32(2.6), level + 2 * folds), -880.0)


def _liver_shape(canvas: Canvas, body: Body, cavity: Field, rng: Generator) -> tuple[Box, Field, Field]:
    """Shape the liver: its box, its signed distance, and that of the gallbladder below it."""
    space, s = canvas.space, body.liver_scale
    box = space.box((-34, -8, 98), (112, 96, 96))
    x, z = space.x[box], space.z[box]
    right = space.ellipsoid(box, (-66, -6, 98), (70 * s, 80 * s, 80 * s))
    bowels = space.ellipsoid(box, (72, -26, 212), (142 + float(rng.uniform(-7, 7)), 260, 148))  # they hollow the visceral surface
    right = both(right, np.asarray(4 * space.texture(rng, 40.0, box) - bowels, np.float32), 12.0)
    reach = float(rng.uniform(66, 88))
    left = space.ellipsoid(box, (2, -44, 64), (reach, 36, 33 * s), 8)
    floor = (z - np.float32(92) + 0.32 * x) * np.float32(0.93)
    left = both(left, np.asarray(floor, np.float32), 10.0)
    caudate = space.ellipsoid(box, (-10, 12, 76), (18, 13, 26))
    liver = join(join(right, left, 16.0), caudate, 6.0)
    back = space.ellipsoid(box, (6, 46, 90), (38, 38, UPRIGHT))
    liver = both(liver, -back, 8.0)
    liver = both(liver, cavity[box] + np.float32(3.2), 8.0)
    for centre, radii, turn in (
        ((-66.0, 56.0, 160.0), (37.0, 33.0, 62.0), 35),  # the bed of the right kidney
        ((-38.0, 54.0, 152.0), (26.0, 26.0, 52.0), 0),  # and of what lies between it and the spine
        ((-24.0, 28.0, 90.0), (13.5, 12.0, UPRIGHT), 0),  # the vena cava lies in a groove
        ((2.0, -42.0, 96.0), (2.2, 34.0, 34.0), 14),  # fissure of the round ligament
        ((-4.0, 2.0, 84.0), (14.0, 1.6, 34.0), -18),  # fissure of the venous ligament
        ((-26.0, 4.0, 106.0), (17.0, 9.0, 16.0), 10),  # porta hepatis
    ):
        liver = both(liver, -space.ellipsoid(box, centre, radii, turn), 3.0)
    bladder = join(
        space.ellipsoid(box, (-56, -46, 134), (15, 17, 22)), space.ellipsoid(box, (-44, -28, 114), (9, 11, 17), 20), 9.0
    )
    return box, both(liver, -(bladder - np.float32(1.5)), 2.0), bladder
