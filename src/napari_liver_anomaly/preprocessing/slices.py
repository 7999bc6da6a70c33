"""A liver as network slices, and the network's output back in Hounsfield units.

References
----------
Zhang, Deng, Li 2023, section 4.1 (liver mask, equalised slices); Hounsfield units around the liver's median are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.preprocessing.frame import Frame, PreprocessSettings, frame_of
from napari_liver_anomaly.preprocessing.intensity import equalise, liver_median

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Slices:
    """A liver as a network sees it.

    Attributes
    ----------
    images : ndarray, (n, H, W) float32
        Above 0 to 1 in the liver and where the settings keep tissue around it, 0 elsewhere.
    liver_mask : ndarray, (n, H, W) bool
        Where the liver is.
    frame : Frame
        Where the slices lie in the scan.
    median_hu : float
        Median of the liver.
    settings : PreprocessSettings
        How they were made.
    tables : ndarray, (n, 256) float32, or None
        ``paper`` intensity: equalised grey of each original grey, per slice; NaN for greys the slice does not hold.
    """

    images: Floats
    liver_mask: Bools
    frame: Frame
    median_hu: float
    settings: PreprocessSettings
    tables: Floats | None = None

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance (z, y, x) of slices and pixels in mm; 3 mm stand for the scan's own planes, as in training."""
        return (self.settings.plane_mm or 3.0, self.settings.pixel_mm, self.settings.pixel_mm)

    def stack(self, slices: NDArray[np.intp]) -> Floats:
        """Give slices with their neighbours, as a network takes them.

        Parameters
        ----------
        slices : ndarray of int, (k,)
            Which.

        Returns
        -------
        ndarray, (k, C, H, W) float32
            C is ``settings.planes``; beyond the first and the last slice, these are repeated.
        """
        return np.asarray(self.images[self.seen_with(slices)], dtype=np.float32)

    def seen_with(self, slices: NDArray[np.intp]) -> NDArray[np.intp]:
        """Tell which slices a network sees together with others.

        Parameters
        ----------
        slices : ndarray of int, (k,)
            Which.

        Returns
        -------
        ndarray of int, (k, C)
            C is ``settings.planes``; the slice itself in the middle. Beyond the first and the last slice, these are repeated.
        """
        reach = self.settings.neighbours
        return np.asarray(np.clip(slices[:, None] + np.arange(-reach, reach + 1), 0, len(self.images) - 1), dtype=np.intp)

    def to_hu(self, images: Floats, first: int = 0) -> Floats:
        """Turn network intensities back to Hounsfield units.

        Parameters
        ----------
        images : ndarray, (k, H, W) float32
            Intensities in 0…1, for the slices ``first`` to ``first + k``.
        first : int
            Index of the first of these slices.

        Returns
        -------
        ndarray, (k, H, W) float32
            Hounsfield units.
        """
        settings = self.settings
        if self.tables is None:
            return np.asarray(self.median_hu + (images - 0.5) * settings.hu_per_unit, dtype=np.float32)
        low, step = settings.window_low_hu, settings.hu_per_unit / 255
        hu = np.empty(images.shape, dtype=np.float32)
        for k, image in enumerate(images):
            # Equalisation merges grey levels: of those in the slice that share an equalised value, their mean stands for all.
            table = self.tables[first + k]
            levels = np.flatnonzero(np.isfinite(table))
            values, which, count = np.unique(table[levels], return_inverse=True, return_counts=True)
            hu[k] = low + step * np.interp(image * 255, values, np.bincount(which, levels) / count) if levels.size else low
        return hu


@dataclass(frozen=True, eq=False)
class HealthySlices:
    """Healthy slices ready for a network.

    Attributes
    ----------
    images : sequence of ndarray, (H, W) float32
        0…1, background 0. Sizes may differ between patients.
    liver_masks : sequence of ndarray, (H, W) bool
        Where the liver is.
    hu_per_unit : float
        Hounsfield units between 0 and 1.
    stacks : sequence of tuple of int, or None
        For each healthy slice, the images that a network sees at once, the healthy one in the middle; None when each image stands alone.
    spacing_mm : tuple of float
        Distance (z, y, x) of slices and pixels in mm.
    around_mm : float
        Tissue around the liver that a sample keeps; 0 where the images show no more than that anyhow.
    unlabelled : sequence of tuple of int
        The same as ``stacks`` for every slice of these scans, whether healthy or not; empty where only healthy ones are known.
    """

    images: Sequence[NDArray[np.float32]]
    liver_masks: Sequence[NDArray[np.bool_]]
    hu_per_unit: float
    stacks: Sequence[tuple[int, ...]] | None = None
    spacing_mm: tuple[float, float, float] = (3.0, 1.5, 1.5)
    around_mm: float = 0.0
    unlabelled: Sequence[tuple[int, ...]] = ()

    def __len__(self) -> int:
        return len(self.images if self.stacks is None else self.stacks)

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of the liver on each healthy slice."""
        middles = range(len(self)) if self.stacks is None else [stack[len(stack) // 2] for stack in self.stacks]
        return np.array([np.count_nonzero(self.liver_masks[middle]) for middle in middles])

    def stack(self, index: int) -> tuple[Floats, Bools]:
        """Give a healthy slice with its neighbours.

        Parameters
        ----------
        index : int
            0 to the number of healthy slices.

        Returns
        -------
        tuple of ndarray
            Images (C, H, W) float32 and liver (C, H, W) bool.
        """
        places = (index,) if self.stacks is None else self.stacks[index]
        return np.stack([self.images[place] for place in places]), np.stack([self.liver_masks[place] for place in places])


def prepare(
    hu: NDArray[np.int16],
    liver: Bools,
    spacing_mm: tuple[float, float, float],
    settings: PreprocessSettings,
    *,
    median_hu: float | None = None,
) -> Slices:
    """Cut, resample and normalise a scan.

    Parameters
    ----------
    hu : ndarray, (z, y, x) int16
        Hounsfield units, canonical order.
    liver : ndarray, (z, y, x) bool
        Liver mask on the same grid.
    spacing_mm : tuple of float
        Voxel size (z, y, x) in mm.
    settings : PreprocessSettings
        Geometry and intensity.
    median_hu : float, optional
        Median of the whole liver, when only some of its planes are given.

    Returns
    -------
    Slices
        The slices of the liver, with the way back.

    Raises
    ------
    Refusal
        When the mask is empty.
    """
    frame = frame_of(liver, spacing_mm, settings)
    median = liver_median(hu, liver) if median_hu is None else median_hu
    low, high = settings.window_low_hu, settings.window_high_hu
    grey = frame.to_network(hu, (low, high))
    liver_mask = frame.mask_to_network(liver)
    tables = None
    if settings.intensity == "robust":
        images = np.clip(0.5 + (grey - median) / settings.hu_per_unit, 0.02, 1)
    else:
        levels = np.rint((grey - low) / (high - low) * 255).astype(np.uint8)
        made = [equalise(np.where(inside, np.maximum(plane, 1), 0)) for plane, inside in zip(levels, liver_mask, strict=True)]
        images = np.stack([image for image, _ in made]).astype(np.float32) / 255
        there = np.stack([np.isin(np.arange(256), plane[inside]) for plane, inside in zip(levels, liver_mask, strict=True)])
        tables = np.where(there, np.stack([table for _, table in made]), np.nan).astype(np.float32)
    spacing = (settings.plane_mm or settings.around_mm, settings.pixel_mm, settings.pixel_mm)
    seen = near(liver_mask, settings.around_mm, spacing) if settings.around_mm else liver_mask
    return Slices(np.where(seen, images, 0).astype(np.float32), liver_mask, frame, median, settings, tables)


def near(liver_mask: Bools, around_mm: float, spacing_mm: tuple[float, float, float]) -> Bools:
    """Pixels within a distance of the liver, counted on the network's grid, so that training and inference black out the very same."""
    from scipy.ndimage import distance_transform_edt

    close: Bools = distance_transform_edt(~liver_mask, sampling=spacing_mm) <= around_mm
    return close
