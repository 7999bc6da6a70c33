"""Synthetic anomalies on a real scan: the same recipes, slices and seeds as in training, brought back to the scan's grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.preprocessing import PreprocessSettings, liver_median, prepare
from napari_liver_anomaly.synthesis.base import DONORS, Donor, DonorRecipe
from napari_liver_anomaly.volume import Mask, Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.preprocessing import Slices
    from napari_liver_anomaly.synthesis.base import Anomalous, Recipe

DEFAULT = PreprocessSettings(geometry="liver", pixel_mm=1.5, intensity="robust", window_low_hu=-45, window_high_hu=160)


@dataclass(frozen=True, slots=True)
class _Changed:
    """One slice of a scan with an anomaly: Hounsfield units and mask on the scan's pixels, (y, x)."""

    hu: NDArray[np.int16]
    mask: NDArray[np.bool_]


def synthesise_slice(
    volume: Volume, liver: Mask, z: int, recipe: Recipe, seed: int, settings: PreprocessSettings = DEFAULT
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Put a synthetic anomaly on one slice.

    Parameters
    ----------
    volume : Volume
        A scan.
    liver : Mask
        Its liver.
    z : int
        Canonical axial index of the slice.
    recipe : Recipe
        Family of anomalies.
    seed : int
        0 or more. The same seed and slice give the same anomaly, here and in :func:`synthesise`.
    settings : PreprocessSettings
        How slices are made for the networks.

    Returns
    -------
    tuple of ndarray
        Hounsfield units (y, x) int16 and mask (y, x) bool, on the scan's pixels. Unchanged and empty where there is no liver.

    Raises
    ------
    WrongGrid
        When the mask is not on the scan's grid.
    """
    liver = liver.of(volume, "liver mask")
    plane = liver.voxels[z]
    if not plane.any():
        return volume.voxels[z].copy(), np.zeros(plane.shape, dtype=bool)
    changed = _change(_for_scan(settings, volume, liver), recipe, seed, z)
    return changed.hu, changed.mask


def synthesise(
    volume: Volume, liver: Mask, recipe: Recipe, seed: int, job: Job | None = None, settings: PreprocessSettings = DEFAULT
) -> tuple[Volume, Mask]:
    """Put a synthetic anomaly on every slice of the liver, each drawn as training draws it.

    Parameters
    ----------
    volume : Volume
        A scan.
    liver : Mask
        Its liver.
    recipe : Recipe
        Family of anomalies.
    seed : int
        0 or more.
    job : Job, optional
        Progress and cancel, asked at every slice.
    settings : PreprocessSettings
        How slices are made for the networks.

    Returns
    -------
    tuple of Volume and Mask
        The anomalous scan and where it was changed.

    Raises
    ------
    WrongGrid
        When the mask is not on the scan's grid.
    Refusal
        When the mask is empty.
    Cancelled
        When the job was cancelled.
    """
    liver, job = liver.of(volume, "liver mask"), job or Job()
    planes = np.flatnonzero(liver.voxels.any(axis=(1, 2)))
    if planes.size == 0:
        raise Refusal(
            "liver-empty", "The liver mask is empty.", "There is no place for an anomaly.", "Draw or load a liver mask."
        )
    voxels, mask = volume.voxels.copy(), np.zeros(liver.voxels.shape, dtype=bool)
    measured = _for_scan(settings, volume, liver)
    for done, z in enumerate(planes):
        job.at("Making anomalies", done, planes.size)
        changed = _change(measured, recipe, seed, int(z))
        voxels[z], mask[z] = changed.hu, changed.mask
    job.at("Making anomalies", planes.size, planes.size)
    anomalous = Volume(voxels, volume.geometry, volume.name)
    return anomalous, Mask(mask, volume.geometry, anomalous.identity)


@dataclass(frozen=True, slots=True)
class _Measured:
    """How slices of one scan are made: scan, liver, settings, and the whole liver's median that a single slice does not know."""

    volume: Volume
    liver: Mask
    settings: PreprocessSettings
    median_hu: float

    def slices(self, z: int) -> Slices:
        """PreprocessSettings one plane."""
        hu, liver = self.volume.voxels[z : z + 1], self.liver.voxels[z : z + 1]
        return prepare(hu, liver, self.volume.geometry.spacing_mm, self.settings, median_hu=self.median_hu)

    def donor(self, z: int, seed: int) -> Donor | None:
        """Choose another plane by the seed as training does, among a few the one whose liver is most alike in area; none where there is no other."""
        areas: dict[int, int] = {}
        for other in map(int, np.random.default_rng([seed, z, 1]).permutation(len(self.liver.voxels))):
            if other != z and (area := int(np.count_nonzero(self.liver.voxels[other]))):
                areas[other] = area
            if len(areas) == DONORS:
                break
        if not areas:
            return None
        wanted = np.count_nonzero(self.liver.voxels[z])
        slices = self.slices(min(areas, key=lambda other: abs(areas[other] - wanted)))
        return Donor(slices.images[0], slices.liver_mask[0])


def _for_scan(settings: PreprocessSettings, volume: Volume, liver: Mask) -> _Measured:
    return _Measured(volume, liver, settings, liver_median(volume.voxels, liver.voxels))


def _drawn(
    image: NDArray[np.float32], liver_mask: NDArray[np.bool_], measured: _Measured, recipe: Recipe, seed: int, z: int
) -> Anomalous:
    """Draw on a prepared plane, with pieces of another plane of the scan where the recipe takes some."""
    rng, hu_per_unit = np.random.default_rng([seed, z]), measured.settings.hu_per_unit
    if isinstance(recipe, DonorRecipe) and (donor := measured.donor(z, seed)) is not None:
        return recipe.blend(image, liver_mask, donor.sized(image.shape), hu_per_unit, rng)
    return recipe.draw(image, liver_mask, hu_per_unit, rng)


def _change(measured: _Measured, recipe: Recipe, seed: int, z: int) -> _Changed:
    """PreprocessSettings one plane, draw on it, and bring only the difference back, so that every other voxel keeps its exact value."""
    slices = measured.slices(z)
    hu, liver = measured.volume.voxels[z], measured.liver.voxels[z]
    image, liver_mask = slices.images[0], slices.liver_mask[0]
    drawn = _drawn(image, liver_mask, measured, recipe, seed, z)
    change = slices.to_hu(drawn.image[None]) - slices.to_hu(image[None])
    frame = slices.frame
    whole = np.rint(frame.to_scan(np.where(liver_mask, change, 0).astype(np.float32))[0])
    mask = (frame.to_scan(drawn.mask[None].astype(np.float32))[0] >= 0.5) & liver
    low, high = np.iinfo(np.int16).min, np.iinfo(np.int16).max
    changed = np.clip(hu + np.where(liver, whole, 0), low, high).astype(np.int16)
    return _Changed(changed, mask)
