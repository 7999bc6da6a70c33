"""Measure changes of what is done with trained networks, one row each: ``python docs/evidence/trials.py DATA FOLD [ROW …]``.

The networks are the members of the packaged ``standard``, taken apart: a scan is scored by the segmenter and the restorer of its fold, which have not
seen its patient. With words, only the rows are measured whose names begin with one of them. See the fourth round in protocol.md, and the table in
tumours.md; trained.py measures networks of other trainings by the same code.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_liver_anomaly.inference import MEDIAN_PX
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.metrics import Counts, Ranking, find_lesions
from napari_liver_anomaly.models import load
from napari_liver_anomaly.preprocessing import liver_median, prepare
from napari_liver_anomaly.thresholds import auto_threshold

FOLDS = (
    "lits_007 lits_018 lits_033 lits_034 lits_039 lits_041 lits_046".split(),
    "ircad_17 lits_005 lits_014 lits_015 lits_016 lits_029 lits_032 lits_036".split(),
)
EIGHT = np.ones((3, 3, 3))
SMALLEST_ML, PEAK = 0.05, 0.8
ACROSS, ALONG = (-1,), (-2,)  # axes of a slice that are turned round: left to right, front to back


@dataclass
class Scan:
    """A scan with its masks, its networks, and what they made of it around the median of the mask."""

    hu: np.ndarray
    liver: np.ndarray
    tumour: np.ndarray
    grid: object
    segmenter: object
    restorer: object = None

    def __post_init__(self):
        self.median = liver_median(self.hu, self.liver)

    def slices(self, median, preprocess=None):
        """Slices around a reference."""
        return prepare(self.hu, self.liver, self.grid.spacing_mm, preprocess or self.segmenter.preprocess, median_hu=median)

    def slice_scores(self, slices, flipped=()):
        """Score of every slice, predicted with some axes turned round."""
        scores = np.zeros_like(slices.images)
        for part in parts(slices):
            seen, inside = (np.flip(one, flipped) for one in (slices.stack(part), slices.liver_mask[part]))
            scores[part] = np.flip(self.segmenter.predict(seen, inside).score, flipped)
        return scores

    def on_scan(self, slices, scores):
        """Scores of slices on the scan's grid."""
        smooth = ndimage.median_filter(scores, size=(1, MEDIAN_PX, MEDIAN_PX)) * slices.liver_mask
        return np.where(self.liver, np.rint(slices.frame.to_scan(smooth) * 255), 0).astype(np.uint8)

    def predict(self, median, preprocess=None):
        """Score around a reference."""
        slices = self.slices(median, preprocess)
        return self.on_scan(slices, self.slice_scores(slices))

    @cached_property
    def score(self):
        """Score around the median of the mask."""
        return self.predict(self.median)

    @cached_property
    def flipped(self):
        """Mean of the score with that of turned slices, by what is turned."""
        slices = self.slices(self.median)
        one = {axes: self.slice_scores(slices, axes) for axes in ((), ACROSS, ALONG, ALONG + ACROSS)}
        means = {"across": [(), ACROSS], "along": [(), ALONG], "both": list(one)}
        return {name: self.on_scan(slices, np.mean([one[axes] for axes in these], axis=0)) for name, these in means.items()}

    @cached_property
    def residual(self):
        """Scan minus restoration on the scan's grid."""
        slices = self.slices(self.median)
        healthy = slices.images.copy()
        for part in parts(slices):
            healthy[part] = self.restorer.predict(slices.stack(part), slices.liver_mask[part]).restored
        change = np.where(slices.liver_mask, slices.to_hu(slices.images) - slices.to_hu(np.clip(healthy, 0, 1)), 0)
        return slices.frame.to_scan(change.astype(np.float32)) * self.liver

    def around(self, median):
        """Score around another reference."""
        return self.score if median == self.median else self.predict(median)

    def smoothed_residual(self):
        """Residual smoothed by 2 mm inside the liver."""
        sigma = [2 / mm for mm in self.grid.spacing_mm]
        weight = np.maximum(ndimage.gaussian_filter(self.liver.astype(np.float32), sigma), 1e-3)
        return ndimage.gaussian_filter(self.residual, sigma) / weight * self.liver


def parts(slices):
    """Slices with liver, a few at a time."""
    wanted = np.flatnonzero(slices.liver_mask.any(axis=(1, 2)))
    return np.array_split(wanted, -(-len(wanted) // 8))


def unsuspected(scan):
    """Score around the median of what a first pass scored below one half."""
    kept = scan.liver & (scan.score < 128)
    return scan.around(liver_median(scan.hu, kept) if kept.any() else scan.median)


def mode(scan):
    """Score around the mode of the histogram smoothed by 6 HU."""
    counts = np.bincount(np.clip(scan.hu[scan.liver].astype(int) + 1024, 0, 4095), minlength=4096).astype(float)
    return scan.around(float(ndimage.gaussian_filter1d(counts, 6).argmax() - 1024))


def mixture(scan):
    """Score around the brighter of two Gaussians where they lie 15 HU or more apart and hold a tenth each."""
    level = np.arange(-45, 261)
    counts = np.bincount(np.clip(scan.hu[scan.liver].astype(int), -45, 260) + 45, minlength=306).astype(float)
    mean, sd, part = scan.median + np.array([-25.0, 5.0]), np.array([20.0, 20.0]), np.array([0.3, 0.7])
    for _ in range(200):
        chance = part[:, None] * np.exp(-0.5 * ((level - mean[:, None]) / sd[:, None]) ** 2) / sd[:, None]
        weight = chance / (chance.sum(axis=0) + 1e-30) * counts
        total = weight.sum(axis=1)
        mean, part = (weight * level).sum(axis=1) / total, total / total.sum()
        sd = np.sqrt((weight * (level - mean[:, None]) ** 2).sum(axis=1) / total + 4)
    return scan.around(float(mean.max()) if abs(mean[0] - mean[1]) >= 15 and part.min() >= 0.1 else scan.median)


def labelled(scan):
    """Score around the median of what the tumour mask leaves; an upper bound."""
    return scan.around(liver_median(scan.hu, scan.liver & ~scan.tumour))


def window(scan):
    """Score with a window that reaches 140 HU below and 60 above the reference."""
    fixed = scan.segmenter.preprocess
    low, high = min(fixed.window_low_hu, scan.median - 140), max(fixed.window_high_hu, scan.median + 60)
    return scan.predict(scan.median, replace(fixed, window_low_hu=low, window_high_hu=high))


def second_opinion(scan):
    """Score plus 0.3 × dark residual in dark regions of 3 ml and more."""
    dark = scan.smoothed_residual()
    regions, count = ndimage.label((dark < -10) & scan.liver)
    large = np.bincount(regions.ravel(), minlength=count + 1) * scan.grid.voxel_ml >= 3
    large[0] = False
    more = np.where(large[regions], np.clip((-dark - 5) / 40, 0, 1), 0)
    return np.rint(np.clip(scan.score / 255 + 0.3 * more, 0, 1) * 255).astype(np.uint8)


def surroundings(scan, pieces, number, box):
    """Give a box a little wider than a component's, and in it the component and the liver beside it."""
    wide = tuple(slice(max(side.start - 6, 0), side.stop + 6) for side in box)
    inside = pieces[wide] == number
    beside = ndimage.binary_dilation(inside, iterations=5) & ~ndimage.binary_dilation(pieces[wide] > 0, iterations=2)
    return wide, inside, beside & scan.liver[wide]


def cut(scan, score, peak_of=lambda ml, peak, contrast: peak >= PEAK):
    """Lesions at Auto; which components are kept is said by a rule on volume, highest score and contrast to noise."""
    pieces, count = ndimage.label(score >= np.ceil(auto_threshold(score, scan.liver) * 255 - 1e-9), EIGHT)
    ml = np.bincount(pieces.ravel(), minlength=count + 1) * scan.grid.voxel_ml
    peak = np.r_[0, ndimage.maximum(score, pieces, range(1, count + 1))] / 255 if count else np.zeros(1)
    contrast = np.zeros(count + 1)
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        wide, inside, beside = surroundings(scan, pieces, number, box)
        hu = scan.hu[wide].astype(float)
        if ml[number] >= SMALLEST_ML and beside.sum() > 10:
            contrast[number] = abs(hu[inside].mean() - hu[beside].mean()) / max(hu[beside].std(), 1)
    kept = (ml >= SMALLEST_ML - 1e-9) & peak_of(ml, peak, contrast)
    kept[0] = False
    return kept[pieces]


ROWS = {  # how a scan is scored, and where it is not the usual one, which components are kept
    "as before": (lambda scan: scan.score,),
    "reference: not suspected by a first pass": (unsuspected,),
    "reference: mode": (mode,),
    "reference: brighter Gaussian": (mixture,),
    "reference: without the labelled tumour (bound)": (labelled,),
    "window follows the reference": (window,),
    "residual as second opinion": (second_opinion,),
    "peak 0.6 under 1 ml": (lambda scan: scan.score, lambda ml, peak, _: peak >= np.where(ml < 1, 0.6, PEAK)),
    "peak 0.5 with contrast to noise of 3": (
        lambda scan: scan.score,
        lambda _, peak, contrast: (peak >= PEAK) | ((peak >= 0.5) & (contrast >= 3)),
    ),
    "flips: mean with left to right": (lambda scan: scan.flipped["across"],),
    "flips: mean with front to back": (lambda scan: scan.flipped["along"],),
    "flips: mean of all four": (lambda scan: scan.flipped["both"],),
}
HEAD = ["pooled", "case mean", "AUROC", "≥ 10 mm", "covered to half", "< 10 mm", "false per scan", "Dice of each scan"]


def scans_of(folder, fold):
    """Read the scans of a fold, with its networks."""
    members = load("standard").members
    for name in FOLDS[fold - 1]:
        volume = read(folder / f"{name}_ct.nii.gz")
        liver = read_mask(folder / f"{name}_liver.nii.gz", volume, labels="all").voxels
        tumour = read_mask(folder / f"{name}_tumor.nii.gz", volume, may_be_empty=True).voxels
        yield Scan(volume.voxels, liver, tumour, volume.geometry, members[fold - 1], members[fold + 2])


def measure(scan, score, *rule):
    """Give counts, lesions and AUROC of a score."""
    mask = cut(scan, score, *rule)
    auroc = Ranking.of(score, scan.tumour, scan.liver).auroc() if (scan.tumour & scan.liver).any() else np.nan
    return Counts.of(mask & scan.liver, scan.tumour & scan.liver), find_lesions(mask, scan.tumour, scan.grid), auroc


def table(rows):
    """Make a table of what was measured of the scans of every row."""
    lines = [f"| {' | '.join(['change', *HEAD])} |", "| --- " * (1 + len(HEAD)) + "|"]
    for name, scans in rows.items():
        dice = [c.dice for c, _, _ in scans if c.hits + c.missed]
        sizes = [(lesions.by_size(), lesions.by_size(0.5)) for _, lesions, _ in scans]
        large = [sum(one[half][size][0] for one in sizes for size in ("10_to_20_mm", "over_20_mm")) for half in (0, 1)]
        small = sum(one[0]["under_10_mm"][0] for one in sizes)
        pooled = sum((c for c, _, _ in scans[1:]), start=scans[0][0]).dice
        auroc, false = np.nanmean([a for _, _, a in scans]), np.mean([lesions.false for _, lesions, _ in scans])
        cells = [f"{pooled:.4f}", f"{np.mean(dice):.4f}", f"{auroc:.3f}", *map(str, (*large, small)), f"{false:.2f}"]
        lines.append(f"| {' | '.join([name, *cells, ' '.join(f'{value:.2f}' for value in dice)])} |")
    return "\n".join(lines) + "\n"


def main(folder, fold, words):
    """Print a table."""
    chosen = {name: row for name, row in ROWS.items() if name.startswith(tuple(words) or "")}
    found = {name: [] for name in chosen}
    for scan in scans_of(folder, fold):
        for name, (score_of, *rule) in chosen.items():
            found[name].append(measure(scan, score_of(scan), *rule))
    sys.stdout.write(table(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
