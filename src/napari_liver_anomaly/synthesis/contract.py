"""What every recipe promises."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.settings import Settings

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Anomalous:
    """One synthetic sample.

    Attributes
    ----------
    image : ndarray, (H, W) or (C, H, W) float32
        0…1. Equal to the healthy image, bit for bit, where nothing was changed.
    mask : ndarray, the same shape, bool
        True inside the anomaly; never outside the organ.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]

    @property
    def label(self) -> bool:
        """Whether the sample holds an anomaly at all."""
        return bool(self.mask.any())


class Recipe(Settings):
    """A family of synthetic anomalies.

    The contract, held by a test for every recipe: the healthy image is not changed in place; the mask lies inside the organ; the image is equal
    to the healthy one wherever the anomaly has no weight; values stay in 0…1; the same generator state gives the same sample; any height and width.
    """

    __slots__ = ()

    @abstractmethod
    def draw(self, image: NDArray[np.float32], organ: NDArray[np.bool_], hu_per_unit: float, rng: Generator) -> Anomalous:
        """Make one sample.

        Parameters
        ----------
        image : ndarray, (H, W) float32
            A healthy slice, 0…1, background 0.
        organ : ndarray, (H, W) bool
            Where the organ is.
        hu_per_unit : float
            Hounsfield units between 0 and 1.
        rng : numpy.random.Generator
            Where all chance comes from.

        Returns
        -------
        Anomalous
            The changed slice and its mask; unchanged and empty when the recipe decides for a healthy sample.
        """

    def draw_stack(
        self,
        images: NDArray[np.float32],
        organ: NDArray[np.bool_],
        hu_per_unit: float,
        rng: Generator,
        spacing_mm: tuple[float, float, float],
    ) -> Anomalous:
        """Make one sample of neighbouring slices. A flat recipe draws the same shape on each, so that it goes through them like a column.

        Parameters
        ----------
        images : ndarray, (C, H, W) float32
            Neighbouring healthy slices, 0…1.
        organ : ndarray, (C, H, W) bool
            Where the organ is.
        hu_per_unit : float
            Hounsfield units between 0 and 1.
        rng : numpy.random.Generator
            Where all chance comes from.
        spacing_mm : tuple of float
            Distance (z, y, x) of slices and pixels in mm.

        Returns
        -------
        Anomalous
            Image and mask (C, H, W).
        """
        seed = int(rng.integers(2**63))
        drawn = [
            self.draw(image, inside, hu_per_unit, np.random.default_rng(seed))
            for image, inside in zip(images, organ, strict=True)
        ]
        return Anomalous(np.stack([one.image for one in drawn]), np.stack([one.mask for one in drawn]))
