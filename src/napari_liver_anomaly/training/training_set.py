"""The training set. A batch depends on (seed, stage, step) only, so that interrupted training continues with the same batches."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import torch

from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.stage import Batch
from napari_liver_anomaly.preprocessing import HealthySlices, PreprocessSettings, liver_median, prepare
from napari_liver_anomaly.preprocessing.augmentation import augment, redraw_outline, vary_tissue
from napari_liver_anomaly.preprocessing.slices import near
from napari_liver_anomaly.synthesis.apply import apply_recipe, choose_donor, sample_rng
from napari_liver_anomaly.synthesis.base import Donor, DonorRecipe
from napari_liver_anomaly.synthesis.lookalikes import draw_lookalikes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.models.config import Schedule
    from napari_liver_anomaly.preprocessing import Slices
    from napari_liver_anomaly.synthesis.base import Recipe
    from napari_liver_anomaly.training.training_file import TrainingCase

LEAST_LIVER_PX = 100

Drawn = TypeVar("Drawn")


@dataclass(frozen=True, eq=False)
class TrainingSet(Generic[Drawn]):
    """Prepared cases and the sampler that makes batches of them: slices with synthetic anomalies, or blocks with their liver."""

    arrays: Sequence[NDArray[Any]]  # all that batches are made of
    sampler: Callable[[int, int, int], Drawn]  # seed, stage and step to a batch
    settings: Mapping[str, Any]  # all that decides the sampler, as plain data
    size: int  # slices or cases there are

    def __len__(self) -> int:
        return self.size

    def batch(self, seed: int, stage: int, step: int) -> Drawn:
        """Make the batch of one step."""
        return self.sampler(seed, stage, step)

    def identity(self) -> dict[str, Any]:
        """Say what decides the batches, down to every value: only a training with the same identity may go on from a state."""
        values = hashlib.blake2b(digest_size=8)
        for array in self.arrays:
            values.update(np.ascontiguousarray(array).tobytes())
        return {"values": values.hexdigest(), **self.settings}


def torch_seed(*key: int) -> int:
    """Turn the key of a step into a seed of torch."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def slice_set(slices: HealthySlices, recipe: Recipe, schedule: Schedule) -> TrainingSet[Batch]:
    """Make a training set of healthy slices with synthetic anomalies."""

    def sampler(seed: int, stage: int, step: int) -> Batch:
        return make_batch(slices, recipe, schedule, (seed, stage), step)

    arrays = [*itertools.chain(*zip(slices.images, slices.liver_masks, strict=True)), np.array(slices.stacks or ())]
    arrays += [np.array(slices.unlabelled)] if schedule.unlabelled else []
    settings = {"recipe": [type(recipe).__name__, recipe.to_dict()], "schedule": schedule.to_dict()}
    return TrainingSet(arrays, sampler, settings, len(slices))


def make_batch(data: HealthySlices, recipe: Recipe, schedule: Schedule, key: tuple[int, int], step: int) -> Batch:
    """Make the batch of one step, from its key (seed, stage) and number alone; each epoch is a new order of all slices."""
    chosen = _choose(data, schedule, key, step)
    rng = sample_rng(*key, step)
    varied: dict[str, Any] = {"crop_px": schedule.crop_px, "turn": schedule.augment, "jitter": schedule.jitter}
    healthy, anomalous, masks, liver_masks, targets = [], [], [], [], []
    for index in map(int, chosen):
        images, liver_mask = augment(*data.stack(index), rng, **varied)
        images = _varied_tissue(images, liver_mask, data, schedule, rng)
        middle, donor = len(images) // 2, None
        if isinstance(recipe, DonorRecipe):
            other = choose_donor(data.areas, index, int(np.count_nonzero(liver_mask[middle])), rng)
            donor = None if other is None else Donor(*augment(*data.stack(other), rng, **varied))
        sample = apply_recipe(recipe, images, liver_mask, data.hu_per_unit, rng, data.spacing_mm, donor=donor)
        liver_mask = liver_mask if sample.liver is None else sample.liver
        seen = near(liver_mask, data.around_mm, data.spacing_mm) if data.around_mm else np.True_
        healthy.append(np.where(seen, images, 0)[middle])
        anomalous.append(_unlabelled(data, rng, varied) if schedule.unlabelled else np.where(seen, sample.image, 0))
        masks.append(sample.mask[middle])
        liver_masks.append(redraw_outline(liver_mask[middle], rng) if schedule.jitter else liver_mask[middle])
        targets.append(sample.target[middle])
    return Batch(
        torch.from_numpy(np.stack(healthy)[:, None]),
        torch.from_numpy(np.stack(anomalous)),
        torch.from_numpy(np.stack(masks)),
        torch.from_numpy(np.stack(liver_masks)),
        torch.from_numpy(np.stack(targets)),
    )


def _unlabelled(data: HealthySlices, rng: np.random.Generator, varied: dict[str, Any]) -> NDArray[np.float32]:
    """Draw any slice of the training scans; without such, a healthy one."""
    stacks = data.unlabelled or data.stacks or [(place,) for place in range(len(data))]
    seen = list(stacks[int(rng.integers(len(stacks)))])
    images, _ = augment(np.stack([data.images[n] for n in seen]), np.stack([data.liver_masks[n] for n in seen]), rng, **varied)
    return images


def _varied_tissue(
    images: NDArray[np.float32], liver_mask: NDArray[np.bool_], data: HealthySlices, schedule: Schedule, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Change healthy tissue and leave it healthy, where the schedule asks for it; without, no chance is drawn."""
    if schedule.vary_tissue:
        images = vary_tissue(images, liver_mask, data.hu_per_unit, rng)
    if schedule.p_lookalike and rng.random() < schedule.p_lookalike:
        images = draw_lookalikes(images, liver_mask, data.hu_per_unit, rng, data.spacing_mm)
    return images


def _choose(data: HealthySlices, schedule: Schedule, key: tuple[int, int], step: int) -> NDArray[np.intp]:
    """Choose the slices of a step: by the root of their liver area, or each in turn in the order of the epoch."""
    if schedule.by_area:
        weights = np.sqrt(data.areas)
        return np.random.default_rng([*key, 0, step]).choice(len(data), schedule.batch, p=weights / weights.sum())
    epoch, place = divmod(step, -(-len(data) // schedule.batch))
    order = np.random.default_rng([*key, 0, epoch]).permutation(len(data))
    return np.resize(order[place * schedule.batch :], min(schedule.batch, len(data)))


def slices_of(scans: Iterable[TrainingCase], settings: PreprocessSettings, beyond_mm: float = 0.0) -> HealthySlices:
    """Prepare the healthy slices of training cases, each with at least 100 pixels of liver, by the code that prepares a scan to be searched.

    Where a network sees neighbours or resampled planes, a slice is healthy when all planes of the scan that it or its neighbours stand for are.
    ``beyond_mm`` more tissue around the liver is kept for anomalies that bulge into it; the sample then blacks out what a network does not see.
    """
    wide = replace(settings, around_mm=settings.around_mm + beyond_mm) if settings.around_mm and beyond_mm else settings
    images: list[NDArray[np.float32]] = []
    liver_masks: list[NDArray[np.bool_]] = []
    stacks: list[tuple[int, ...]] = []
    unlabelled: list[tuple[int, ...]] = []
    for scan in scans:
        hu, liver, healthy = scan.whole()
        median = liver_median(hu[healthy], liver[healthy]) if settings.reference == "healthy" and liver[healthy].any() else None
        slices = prepare(hu, liver, scan.spacing_mm, wide, median_hu=median)
        first = len(images)
        ill = _ill(slices, healthy | ~liver.any(axis=(1, 2)))
        for seen, liver_mask in zip(slices.seen_with(np.arange(len(slices.images))), slices.liver_mask, strict=True):
            if np.count_nonzero(liver_mask) >= LEAST_LIVER_PX:
                unlabelled.append(tuple(int(first + place) for place in seen))
                stacks += [] if ill[seen].any() else unlabelled[-1:]
        images.extend(slices.images)
        liver_masks.extend(slices.liver_mask)
    if not stacks:
        raise make_refusal("healthy-none")
    around_mm = settings.around_mm if wide is not settings else 0.0
    return HealthySlices(images, liver_masks, settings.hu_per_unit, stacks, slices.spacing_mm, around_mm, unlabelled)


def _ill(slices: Slices, healthy: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which slices stand for a plane of the scan that is not healthy."""
    frame = slices.frame
    edges = np.linspace(0, len(frame.planes), frame.depth + 1)
    return np.array([
        not healthy[frame.planes[int(low) : max(int(np.ceil(high)), int(low) + 1)]].all() for low, high in itertools.pairwise(edges)
    ])  # fmt: skip
