"""Measure changes of what is done with trained networks, one row each: ``python docs/evidence/trials.py DATA FOLD``.

The networks are the members of the packaged ``standard``, taken apart: a scan is scored by the segmenter and the restorer of its fold, which have not
seen its patient. See the fourth round in protocol.md, and the table in tumours.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_liver_anomaly.inference import MEDIAN_PX
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.metrics import Counts, find_lesions
from napari_liver_anomaly.models import load
from napari_liver_anomaly.preprocessing import liver_median, prepare
from napari_liver_anomaly.thresholds import auto_threshold

FOLDS = (
    "lits_007 lits_018 lits_033 lits_034 lits_039 lits_041 lits_046".split(),
    "ircad_17 lits_005 lits_014 lits_015 lits_016 lits_029 lits_032 lits_036".split(),
)
EIGHT = np.ones((3, 3, 3))
SMALLEST_ML, PEAK = 0.05, 0.8


@dataclass
class Scan:
    """A scan with its masks, its networks, and what they made of it around the median of the mask."""

    hu: np.ndarray
    liver: np.ndarray
    tumour: np.ndarray
    grid: object
    segmenter: object
    restorer: object

    def __post_init__(self):
        self.median = liver_median(self.hu, self.liver)
        self.score, self.residual = self.predict(self.median, restored=True)

    def predict(self, median, preprocess=None, *, restored=False):
        """Score and residual around a reference."""
        slices = prepare(self.hu, self.liver, self.grid.spacing_mm, preprocess or self.segmenter.preprocess, median_hu=median)
        scores, healthy = np.zeros_like(slices.images), slices.images.copy()
        wanted = np.flatnonzero(slices.liver_mask.any(axis=(1, 2)))
        for part in np.array_split(wanted, -(-len(wanted) // 8)):
            seen, inside = slices.stack(part), slices.liver_mask[part]
            smooth = ndimage.median_filter(self.segmenter.predict(seen, inside).score, size=(1, MEDIAN_PX, MEDIAN_PX))
            scores[part] = smooth * inside
            if restored:
                healthy[part] = self.restorer.predict(seen, inside).restored
        score = np.where(self.liver, np.rint(slices.frame.to_scan(scores) * 255), 0).astype(np.uint8)
        change = np.where(slices.liver_mask, slices.to_hu(slices.images) - slices.to_hu(np.clip(healthy, 0, 1)), 0)
        return score, slices.frame.to_scan(change.astype(np.float32)) * self.liver

    def around(self, median):
        """Score around another reference."""
        return self.score if median == self.median else self.predict(median)[0]

    def smoothed_residual(self):
        """Residual smoothed by 2 mm inside the liver."""
        sigma = [2 / mm for mm in self.grid.spacing_mm]
        weight = np.maximum(ndimage.gaussian_filter(self.liver.astype(np.float32), sigma), 1e-3)
        return ndimage.gaussian_filter(self.residual, sigma) / weight * self.liver


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
    return scan.predict(scan.median, replace(fixed, window_low_hu=low, window_high_hu=high))[0]


def second_opinion(scan):
    """Score plus 0.3 × dark residual in dark regions of 3 ml and more."""
    dark = scan.smoothed_residual()
    regions, count = ndimage.label((dark < -10) & scan.liver)
    large = np.bincount(regions.ravel(), minlength=count + 1) * scan.grid.voxel_ml >= 3
    large[0] = False
    more = np.where(large[regions], np.clip((-dark - 5) / 40, 0, 1), 0)
    return np.rint(np.clip(scan.score / 255 + 0.3 * more, 0, 1) * 255).astype(np.uint8)


def cut(scan, score, peak_of=lambda ml, peak, contrast: peak >= PEAK):
    """Lesions at Auto; which components are kept is said by a rule on volume, highest score and contrast to noise."""
    pieces, count = ndimage.label(score >= np.ceil(auto_threshold(score, scan.liver) * 255 - 1e-9), EIGHT)
    ml = np.bincount(pieces.ravel(), minlength=count + 1) * scan.grid.voxel_ml
    peak = np.r_[0, ndimage.maximum(score, pieces, range(1, count + 1))] / 255 if count else np.zeros(1)
    contrast = np.zeros(count + 1)
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        wide = tuple(slice(max(side.start - 6, 0), side.stop + 6) for side in box)
        inside, hu = pieces[wide] == number, scan.hu[wide].astype(float)
        beside = ndimage.binary_dilation(inside, iterations=5) & ~ndimage.binary_dilation(pieces[wide] > 0, iterations=2)
        beside &= scan.liver[wide]
        if ml[number] >= SMALLEST_ML and beside.sum() > 10:
            contrast[number] = abs(hu[inside].mean() - hu[beside].mean()) / max(hu[beside].std(), 1)
    kept = (ml >= SMALLEST_ML - 1e-9) & peak_of(ml, peak, contrast)
    kept[0] = False
    return kept[pieces]


ROWS = {
    "as before": lambda scan: cut(scan, scan.score),
    "reference: not suspected by a first pass": lambda scan: cut(scan, unsuspected(scan)),
    "reference: mode": lambda scan: cut(scan, mode(scan)),
    "reference: brighter Gaussian": lambda scan: cut(scan, mixture(scan)),
    "reference: without the labelled tumour (bound)": lambda scan: cut(scan, labelled(scan)),
    "window follows the reference": lambda scan: cut(scan, window(scan)),
    "residual as second opinion": lambda scan: cut(scan, second_opinion(scan)),
    "peak 0.6 under 1 ml": lambda scan: cut(scan, scan.score, lambda ml, peak, _: peak >= np.where(ml < 1, 0.6, PEAK)),
    "peak 0.5 with contrast to noise of 3": lambda scan: cut(
        scan, scan.score, lambda _, peak, contrast: (peak >= PEAK) | ((peak >= 0.5) & (contrast >= 3))
    ),
}


def scans_of(folder, fold):
    """Read the scans of a fold, with its networks."""
    members = load("standard").members
    for name in FOLDS[fold - 1]:
        volume = read(folder / f"{name}_ct.nii.gz")
        liver = read_mask(folder / f"{name}_liver.nii.gz", volume, labels="all").voxels
        tumour = read_mask(folder / f"{name}_tumor.nii.gz", volume, may_be_empty=True).voxels
        yield Scan(volume.voxels, liver, tumour, volume.geometry, members[fold - 1], members[fold + 2])


def main(folder, fold):
    """Print a table."""
    found = {row: [] for row in ROWS}
    for scan in scans_of(folder, fold):
        for row, made in ROWS.items():
            mask = made(scan)
            counts = Counts.of(mask & scan.liver, scan.tumour & scan.liver)
            found[row].append((counts, find_lesions(mask, scan.tumour, scan.grid)))
    lines = ["| change | pooled | case mean | ≥ 10 mm | covered to half | < 10 mm | false per scan |", "| --- " * 7 + "|"]
    for row, pairs in found.items():
        dice = [2 * c.hits / (2 * c.hits + c.false + c.missed) for c, _ in pairs if c.hits + c.missed]
        hits, wrong = sum(c.hits for c, _ in pairs), sum(c.false + c.missed for c, _ in pairs)
        sizes = [(f.by_size(), f.by_size(0.5)) for _, f in pairs]
        large = [sum(one[half][size][0] for one in sizes for size in ("10_to_20_mm", "over_20_mm")) for half in (0, 1)]
        small = sum(one[0]["under_10_mm"][0] for one in sizes)
        false = np.mean([f.false for _, f in pairs])
        cells = [row, f"{2 * hits / (2 * hits + wrong):.3f}", f"{np.mean(dice):.3f}", *map(str, (*large, small)), f"{false:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
