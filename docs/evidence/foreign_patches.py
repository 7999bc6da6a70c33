"""Find out why segmenters that are trained on pieces of other livers do not rank a lesion: ``python docs/evidence/foreign_patches.py OUT``.

Three tables. What each recipe changes, anomaly by anomaly. What the networks trained on them answer to the same ball in a healthy liver when its
contrast, or its noise alone, is varied. And the same networks, trained anew after one thing was changed: the pieces have a contrast. The networks
are those of ``liver-anomaly-study run --out OUT``, which the script trains where they are not there, seed 0; on the phantom, or with
``--data DATA --fold NAME … --fold NAME …`` on patients, where both folds are measured. See the protocol in protocol.md, and the tables in systems.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
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
OTHERS = ("random-shape-circles",)  # the same network on discs with a contrast
BATCHES, LEAST_PX, STAGE = 60, 12, 78  # samples that are looked at; smallest piece; no stage of a training
DARK_HU, AROUND_PX = 20.0, 5  # what counts as darker: the mean over as many pixels each way, so that noise does not
CONTRASTS_HU = (-90, -60, -30, 30, 60, 90)
NOISE_HU, SMOOTH_PX = 12.0, 1.0
JITTER = 0.4  # of CutPaste with a contrast, for 0.1


@dataclass(frozen=True)
class WithLesions(DonorRecipe):
    """A recipe whose other livers hold a disc with a contrast."""

    recipe: DonorRecipe

    def blend(self, image, liver_mask, donor, hu_per_unit, rng):
        """Draw the disc, then take the pieces."""
        disc = Circles(p_empty=0).draw(donor.image, donor.liver_mask, hu_per_unit, rng)
        return self.recipe.blend(image, liver_mask, Donor(disc.image, donor.liver_mask), hu_per_unit, rng)

    def to_dict(self):
        """Tell the recipe's settings."""
        return self.recipe.to_dict()


def with_contrast(recipe):
    """Give a recipe whose pieces differ from the liver around them."""
    return replace(recipe, jitter=JITTER) if isinstance(recipe, CutPaste) else WithLesions(recipe)


def changes_of(recipe, data, schedule):
    """Give the mean change in HU of every piece, the share of it that is darker, and how its noise changes, as a ratio of SDs."""
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
                    found.append((change[piece].mean(), (level[piece] <= -DARK_HU).mean(), after / max(before, 1e-3)))
    return np.array(found).T


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


def anew(key, data, budget):
    """Train a network on the same pieces with a contrast."""
    config = config_of(key, budget)
    model = build(replace(config, recipe=with_contrast(config.recipe)), seed=0)
    train(model, data)
    return model


def row(name, cells):
    """Write a row of a table."""
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main(folder, dataset, budget):
    """Write the three tables."""
    folds = [Run(dataset, PIECES[0], fold, 0, budget) for fold in range(1, max(len(folder.folds), 1) + 1)]
    parted = [split(run, folder, FRAME) for run in folds]
    learned, held_out = [healthy_slices(cases) for cases, _ in parted], [cases for _, cases in parted]
    row("recipe", ["pieces", "mean change, HU: 5 % to 95 %", f"of it darker by {DARK_HU:g} HU or more", "noise, for before"])
    for key in (*PIECES, *OTHERS):
        config = config_of(key, budget)
        changed = config.recipe if key in OTHERS else with_contrast(config.recipe)
        for name, recipe in {key: config.recipe, f"{key}, with a contrast": changed}.items():
            if key in OTHERS and name != key:
                continue
            means, dark, noise = changes_of(recipe, learned[0], config.schedule)
            low, high = np.percentile(means, (5, 95))
            row(name, [str(len(means)), f"{low:+.1f} to {high:+.1f}", f"{dark.mean():.1%}", f"{np.median(noise):.2f}"])
    heads = [f"{hu:+d} HU" for hu in CONTRASTS_HU] + ["noisier", "smoother", "tumours, AUROC", "AP"]
    row("trained on", heads)
    for key in (*PIECES, *OTHERS):
        runs = [replace(run, key=key) for run in folds]
        for run in runs:
            if not folder.model(run).exists():
                run_one(run, folder)
        trained = {key: [load(folder.model(run)) for run in runs]}
        if key not in OTHERS:
            trained[f"{key}, with a contrast"] = [anew(key, data, budget) for data in learned]
        for name, models in trained.items():
            found = answers_of(models, held_out)
            row(name, [f"{found[head]:.3f}" for head in heads])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--fold", nargs="+", action="append", default=[])
    parser.add_argument("--budget", type=int, default=BUDGET)
    asked = parser.parse_args()
    main(
        RunFolder(asked.out, asked.data, tuple(map(tuple, asked.fold))), "patients" if asked.data else "phantom", asked.budget
    )
