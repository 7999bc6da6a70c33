"""The trunk: skin, fat, wall, ribs, lungs, heart, spine and great vessels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.phantom.space import both, join

if TYPE_CHECKING:
    from numpy.random import Generator

    from napari_liver_anomaly.phantom.space import Canvas, Field

UPRIGHT = np.inf  # a radius along z: the body is a column
AIR, FAT, MUSCLE, LUNG = -1000.0, -102.0, 58.0, -860.0


@dataclass(frozen=True)
class Body:
    """Sizes of one person, drawn once.

    Attributes
    ----------
    half_width_mm, half_depth_mm, fat_mm, wall_mm : float
        Of the trunk: half axes, fat under the skin, and muscle wall.
    liver_scale : float
        Of the liver's length, 1 for the usual.
    liver_hu, vessel_hu : float
        Enhancement of liver and its veins.
    """

    half_width_mm: float
    half_depth_mm: float
    fat_mm: float
    wall_mm: float
    liver_scale: float
    liver_hu: float
    vessel_hu: float

    @staticmethod
    def draw(rng: Generator) -> Body:
        """Draw a person."""
        fat = float(rng.uniform(9, 20))
        liver_hu = float(rng.uniform(92, 118))
        return Body(
            half_width_mm=138 + fat + float(rng.uniform(-3, 3)),
            half_depth_mm=98 + 0.7 * fat + float(rng.uniform(-3, 3)),
            fat_mm=fat,
            wall_mm=float(rng.uniform(8, 12)),
            liver_scale=float(rng.uniform(0.96, 1.04)),
            liver_hu=liver_hu,
            vessel_hu=liver_hu + float(rng.uniform(44, 62)),
        )

    @property
    def cavity(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Centre and half axes (x, y) in mm of the space inside the wall."""
        wall = self.fat_mm + self.wall_mm
        back = 22.0  # the muscles beside the spine
        return (0.0, -back / 2 + 2), (self.half_width_mm - wall, self.half_depth_mm - 0.7 * wall - back / 2)


def paint_trunk(canvas: Canvas, body: Body, rng: Generator) -> Field:
    """Paint the trunk and everything in it that is not an organ of the abdomen."""
    space, box = canvas.space, canvas.space.whole
    skin = space.trunk(box, (0.0, 0.0), (body.half_width_mm, body.half_depth_mm))
    cavity = space.trunk(box, *body.cavity)
    canvas.paint(box, skin, 35.0)
    canvas.paint(box, skin + np.float32(2.2), FAT - 3)
    canvas.paint(box, cavity - np.float32(body.wall_mm), MUSCLE)
    strands = np.abs(cavity - np.float32(0.5 * body.wall_mm)) - np.float32(0.5)
    canvas.paint(box, np.asarray(strands, np.float32), -20.0)  # fat between the layers of the wall
    canvas.paint(box, cavity, FAT)
    _lungs(canvas, cavity)
    _ribs(canvas, body, cavity, rng)
    _spine(canvas, rng)
    _great_vessels(canvas)
    return cavity


def _lungs(canvas: Canvas, cavity: Field) -> None:
    """Air above the two domes of the diaphragm, and the heart between the lungs."""
    space = canvas.space
    top = (slice(0, space.box((0, 0, 0), 125)[0].stop), slice(None), slice(None))
    right = space.ellipsoid(top, (-64, -10, 118), (88, 96, 107))
    left = space.ellipsoid(top, (64, 0, 118), (82, 98, 100))
    domes = join(right, left, 20.0)
    middle = np.abs(space.x[top]) - np.float32(24.0)
    edge = (space.z[top] - np.float32(72) - np.float32(0.55) * space.y[top]) * np.float32(0.88)  # lungs reach lowest behind
    lungs = both(cavity[top] + np.float32(2.0), np.maximum(edge, -domes), 3.0)
    lungs = both(lungs, -both(middle, -space.y[top] - 5, 8.0), 8.0)
    for inner, hu in ((np.float32(-2.5), MUSCLE), (np.float32(0), FAT)):  # the diaphragm itself, and what it covers
        canvas.paint(top, np.maximum(domes + inner, np.maximum(cavity[top], space.z[top] - np.float32(84))), hu)
    canvas.paint(top, lungs, LUNG)
    heart = space.ellipsoid(top, (22, -42, -8), (66, 42, 34), 18)
    canvas.paint(top, both(heart - np.float32(5.0), cavity[top] + np.float32(4.0), 4.0), FAT)
    canvas.paint(top, both(heart, cavity[top] + np.float32(9.0), 4.0), 108.0)
    canvas.paint(top, space.ellipsoid(top, (30, -44, -8), (44, 26, 22), 18), 152.0)


def _ribs(canvas: Canvas, body: Body, cavity: Field, rng: Generator) -> None:
    """Ribs run in the wall, down and forward; bone behind, cartilage in front."""
    space = canvas.space
    depth = cavity - np.float32(0.45 * body.wall_mm)
    around = np.arctan2(np.abs(space.x), space.y + np.float32(5.0))  # 0 at the spine, pi at the front
    pitch = 31.0
    height = space.z - np.float32(rng.uniform(0, pitch)) - np.float32(44) * around
    nearest = np.abs((height + pitch / 2) % pitch - pitch / 2)
    rib = np.sqrt((depth / 3.6) ** 2 + (nearest / 6.2) ** 2).astype(np.float32) * 4 - 4
    end = (around - np.clip(2.55 - 0.0055 * (space.z - 10), 1.2, 2.45)) * 60  # lower ribs end earlier
    bone = both(rib, np.asarray(np.maximum(end, (0.42 - around) * 60), np.float32), 2.0)
    gristle = both(rib, np.maximum(np.maximum(-end, end - 42), (space.z - 150) * 0.5).astype(np.float32), 2.0)
    canvas.paint(space.whole, gristle, 105.0)
    canvas.paint(space.whole, bone, 470.0)
    canvas.paint(space.whole, bone + np.float32(1.6), 190.0)


def _spine(canvas: Canvas, rng: Generator) -> None:
    """Paint vertebrae, discs, canal and the muscles beside them."""
    space = canvas.space
    everything = (slice(None), *space.box((0, 84, 0), (72, 46, 0))[1:])
    for side in (-1, 1):
        canvas.paint(everything, space.ellipsoid(everything, (side * 30, 87, 90), (26, 15, UPRIGHT), side * 12), MUSCLE + 4)
        psoas = space.ellipsoid(everything, (side * 36, 56, 215), (17, 17, 92))
        canvas.paint(everything, psoas, MUSCLE + 6)
        canvas.paint(everything, space.ellipsoid(everything, (side * 7, 34, 90), (6, 12, 75), side * 25), MUSCLE)  # crura
    pitch = 36.0
    phase = (space.z[everything] - np.float32(rng.uniform(0, pitch))) % pitch
    disc = np.abs(phase - pitch / 2) - np.float32(3.5)
    vertebra = space.ellipsoid(everything, (0, 57, 90), (22, 17.5, UPRIGHT))
    arch = space.ellipsoid(everything, (0, 82, 90), (19, 14, UPRIGHT))
    spur = np.maximum(space.ellipsoid(everything, (0, 96, 90), (4.2, 15, UPRIGHT)), 9 - np.abs(disc + 3.5))
    wing = np.maximum(space.ellipsoid(everything, (0, 80, 90), (44, 4.6, UPRIGHT)), 11 - np.abs(disc + 3.5))
    for bone in (spur, wing, np.maximum(arch, 3 - np.abs(disc + 3.5))):
        canvas.paint(everything, bone, 420.0)
        canvas.paint(everything, bone + np.float32(2.2), 230.0)
    marrow = 195 + 22 * space.texture(rng, 6.0, everything)
    canvas.paint(everything, vertebra, 430.0)
    canvas.paint(everything, vertebra + np.float32(1.7), marrow)
    canvas.paint(everything, both(vertebra, disc, 1.0) - np.float32(0.5), 88.0)
    canvas.paint(everything, space.ellipsoid(everything, (0, 82, 90), (11, 8.5, UPRIGHT)), 5.0)
    canvas.paint(everything, space.ellipsoid(everything, (0, 82, 90), (6, 4.5, UPRIGHT)), 42.0)


def _great_vessels(canvas: Canvas) -> None:
    """Paint aorta and vena cava."""
    space = canvas.space
    aorta = (slice(None), *space.box((10, 30, 0), 14)[1:])
    canvas.paint(aorta, space.ellipsoid(aorta, (10, 30, 90), (11, 11, UPRIGHT)), 165.0)
    for start, end, radii in (
        ((-20, 22, -20), (-22, 25, 40), (12.0, 13.0)),
        ((-22, 25, 40), (-24, 30, 110), (13.0, 11.0)),
        ((-24, 30, 110), (-20, 31, 260), (11.0, 10.5)),
    ):
        middle, reach = np.add(start, end) / 2, np.abs(np.subtract(end, start)) / 2 + 15
        box = space.box(tuple(middle), tuple(reach))
        canvas.paint(box, space.capsule(box, np.asarray(start, float), np.asarray(end, float), radii), 142.0)
