"""The two rules without learning, on the slices that the systems see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.models.rules import DarkRule, LocalZ
from napari_liver_anomaly.volume import Geometry, Mask, Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Liver


def rule_on_slices(key: str) -> Callable[[Liver], NDArray[np.float32]]:
    """Give a rule as a function of slices.

    Parameters
    ----------
    key : str
        ``"dark-rule"`` or ``"local-z"``.

    Returns
    -------
    callable
        From a :class:`Liver` to its scores (n, H, W), 0…1.
    """
    rule = DarkRule() if key == DarkRule.key else LocalZ()

    def score(liver: Liver) -> NDArray[np.float32]:
        z, y, x = liver.spacing_mm
        affine = np.diag([-x, -y, z, 1.0])
        hu = np.rint((liver.images - np.float32(0.5)) * liver.hu_per_unit + 100).astype(np.int16)
        geometry = Geometry((*hu.shape[:0:-1], hu.shape[0]), affine)
        volume = Volume(hu, geometry, liver.name)
        grey = rule.score_volume(volume, Mask(liver.liver_mask, geometry, volume.identity))
        return grey.astype(np.float32) / np.float32(255)

    return score
