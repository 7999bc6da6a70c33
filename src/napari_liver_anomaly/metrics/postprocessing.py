"""Postprocessing of scores and predictions: opening and closing slice by slice, or a filter in space.

Either removes small lesions with the noise, so a figure after it stands beside the share of lesions found, by size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]

SIDE_PX = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaning(Settings):
    """How a score becomes a prediction in space."""

    threshold: float = setting(0.5, low=0.0, high=1.0, help="Smallest score that counts as tumour, after the filter.")
    median_px: int = setting(3, unit="px", low=1, high=15, help="Side of the median filter in each slice; 1 filters nothing.")
    min_voxels: int = setting(20, unit="voxels", low=0, high=100_000, help="Pieces of fewer voxels are dropped.")
    min_mm3: float = setting(0.0, unit="mm³", low=0.0, high=100_000.0, help="Pieces of a smaller volume are dropped.")
    rim_px: int = setting(0, unit="px", low=0, high=10, help="Width of the liver's rim in which nothing counts as tumour.")


def open_then_close_slices(prediction: Bools, side_px: int = SIDE_PX) -> Bools:
    """Remove from every slice what is narrower than a square, then fill gaps that are narrower.

    Parameters
    ----------
    prediction : ndarray, (z, y, x) bool
        The prediction.
    side_px : int
        Odd side of the square in pixels: 5 for liver and MS lesions in the paper, 9 for brain tumours.

    Returns
    -------
    ndarray, (z, y, x) bool
        What lies beyond the edge counts as empty.

    References
    ----------
    Dey, Hong, "ASC-Net: adversarial-based selective network for unsupervised anomaly segmentation", MICCAI 2021.
    """
    if side_px <= 1 or not prediction.any():
        return prediction
    used = np.flatnonzero(prediction.any(axis=(1, 2)))
    padding = 2 * (side_px // 2)  # so that closing meets no edge
    planes = np.pad(prediction[used], ((0, 0), (padding, padding), (padding, padding))).view(np.uint8)
    for lowest in (True, False, False, True):
        planes = _extreme(planes, side_px, lowest=lowest)
    made = np.zeros_like(prediction)
    made[used] = planes[:, padding:-padding, padding:-padding].view(np.bool_)
    return made


def _extreme(planes: NDArray[np.uint8], side_px: int, *, lowest: bool) -> NDArray[np.uint8]:
    """Erode or dilate by a square: along one axis, then along the other."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    extreme = minimum_filter1d if lowest else maximum_filter1d
    for axis in (1, 2):
        planes = extreme(planes, side_px, axis=axis, mode="constant")
    return planes


def clean_in_space(
    score: NDArray[Any], liver: Bools, spacing_mm: tuple[float, float, float], settings: Cleaning | None = None
) -> Bools:
    """Filter a score, cut it, keep off the liver's rim, and drop small pieces.

    Parameters
    ----------
    score : ndarray, (z, y, x) uint8, or float in 0 to 1
        Whole numbers 0 to 255 stand for 0 to 1.
    liver : ndarray, (z, y, x) bool
        Where was searched; nothing outside counts as tumour.
    spacing_mm : tuple of float
        Voxel size (z, y, x) in mm.
    settings : Cleaning, optional
        Filter, threshold, sizes and rim.

    Returns
    -------
    ndarray, (z, y, x) bool
        26-connected pieces, none too small.

    References
    ----------
    T. Huang, G. Yang, G. Tang, "A fast two-dimensional median filtering algorithm", IEEE Trans. ASSP 27 (1979) 13-18.
    """
    from scipy.ndimage import binary_erosion, generate_binary_structure, label, median_filter

    settings = settings or Cleaning()
    if settings.median_px > 1:
        score = median_filter(score, size=(1, settings.median_px, settings.median_px), mode="constant")
    scale = 255 if score.dtype == np.uint8 else 1
    searched = liver
    if settings.rim_px:
        flat = generate_binary_structure(2, 1)[None]
        searched = binary_erosion(liver, flat, iterations=settings.rim_px)
    prediction = (score >= np.float32(settings.threshold * scale)) & (score > 0) & searched
    pieces, count = label(prediction, structure=np.ones((3, 3, 3), bool))
    voxels = np.bincount(pieces.ravel(), minlength=count + 1)
    kept = (voxels >= settings.min_voxels) & (voxels * float(np.prod(spacing_mm)) >= settings.min_mm3 - 1e-9)
    kept[0] = False
    return np.asarray(kept[pieces])
