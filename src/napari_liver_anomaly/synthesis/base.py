"""The base classes of recipes and their contract."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from napari_liver_anomaly.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        True inside the anomaly; never outside the liver, or outside ``liver`` where that is given.
    degree : ndarray, the same shape, float32, or None
        How anomalous every pixel is, 0…1, for recipes that know more than the mask; above 0 inside the mask only.
    liver : ndarray, the same shape, bool, or None
        The liver with what bulges out of it, for recipes whose anomalies do; None where the liver is as it was.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    degree: NDArray[np.float32] | None = None
    liver: NDArray[np.bool_] | None = None

    @property
    def label(self) -> bool:
        """Whether the sample holds an anomaly at all."""
        return bool(self.mask.any())

    @property
    def target(self) -> NDArray[np.float32]:
        """What a network learns to say of every pixel, 0…1: the degree where there is one, else the mask."""
        return self.mask.astype(np.float32) if self.degree is None else self.degree


@dataclass(frozen=True, slots=True)
class Donor:
    """A second healthy slice, of which a recipe takes pieces.

    Attributes
    ----------
    image : ndarray, (H, W) or (C, H, W) float32
        0…1: a slice, or one for each of the neighbouring slices to change.
    liver_mask : ndarray, the same shape, bool
        Where its liver is.
    """

    image: NDArray[np.float32]
    liver_mask: NDArray[np.bool_]

    def sized(self, shape: tuple[int, ...]) -> Donor:
        """Cut to a size, or fill up with background; the upper left corner stays."""
        image, liver_mask = (plane[: shape[0], : shape[1]] for plane in (self.image, self.liver_mask))
        padding = [(0, size - there) for size, there in zip(shape, image.shape, strict=True)]
        return Donor(np.pad(image, padding), np.pad(liver_mask, padding))


class Recipe(Settings):
    """A family of synthetic anomalies.

    The contract, held by a test for every recipe: the healthy image is not changed in place; the mask lies inside the liver; the image is equal
    to the healthy one wherever the anomaly has no weight; values stay in 0…1; the same generator state gives the same sample; any height and width.

    Attributes
    ----------
    in_space : bool
        Whether its anomalies are bodies that go through neighbouring slices, of the size in mm that they have in a patient. The others are flat:
        a slice is drawn on by itself, as their papers do.
    beyond_mm : float
        How far its anomalies may bulge out of the liver where tissue around it is in sight.
    """

    __slots__ = ()
    in_space: ClassVar[bool] = False
    beyond_mm: ClassVar[float] = 0.0

    @abstractmethod
    def draw(self, image: NDArray[np.float32], liver_mask: NDArray[np.bool_], hu_per_unit: float, rng: Generator) -> Anomalous:
        """Make one sample.

        Parameters
        ----------
        image : ndarray, (H, W) float32
            A healthy slice, 0…1, background 0.
        liver_mask : ndarray, (H, W) bool
            Where the liver is.
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
        liver_mask: NDArray[np.bool_],
        hu_per_unit: float,
        rng: Generator,
        spacing_mm: tuple[float, float, float],
        middle: int | None = None,
    ) -> Anomalous:
        """Make one sample of neighbouring slices. A flat recipe draws the same shape on each, so that it goes through them like a column.

        Parameters
        ----------
        images : ndarray, (C, H, W) float32
            Neighbouring healthy slices, 0…1.
        liver_mask : ndarray, (C, H, W) bool
            Where the liver is.
        hu_per_unit : float
            Hounsfield units between 0 and 1.
        rng : numpy.random.Generator
            Where all chance comes from.
        spacing_mm : tuple of float
            Distance (z, y, x) of slices and pixels in mm.
        middle : int, optional
            The slice that every body in space meets; the one in the middle when nothing is given.

        Returns
        -------
        Anomalous
            Image and mask (C, H, W).
        """
        seed = int(rng.integers(2**63))
        drawn = [
            self.draw(image, inside, hu_per_unit, np.random.default_rng(seed))
            for image, inside in zip(images, liver_mask, strict=True)
        ]
        return stacked(drawn)


class DonorRecipe(Recipe):
    """A family of anomalies made of pieces of another healthy slice. Without one, the slice's own mirror image gives them."""

    __slots__ = ()

    @abstractmethod
    def blend(
        self, image: NDArray[np.float32], liver_mask: NDArray[np.bool_], donor: Donor, hu_per_unit: float, rng: Generator
    ) -> Anomalous:
        """Make one sample of two slices.

        Parameters
        ----------
        image : ndarray, (H, W) float32
            A healthy slice, 0…1, background 0.
        liver_mask : ndarray, (H, W) bool
            Where the liver is.
        donor : Donor
            Where the pieces come from.
        hu_per_unit : float
            Hounsfield units between 0 and 1.
        rng : numpy.random.Generator
            Where all chance comes from.

        Returns
        -------
        Anomalous
            The changed slice and its mask.
        """

    def draw(self, image: NDArray[np.float32], liver_mask: NDArray[np.bool_], hu_per_unit: float, rng: Generator) -> Anomalous:
        """Make one sample of a slice and its own mirror image."""
        return self.blend(image, liver_mask, mirrored_in_place(image, liver_mask), hu_per_unit, rng)


def mirrored_in_place(image: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> Donor:
    """Mirror a slice left to right about the middle of its liver, so that the liver stays where it is."""
    columns = np.flatnonzero(liver_mask.any(axis=0))
    twice = int(columns[0] + columns[-1]) if columns.size else liver_mask.shape[1] - 1
    source = twice - np.arange(liver_mask.shape[1])
    there = (source >= 0) & (source < liver_mask.shape[1])
    source = np.where(there, source, 0)
    return Donor(np.where(there, image[:, source], np.float32(0)), liver_mask[:, source] & there)


def stacked(drawn: Sequence[Anomalous]) -> Anomalous:
    """Put samples of single slices together."""
    degree = None if all(one.degree is None for one in drawn) else np.stack([one.target for one in drawn])
    return Anomalous(np.stack([one.image for one in drawn]), np.stack([one.mask for one in drawn]), degree)
