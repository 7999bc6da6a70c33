"""The paper's anomalies: random shapes from stretched noise, lighter or darker by one number.

References
----------
Zhang, Deng, Li 2023, section 3.1 and Algorithm 1 of its poster. Text and public code differ: the text says Gaussian noise and a Gaussian shift, the
code draws uniform 8-bit noise and a uniform shift of at least 60 grey levels. The formula printed there has the mask and its complement exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Recipe
from napari_liver_anomaly.synthesis.stretched_noise import open_then_close, stretched_noise

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

TRIES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class NoiseStretch(Recipe):
    """Random-shape anomalies from stretched noise, one grey shift each (Zhang, Deng, Li 2023, section 3.1)."""

    noise: Literal["gaussian", "uniform8"] = setting(
        "gaussian", help="Gaussian noise as in the paper, or uniform 8-bit noise as in its code."
    )
    sigma_px: float = setting(15.0, unit="px", low=1, high=64, help="Blur of the noise: larger gives larger, smoother shapes.")
    threshold: int = setting(
        200, unit="grey level", low=1, high=254, help="Cut of the 0–255 stretched noise: higher gives smaller shapes."
    )
    round_px: int = setting(
        9, unit="px", low=1, high=31, help="Odd side of the ellipse that rounds the shapes by opening and closing."
    )
    shift_low: float = setting(60.0, unit="grey level", low=0, high=255, help="Smallest change of brightness, of 255.")
    shift_high: float = setting(100.0, unit="grey level", low=1, high=255, help="Largest change of brightness, of 255.")
    p_empty: float = setting(
        0.3, low=0, high=1, help="Fraction of samples left healthy when shapes are drawn again until one meets the liver."
    )
    again: bool = setting(True, help="Draw again until the shape meets the liver; off takes what comes, which is mostly nothing.")
    darkest: int = setting(
        0,
        unit="grey level",
        low=0,
        high=254,
        added=True,
        help="No shifted pixel falls below; 30 is the darkest grey of an equalised liver, the paper's code lets them fall to 0.",
    )

    def draw(self, image: NDArray[np.float32], liver_mask: NDArray[np.bool_], hu_per_unit: float, rng: Generator) -> Anomalous:
        mask = self.shape(liver_mask, rng)
        shift = rng.uniform(self.shift_low, self.shift_high) * rng.choice((-1.0, 1.0))
        changed = np.clip(image + np.float32(shift / 255), np.float32(self.darkest / 255), 1)
        return Anomalous(np.where(mask, changed, image).astype(np.float32), mask)

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
        if self.again and rng.random() < self.p_empty:
            return np.zeros_like(liver_mask)
        for _ in range(TRIES if self.again else 1):
            field = stretched_noise(liver_mask.shape, self.sigma_px, rng, self.noise)
            mask = open_then_close(field > self.threshold, self.round_px) & liver_mask
            if mask.any():
                break
        return mask


@dataclass(frozen=True, kw_only=True, slots=True)
class NoiseStretchPaper(NoiseStretch):
    """The same exactly as in the paper's public code: 8-bit noise, nothing drawn again, so most samples stay healthy."""

    noise: Literal["gaussian", "uniform8"] = setting(
        "uniform8", help="Gaussian noise as in the paper, or uniform 8-bit noise as in its code."
    )
    again: bool = setting(
        False, help="Draw again until the shape meets the liver; off takes what comes, which is mostly nothing."
    )
