"""Random shapes of brush strokes, filled with noise, an added constant or a factor.

References
----------
"Self-supervised anomaly detection with random-shape pseudo-outliers", EMBC 2022. Its turn of each stroke is not defined: here uniform up to a quarter
of a half turn, drawn for each stroke. Its second flip is printed as left to right again: here up to down. Its strokes start anywhere in the image and
mostly miss a liver: here they start in the liver's bounding box and are drawn again until one meets the liver; the mask is cut to the liver.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Recipe
from napari_liver_anomaly.synthesis.blends import blended

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

TRIES = 50
SIDE_PX = 128  # lengths are given for a slice of this side, and grow with it


@dataclass(frozen=True, kw_only=True, slots=True)
class Paintbrush(Recipe):
    """Random shapes of brush strokes, blended in three ways (random-shape pseudo-outliers, EMBC 2022)."""

    blend: Literal["any", "noise", "offset", "multiply"] = setting(
        "any", help="What fills the shape: noise, one added number, one factor, or any of the three."
    )
    least_change: float = setting(
        0.05, low=0, high=0.5, help="Change of brightness, of 1, below which the filling is drawn again."
    )
    strokes_low: int = setting(8, low=1, high=64, help="Fewest strokes.")
    strokes_high: int = setting(32, low=1, high=64, help="Strokes stay below this number.")
    width_low: float = setting(4.0, unit="px of 128", low=1, high=64, help="Thinnest brush, for a slice of 128 px side.")
    width_high: float = setting(16.0, unit="px of 128", low=1, high=64, help="Thickest brush, for a slice of 128 px side.")
    length_low: float = setting(8.0, unit="px of 128", low=1, high=64, help="Shortest stroke, for a slice of 128 px side.")
    length_high: float = setting(24.0, unit="px of 128", low=1, high=64, help="Longest stroke, for a slice of 128 px side.")
    turn: float = setting(0.25, unit="half turns", low=0, high=1, help="Most that a stroke turns away from the way back.")
    p_empty: float = setting(
        0.3,
        low=0,
        high=1,
        help="Fraction of samples left healthy; in the others strokes start in the liver's box until one meets it.",
    )

    def draw(self, image: NDArray[np.float32], liver_mask: NDArray[np.bool_], hu_per_unit: float, rng: Generator) -> Anomalous:
        return blended(image, self.shape(liver_mask, rng), self.blend, self.least_change, rng)

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
            Inside the liver; empty for the share left healthy.
        """
        if rng.random() >= self.p_empty and liver_mask.any():
            for _ in range(TRIES):
                mask = painted(liver_mask.shape, *self._strokes(liver_mask, rng)) & liver_mask
                if mask.any():
                    return mask
        return np.zeros_like(liver_mask)

    def _strokes(self, liver_mask: NDArray[np.bool_], rng: Generator) -> tuple[NDArray[np.float64], float]:
        """Corners (n + 1, 2) of the strokes in pixels (y, x), and the radius of the brush."""
        scale = side(liver_mask.shape) / SIDE_PX
        low, high = box(liver_mask)
        start = rng.uniform(low - 0.5, high - 0.5)
        radius = scale * rng.uniform(self.width_low, self.width_high) / 2
        count = int(rng.integers(self.strokes_low, max(self.strokes_low + 1, self.strokes_high)))
        back = np.where(np.arange(count) % 2 == 0, np.pi, -np.pi)
        angles = rng.uniform(0, 2 * np.pi) + np.cumsum(back * (1 + rng.uniform(0, self.turn, count)))
        lengths = scale * rng.uniform(self.length_low, self.length_high, count)
        flips = rng.choice((-1.0, 1.0), 2)  # of the image; about the start, so that the shape stays with the liver
        steps = flips * lengths[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1)
        return np.concatenate([start[None], start + np.cumsum(steps, axis=0)]), radius


def painted(shape: tuple[int, int], corners: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    """Draw a line of a round brush through points, and no more of it than lies in the image.

    Thick lines with a disc at each new point, "random-shape pseudo-outliers", EMBC 2022: the same as the distance from
    each stroke.
    """
    mask, last = np.zeros(shape, dtype=bool), np.array(shape)
    for one, other in pairwise(corners):
        top, left = np.clip(np.floor(np.minimum(one, other) - radius).astype(int), 0, last)
        bottom, right = np.clip(np.ceil(np.maximum(one, other) + radius).astype(int) + 1, 0, last)
        y, x = np.ogrid[top:bottom, left:right]
        along = other - one
        share = np.clip(((y - one[0]) * along[0] + (x - one[1]) * along[1]) / max(along @ along, 1e-12), 0, 1)
        apart = (y - one[0] - share * along[0]) ** 2 + (x - one[1] - share * along[1]) ** 2
        mask[top:bottom, left:right] |= apart <= radius**2
    return mask


def side(shape: tuple[int, int]) -> float:
    """Side of the square of the same area as an image, to which lengths are scaled."""
    return float(np.sqrt(shape[0] * shape[1]))


def box(liver_mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Bounding box of a liver."""
    spans = [np.flatnonzero(liver_mask.any(axis=axis)) for axis in (1, 0)]
    return np.array([span[0] for span in spans]), np.array([span[-1] + 1 for span in spans])
