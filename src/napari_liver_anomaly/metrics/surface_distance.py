"""Surface distances of two masks in mm, on grids of any voxel size, up to the edge of the scan.

References
----------
Taha and Hanbury, "Metrics for evaluating 3D medical image segmentation", BMC Medical Imaging 15 (2015) 29; Nikolov et al., "Deep learning to
achieve clinically applicable segmentation of head and neck anatomy for radiotherapy", 2018 (surface Dice at a tolerance).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.lesions import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Two surfaces and how far each voxel of one lies from the other.

    Attributes
    ----------
    there, back : ndarray, (n,) and (m,) float64
        Distance of every surface voxel of the prediction to the nearest of the truth, and the other way, in mm; infinite where the other is empty.
    """

    there: Floats
    back: Floats

    @classmethod
    def of(cls, prediction: Bools, truth: Bools, spacing_mm: tuple[float, float, float]) -> Surfaces:
        """Measure."""
        from scipy.spatial import cKDTree

        box = box_of(prediction | truth)
        if box is None:
            return cls(np.zeros(0), np.zeros(0))
        one, other = (np.argwhere(surface_of(mask[box])) * np.asarray(spacing_mm) for mask in (prediction, truth))

        def apart(here: Floats, there: Floats) -> Floats:
            return np.asarray(cKDTree(there).query(here)[0], np.float64) if len(there) else np.full(len(here), math.inf)

        return cls(apart(one, other), apart(other, one))

    @property
    def mean_mm(self) -> float:
        """Average symmetric surface distance, mm: over the voxels of both; NaN when both are empty, infinite when one is."""
        both = np.concatenate([self.there, self.back])
        return float(both.mean()) if both.size else math.nan

    @property
    def hausdorff_mm(self) -> float:
        """Largest distance, mm; NaN when both are empty, infinite when one is."""
        return self._worst(100)

    @property
    def hausdorff95_mm(self) -> float:
        """The larger of the two 95th percentiles, mm; NaN when both are empty, infinite when one is."""
        return self._worst(95)

    def dice_at(self, tolerance_mm: float) -> float:
        """Share of both surfaces that lies within a tolerance of the other."""
        both = np.concatenate([self.there, self.back])
        return float((both <= tolerance_mm + 1e-9).mean()) if both.size else math.nan

    def _worst(self, percent: float) -> float:
        sides = [side for side in (self.there, self.back) if side.size]
        if not all(np.isfinite(side).all() for side in sides):
            return math.inf
        return max((float(np.percentile(side, percent)) for side in sides), default=math.nan)


def surface_of(mask: Bools) -> Bools:
    """Find the voxels of a mask that have a neighbour outside it, the edge of the scan included."""
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask, border_value=0))
