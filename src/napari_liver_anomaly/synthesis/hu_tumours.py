"""Handcrafted liver tumours: soft, dark, deformed ellipsoids in space with a weak texture.

References
----------
Hu, Chen, Xiao et al., "Label-free liver tumor segmentation", CVPR 2023. Sizes, counts, deformation, texture, edge and contrast are theirs; vessel
avoidance, mass effect and capsule, which they left out in training, are left out. Three things differ, since a sample here is a few slices on any
grid and not a whole liver at 1 mm: of a liver's tumours only those that meet the middle slice are drawn, their count drawn again until one does;
a texture is made for each sample at its size, with the mean and spread of one cut from a whole volume, instead of ten made beforehand; and lengths
that the paper has in voxels of 1 mm are millimetres.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Recipe
from napari_liver_anomaly.synthesis.elastic import between, displacement

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Field = NDArray[np.float32]
    Spacing = tuple[float, float, float]

TRIES = 50
# Radius and standard deviation of the deformation in mm, fewest and most tumours in a liver; the mix has a few more small ones.
TINY, SMALL = (4.0, (0.5, 1.0), (3, 10)), (8.0, (1.0, 2.0), (3, 10))
MEDIUM, LARGE = (16.0, (3.0, 6.0), (2, 5)), (32.0, (5.0, 10.0), (1, 3))
TYPES = ((TINY,), (SMALL,), (MEDIUM,), (LARGE,), (TINY, (8.0, (1.0, 2.0), (5, 10)), MEDIUM, LARGE))
MARGIN_MM = 2.0  # between a tumour's centre and the liver's edge: an erosion of 5 × 5 pixels of 1 mm
GRID_MM = 4.0  # of the texture, which has no structure finer than its last blur
COARSE_MM, FINE_MM = (3.0, 6.0, 9.0, 12.0, 15.0), (4.0, 7.0)  # blurs of the texture
EXTREMES = (
    10.0  # standard deviations between the smallest and the largest value of the paper's noise, a volume of 40 million voxels
)
PLANES = 16  # of the texture's grid, at least: as many as its blurs reach


@dataclass(frozen=True, kw_only=True, slots=True)
class HuTumours(Recipe):
    """Handcrafted soft, dark tumours from tiny to large, as deformed ellipsoids in space (Hu et al. 2023)."""

    in_space: ClassVar[bool] = True

    contrast_low_hu: float = setting(
        65.0, unit="HU", low=1, high=300, help="Faintest contrast; the texture halves it on average."
    )
    contrast_high_hu: float = setting(145.0, unit="HU", low=1, high=300, help="Strongest contrast, likewise.")
    edge_low_mm: float = setting(1.0, unit="mm", low=0.1, high=10, help="Sharpest edge, as standard deviation of its blur.")
    edge_high_mm: float = setting(2.0, unit="mm", low=0.1, high=10, help="Softest edge.")
    height_mm: float = setting(
        64.0, unit="mm", low=1, high=400, help="Height over which a liver's tumours are spread: the middle 40 % of the liver."
    )
    p_empty: float = setting(0.1, low=0, high=1, help="Fraction of samples left healthy.")

    def draw(self, image: Field, liver_mask: NDArray[np.bool_], hu_per_unit: float, rng: Generator) -> Anomalous:
        """Make one sample on a single slice."""
        made = self.draw_stack(image[None], liver_mask[None], hu_per_unit, rng, (3.0, 1.5, 1.5))
        return Anomalous(made.image[0], made.mask[0])

    def draw_stack(
        self,
        images: Field,
        liver_mask: NDArray[np.bool_],
        hu_per_unit: float,
        rng: Generator,
        spacing_mm: Spacing,
        middle: int | None = None,
    ) -> Anomalous:
        """Make one sample of neighbouring slices, with tumours that go through them as bodies in space."""
        nothing = Anomalous(images.copy(), np.zeros(liver_mask.shape, dtype=bool))
        middle = len(liver_mask) // 2 if middle is None else middle
        if not liver_mask[middle].any() or rng.random() < self.p_empty:
            return nothing
        edge_mm = rng.uniform(self.edge_low_mm, self.edge_high_mm)
        beyond = int(np.ceil(3 * edge_mm / spacing_mm[0]))  # slices on both sides whose tumours shine into these
        bodies = self._bodies(liver_mask[middle], len(images) + 2 * beyond, middle + beyond, rng, spacing_mm)
        mask = bodies[beyond : beyond + len(images)] & liver_mask
        if not mask[middle].any():
            return nothing
        made = images.copy()
        # Work where the tumours are, and no farther than their edges reach.
        box = (slice(None), *(_around(bodies, axis, 3 * edge_mm / spacing_mm[axis]) for axis in (1, 2)))
        weight = _softened(bodies[box], edge_mm, spacing_mm)[beyond : beyond + len(images)] * liver_mask[box]
        contrast = rng.uniform(self.contrast_low_hu, self.contrast_high_hu) / hu_per_unit
        drop = weight * texture(weight.shape, spacing_mm, rng) * np.float32(contrast)
        healthy = made[box]
        made[box] = np.where(drop > 0, np.minimum(healthy, np.clip(healthy - drop, 0.02, 1)), healthy)
        return Anomalous(made, mask)

    def _bodies(
        self, liver_mask: NDArray[np.bool_], planes: int, middle: int, rng: Generator, spacing_mm: Spacing
    ) -> NDArray[np.bool_]:
        """Draw the tumours of a liver and keep those that meet a plane, given its liver (H, W): again until one shows there."""
        places = np.argwhere(_deep(liver_mask, spacing_mm))
        sizes = TYPES[rng.integers(len(TYPES))]
        for _ in range(TRIES):
            bodies = np.zeros((planes, *liver_mask.shape), dtype=bool)
            for radius, wobble, (fewest, most) in sizes:
                for _ in range(rng.integers(fewest, most + 1)):
                    axes = radius * rng.uniform(0.75, 1.25, 3)
                    rise = rng.uniform(-0.5, 0.5) * self.height_mm
                    if abs(rise) < axes[0]:
                        centre = np.array([middle, *places[rng.integers(len(places))]]) * spacing_mm + [rise, 0, 0]
                        _add_body(bodies, axes, centre, rng.uniform(*wobble), rng, spacing_mm)
            if (bodies[middle] & liver_mask).any():
                break
        return bodies


def _deep(liver_mask: NDArray[np.bool_], spacing_mm: Spacing) -> NDArray[np.bool_]:
    """Where a tumour's centre may lie: off the edge of the liver (H, W), or anywhere in one that is narrower."""
    from scipy.ndimage import minimum_filter

    sides = [2 * max(1, round(MARGIN_MM / mm)) + 1 for mm in spacing_mm[1:]]
    eroded: NDArray[np.bool_] = minimum_filter(liver_mask.view(np.uint8), sides, mode="constant").view(bool)
    return eroded if eroded.any() else liver_mask


def _add_body(
    bodies: NDArray[np.bool_], axes_mm: NDArray[np.float64], centre_mm: NDArray[np.float64], wobble_mm: float, rng: Generator,
    spacing_mm: Spacing,
) -> None:  # fmt: skip
    """Put an ellipsoid into planes, in place, deformed by 3 × 3 control points in each of the three coordinate planes."""
    reach = axes_mm + 4 * wobble_mm  # a control point moves by at most two standard deviations in each of two planes
    away = []
    box = []
    for centre, far, mm, size in zip(centre_mm, reach, spacing_mm, bodies.shape, strict=True):
        box.append(slice(max(int(np.ceil((centre - far) / mm)), 0), min(int((centre + far) / mm) + 1, size)))
        away.append((np.arange(box[-1].start, box[-1].stop) * mm - centre).astype(np.float32))
    places = [one / far + 1 for one, far in zip(away, reach, strict=True)]
    moved = list(np.ix_(*away))
    for one, other in combinations(range(3), 2):
        pushed = displacement((places[one], places[other]), 3, wobble_mm, rng)
        for axis, push in zip((one, other), pushed, strict=True):
            moved[axis] = moved[axis] + np.expand_dims(push, 3 - one - other)
    bodies[tuple(box)] |= sum((part / np.float32(axis)) ** 2 for part, axis in zip(moved, axes_mm, strict=True)) < 1


def _around(bodies: NDArray[np.bool_], axis: int, margin_px: float) -> slice:
    """Where the bodies lie along an axis, with a margin."""
    found = np.flatnonzero(bodies.any(axis=tuple({0, 1, 2} - {axis})))
    return slice(max(int(found[0] - margin_px), 0), int(found[-1] + margin_px) + 2)


def _softened(bodies: NDArray[np.bool_], edge_mm: float, spacing_mm: Spacing) -> Field:
    """Blur bodies by a length in mm."""
    from scipy.ndimage import gaussian_filter

    soft: Field = gaussian_filter(bodies.astype(np.float32), [edge_mm / mm for mm in spacing_mm], mode="nearest", truncate=3)
    return soft


def texture(shape: tuple[int, ...], spacing_mm: Spacing, rng: Generator) -> Field:
    """Draw the share of the contrast that each voxel gets: noise on a grid of 4 mm, where the paper has 1 mm and blurs it by 4 or 7."""
    from scipy.ndimage import gaussian_filter

    steps = [np.arange(size) * (mm / GRID_MM) for size, mm in zip(shape, spacing_mm, strict=True)]
    grid = [max(int(one[-1]) + 2, least) for one, least in zip(steps, (PLANES, 2, 2), strict=True)]
    coarse, fine = rng.choice(COARSE_MM) / GRID_MM, rng.choice(FINE_MM) / GRID_MM
    noise = gaussian_filter(rng.random(grid, dtype=np.float32) - np.float32(0.5), coarse, mode="wrap")
    noise *= np.sqrt(12) * (2 * np.sqrt(np.pi) * coarse) ** 1.5  # the blur's share of the spread taken out: standard deviation 1
    chance = rng.uniform(0.04, 0.06) + rng.uniform(0.19, 0.21) * np.clip(0.5 + noise / EXTREMES, 0, 1)
    # Each voxel of the paper is 1 with that chance, else 0; a cell of the grid is the mean of 64 of them.
    cells = chance + rng.standard_normal(grid, dtype=np.float32) * np.sqrt(chance * (1 - chance) / GRID_MM**3)
    smooth = gaussian_filter(cells, fine, mode="wrap")
    dense = smooth[smooth > 0.12]
    smooth *= rng.uniform(0.50, 0.55) / (dense.mean() if dense.size else smooth.mean())
    return np.clip(between(smooth, steps), 0, 1)
