"""Train the packaged network of a fold on: on slices that it labels itself, on varied tissue, and on each scan before it is scored.

``python docs/evidence/adapted.py HEALTHY DATA FOLD``, with HEALTHY as ``prepare`` writes it; ``--steps`` and ``--test-steps`` make it shorter,
and ``--only own varied small test`` chooses. Beside the table stands what is marked without a tumour when a texture of nodules is added to them.
The training patients are those of HEALTHY that are not in the fold, and no label of a reader is used beyond that which chose the healthy slices. See
the fourth round in protocol.md, and the table in tumours.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from trained import mean
from trials import FOLDS, measure, scans_of, table

from napari_liver_anomaly.models.losses import overlap_loss
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.preprocessing import HealthySlices
from napari_liver_anomaly.preprocessing.augmentation import augment
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_file import read_training_set
from napari_liver_anomaly.training.training_set import LEAST_LIVER_PX, TrainingSet, slice_set, slices_of

LESION, HEALTHY, UNSURE = 0.9, 0.1, 0.1  # scores of either, and how much of a liver may lie between them
PART = 1 / 3  # of the samples, that show a slice which the network labelled itself
RATE, TEST_RATE = 3e-4, 1e-4
NODULE_MM, NODULE_HU = 5.0, 10.0  # of the texture: width at half height, and SD
CHOICES = ("own", "varied", "small", "test")
SUSPECT, FEWEST = 0.5, 8  # score from which a slice is suspected, and slices without suspicion that a scan needs


def own_labels(model, slices):
    """Give the slices that are not healthy, with neighbours, livers, and where the network sees a lesion and where none."""
    healthy, labelled = set(slices.stacks), []
    for seen in slices.unlabelled:
        if seen in healthy:
            continue
        images, livers = (np.stack([kept[place] for place in seen]) for kept in (slices.images, slices.liver_masks))
        inside = livers[len(seen) // 2]
        score = model.predict(images[None], inside[None]).score[0]
        lesion, well = (score >= LESION) & inside, (score <= HEALTHY) & inside
        if np.count_nonzero(inside & ~lesion & ~well) <= UNSURE * np.count_nonzero(inside):
            labelled.append((images, livers, lesion, well))
    return labelled


def with_own_labels(data, labelled, schedule):
    """Show a labelled slice instead of a synthetic lesion in a part of the samples; ``target`` then says which pixels count."""

    def sampler(seed, stage, step):
        batch, rng = data.batch(seed, stage, step), np.random.default_rng([seed, stage, step, 1])
        batch.target[:] = 1
        for place in np.flatnonzero(rng.random(len(batch.mask)) < PART):
            images, livers, *labels = labelled[int(rng.integers(len(labelled)))]
            # The labels go the way of the slice: as an image before and one behind it, bright where they hold.
            first, last = (np.where(label, 1, 0.25).astype(np.float32)[None] for label in labels)
            middle = livers[len(livers) // 2][None]
            moved, liver = augment(
                np.concatenate([first, images, last]), np.concatenate([middle, livers, middle]), rng,
                crop_px=schedule.crop_px, turn=schedule.augment, jitter=schedule.jitter,
            )  # fmt: skip
            lesion, well, liver = moved[0] > 0.625, moved[-1] > 0.625, liver[len(liver) // 2]
            batch.anomalous[place] = torch.from_numpy(moved[1:-1])
            batch.mask[place], batch.liver_mask[place] = torch.from_numpy(lesion & liver), torch.from_numpy(liver)
            batch.target[place] = torch.from_numpy((lesion | well).astype(np.float32))
        return batch

    return TrainingSet(data.arrays, sampler, data.settings, data.size)


def trained_on(model, data, steps, rate, *, falling):
    """Give a copy of a network that was trained on."""
    adapted = deepcopy(model)

    def loss(batch):
        logits = adapted.segmenter(None, batch.anomalous, batch.liver_mask.unsqueeze(1).float())
        return overlap_loss(logits, batch.mask, batch.liver_mask & (batch.target > 0))

    stage = Stage(name="Training on", number=2, network=adapted.segmenter, loss=loss, steps=steps, cosine_decay=falling)
    figures = train_stage(stage, data, rate, seed=model.seed, device=model.device)
    sys.stderr.write(f"{steps} steps, loss {figures['first_loss']:.3f} to {figures['last_loss']:.3f}, {figures['seconds']} s\n")
    return adapted


def counting_all(data):
    """Make all pixels of the liver count, as in training before."""

    def sampler(seed, stage, step):
        batch = data.batch(seed, stage, step)
        batch.target[:] = 1
        return batch

    return TrainingSet(data.arrays, sampler, data.settings, data.size)


def unsuspected(scan):
    """Give the slices of a scan in which, with their neighbours, the network suspects nothing."""
    slices = scan.slices(scan.median)
    suspected = (scan.slice_scores(slices) >= SUSPECT).any(axis=(1, 2))
    enough = np.count_nonzero(slices.liver_mask, axis=(1, 2)) >= LEAST_LIVER_PX
    stacks = slices.seen_with(np.arange(len(slices.images)))
    kept = [tuple(map(int, seen)) for seen in stacks[enough] if not suspected[seen].any()]
    return HealthySlices(list(slices.images), list(slices.liver_mask), slices.settings.hu_per_unit, kept, slices.spacing_mm)


def nodular(scan, seed=1):
    """Give a scan with a texture of nodules in its liver."""
    sigma = [NODULE_MM / 2.355 / mm for mm in scan.grid.spacing_mm]
    texture = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(scan.hu.shape, dtype=np.float32), sigma)
    return replace(scan, hu=np.rint(scan.hu + scan.liver * texture * (NODULE_HU / texture.std())).astype(np.int16))


def main(healthy, folder, fold, steps, test_steps, only):
    """Print a table."""
    scans = list(scans_of(folder, fold))
    model = scans[0].segmenter
    recipe, schedule = model.config.recipe, model.config.schedule
    training = [case for case in read_training_set(healthy) if case.name not in FOLDS[fold - 1]]
    if not all(case.name for case in training):
        raise SystemExit("the training set has no names of cases: make it with --keep-names")
    slices = slices_of(training, model.preprocess)
    data = slice_set(slices, recipe, schedule)
    sys.stderr.write(f"{len(training)} scans, {len(slices)} healthy slices\n")
    networks = {"packaged": model}
    if "own" in only:
        labelled = own_labels(model, slices)
        seen = sum(bool(lesion.any()) for *_, lesion, _ in labelled)
        sys.stderr.write(f"{len(labelled)} slices labelled by the network, {seen} of them with a lesion\n")
        networks["trained on"] = trained_on(model, counting_all(data), steps, RATE, falling=True)
        networks["self-trained"] = trained_on(model, with_own_labels(data, labelled, schedule), steps, RATE, falling=True)
    if "varied" in only:
        varied = counting_all(slice_set(slices, recipe, replace(schedule, vary_tissue=True)))
        networks["trained on varied tissue"] = trained_on(model, varied, steps, RATE, falling=True)
    if "small" in only:
        both = counting_all(slice_set(slices, replace(recipe, p_small=0.5), replace(schedule, vary_tissue=True)))
        networks["trained on varied tissue, half of the lesions small"] = trained_on(model, both, steps, RATE, falling=True)
    rows, marks = {}, {name: [] for name in networks}
    for case, scan in zip(FOLDS[fold - 1], scans, strict=True):
        scored = {name: replace(scan, segmenter=network).score for name, network in networks.items()}
        both = [name for name in networks if name != "packaged"]
        scored |= {f"{name}, mean with the packaged": mean([scan.score, scored[name]]) for name in both}
        if "test" in only:
            scored["test-time training"] = adapted_score(case, scan, recipe, schedule, test_steps)
        for name, score in scored.items():
            rows.setdefault(name, []).append(measure(scan, score))
        if not scan.tumour.any():
            for name, network in networks.items():
                changed = replace(nodular(scan), segmenter=network)
                marks[name].append(measure(changed, changed.score)[1].false)
    sys.stdout.write(table(rows))
    for name, found in marks.items():
        sys.stdout.write(f"{name}: marks in scans without tumour with a texture of nodules {', '.join(map(str, found))}\n")


def adapted_score(case, scan, recipe, schedule, steps):
    """Score a scan with a network that was trained on it first, where enough of its slices are unsuspected."""
    own, began = unsuspected(scan), time.perf_counter()
    score = scan.score
    if len(own) >= FEWEST:
        data = counting_all(slice_set(own, recipe, schedule))
        score = replace(scan, segmenter=trained_on(scan.segmenter, data, steps, TEST_RATE, falling=False)).score
    sys.stderr.write(f"{case}: {len(own)} slices without suspicion, {time.perf_counter() - began:.0f} s\n")
    return score


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("healthy", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("fold", type=int, choices=(1, 2))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--test-steps", type=int, default=60)
    parser.add_argument("--only", nargs="+", choices=CHOICES, default=CHOICES)
    given = parser.parse_args()
    main(given.healthy, given.data, given.fold, given.steps, given.test_steps, given.only)
