"""The one way to apply a recipe: to the neighbouring slices of a training sample, and to the liver of a whole scan.

A scan is changed by samples like those of training, each with its own key. Where a recipe draws bodies in space, a sample is the whole liver and its
bodies meet one slice of it; such slices lie :data:`SAMPLE_EVERY_MM` apart. Where a recipe is flat, every slice is a sample by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.job import Job
from napari_liver_anomaly.memory import require_memory
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.preprocessing import PreprocessSettings, frame_of, prepare
from napari_liver_anomaly.synthesis.base import Anomalous, Donor, DonorRecipe, Recipe, stacked
from napari_liver_anomaly.volume import MASK_FROM, VOLUME_FROM, Mask, Volume, require_kind

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from napari_liver_anomaly.preprocessing import Slices

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

# As the trainings that came with the program prepare a scan: "standard" for bodies in space, "compact" for flat recipes.
IN_SPACE = PreprocessSettings(pixel_mm=1.5, plane_mm=3, neighbours=2, around_mm=8, window_low_hu=-45, window_high_hu=160)
FLAT = PreprocessSettings(pixel_mm=1.5, window_low_hu=-45, window_high_hu=160)
# Between slices that bodies meet. With it 0.78 of a liver's slices show nodules and 0.12 of it is changed, in training 0.75 of the samples and
# 0.10 of their liver; with hu-tumours 0.85 and 0.18, in training 0.90 and 0.16 (phantom, 40 scans, 400 samples).
SAMPLE_EVERY_MM = 24.0
DONORS = 4  # slices looked at when a recipe takes pieces of another one: the most alike in area is taken
STAGE = 0  # of the samples of a scan; stages of a training count from 1
PHASE = "Making anomalies"
# Bytes for each voxel of the scan and of the liver's box, and for each pixel of the slices; and for the first use of the libraries.
VOXEL_BYTES, BOX_BYTES, SLICE_BYTES, FIXED_BYTES = 3, 12, 40, 40 * 10**6


def sample_rng(seed: int, stage: int, step: int) -> Generator:
    """Give the random generator of a training step's samples, or of one sample of a scan."""
    return np.random.default_rng([seed, stage, 1, step])


def apply_recipe(
    recipe: Recipe,
    images: Floats,
    liver_mask: Bools,
    hu_per_unit: float,
    rng: Generator,
    spacing_mm: tuple[float, float, float],
    *,
    middle: int | None = None,
    donor: Donor | None = None,
) -> Anomalous:
    """Make one sample of neighbouring prepared slices (C, H, W).

    Bodies in space meet the slice ``middle``, or the one in the middle. ``donor`` holds as many slices of another place for a recipe that takes
    pieces of them; each slice's mirror image gives them otherwise.
    """
    if donor is None or not isinstance(recipe, DonorRecipe):
        return recipe.draw_stack(images, liver_mask, hu_per_unit, rng, spacing_mm, middle)
    seed = int(rng.integers(2**63))
    drawn = []
    for image, inside, other, other_inside in zip(images, liver_mask, donor.image, donor.liver_mask, strict=True):
        piece = Donor(other, other_inside).sized(image.shape)
        drawn.append(recipe.blend(image, inside, piece, hu_per_unit, np.random.default_rng(seed)))
    return stacked(drawn)


def choose_donor(areas: NDArray[np.int64], index: int, wanted: int, rng: Generator) -> int | None:
    """Choose a slice to take pieces of: of a few, the one whose liver is most alike in area, so that it lies at about the same height.

    None when only the slice to change, ``index``, came up. ``wanted`` is the area of its liver as it is shown.
    """
    others = rng.integers(len(areas), size=DONORS)
    others = others[others != index]
    return int(others[np.abs(areas[others] - wanted).argmin()]) if len(others) else None


def synthesise(volume: Volume, liver: Mask, recipe: Recipe, seed: int, job: Job | None = None) -> tuple[Volume, Mask]:
    """Put synthetic anomalies into the liver of a scan, as training draws them.

    Parameters
    ----------
    volume : Volume
        A scan.
    liver : Mask
        Its liver.
    recipe : Recipe
        Family of anomalies: bodies go through neighbouring slices, flat recipes draw on each slice by itself.
    seed : int
        0 or more.
    job : Job, optional
        Progress and cancel, asked at every sample and every slice.

    Returns
    -------
    tuple of Volume and Mask
        The anomalous scan and where it was changed. Every voxel without anomaly keeps its exact value.

    Raises
    ------
    WrongGrid
        When the mask is not on the scan's grid.
    Refusal
        When the mask is empty.
    Cancelled
        When the job was cancelled.
    """
    require_kind(volume, Volume, "synthesise", VOLUME_FROM)
    require_kind(liver, Mask, "synthesise", MASK_FROM)
    require_kind(recipe, Recipe, "synthesise", "RECIPES holds them, and RECIPES['nodules']() makes one")
    require_kind(seed, int, "synthesise", "the same seed gives the same anomalies")
    return Synthesis(volume, liver).scan(recipe, seed, job)


class Synthesis:
    """Synthetic anomalies in one scan, slice by slice or all at once, with the very same values.

    The prepared liver and the last drawing are kept, so that another slice of it costs only the way back to the scan.

    Parameters
    ----------
    volume : Volume
        A scan.
    liver : Mask
        Its liver.

    Raises
    ------
    WrongGrid
        When the mask is not on the scan's grid.
    """

    def __init__(self, volume: Volume, liver: Mask) -> None:
        self.volume, self.liver = volume, liver.of(volume, "liver mask")
        self._prepared: dict[PreprocessSettings, Slices] = {}
        self._drawing: tuple[Recipe, int, _Drawing] | None = None

    def slice(self, z: int, recipe: Recipe, seed: int, job: Job | None = None) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Give one slice of what :meth:`scan` gives, HU and mask; unchanged and empty where there is no liver."""
        hu, liver = self.volume.voxels[z], self.liver.voxels[z]
        if not liver.any():
            return hu.copy(), np.zeros(liver.shape, dtype=bool)
        change_hu, mask = self._draw(recipe, seed, job or Job()).on_plane(z)
        low, high = np.iinfo(np.int16).min, np.iinfo(np.int16).max
        return np.clip(hu + np.where(liver, np.rint(change_hu), 0), low, high).astype(np.int16), mask & liver

    def scan(self, recipe: Recipe, seed: int, job: Job | None = None) -> tuple[Volume, Mask]:
        """Do what :func:`synthesise` does."""
        job = job or Job()
        planes = np.flatnonzero(self.liver.voxels.any(axis=(1, 2)))
        if planes.size == 0:
            raise make_refusal("liver-empty")
        require_memory(needed_bytes(self.volume, self.liver, IN_SPACE if recipe.in_space else FLAT))
        voxels, mask = self.volume.voxels.copy(), np.zeros(self.liver.voxels.shape, dtype=bool)
        for done, z in enumerate(map(int, planes)):
            job.at(PHASE, done, planes.size)
            voxels[z], mask[z] = self.slice(z, recipe, seed, job)
        job.at(PHASE, planes.size, planes.size)
        anomalous = Volume(voxels, self.volume.geometry, self.volume.name)
        return anomalous, Mask(mask, self.volume.geometry, anomalous.identity)

    def _draw(self, recipe: Recipe, seed: int, job: Job) -> _Drawing:
        """Draw bodies at once, flat anomalies when their slice is asked for; nothing when the same was drawn last."""
        if self._drawing is None or self._drawing[:2] != (recipe, seed):
            settings = IN_SPACE if recipe.in_space else FLAT
            if settings not in self._prepared:
                spacing_mm = self.volume.geometry.spacing_mm
                self._prepared[settings] = prepare(self.volume.voxels, self.liver.voxels, spacing_mm, settings)
            slices = self._prepared[settings]
            drawn = _draw_in_space(recipe, slices, seed, job) if recipe.in_space else {}
            self._drawing = (recipe, seed, _Drawing(slices, recipe, seed, drawn))
        return self._drawing[2]


def needed_bytes(volume: Volume, liver: Mask, settings: PreprocessSettings) -> int:
    """Foresee how much memory anomalies in a whole scan need, on top of what scan and mask take already."""
    frame = frame_of(liver.voxels, volume.geometry.spacing_mm, settings)
    box = len(frame.planes) * (frame.rows[1] - frame.rows[0]) * (frame.columns[1] - frame.columns[0])
    return volume.voxels.size * VOXEL_BYTES + box * BOX_BYTES + frame.depth * prod(frame.padded) * SLICE_BYTES + FIXED_BYTES


@dataclass(frozen=True, eq=False)
class _Drawing:
    """Anomalies on prepared slices; those of a flat recipe are drawn when their slice is asked for."""

    slices: Slices
    recipe: Recipe
    seed: int
    drawn: dict[int, Anomalous]

    def on_plane(self, z: int) -> tuple[Floats, Bools]:
        """Bring the change in HU and the mask back to one plane of the scan, (y, x)."""
        frame = self.slices.frame
        below, above, part = frame.place_of(z)
        change, mask = self._change(below)
        if part:
            upper_change, upper_mask = self._change(above)
            change, mask = change + part * (upper_change - change), mask + part * (upper_mask - mask)
        return frame.plane_to_scan(change), frame.plane_to_scan(mask) >= 0.5

    def _change(self, index: int) -> tuple[Floats, Floats]:
        """Change of one slice in HU, and its mask as numbers."""
        if index not in self.drawn:
            self.drawn[index] = _draw_flat(self.recipe, self.slices, index, self.seed)
        one, healthy = self.drawn[index], self.slices.images[index]
        return (one.image - healthy) * np.float32(self.slices.settings.hu_per_unit), one.mask.astype(np.float32)


def _draw_flat(recipe: Recipe, slices: Slices, index: int, seed: int) -> Anomalous:
    """Draw on one slice by itself, with pieces of another slice of the scan where the recipe takes some."""
    rng, images, liver_mask = sample_rng(seed, STAGE, index), slices.images[[index]], slices.liver_mask[[index]]
    donor = None
    if isinstance(recipe, DonorRecipe):
        areas = np.count_nonzero(slices.liver_mask, axis=(1, 2))
        other = choose_donor(areas, index, int(areas[index]), rng)
        donor = None if other is None else Donor(slices.images[[other]], slices.liver_mask[[other]])
    made = apply_recipe(recipe, images, liver_mask, slices.settings.hu_per_unit, rng, slices.spacing_mm, donor=donor)
    return Anomalous(made.image[0], made.mask[0])


def _draw_in_space(recipe: Recipe, slices: Slices, seed: int, job: Job) -> dict[int, Anomalous]:
    """Draw bodies through all slices, sample after sample."""
    made, mask = slices.images, np.zeros(slices.liver_mask.shape, dtype=bool)
    middles = _middles(slices, seed)
    for done, middle in enumerate(middles):
        job.at(PHASE, done, len(middles))
        rng = sample_rng(seed, STAGE, middle)
        sample = apply_recipe(recipe, made, slices.liver_mask, slices.settings.hu_per_unit, rng, slices.spacing_mm, middle=middle)
        made, mask = sample.image, mask | sample.mask
    return {index: Anomalous(*pair) for index, pair in enumerate(zip(made, mask, strict=True))}


def _middles(slices: Slices, seed: int) -> list[int]:
    """Slices that the bodies of a scan meet: evenly apart, the first by chance; at least one where there is liver."""
    where = np.flatnonzero(slices.liver_mask.any(axis=(1, 2)))
    apart = max(1, round(SAMPLE_EVERY_MM / slices.spacing_mm[0]))
    if not where.size:
        return []
    first = int(np.random.default_rng([seed, STAGE]).integers(min(apart, where.size)))
    return [int(middle) for middle in where[first::apart]]
