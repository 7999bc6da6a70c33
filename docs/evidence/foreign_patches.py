"""Find out why segmenters that are trained on pieces of other livers do not rank a lesion: ``python docs/evidence/foreign_patches.py OUT``.

Two tables. What each recipe changes, piece by piece. And what the networks trained on them answer to the same ball in a healthy liver when its
contrast, or its noise alone, is varied. In both, further rows change one thing: the pieces have a contrast. The networks of the recipes as they are
are those of ``liver-anomaly-study run --out OUT``, which the script trains where they are not there, seed 0; on the phantom, or with
``--data DATA --fold NAME … --fold NAME …`` on patients, where both folds are measured. See the protocol in protocol.md, and the tables in systems.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage

from liver_anomaly_study.cases import healthy_slices
from liver_anomaly_study.comparison import run_one
from liver_anomaly_study.lesion_insertion import insert_lesion
from liver_anomaly_study.runs import Run, RunFolder, split
from liver_anomaly_study.scoring import score_case
from napari_liver_anomaly.metrics import Ranking
from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.config import FRAME
from napari_liver_anomaly.models.methods import BUDGET
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.synthesis import Circles, CutPaste
from napari_liver_anomaly.synthesis.base import Donor, DonorRecipe
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.training.training_set import make_batch

PIECES = ("random-shape-fpi", "random-shape-pii", "random-shape-nsa", "random-shape-cutpaste")
AGAIN = ("random-shape-pii", "random-shape-nsa")  # blended without a seam: also from livers with several dark lesions
OTHERS = ("random-shape-circles",)  # the same network on discs with a contrast
BATCHES, LEAST_PX, STAGE = 60, 12, 78  # samples that are looked at; smallest piece; no stage of a training
DARK_HU, AROUND_PX = 20.0, 5  # what counts as darker: the mean over 5 × 5 pixels, so that noise does not
CONTRASTS_HU = (-90, -60, -30, 30, 60, 90)
NOISE_HU, SMOOTH_PX = 12.0, 1.0
JITTER = 0.4  # of CutPaste with a contrast, for 0.1
DARK_LESIONS = 4


@dataclass(frozen=True)
class WithLesions(DonorRecipe):
    """A recipe whose other livers hold a disc with a contrast, or several that are darker."""

    recipe: DonorRecipe
    dark: int = 0

    def blend(self, image, liver_mask, donor, hu_per_unit, rng):
        """Draw the discs, then take the pieces."""
        other = donor.image
        for _ in range(self.dark or 1):
            disc = Circles(p_empty=0).draw(other, donor.liver_mask, hu_per_unit, rng)
            other = np.where(disc.mask, np.maximum(other - np.abs(disc.image - other), 0.02), other) if self.dark else disc.image
        return self.recipe.blend(image, liver_mask, Donor(other.astype(np.float32), donor.liver_mask), hu_per_unit, rng)

    def to_dict(self):
        """Tell the recipe's settings."""
        return self.recipe.to_dict()


def variants(key, recipe):
    """Give a recipe, and it changed so that its pieces differ from the liver around them, by name."""
    if key in OTHERS:
        return {key: recipe}
    changed = replace(recipe, jitter=JITTER) if isinstance(recipe, CutPaste) else WithLesions(recipe)
    again = {f"{key}, from livers with {DARK_LESIONS} dark lesions": WithLesions(recipe, DARK_LESIONS)} if key in AGAIN else {}
    return {key: recipe, f"{key}, with a contrast": changed} | again


def changes_of(recipe, data, schedule):
    """Give the mean change in HU of every piece, the shares of it that are darker and brighter, and how its noise changes, as a ratio of SDs."""
    found = []
    for step in range(BATCHES):
        batch = make_batch(data, recipe, schedule, (0, STAGE), step)
        pairs = zip(batch.healthy.numpy()[:, 0], batch.anomalous.numpy()[:, 0], batch.mask.numpy(), strict=True)
        for healthy, anomalous, mask in pairs:
            grain = [one - ndimage.median_filter(one, 3) for one in (healthy, anomalous)]
            change = (anomalous - healthy) * data.hu_per_unit
            level = ndimage.uniform_filter(change, AROUND_PX)
            labels, count = ndimage.label(mask)
            for piece in (labels == number for number in range(1, count + 1)):
                if np.count_nonzero(piece) >= LEAST_PX:
                    before, after = (one[piece].std() for one in grain)
                    shares = (level[piece] <= -DARK_HU).mean(), (level[piece] >= DARK_HU).mean()
                    found.append((change[piece].mean(), *shares, after / max(before, 1e-3)))
    return np.array(found).T


@cache  # the same for every network
def changed_balls(case):
    """Give the same ball with one contrast after the other, noisier, and smoother."""
    made = {f"{hu:+d} HU": insert_lesion(case, hu) for hu in CONTRASTS_HU}
    if (still := insert_lesion(case, 0.0)) is None:
        return {}
    plain, ranked = still
    noise = np.random.default_rng(0).normal(0, NOISE_HU / case.hu_per_unit, plain.images.shape)
    noisier = np.where(plain.truth, np.clip(plain.images + noise, 0.02, 1), plain.images).astype(np.float32)
    smooth = np.stack([ndimage.gaussian_filter(image, SMOOTH_PX) for image in plain.images])
    made["noisier"] = replace(plain, images=noisier), ranked
    made["smoother"] = replace(plain, images=np.where(plain.truth, smooth, plain.images).astype(np.float32)), ranked
    return made


def answers_of(models, held_out):
    """Rank each kind of ball, mean over cases; and the tumours: AP and AUROC over all voxels of the livers."""
    found, tumours = {}, Ranking.of(np.zeros(0, np.uint8), np.zeros(0, bool))
    for model, cases in zip(models, held_out, strict=True):
        for case in cases:
            for kind, (changed, ranked) in changed_balls(case).items():
                found.setdefault(kind, []).append(Ranking.of(score_case(model, changed)[0], changed.truth, ranked).auroc())
            grey = np.rint(score_case(model, case)[0] * 255).astype(np.uint8)
            tumours = tumours + Ranking.of(grey, case.truth, case.liver_mask)
    return {kind: np.mean(several) for kind, several in found.items()} | {
        "tumours, AUROC": tumours.auroc(), "AP": tumours.average_precision(),
    }  # fmt: skip


def anew(key, recipe, data, budget):
    """Train a network on changed pieces."""
    model = build(replace(config_of(key, budget), recipe=recipe), seed=0)
    train(model, data)
    return model


def row(name, cells):
    """Write a row of a table."""
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main(folder, dataset, budget, only):
    """Write both tables; of the second, the rows whose names hold a word."""
    folds = [Run(dataset, PIECES[0], fold, 0, budget) for fold in range(1, max(len(folder.folds), 1) + 1)]
    parted = [split(run, folder, FRAME) for run in folds]
    learned, held_out = [healthy_slices(cases) for cases, _ in parted], [cases for _, cases in parted]
    shares = [f"of it {word} by {DARK_HU:g} HU or more" for word in ("darker", "brighter")]
    row("recipe", ["pieces", "mean change, HU: 5 % to 95 %", *shares, "noise, for before"])
    for key in (*PIECES, *OTHERS):
        config = config_of(key, budget)
        for name, recipe in variants(key, config.recipe).items():
            means, dark, bright, noise = changes_of(recipe, learned[0], config.schedule)
            low, high = np.percentile(means, (5, 95))
            told = [f"{dark.mean():.1%}", f"{bright.mean():.1%}", f"{np.median(noise):.2f}"]
            row(name, [str(len(means)), f"{low:+.1f} to {high:+.1f}", *told])
    heads = [f"{hu:+d} HU" for hu in CONTRASTS_HU] + ["noisier", "smoother", "tumours, AUROC", "AP"]
    row("trained on", heads)
    for key in (*PIECES, *OTHERS):
        runs = [replace(run, key=key) for run in folds]
        for run in runs:
            if not folder.model(run).exists() and only in key:
                run_one(run, folder)
        for name, recipe in variants(key, config_of(key, budget).recipe).items():
            if only not in name:
                continue
            as_kept = name == key
            models = [
                load(folder.model(run)) if as_kept else anew(key, recipe, data, budget)
                for run, data in zip(runs, learned, strict=True)
            ]
            found = answers_of(models, held_out)
            row(name, [f"{found[head]:.3f}" for head in heads])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--fold", nargs="+", action="append", default=[])
    parser.add_argument("--budget", type=int, default=BUDGET)
    parser.add_argument("--only", default="", help="rows of the second table whose names hold this")
    asked = parser.parse_args()
    main(
        RunFolder(asked.out, asked.data, tuple(map(tuple, asked.fold))),
        "patients" if asked.data else "phantom",
        asked.budget,
        asked.only,
    )
