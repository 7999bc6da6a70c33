"""A family of anomalies that shares nothing with any that a method is trained on: neither noise, nor pieces of livers, nor bodies in space.

The threshold without labels is chosen on ``Blobs``, which are cut out of blurred noise like the main paper's own anomalies. Whether that favours the
methods that are trained on such noise shows where the threshold is chosen on these instead: wavy outlines around a point, by a few waves of chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Recipe

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

WAVES = (2, 3, 4, 5)
DARK_HU, BRIGHT_HU, P_DARK = (20.0, 110.0), (20.0, 80.0), 0.8  # as the family that it is held against


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlines(Recipe):
    """Soft-edged discs with a wavy outline, darker or brighter by one number."""

    radius_low_px: float = setting(3.0, unit="px", low=1, high=64, help="Smallest radius.")
    radius_high_px: float = setting(12.0, unit="px", low=1, high=64, help="Largest radius.")
    waviness: float = setting(0.12, low=0, high=0.5, help="Height of each wave of the outline, of the radius.")
    p_empty: float = setting(0.3, low=0, high=1, help="Fraction of samples left healthy.")

    def draw(self, image: NDArray[np.float32], liver_mask: NDArray[np.bool_], hu_per_unit: float, rng: Generator) -> Anomalous:
        """Make one sample."""
        if rng.random() < self.p_empty or not liver_mask.any():
            return Anomalous(image.copy(), np.zeros(image.shape, dtype=bool))
        weight = np.where(liver_mask, self.weight(liver_mask, rng), 0)
        low, high = DARK_HU if (dark := rng.random() < P_DARK) else BRIGHT_HU
        change = rng.uniform(low, high) / hu_per_unit * (-1 if dark else 1)
        changed = np.where(weight > 0, np.clip(image + weight * change, 0.02, 1), image)
        return Anomalous(changed.astype(np.float32), weight > 0.5)

    def weight(self, liver_mask: NDArray[np.bool_], rng: Generator) -> NDArray[np.float32]:
        """Draw a soft shape (H, W) around a pixel of the liver, 1 inside and 0 outside."""
        inside = np.argwhere(liver_mask)
        y, x = (axis - at for axis, at in zip(np.ogrid[tuple(map(slice, liver_mask.shape))], rng.choice(inside), strict=True))
        angle, radius = np.arctan2(y, x), rng.uniform(self.radius_low_px, self.radius_high_px)
        heights, phases = rng.normal(0, self.waviness, len(WAVES)), rng.uniform(0, 2 * np.pi, len(WAVES))
        outline = radius * (1 + sum(high * np.cos(n * angle + at) for n, high, at in zip(WAVES, heights, phases, strict=True)))
        return np.asarray(np.clip((outline - np.hypot(y, x)) / rng.uniform(1, 3) + 0.5, 0, 1), dtype=np.float32)
