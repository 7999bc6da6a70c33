"""Poisson image interpolation: a square of another liver blended in by its gradients, without visible edges.

References
----------
Tan, Hou, Day, Simpson, Rueckert, Kainz 2021, "Detecting outliers with Poisson image interpolation", section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.synthesis.fpi import FPI
from napari_liver_anomaly.synthesis.patches import TOLERANCE
from napari_liver_anomaly.synthesis.poisson import cloned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class PII(FPI):
    """Squares of another slice, blended without a seam; the target is the share of its gradients (Tan et al. 2021).

    Blended inside the liver of both slices, clipped to the range of the liver, no target where nothing has changed; the paper blends the whole
    square, clips to the range of the slice and marks all of the square [OURS].
    """

    def mixed(self, image: Floats, other: Floats, shared: Bools, alpha: float, tissue: Floats) -> tuple[Floats, Bools]:
        """Blend two patches by their gradients."""
        blended = np.clip(cloned(image, other, shared, 1 - alpha, alpha), tissue.min(), tissue.max())
        return blended, shared & (np.abs(blended - image) > TOLERANCE)
