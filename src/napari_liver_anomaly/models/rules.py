"""The baselines: two rules without training, which every trained model has to beat.

References
----------
F. Meissen, G. Kaissis, D. Rueckert, "Challenging current semi-supervised anomaly segmentation methods for brain MRI", BrainLes
2021, LNCS 12962 (2022) 63-74: on FLAIR images a threshold alone beats trained models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_liver_anomaly.volume import Mask, Volume

    Box = tuple[slice, ...]
    Field = NDArray[np.float32]

AT_THE_CUT = 128  # the smallest grey score that a threshold of 0.5 calls tumour
LEVELS_PER_HU = 2
LEVELS_PER_Z = 32
LOWEST_HU, HIGHEST_HU = -200, 400  # gas, metal and lipiodol must not spread when smoothed
ROBUST_SD = 1.4826


@dataclass(frozen=True, kw_only=True, slots=True)
class DarkRule(Settings):
    """Tumour is what is clearly darker than the liver's median, after smoothing inside the liver."""

    name: ClassVar[str] = "dark-rule"
    key: ClassVar[str] = "dark-rule"
    hash: ClassVar[str] = ""

    sigma_mm: float = setting(2.0, unit="mm", low=0.1, high=20, help="Width of the smoothing.")
    threshold_hu: float = setting(29.0, unit="HU", low=0, high=200, help="How much darker than the liver's median tumour is.")

    def score_volume(self, volume: Volume, liver: Mask) -> NDArray[np.uint8]:
        """Score a scan.

        Parameters
        ----------
        volume : Volume
            The scan.
        liver : Mask
            Its liver.

        Returns
        -------
        ndarray, (z, y, x) uint8
            128 (0.5) and more where the rule says tumour; two levels for every HU of darkness; 0 outside the liver.
        """
        box, inside = _box(liver)
        levels = AT_THE_CUT + LEVELS_PER_HU * (self._darkness(volume, box, inside) - np.float32(self.threshold_hu))
        return _placed(levels, volume, box, inside)

    def calibrated(self, healthy: Iterable[tuple[Volume, Mask]], false_positive_rate: float = 0.01) -> DarkRule:
        """Set the cut on healthy livers, so that no tumour label is needed.

        Parameters
        ----------
        healthy : iterable of (Volume, Mask)
            Scans without tumours, and their livers.
        false_positive_rate : float
            Part of their liver voxels that may be called tumour, 0 to 1.

        Returns
        -------
        DarkRule
            The same rule with that ``threshold_hu``.

        Raises
        ------
        Refusal
            When there is no scan.
        WrongGrid
            When a mask belongs to another scan.
        """
        reach = 200.0
        edges = np.linspace(-reach, reach, 4001)
        counts = np.zeros(edges.size - 1, np.int64)
        for volume, liver in healthy:
            box, inside = _box(liver.of(volume, "liver mask"))
            counts += np.histogram(np.clip(self._darkness(volume, box, inside)[inside], -reach, reach), edges)[0]
        if not counts.any():
            raise make_refusal("healthy-none")
        above = counts[::-1].cumsum()[::-1] / counts.sum()  # part of the voxels at least as dark as each edge
        threshold = float(edges[:-1][above <= false_positive_rate].min(initial=reach))
        return replace(self, threshold_hu=max(round(threshold, 1), 0.0))

    def _darkness(self, volume: Volume, box: Box, inside: NDArray[np.bool_]) -> Field:
        """How much darker than the liver's median every voxel is after smoothing, HU."""
        median = np.float32(np.median(volume.voxels[box][inside])) if inside.any() else np.float32(0)
        return median - _smoothed(volume, box, inside, self.sigma_mm)


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalZ(Settings):
    """Tumour is what is clearly darker than its own surroundings: a z-score against a wide median filter in three dimensions."""

    name: ClassVar[str] = "local-z"
    key: ClassVar[str] = "local-z"
    hash: ClassVar[str] = ""

    sigma_mm: float = setting(2.0, unit="mm", low=0.1, high=20, help="Width of the smoothing.")
    window_mm: float = setting(60.0, unit="mm", low=10, high=200, help="Width of the surroundings.")
    threshold_z: float = setting(2.5, low=0, high=10, help="How many robust standard deviations darker than them tumour is.")

    def score_volume(self, volume: Volume, liver: Mask) -> NDArray[np.uint8]:
        """Score a scan.

        Parameters
        ----------
        volume : Volume
            The scan.
        liver : Mask
            Its liver.

        Returns
        -------
        ndarray, (z, y, x) uint8
            128 (0.5) and more where the rule says tumour; 32 levels for every standard deviation; 0 outside the liver.
        """
        box, inside = _box(liver)
        if not inside.any():
            return np.zeros(volume.voxels.shape, np.uint8)
        smooth = _smoothed(volume, box, inside, self.sigma_mm)
        below = self._surroundings(smooth, inside, volume.geometry.spacing_mm) - smooth
        spread = ROBUST_SD * float(np.median(np.abs(below[inside] - np.median(below[inside]))))
        z = below / np.float32(max(spread, 1e-3))
        return _placed(AT_THE_CUT + LEVELS_PER_Z * (z - np.float32(self.threshold_z)), volume, box, inside)

    def _surroundings(self, smooth: Field, inside: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> Field:
        """Median of a wide window around every voxel, on a grid a ninth as wide as the window."""
        from scipy import ndimage

        strides = [max(1, round(self.window_mm / 9 / mm)) for mm in spacing_mm]
        filled = np.where(inside, smooth, np.float32(np.median(smooth[inside])))
        first = [min(stride // 2, size - 1) for stride, size in zip(strides, filled.shape, strict=True)]
        coarse = filled[tuple(slice(start, None, stride) for start, stride in zip(first, strides, strict=True))]
        widths = [max(1, round(self.window_mm / (mm * stride))) for mm, stride in zip(spacing_mm, strides, strict=True)]
        around = ndimage.median_filter(coarse, size=widths, mode="nearest")
        places = [
            np.clip((np.arange(size) - start) / stride, 0, n - 1)
            for size, start, stride, n in zip(filled.shape, first, strides, coarse.shape, strict=True)
        ]
        for axis, place in enumerate(places):  # linear interpolation, one axis after another
            low = np.minimum(place.astype(int), max(around.shape[axis] - 2, 0))
            weight = (place - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
            high = np.minimum(low + 1, around.shape[axis] - 1)
            around = np.take(around, low, axis) * (1 - weight) + np.take(around, high, axis) * weight
        return np.asarray(around, np.float32)


BASELINES: tuple[type[DarkRule] | type[LocalZ], ...] = (DarkRule, LocalZ)


def _box(liver: Mask) -> tuple[Box, NDArray[np.bool_]]:
    """Find the liver's box, and the liver in it."""
    box = box_of(liver.voxels) or (slice(0, 0),) * 3
    return box, liver.voxels[box]


def _smoothed(volume: Volume, box: Box, inside: NDArray[np.bool_], sigma_mm: float) -> Field:
    """Smooth HU inside the liver alone: what lies outside has no weight."""
    from scipy.ndimage import gaussian_filter

    sigmas = [sigma_mm / mm for mm in volume.geometry.spacing_mm]
    hu = np.clip(volume.voxels[box], LOWEST_HU, HIGHEST_HU).astype(np.float32)
    weight = gaussian_filter(inside.astype(np.float32), sigmas, mode="constant")
    smooth: Field = gaussian_filter(hu * inside, sigmas, mode="constant") / np.maximum(weight, np.float32(1e-6))
    return smooth


def _placed(levels: Field, volume: Volume, box: Box, inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Grey scores on the whole scan, 0 outside the liver; rounded down, so that the cut stays exact."""
    score = np.zeros(volume.voxels.shape, np.uint8)
    score[box] = np.where(inside, np.clip(np.floor(levels), 0, 255), 0).astype(np.uint8)
    return score
