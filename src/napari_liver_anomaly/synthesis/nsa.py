"""Natural synthetic anomalies: a few resized patches of another liver, seamlessly blended, and a target that grows with the change.

References
----------
Schlüter, Tan, Hou, Kainz 2022, "Natural synthetic anomalies for self-supervised anomaly detection and localization", section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Donor, DonorRecipe
from napari_liver_anomaly.synthesis.patches import TOLERANCE, TRIES, moved, place, side_px, unchanged, window
from napari_liver_anomaly.synthesis.poisson import cloned

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

HALF_SHAPE, HALF_SCALE, HALF_OFFSET = 2.0, 0.03, 0.05  # of the gamma law of half-widths, as shares of the liver's side
MEDIAN_PX = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class NSA(DonorRecipe):
    """Up to three resized pieces of another slice, blended without a seam; the target grows with the change (Schlüter et al. 2022).

    Pieces are measured by the liver's bounding box and come from anywhere in the other liver. The paper sets its logistic function for each kind
    of object; ours is in Hounsfield units, and low: between two slices of a real liver nine tenths of the changes are below 7 to 11 HU [OURS].
    """

    patches: int = setting(3, low=1, high=10, help="Most pieces in one sample.")
    half_high: float = setting(0.2, low=0.05, high=0.5, help="Largest half-width of a piece, as a fraction of the liver's side.")
    scale_low: float = setting(0.7, low=0.2, high=5, help="Strongest shrinking of a piece.")
    scale_high: float = setting(1.3, low=0.2, high=5, help="Strongest enlargement of a piece.")
    half_hu: float = setting(10.0, unit="HU", low=0, high=300, help="Change of brightness that counts as one half anomalous.")
    slope_hu: float = setting(3.0, unit="HU", low=1, high=300, help="Step from there to almost three quarters anomalous.")
    p_empty: float = setting(0.3, low=0, high=1, help="Fraction of samples left healthy.")

    def blend(self, image: Floats, liver_mask: Bools, donor: Donor, hu_per_unit: float, rng: Generator) -> Anomalous:
        if rng.random() < self.p_empty or not (liver_mask.any() and donor.liver_mask.any()):
            return unchanged(image)
        for _ in range(TRIES):
            changed = image
            for _ in range(rng.integers(1, self.patches + 1)):
                changed = self.with_piece(changed, liver_mask, donor, rng)
            changed = np.where(np.abs(changed - image) > TOLERANCE, changed, image)
            if (mask := changed != image).any():
                return Anomalous(changed, mask, self.degree(changed - image, mask, hu_per_unit))
        return unchanged(image)

    def with_piece(self, image: Floats, liver_mask: Bools, donor: Donor, rng: Generator) -> Floats:
        """Blend one piece in.

        Parameters
        ----------
        image : ndarray, (H, W) float32
            The slice so far.
        liver_mask : ndarray, (H, W) bool
            Where its liver is; not empty.
        donor : Donor
            Where the piece comes from; its liver is not empty.
        rng : numpy.random.Generator
            Source of chance.

        Returns
        -------
        ndarray, (H, W) float32
            Within the range of the liver; the same outside the piece.
        """
        gamma = HALF_OFFSET + rng.gamma(HALF_SHAPE, HALF_SCALE, 2)
        half = np.minimum(gamma, self.half_high) * side_px(liver_mask)
        target, source = place(liver_mask, rng), place(donor.liver_mask, rng)
        where = window(target, (half[0], half[1]), image.shape)
        piece = moved(donor, source, target, where, scale=rng.uniform(self.scale_low, self.scale_high))
        tissue, result = image[liver_mask], image.copy()
        region = liver_mask[where] & piece.liver_mask
        blended = np.clip(cloned(image[where], piece.image, region), tissue.min(), tissue.max())
        result[where] = np.where(region, blended, image[where])
        return result

    def degree(self, change: Floats, mask: Bools, hu_per_unit: float) -> Floats:
        """Say how anomalous a change is.

        Parameters
        ----------
        change : ndarray, (H, W) float32
            Of the slice, in units of its intensities.
        mask : ndarray, (H, W) bool
            Where it counts.
        hu_per_unit : float
            Hounsfield units between 0 and 1.

        Returns
        -------
        ndarray, (H, W) float32
            Above 0 to 1 in the mask, 0 elsewhere.
        """
        from scipy.ndimage import median_filter
        from scipy.special import expit

        hu = median_filter(np.abs(change), MEDIAN_PX) * hu_per_unit
        return np.where(mask, expit((hu - self.half_hu) / self.slope_hu), 0).astype(np.float32)
