"""Three-dimensional lesions: soft, irregular bodies of 2.5 to 40 mm radius that replace the tissue, vessels included.

What a tumour does to a liver is not an added constant. It *replaces* parenchyma and the vessels in it, has an edge that is as soft as the scanner
makes it, its own unevenness, sometimes another core or a bright rim, and the scan's noise goes on through it.

References
----------
Hu et al., "Label-free liver tumor segmentation", CVPR 2023 (lesions as deformed ellipsoids in millimetres, soft edges, several
sizes); here without their elastic deformation and textures, with replacement of the tissue, bright and isodense lesions, cores and rims, and
contrasts down to what the noise lets see.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.settings import options, setting
from napari_liver_anomaly.synthesis.base import Anomalous, Recipe

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Field = NDArray[np.float32]

WAVES = 6
LIVER = 0.5  # what preparing makes of the liver's median
MAD_TO_SD = 1.4826
NOISE_REACH = 8  # slices on each side that the noise is measured on: the most neighbours that a network sees

SMALL: dict[str, Any] = {  # how the lesions differ that p_small asks for
    "radius_low_mm": 2.0, "radius_high_mm": 6.0, "dark_low_hu": 15.0, "dark_high_hu": 60.0, "bright_high_hu": 60.0,
    "p_bright": 0.0, "p_isodense": 0.0,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Nodules(Recipe):
    """Soft, lumpy lesions in space that replace the tissue and its vessels."""

    in_space: ClassVar[bool] = True

    radius_low_mm: float = setting(2.5, unit="mm", low=1, high=50, help="Radius of the smallest lesions.")
    radius_high_mm: float = setting(
        40.0, unit="mm", low=1, high=100, help="Radius of the largest lesions; sizes are even on a log scale."
    )
    p_empty: float = setting(0.25, low=0, high=1, help="Fraction of samples left healthy.")
    p_many: float = setting(0.15, low=0, high=1, help="Fraction of samples with many small lesions.")
    p_small: float = setting(
        0.0, low=0, high=1, added=True, help="Fraction of lesions that are drawn as small ones of 4 to 12 mm, 15 to 60 HU dark."
    )
    lumpy: float = setting(0.4, low=0, high=1, help="Strongest unevenness of the outline, as a fraction of the radius.")
    edge_low_mm: float = setting(0.5, unit="mm", low=0.1, high=20, help="Sharpest edge.")
    edge_high_mm: float = setting(5.0, unit="mm", low=0.1, high=20, help="Softest edge.")
    p_bright: float = setting(0.06, low=0, high=1, help="Fraction of lesions brighter than the liver.")
    p_isodense: float = setting(
        0.06, low=0, high=1, help="Fraction of lesions as bright as the liver, seen only by what they replace."
    )
    dark_low_hu: float = setting(10.0, unit="HU", low=1, high=300, help="Faintest dark contrast.")
    dark_high_hu: float = setting(110.0, unit="HU", low=1, high=300, help="Strongest dark contrast.")
    bright_high_hu: float = setting(70.0, unit="HU", low=1, high=300, help="Strongest bright contrast.")
    p_replace: float = setting(
        0.7, low=0, high=1, help="Fraction of lesions that replace the vessels in them; the others only shift the tissue."
    )
    texture: float = setting(0.4, low=0, high=1, help="Strongest unevenness inside, as a fraction of the contrast.")
    p_core: float = setting(0.25, low=0, high=1, help="Fraction of lesions with another core.")
    p_rim: float = setting(0.08, low=0, high=1, help="Fraction of lesions with a bright rim.")
    rim_mm: float = setting(
        0.0,
        unit="mm",
        low=0,
        high=20,
        added=True,
        help="Width of a bright rim; 0 draws it, a tenth to three tenths of the radius.",
    )
    visible: float = setting(
        5.0,
        low=0,
        high=100,
        help="Contrast over noise, times the root of the number of voxels, below which a lesion is not drawn.",
    )

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
        spacing_mm: tuple[float, float, float],
        middle: int | None = None,
    ) -> Anomalous:
        """Make one sample of neighbouring slices, with lesions that go through them as bodies in space."""
        made, mask = images.copy(), np.zeros(liver_mask.shape, dtype=bool)
        middle = len(liver_mask) // 2 if middle is None else middle
        places = np.argwhere(liver_mask[middle])
        if not len(places) or rng.random() < self.p_empty:
            return Anomalous(made, mask)
        many = rng.random() < self.p_many
        near = slice(max(middle - NOISE_REACH, 0), middle + NOISE_REACH + 1)
        noise = noise_of(images[near], liver_mask[near])
        for _ in range(int(rng.integers(6, 16)) if many else 1 + int(rng.poisson(0.8))):
            kind = replace(self, **SMALL) if self.p_small and rng.random() < self.p_small else self
            high = min(kind.radius_high_mm, 3 * kind.radius_low_mm) if many else kind.radius_high_mm
            radius = float(np.exp(rng.uniform(np.log(kind.radius_low_mm), np.log(high))))
            place = (middle, *places[rng.integers(len(places))])
            kind._add(made, mask, liver_mask, place, radius, noise, hu_per_unit, rng, spacing_mm)
        return Anomalous(made, mask)

    def _add(
        self, made: Field, mask: NDArray[np.bool_], liver_mask: NDArray[np.bool_], place: tuple[int, ...], radius_mm: float,
        noise: float, hu_per_unit: float, rng: Generator, spacing_mm: tuple[float, float, float],
    ) -> None:  # fmt: skip
        """Put one lesion into a stack, in place."""
        centre_mm = np.array([rng.uniform(-0.8, 0.8) * radius_mm, 0, 0]) + np.array(place) * spacing_mm
        self.put(made, mask, liver_mask, centre_mm, radius_mm, noise, hu_per_unit, rng, spacing_mm)

    def put(
        self, made: Field, mask: NDArray[np.bool_], room: NDArray[np.bool_], centre_mm: NDArray[np.float64], radius_mm: float,
        noise: float, hu_per_unit: float, rng: Generator, spacing_mm: tuple[float, float, float], *, solid: bool = False,
    ) -> None:  # fmt: skip
        """Put one lesion at a place, in place.

        Parameters
        ----------
        made : ndarray, (C, H, W) float32
            The sample so far; changed.
        mask : ndarray, (C, H, W) bool
            Its lesions so far; changed.
        room : ndarray, (C, H, W) bool
            Where the lesion may be: the liver, or more.
        centre_mm : ndarray, (3,) float
            Its centre (z, y, x), from the middle of the first pixel.
        radius_mm : float
            Its radius.
        noise : float
            Standard deviation of the pixel noise, in the units of the images.
        hu_per_unit : float
            Hounsfield units between 0 and 1.
        rng : numpy.random.Generator
            Where all chance comes from.
        spacing_mm : tuple of float
            Distance (z, y, x) of slices and pixels in mm.
        solid : bool
            Replace all tissue, as a lesion must that reaches beyond the liver.
        """
        box = tuple(
            slice(max(int((c - 1.7 * radius_mm) / mm), 0), min(int((c + 1.7 * radius_mm) / mm) + 2, n))
            for c, mm, n in zip(centre_mm, spacing_mm, made.shape, strict=True)
        )
        away = np.meshgrid(*(np.arange(part.start, part.stop) * mm - c for part, mm, c in zip(box, spacing_mm, centre_mm, strict=True)),
                           indexing="ij")  # fmt: skip
        depth = self._depth_mm(np.stack(away).astype(np.float32), radius_mm, rng)
        edge = rng.uniform(self.edge_low_mm, min(self.edge_high_mm, max(radius_mm, self.edge_low_mm)))
        weight = np.clip(depth / np.float32(edge) + np.float32(0.5), 0, 1) * room[box]
        contrast, replaced = self._contrast_hu(rng)
        replaced = 1.0 if solid else replaced
        inside = weight > 0.5
        if abs(contrast) * np.sqrt(np.count_nonzero(inside)) < self.visible * noise * hu_per_unit and not (
            replaced == 1 and abs(contrast) < self.dark_low_hu and radius_mm > 8
        ):
            return
        change = self._unevenness(depth, radius_mm, contrast, rng) / np.float32(hu_per_unit)
        healthy = made[box]
        grain = rng.standard_normal(healthy.shape, dtype=np.float32) * np.float32(noise)
        plain = (1 - np.float32(replaced)) * healthy + np.float32(replaced) * (np.float32(LIVER) + grain)
        top = max(float(healthy.max()), LIVER)
        lesion = np.clip(plain + change, 0.02, min(top, 1.0))
        made[box] = np.where(weight > 0, healthy + weight * (lesion - healthy), healthy)
        mask[box] |= inside

    def __post_init__(self) -> None:
        Recipe.__post_init__(self)
        if self.bright_high_hu < self.dark_low_hu:  # the faintest contrast is that of dark and bright lesions
            low, high = (option.label for option in options(self) if option.name in {"dark_low_hu", "bright_high_hu"})
            raise make_refusal("setting-order", low=low, least=self.dark_low_hu, high=high, most=self.bright_high_hu)

    def _contrast_hu(self, rng: Generator) -> tuple[float, float]:
        """Draw a lesion's contrast in HU, and how much of the tissue it replaces."""
        kind = rng.random()
        replaced = float(rng.uniform(0.4, 1)) if rng.random() < self.p_replace else 0.0
        if kind < self.p_isodense:
            return float(rng.uniform(-8, 8)), 1.0
        if kind < self.p_isodense + self.p_bright:
            return float(rng.uniform(self.dark_low_hu, self.bright_high_hu)), replaced
        return -float(self.dark_low_hu + (self.dark_high_hu - self.dark_low_hu) * rng.random() ** 1.6), replaced

    def _depth_mm(self, away_mm: Field, radius_mm: float, rng: Generator) -> Field:
        """Distance to a lumpy ellipsoid's surface in mm, above 0 inside: an ellipsoid whose radius swings with a few waves."""
        axes = radius_mm * rng.uniform(0.7, 1.3, 3)
        turn = rng.uniform(0, np.pi)
        z, y, x = away_mm
        y, x = np.cos(turn) * y - np.sin(turn) * x, np.sin(turn) * y + np.cos(turn) * x
        far = np.sqrt((z / axes[0]) ** 2 + (y / axes[1]) ** 2 + (x / axes[2]) ** 2)
        swing = np.zeros_like(far)
        lumpy = rng.uniform(0, self.lumpy)
        for _ in range(WAVES):
            k = rng.normal(0, 2.0 / radius_mm, 3)
            swing += np.cos(k[0] * away_mm[0] + k[1] * away_mm[1] + k[2] * away_mm[2] + rng.uniform(0, 2 * np.pi))
        depth: Field = ((1 - far + lumpy * swing / np.sqrt(WAVES)) * radius_mm).astype(np.float32)
        return depth

    def _unevenness(self, depth_mm: Field, radius_mm: float, contrast: float, rng: Generator) -> Field:
        """HU to add at every voxel: the contrast, with texture, core and rim."""
        from scipy.ndimage import zoom

        factor = np.ones(depth_mm.shape, dtype=np.float32)
        if self.texture and min(depth_mm.shape[1:]) > 3:
            coarse = rng.standard_normal(
                [n if axis == 0 else max(2, -(-n // int(rng.integers(2, 6)))) for axis, n in enumerate(depth_mm.shape)]
            )
            smooth = zoom(coarse, [n / c for n, c in zip(depth_mm.shape, coarse.shape, strict=True)], order=1)
            factor += np.float32(rng.uniform(0, self.texture)) * smooth.astype(np.float32)
        if radius_mm > 5 and rng.random() < self.p_core:
            factor = np.where(depth_mm > rng.uniform(0.2, 0.6) * radius_mm, factor * np.float32(rng.uniform(0.3, 2)), factor)
        change = np.float32(contrast) * factor
        if radius_mm > 4 and rng.random() < self.p_rim:
            thick = rng.uniform(0.1, 0.3) * radius_mm
            change = np.where(depth_mm < (self.rim_mm or thick), np.float32(rng.uniform(5, 40)), change)
        return change.astype(np.float32)


def noise_of(images: Field, liver_mask: NDArray[np.bool_]) -> float:
    """Estimate the standard deviation of the pixel noise in the liver from differences of neighbouring pixels."""
    pairs = liver_mask[:, :, 1:] & liver_mask[:, :, :-1]
    apart = (images[:, :, 1:] - images[:, :, :-1])[pairs]
    return float(MAD_TO_SD * np.median(np.abs(apart)) / np.sqrt(2)) if apart.size else 0.0
