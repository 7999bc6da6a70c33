"""Foreign patch interpolation: a square of another liver is blended into this one, and the blending factor is the target.

References
----------
Tan, Hou, Batten, Qiu, Kainz 2020, "Detecting outliers with foreign patch interpolation", section 2 (a share between 0.05 and 0.95, squares with a
half-width of 5 to 20 % of the side, no label where the two slices agree).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Donor, DonorRecipe
from napari_liver_anomaly.synthesis.patches import TOLERANCE, TRIES, place, side_px, unchanged, window

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class FPI(DonorRecipe):
    """Squares of another slice, interpolated; the target is the share of the other slice (Tan et al. 2020).

    Squares are measured by the liver's bounding box and lie where both slices have liver; the paper takes the frame [OURS].
    """

    alpha_low: float = setting(0.05, low=0.01, high=1, help="Smallest share of the other slice.")
    alpha_high: float = setting(0.95, low=0.01, high=1, help="Largest share of the other slice.")
    half_low: float = setting(
        0.05, low=0.01, high=0.5, help="Smallest half-width of the square, as a fraction of the liver's side."
    )
    half_high: float = setting(
        0.2, low=0.01, high=0.5, help="Largest half-width of the square, as a fraction of the liver's side."
    )
    p_empty: float = setting(0.3, low=0, high=1, help="Fraction of samples left healthy.")

    def blend(self, image: Floats, liver_mask: Bools, donor: Donor, hu_per_unit: float, rng: Generator) -> Anomalous:
        shared = liver_mask & donor.liver_mask
        if rng.random() < self.p_empty or not shared.any():
            return unchanged(image)
        side = side_px(liver_mask)
        for _ in range(TRIES):
            half = rng.uniform(self.half_low, self.half_high) * side
            alpha = rng.uniform(self.alpha_low, self.alpha_high)
            where = window(place(shared, rng), (half, half), image.shape)
            mixed, differ = self.mixed(image[where], donor.image[where], shared[where], alpha, image[liver_mask])
            if differ.any():
                return _put(image, where, mixed, differ, alpha)
        return unchanged(image)

    def mixed(self, image: Floats, other: Floats, shared: Bools, alpha: float, tissue: Floats) -> tuple[Floats, Bools]:
        """Mix two patches.

        Parameters
        ----------
        image, other : ndarray, (h, w) float32
            The patch of this slice and of the other one.
        shared : ndarray, (h, w) bool
            Where both have liver.
        alpha : float
            Share of the other slice, 0…1.
        tissue : ndarray, (n,) float32
            All values of the liver on this slice; not used for plain interpolation.

        Returns
        -------
        tuple of ndarray
            The patch, and where the sample is to be changed.
        """
        differ = shared & (np.abs(image - other) > TOLERANCE)
        return np.asarray((1 - alpha) * image + alpha * other, dtype=np.float32), differ


def _put(image: Floats, where: tuple[slice, slice], patch: Floats, differ: Bools, alpha: float) -> Anomalous:
    """Put a patch into the slice where it differs."""
    sample = unchanged(image)
    sample.image[where][differ] = patch[differ]
    sample.mask[where] = differ
    if sample.degree is not None:
        sample.degree[where] = np.where(differ, np.float32(alpha), 0)
    return sample
