"""Regular shapes for comparison: squares and discs of the paintbrush's areas, and squares set to black.

References
----------
Squares and circles: figure 4 of "Self-supervised anomaly detection with random-shape pseudo-outliers", EMBC 2022, which does not say their sizes.
Black squares: Zimmerer et al. 2018 (context-encoding variational autoencoder), with the sizes of Baur et al., "Autoencoders for unsupervised anomaly
segmentation in brain MR images: a comparative study", Medical Image Analysis 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Recipe
from napari_liver_anomaly.synthesis.paintbrush import SIDE_PX, TRIES, Paintbrush, box, side

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Squares(Paintbrush):
    """Squares in place of brush strokes, as large and blended alike (random-shape pseudo-outliers, EMBC 2022, figure 4)."""

    def shape(self, liver_mask: NDArray[np.bool_], rng: Generator) -> NDArray[np.bool_]:
        """Draw a square where the same seed paints strokes, of the same area."""
        return _as_large(Paintbrush.shape(self, liver_mask, rng), liver_mask, np.maximum)


@dataclass(frozen=True, kw_only=True, slots=True)
class Circles(Paintbrush):
    """Discs in place of brush strokes, as large and blended alike (random-shape pseudo-outliers, EMBC 2022, figure 4)."""

    def shape(self, liver_mask: NDArray[np.bool_], rng: Generator) -> NDArray[np.bool_]:
        """Draw a disc where the same seed paints strokes, of the same area."""
        return _as_large(Paintbrush.shape(self, liver_mask, rng), liver_mask, np.hypot)


def _as_large(mask: NDArray[np.bool_], liver_mask: NDArray[np.bool_], distance: Any) -> NDArray[np.bool_]:
    """As many pixels of the liver, to a pixel of the outline's width, as the mask has: those nearest to its centre, by a distance of |y| and |x|."""
    area = np.count_nonzero(mask)
    if area == 0:
        return mask
    centre = [index.mean() for index in np.nonzero(mask)]
    y, x = np.ogrid[: mask.shape[0], : mask.shape[1]]
    away = distance(np.abs(y - centre[0]), np.abs(x - centre[1]))
    return np.asarray(liver_mask & (away <= np.partition(away[liver_mask], area - 1)[area - 1]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Zeroed(Recipe):
    """One to three black squares in the liver's box, as a context autoencoder learns to fill (Zimmerer 2018, Baur 2021)."""

    count_low: int = setting(1, low=1, high=10, help="Fewest squares.")
    count_high: int = setting(3, low=1, high=10, help="Most squares.")
    width: float = setting(20.0, unit="px of 128", low=1, high=128, help="Side of a square, for a slice of 128 px side.")
    p_empty: float = setting(0.0, low=0, high=1, help="Fraction of samples left healthy; in the others a square meets the liver.")

    def draw(self, image: NDArray[np.float32], liver_mask: NDArray[np.bool_], hu_per_unit: float, rng: Generator) -> Anomalous:
        mask = np.zeros_like(liver_mask)
        if rng.random() >= self.p_empty and liver_mask.any():
            for _ in range(TRIES):
                mask = self._squares(liver_mask, rng) & liver_mask
                if mask.any():
                    break
        return Anomalous(np.where(mask, np.float32(0), image), mask)

    def _squares(self, liver_mask: NDArray[np.bool_], rng: Generator) -> NDArray[np.bool_]:
        """Squares that lie in the liver's box, or fill it where it is narrower."""
        mask = np.zeros_like(liver_mask)
        low, high = box(liver_mask)
        width = max(round(self.width * side(liver_mask.shape) / SIDE_PX), 1)
        for _ in range(int(rng.integers(self.count_low, self.count_high + 1))):
            top, left = rng.integers(low, np.maximum(high - width, low) + 1)
            mask[top : top + width, left : left + width] = True
        return mask
