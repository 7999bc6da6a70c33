"""Measure networks of other trainings on a fold beside the packaged one: ``python docs/evidence/trained.py DATA FOLD NAME=FILE …``.

Each is measured alone, as the mean with the packaged network of the fold, and as that mean with the maximum of both for components under 1 ml.
It must not have seen the scans of the fold. See the fourth round in protocol.md, and the tables in tumours.md.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from trials import EIGHT, FOLDS, measure, scans_of, table

from napari_liver_anomaly.evaluation.case_measuring import seen_in_training
from napari_liver_anomaly.models import load
from napari_liver_anomaly.thresholds import auto_threshold

SMALL_ML = 1.0


def mean(scores):
    """Mean of scores on one grid."""
    return np.rint(np.mean(scores, axis=0)).astype(np.uint8)


def small_by_maximum(scan, scores):
    """Mean of scores, but their maximum in its components under 1 ml."""
    highest = np.max(scores, axis=0)
    pieces, count = ndimage.label(highest >= np.ceil(auto_threshold(highest, scan.liver) * 255 - 1e-9), EIGHT)
    small = np.bincount(pieces.ravel(), minlength=count + 1) * scan.grid.voxel_ml < SMALL_ML
    small[0] = False
    return np.where(small[pieces], highest, mean(scores))


def main(folder, fold, files):
    """Print a table."""
    networks = {name: load(path) for name, _, path in (one.partition("=") for one in files)}
    rows = {}
    for case, scan in zip(FOLDS[fold - 1], scans_of(folder, fold), strict=True):
        for name, network in networks.items():
            if seen_in_training(case, "", network.card) is not False:
                raise SystemExit(f"{name} was trained on {case}")
            score = replace(scan, segmenter=network).score
            both = [scan.score, score]
            scored = {
                name: score, f"{name}, mean with the packaged": mean(both),
                f"{name}, maximum under 1 ml": small_by_maximum(scan, both),
            }  # fmt: skip
            for row, one in {"packaged": scan.score, **scored}.items():
                rows.setdefault(row, {})[case] = measure(scan, one)
    sys.stdout.write(table({name: list(scans.values()) for name, scans in rows.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
