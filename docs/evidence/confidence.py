"""Rank the lesions of a fold by a confidence learned on synthetic ones, beside their highest score: ``python docs/evidence/confidence.py DATA FOLD``.

A logistic model of what is known of a component, fitted on synthetic lesions in training scans of the fold that have no tumour, so that no
tumour label is used. Both rankings see the same components: those of the packaged network at *Auto*. See the fourth round in protocol.md, and
the table in tumours.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from trials import EIGHT, SMALLEST_ML, Scan, scans_of, surroundings

from napari_liver_anomaly import synthesise
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.metrics.lesion_detection import SIZES
from napari_liver_anomaly.synthesis import Nodules
from napari_liver_anomaly.thresholds import auto_threshold

WITHOUT_TUMOUR = (  # scans that the networks of a fold were trained on; chaos_eval has been seen by none
    "lits_032 totalseg_example chaos_eval".split(),
    "lits_034 lits_041 totalseg_example chaos_eval".split(),
)
DRAWINGS, RIDGE = 6, 1.0
NAMES = ("highest score", "mean score", "log ml", "darker than beside, SD", "from the edge, mm")
ACCEPTED = (0.5, 1, 2, 4)  # false lesions per scan


@dataclass
class Components:
    """Components of a scan: what is known of each, whether it touches a lesion, and the lesions with what touches them."""

    known: np.ndarray
    touches: np.ndarray
    lesions: list[tuple[str, np.ndarray]]  # class of size, and which components touch it


def components_of(scan):
    """Measure the components of a scan at Auto."""
    pieces, count = ndimage.label(scan.score >= np.ceil(auto_threshold(scan.score, scan.liver) * 255 - 1e-9), EIGHT)
    ml = np.bincount(pieces.ravel(), minlength=count + 1) * scan.grid.voxel_ml
    edge = ndimage.distance_transform_edt(scan.liver, sampling=scan.grid.spacing_mm)
    rows, numbers = [], []
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        if ml[number] < SMALLEST_ML - 1e-9:
            continue
        wide, inside, beside = surroundings(scan, pieces, number, box)
        hu, score = scan.hu[wide].astype(float), scan.score[wide] / 255
        darker = (hu[beside].mean() - hu[inside].mean()) / max(hu[beside].std(), 1) if beside.sum() > 10 else 0.0
        rows.append(
            [
                score[inside].max(),
                score[inside].mean(),
                np.log(ml[number]),
                np.clip(darker, -5, 5),
                min(edge[wide][inside].max(), 30),
            ]
        )
        numbers.append(number)
    truth, found = ndimage.label(scan.tumour, EIGHT)
    sizes = np.bincount(truth.ravel(), minlength=found + 1) * scan.grid.voxel_ml * 1000
    lesions = []
    for lesion in range(1, found + 1):
        if sizes[lesion] >= 50 - 1e-9:
            diameter = np.cbrt(6 * sizes[lesion] / np.pi)
            touching = np.unique(pieces[truth == lesion])
            lesions.append((SIZES[int(diameter >= 10) + int(diameter > 20)], np.isin(numbers, touching)))
    return Components(np.array(rows).reshape(-1, len(NAMES)), np.isin(numbers, np.unique(pieces[scan.tumour])), lesions)


def drawn_in(folder, fold, networks):
    """Draw synthetic lesions in scans without tumour, and give the components."""
    for name in WITHOUT_TUMOUR[fold - 1]:
        volume = read(folder / f"{name}_ct.nii.gz")
        liver = read_mask(folder / f"{name}_liver.nii.gz", volume, labels="all")
        for seed in range(1, DRAWINGS + 1):
            changed, lesions = synthesise(volume, liver, Nodules(), seed)
            yield components_of(
                replace(networks, hu=changed.voxels, liver=liver.voxels, tumour=lesions.voxels, grid=volume.geometry)
            )


def fitted(known, true):
    """Fit a logistic model by Newton's method, and give it as a function."""
    mean, sd = known.mean(axis=0), known.std(axis=0) + 1e-9
    seen = np.c_[np.ones(len(known)), (known - mean) / sd]
    weights = np.zeros(seen.shape[1])
    keep = RIDGE * np.diag([0.0] + [1.0] * known.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-seen @ weights))
        curve = seen.T @ (seen * (chance * (1 - chance))[:, None]) + keep
        weights += np.linalg.solve(curve, seen.T @ (true - chance) - keep @ weights)
    sys.stdout.write(
        "weights, each for one SD: " + ", ".join(f"{name} {w:+.2f}" for name, w in zip(NAMES, weights[1:], strict=True)) + "\n\n"
    )
    return lambda rows: 1 / (1 + np.exp(-np.c_[np.ones(len(rows)), (rows - mean) / sd] @ weights))


def row(name, scans, ranks):
    """Say which lesions are detected at each number of false ones: under 10 mm, 10 to 20, over 20."""
    false = np.sort(np.concatenate([rank[~scan.touches] for scan, rank in zip(scans, ranks, strict=True)]))[::-1]
    best = {size: [] for size in SIZES}
    for scan, rank in zip(scans, ranks, strict=True):
        for size, touching in scan.lesions:
            best[size].append(rank[touching].max(initial=-1))
    cells = []
    for accepted in ACCEPTED:
        allowed = int(accepted * len(scans))
        least = false[allowed] if len(false) > allowed else -1  # what ranks above it leaves no more than the allowed ones
        cells.append(" + ".join(str(sum(value > least for value in best[size])) for size in SIZES))
    return f"| {' | '.join([name, *cells])} |\n"


def main(folder, fold):
    """Print a table."""
    scans, networks = [], None
    for scan in scans_of(folder, fold):
        networks = scan
        scans.append(components_of(scan))
    drawn = list(drawn_in(folder, fold, Scan(networks.hu, networks.liver, networks.tumour, networks.grid, networks.segmenter)))
    known, true = (np.concatenate([getattr(one, what) for one in drawn]) for what in ("known", "touches"))
    sys.stdout.write(f"{len(known)} components in {len(drawn)} drawings, {np.count_nonzero(~true)} of them false\n")
    confidence = fitted(known, true)
    sys.stdout.write(f"| ranked by | {' | '.join(f'{one:g} false' for one in ACCEPTED)} |\n{'| --- ' * (1 + len(ACCEPTED))}|\n")
    for name, rank in {"highest score": lambda rows: rows[:, 0], "confidence": confidence}.items():
        sys.stdout.write(row(name, scans, [rank(scan.known) for scan in scans]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
