"""Lesions of several kinds in one recipe: small, faint, cystic and usual ones, large ones that push the liver aside, and ones at its capsule.

:class:`~napari_liver_anomaly.synthesis.nodules.Nodules` draws every body; what is new is how often which kind is drawn, where, and what happens
around it. A large body pushes the tissue about it away (to 1.3 times its radius), may hold necrosis, a thin capsule and satellites. A body at the
capsule has its centre within 5 mm of the liver's edge and reaches out of it, where tissue around the liver is in sight; the liver grows with it.

References
----------
Hu et al., "Label-free liver tumor segmentation", CVPR 2023 (mass effect and capsule, which they describe and left out in training).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Recipe
from napari_liver_anomaly.synthesis.nodules import NOISE_REACH, Nodules, noise_of

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Field = NDArray[np.float32]
    Bools = NDArray[np.bool_]
    Spacing = tuple[float, float, float]

PLAIN = {"p_isodense": 0.0, "p_core": 0.0, "p_rim": 0.0}
SMALL = Nodules(radius_low_mm=2, radius_high_mm=6, dark_low_hu=15, dark_high_hu=80, edge_high_mm=2, p_bright=0.04, **PLAIN)
FAINT = Nodules(radius_low_mm=10, radius_high_mm=25, dark_low_hu=6, dark_high_hu=20, bright_high_hu=25, p_bright=0.1, **PLAIN)
CYST = Nodules(
    radius_low_mm=3, radius_high_mm=20, dark_low_hu=70, edge_high_mm=1, p_bright=0, lumpy=0.15, texture=0.05, p_replace=1, **PLAIN
)
USUAL = Nodules()
LARGE = Nodules(
    radius_low_mm=25, radius_high_mm=70, dark_low_hu=12, dark_high_hu=90, edge_high_mm=8, p_isodense=0.03, p_bright=0.03, lumpy=0.5,
    texture=0.5, p_core=0.5, p_rim=0.25, rim_mm=1.5,
)  # fmt: skip
PUSHED = 1.3  # radii within which the tissue around a large body is pushed
FAT = 0.3  # darker than any liver on the scale of prepared slices: it is not pushed, its fissures would become arcs
CAPSULE_MM, BULGE_MM = 5.0, 15.0  # a body at the capsule has its centre so close to it, and reaches so far out at most


@dataclass(frozen=True, kw_only=True, slots=True)
class VariedNodules(Recipe):
    """Small, faint, cystic, usual and large lesions in space, some of them at the capsule."""

    in_space: ClassVar[bool] = True
    beyond_mm: ClassVar[float] = BULGE_MM

    p_empty: float = setting(0.25, low=0, high=1, help="Fraction of samples left healthy.")
    p_many: float = setting(0.15, low=0, high=1, help="Fraction of samples with many small lesions.")
    p_small: float = setting(0.3, low=0, high=1, help="Fraction of lesions of 4 to 12 mm.")
    p_faint: float = setting(0.12, low=0, high=1, help="Fraction of faint lesions of 20 to 50 mm, down to 6 HU.")
    p_cyst: float = setting(0.04, low=0, high=1, help="Fraction of sharp and very dark lesions.")
    p_large: float = setting(0.15, low=0, high=1, help="Fraction of lesions of 50 to 140 mm, which push the liver aside.")
    p_satellites: float = setting(0.3, low=0, high=1, help="Fraction of large lesions with small ones around them.")
    p_capsule: float = setting(
        0.2, low=0, high=1, help="Fraction of the other lesions that lie at the liver's edge and bulge out of it."
    )

    def draw(self, image: Field, liver_mask: Bools, hu_per_unit: float, rng: Generator) -> Anomalous:
        """Make one sample on a single slice."""
        made = self.draw_stack(image[None], liver_mask[None], hu_per_unit, rng, (3.0, 1.5, 1.5))
        return Anomalous(made.image[0], made.mask[0], liver=None if made.liver is None else made.liver[0])

    def draw_stack(
        self, images: Field, liver_mask: Bools, hu_per_unit: float, rng: Generator, spacing_mm: Spacing, middle: int | None = None
    ) -> Anomalous:
        """Make one sample of neighbouring slices, with lesions that go through them as bodies in space."""
        made, mask = images.copy(), np.zeros(liver_mask.shape, dtype=bool)
        middle = len(liver_mask) // 2 if middle is None else middle
        if not liver_mask[middle].any() or rng.random() < self.p_empty:
            return Anomalous(made, mask)
        near = slice(max(middle - NOISE_REACH, 0), middle + NOISE_REACH + 1)
        sample = _Sample(made, mask, liver_mask, middle, noise_of(images[near], liver_mask[near]), hu_per_unit, rng, spacing_mm)
        if rng.random() < self.p_many:
            for _ in range(int(rng.integers(6, 16))):
                sample.put(SMALL)
        else:
            for _ in range(1 + int(rng.poisson(0.8))):
                self._put_one(sample, rng)
        return Anomalous(made, mask, liver=liver_mask | mask if (mask & ~liver_mask).any() else None)

    def _put_one(self, sample: _Sample, rng: Generator) -> None:
        """Put one lesion of any kind into a sample."""
        drawn = rng.random() - self.p_large
        if drawn < 0:
            sample.put_large(int(rng.integers(1, 5)) if rng.random() < self.p_satellites else 0)
            return
        kind = USUAL
        for one, part in ((SMALL, self.p_small), (FAINT, self.p_faint), (CYST, self.p_cyst)):
            if 0 <= drawn < part:
                kind = one
            drawn -= part
        sample.put(kind, at_capsule=rng.random() < self.p_capsule)


@dataclass(frozen=True, slots=True)
class _Sample:
    """A sample in the making: its slices and lesions are changed in place."""

    made: Field
    mask: Bools
    liver_mask: Bools
    middle: int
    noise: float
    hu_per_unit: float
    rng: Generator
    spacing_mm: Spacing

    def put(self, kind: Nodules, *, at_capsule: bool = False) -> None:
        """Put one lesion anywhere in the liver, or at its edge, from where it may reach out into what is in sight."""
        liver_mask, room = self.liver_mask[self.middle], self.liver_mask
        places = np.argwhere(_rim(liver_mask, self.spacing_mm) if at_capsule else liver_mask)
        high = kind.radius_high_mm
        if at_capsule:
            room, high = room | (self.made > 0), max(min(high, BULGE_MM), kind.radius_low_mm)
        radius = self._radius(kind, high)
        self._put(kind, self._centre(places[self.rng.integers(len(places))], radius), radius, room, solid=at_capsule)

    def put_large(self, satellites: int) -> None:
        """Put one large lesion that takes at most half of the slice's liver and pushes the rest of it, and small ones around it."""
        places = np.argwhere(self.liver_mask[self.middle])
        most = np.sqrt(0.5 * len(places) * self.spacing_mm[1] * self.spacing_mm[2] / np.pi)
        radius = min(self._radius(LARGE, LARGE.radius_high_mm), float(most))
        centre = self._centre(places[self.rng.integers(len(places))], radius)
        _push(self.made, self.liver_mask, centre, radius, self.spacing_mm)
        self._put(LARGE, centre, radius, self.liver_mask)
        away = np.hypot(*(places * self.spacing_mm[1:] - centre[1:]).T) / max(radius, 1e-6)
        around = places[(away > 1.2) & (away < 2)]
        for _ in range(satellites if len(around) else 0):
            small = self._radius(SMALL, SMALL.radius_high_mm)
            self._put(SMALL, self._centre(around[self.rng.integers(len(around))], small), small, self.liver_mask)

    def _radius(self, kind: Nodules, high: float) -> float:
        return float(np.exp(self.rng.uniform(np.log(kind.radius_low_mm), np.log(high))))

    def _centre(self, place: NDArray[np.intp], radius: float) -> NDArray[np.float64]:
        return np.array([self.rng.uniform(-0.8, 0.8) * radius, 0, 0]) + np.array([self.middle, *place]) * self.spacing_mm

    def _put(self, kind: Nodules, centre: NDArray[np.float64], radius: float, room: Bools, *, solid: bool = False) -> None:
        kind.put(self.made, self.mask, room, centre, radius, self.noise, self.hu_per_unit, self.rng, self.spacing_mm, solid=solid)


def _rim(liver_mask: Bools, spacing_mm: Spacing) -> Bools:
    """Pixels of a liver (H, W) close to its edge."""
    from scipy.ndimage import binary_erosion

    rim: Bools = liver_mask & ~binary_erosion(liver_mask, iterations=max(1, round(CAPSULE_MM / spacing_mm[1])))
    return rim


def _push(made: Field, liver_mask: Bools, centre_mm: NDArray[np.float64], radius_mm: float, spacing_mm: Spacing) -> None:
    """Push the liver's tissue out of a ball, in place: what lay between 0.3 and 1.3 radii from its centre lies between 1 and 1.3 after."""
    from scipy.ndimage import map_coordinates

    away = np.stack(
        np.meshgrid(*(np.arange(n) * mm - c for n, mm, c in zip(made.shape, spacing_mm, centre_mm, strict=True)), indexing="ij")
    )
    far = np.sqrt((away**2).sum(axis=0)) / radius_mm
    moved = np.argwhere((far >= 1) & (far < PUSHED) & liver_mask)
    if not len(moved):
        return
    there = far[tuple(moved.T)]
    source = (PUSHED - (PUSHED - there) / (PUSHED - 1)) / there  # of the distance from the centre
    to = (centre_mm + away[:, *moved.T].T * source[:, None]) / spacing_mm
    to = np.clip(to, 0, np.array(made.shape) - 1)
    # Only from where all that is mixed into a pixel is liver: the edge would be drawn out to arcs.
    inside = map_coordinates(liver_mask.astype(np.float32), to.T, order=1, mode="nearest") > 0.99
    values = map_coordinates(made, to.T, order=1, mode="nearest")
    inside &= values > FAT
    made[tuple(moved[inside].T)] = values[inside]
