"""Tumours as a second layer: the texture of another slice, partly transparent, inside an irregular shape.

References
----------
Zhang, Xie, Huang et al., "Self-supervised tumor segmentation through layer decomposition", 2021: image = (1 - a m) n + a m t, with
opacity a, shape m, healthy layer n and texture t of another scan, deformed and blurred. Theirs is for bright brain tumours in 3D: shapes are spheres
displaced by noise, of 7,000 to 200,000 voxels, and the texture's mean is 1 to 3 times that of the brain. Parameters for the liver are not published:
sizes, the darker texture, its deformation in pixels and its blur are ours. Shapes are flat here, like a cut through such a body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Donor, DonorRecipe
from napari_liver_anomaly.synthesis.elastic import displacement

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Field = NDArray[np.float32]

POINTS = 7  # control points of the texture's deformation along each side


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers(DonorRecipe):
    """A darker texture of another slice that shines through inside a lumpy shape (Zhang, Xie, Huang et al. 2021)."""

    opacity_low: float = setting(0.2, low=0, high=1, help="Weakest share of the texture inside the shape.")
    opacity_high: float = setting(0.8, low=0, high=1, help="Strongest share of the texture inside the shape.")
    factor_low: float = setting(
        0.4, low=0, high=3, help="Darkest texture: its mean over that of the tissue, on the scale 0 to 1 of prepared slices."
    )
    factor_high: float = setting(0.9, low=0, high=3, help="Brightest texture, likewise.")
    radius_low: float = setting(
        0.05, low=0.01, high=1, help="Smallest shape: its radius over that of a disc as large as the liver on the slice."
    )
    radius_high: float = setting(0.4, low=0.01, high=1, help="Largest shape, likewise; sizes are even on a log scale.")
    axis_ratio: float = setting(0.8, low=0.2, high=1, help="Smallest ratio of a shape's short to its long axis.")
    lumpy: float = setting(0.3, low=0, high=1, help="Unevenness of the outline, as a fraction of the radius.")
    move_px: float = setting(
        4.0, unit="px", low=0, high=30, help="Standard deviation of the control points that deform the texture."
    )
    blur_low_px: float = setting(0.5, unit="px", low=0, high=10, help="Sharpest texture.")
    blur_high_px: float = setting(2.0, unit="px", low=0, high=10, help="Smoothest texture.")
    p_empty: float = setting(0.1, low=0, high=1, help="Fraction of samples left healthy.")

    def blend(self, image: Field, liver_mask: NDArray[np.bool_], donor: Donor, hu_per_unit: float, rng: Generator) -> Anomalous:
        places = np.argwhere(liver_mask)
        if not len(places) or rng.random() < self.p_empty:
            return Anomalous(image.copy(), np.zeros_like(liver_mask))
        mask = self.shape(liver_mask.shape, places[rng.integers(len(places))], np.sqrt(len(places) / np.pi), rng) & liver_mask
        opacity = np.float32(rng.uniform(self.opacity_low, self.opacity_high))
        healthy, under = image[mask], self.texture(donor, rng)[mask]
        factor = rng.uniform(self.factor_low, self.factor_high)
        under *= np.float32(factor * healthy.mean(dtype=np.float64) / max(under.mean(dtype=np.float64), 1e-3))
        made = image.copy()
        made[mask] = np.clip((1 - opacity) * healthy + opacity * under, 0.02, 1)
        return Anomalous(made, mask)

    def shape(self, size: tuple[int, ...], centre: NDArray[np.intp], liver_radius_px: float, rng: Generator) -> NDArray[np.bool_]:
        """Draw a lumpy ellipse: the distance of its outline swings with the direction, in 4 to 7 octaves.

        Parameters
        ----------
        size : tuple of int
            Height and width.
        centre : ndarray, (2,) int
            Row and column of its middle, which is part of it.
        liver_radius_px : float
            Radius of a disc as large as the liver.
        rng : numpy.random.Generator
            Source of chance.

        Returns
        -------
        ndarray, (H, W) bool
            The shape.
        """
        low, high = np.log(self.radius_low), np.log(self.radius_high)
        radius = max(np.exp(rng.uniform(low, high)) * liver_radius_px, 1.0)
        y, x = np.ix_(*(np.arange(length) - middle for length, middle in zip(size, centre, strict=True)))
        turn, ratio = rng.uniform(0, np.pi), rng.uniform(self.axis_ratio, 1)
        across, along = np.cos(turn) * y - np.sin(turn) * x, np.sin(turn) * y + np.cos(turn) * x
        angle, swing = np.arctan2(across, along), np.zeros(size)
        for octave in range(int(rng.integers(4, 8))):
            swing += 0.5**octave * rng.normal() * np.cos(2**octave * angle + rng.uniform(0, 2 * np.pi))
        outline = radius * np.maximum(1 + self.lumpy * swing, 0.3)
        drawn: NDArray[np.bool_] = np.hypot(across / np.sqrt(ratio), along * np.sqrt(ratio)) <= outline
        drawn[tuple(centre)] = True
        return drawn

    def texture(self, donor: Donor, rng: Generator) -> Field:
        """Deform and blur a slice, with its liver's median where it shows no liver.

        Parameters
        ----------
        donor : Donor
            Where the texture comes from.
        rng : numpy.random.Generator
            Source of chance.

        Returns
        -------
        ndarray, (H, W) float32
            0…1.
        """
        from scipy.ndimage import gaussian_filter, map_coordinates

        typical = np.median(donor.image[donor.liver_mask]) if donor.liver_mask.any() else np.float32(0.5)
        filled = np.where(donor.liver_mask, donor.image, np.float32(typical))
        pixels = np.indices(filled.shape, dtype=np.float32)
        places = [np.linspace(0, POINTS - 1, size) for size in filled.shape]
        moved = map_coordinates(filled, pixels + displacement(places, POINTS, self.move_px, rng), order=1, mode="nearest")
        blurred: Field = gaussian_filter(moved, rng.uniform(self.blur_low_px, self.blur_high_px))
        return blurred
