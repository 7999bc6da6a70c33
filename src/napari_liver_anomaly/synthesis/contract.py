"""What every recipe promises."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_liver_anomaly.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Anomalous:
    """One synthetic sample.

    Attributes
    ----------
    image : ndarray, (H, W) float32
        0…1. Equal to the healthy image, bit for bit, where nothing was changed.
    mask : ndarray, (H, W) bool
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
