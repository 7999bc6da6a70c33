"""Anomalies of DRAEM: shapes cut from Perlin noise, filled with a foreign texture, partly transparent.

References
----------
Zavrtanik, Kristan, Skočaj, "DRAEM: a discriminatively trained reconstruction embedding for surface anomaly detection", ICCV 2021. Its textures are
photographs; here they are made of Perlin noise, so that nothing need be fetched. Its shapes mostly miss a liver; here they are drawn again until one
meets the liver.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Recipe
from napari_liver_anomaly.synthesis.textures import drawn_periods, texture, turned_noise

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

TRIES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Perlin(Recipe):
    """Shapes of Perlin noise, filled with foreign texture (DRAEM: Zavrtanik, Kristan, Skočaj 2021)."""

    finest: int = setting(
        5, low=0, high=7, help="Noise has up to two to this power periods over the slice: more gives finer shapes."
    )
    threshold: float = setting(
        0.5, low=-1, high=1, help="Cut of the noise, which lies between -1 and 1: higher gives smaller shapes."
    )
    kept_high: float = setting(
        0.8, low=0, high=1, help="Largest share of the tissue that shines through: 0.8 in the method's code, 0.9 in its paper."
    )
    p_empty: float = setting(
        0.5, low=0, high=1, help="Fraction of samples left healthy when shapes are drawn again until one meets the liver."
    )
    again: bool = setting(True, help="Draw again until the shape meets the liver; off takes what comes, which is often nothing.")

    def draw(self, image: NDArray[np.float32], liver_mask: NDArray[np.bool_], hu_per_unit: float, rng: Generator) -> Anomalous:
        mask = self.shape(liver_mask, rng)
        if not mask.any():
            return Anomalous(image.copy(), mask)
        kept = np.float32(rng.uniform(0, self.kept_high))
        changed = (1 - kept) * texture(image.shape, self.finest, rng) + kept * image
        return Anomalous(np.where(mask, np.clip(changed, 0, 1), image).astype(np.float32), mask)

    def shape(self, liver_mask: NDArray[np.bool_], rng: Generator) -> NDArray[np.bool_]:
        """Draw a mask.

        Parameters
        ----------
        liver_mask : ndarray, (H, W) bool
            Where it may lie.
        rng : numpy.random.Generator
            Source of chance.

        Returns
        -------
        ndarray, (H, W) bool
            Inside the liver; may be empty.
        """
        mask = np.zeros_like(liver_mask)
        if rng.random() < self.p_empty or not liver_mask.any():
            return mask
        y, x = np.nonzero(liver_mask)  # the noise is wanted there only
        for _ in range(TRIES if self.again else 1):
            noise = turned_noise(y, x, liver_mask.shape, drawn_periods(self.finest, rng), rng)
            mask[liver_mask] = noise > self.threshold
            if mask.any():
                break
        return mask
