"""CutPaste: a piece of the liver pasted at another place of the same slice.

References
----------
Li, Sohn, Yoon, Pfister 2021, "CutPaste: Self-supervised learning for anomaly detection and localization", section 2.2 and appendix (patches of 2
to 15 % of the area with a ratio of sides of 0.3 to 1/0.3; scars of 2 to 16 by 10 to 25 pixels at 256, turned by up to 45 degrees; jitter of 0.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_liver_anomaly.settings import setting
from napari_liver_anomaly.synthesis.base import Anomalous, Donor, Recipe
from napari_liver_anomaly.synthesis.patches import TOLERANCE, TRIES, moved, place, side_px, unchanged, window

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

LONGEST = 1 / 0.3
SCAR_WIDTH, SCAR_LENGTH = (2 / 256, 16 / 256), (10 / 256, 25 / 256)


@dataclass(frozen=True, kw_only=True, slots=True)
class CutPaste(Recipe):
    """Rectangles and thin turned scars of the same slice, pasted elsewhere (Li et al. 2021).

    Areas and lengths are measured by the liver's bounding box, as the object of the paper's pictures fills the frame and a liver does not; only
    what is liver at both places is pasted [OURS].
    """

    kind: Literal["patch", "scar", "any"] = setting("any", help="Rectangles, thin turned scars, or either.")
    area_low: float = setting(0.02, low=0.01, high=0.5, help="Smallest rectangle, as a fraction of the liver's box.")
    area_high: float = setting(0.15, low=0.01, high=0.5, help="Largest rectangle, as a fraction of the liver's box.")
    jitter: float = setting(0.1, low=0, high=0.5, help="Largest change of the piece's brightness and contrast, as a share.")
    min_liver_fraction: float = setting(
        0.25,
        low=0,
        high=1,
        help="Smallest fraction of the piece that is liver, where it is cut and where it is pasted.",
        was="organ_share",
    )
    p_empty: float = setting(0.3, low=0, high=1, help="Fraction of samples left healthy.")

    def draw(self, image: Floats, liver_mask: Bools, hu_per_unit: float, rng: Generator) -> Anomalous:
        if rng.random() < self.p_empty or not liver_mask.any():
            return unchanged(image)
        side = side_px(liver_mask)
        for _ in range(TRIES):
            sample = self.pasted(image, liver_mask, *self.piece(side, rng), rng)
            if sample.label:
                return sample
        return unchanged(image)

    def piece(self, side: float, rng: Generator) -> tuple[float, float, float]:
        """Draw a piece.

        Parameters
        ----------
        side : float
            Side of the liver in pixels.
        rng : numpy.random.Generator
            Source of chance.

        Returns
        -------
        tuple of float
            Height and width in pixels, not below 2, and the turn in degrees.
        """
        scar = self.kind == "scar" or (self.kind == "any" and rng.random() < 0.5)
        if scar:
            return max(rng.uniform(*SCAR_LENGTH) * side, 2), max(rng.uniform(*SCAR_WIDTH) * side, 2), rng.uniform(-45, 45)
        area = rng.uniform(self.area_low, self.area_high) * side**2
        ratio = np.exp(rng.uniform(-np.log(LONGEST), np.log(LONGEST)))
        return max(np.sqrt(area * ratio), 2), max(np.sqrt(area / ratio), 2), 0.0

    def pasted(self, image: Floats, liver_mask: Bools, height: float, width: float, degrees: float, rng: Generator) -> Anomalous:
        """Cut a piece out and paste it at another place.

        Parameters
        ----------
        image : ndarray, (H, W) float32
            A healthy slice.
        liver_mask : ndarray, (H, W) bool
            Where the liver is.
        height, width : float
            Size of the piece in pixels.
        degrees : float
            Turn.
        rng : numpy.random.Generator
            Source of chance: the two places and the jitter.

        Returns
        -------
        Anomalous
            Nothing marked when too little of the piece is liver, at either place.
        """
        source, target = place(liver_mask, rng), place(liver_mask, rng)
        brightness, contrast = 1 + rng.uniform(-self.jitter, self.jitter, 2)
        reach = np.hypot(height, width) / 2
        where = window(target, (reach, reach), image.shape)
        rows, columns = (np.arange(part.start, part.stop) - at for part, at in zip(where, target, strict=True))
        footprint = rectangle(rows[:, None], columns[None], height, width, degrees)
        piece = moved(Donor(image, liver_mask), source, target, where, degrees)
        cut, there = footprint & piece.liver_mask, footprint & liver_mask[where]
        sample = unchanged(image)
        if min(np.count_nonzero(cut), np.count_nonzero(there)) < self.min_liver_fraction * np.count_nonzero(footprint):
            return sample
        if not (common := cut & there).any():
            return sample
        mean = piece.image[cut].mean()
        values = np.clip((mean + (piece.image - mean) * contrast) * brightness, 0.02, 1).astype(np.float32)
        differ = common & (np.abs(values - image[where]) > TOLERANCE)
        sample.image[where][differ] = values[differ]
        sample.mask[where] = differ
        return Anomalous(sample.image, sample.mask)


def rectangle(rows: NDArray[np.intp], columns: NDArray[np.intp], height: float, width: float, degrees: float) -> Bools:
    """Draw a turned rectangle about the origin."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    along, across = cos * rows + sin * columns, cos * columns - sin * rows
    return np.asarray((np.abs(along) <= height / 2) & (np.abs(across) <= width / 2))
