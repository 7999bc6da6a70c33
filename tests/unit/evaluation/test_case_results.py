"""Figures of one scan: distances between surfaces, scores of slices, and Dice in the whole scan."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from napari_liver_anomaly.evaluation.case_results import distances_of, figures_of, row, summarise
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.metrics import dice, plain
from napari_liver_anomaly.volume import Mask

GEOMETRY = Geometry((30, 30, 20), np.diag([-2.0, -2.0, 3.0, 1.0]))


def scene():
    liver, truth = np.zeros(GEOMETRY.shape, bool), np.zeros(GEOMETRY.shape, bool)
    liver[2:18, 3:27, 3:27] = True
    truth[6:10, 8:14, 8:14] = True
    truth[19, 28:, 28:] = True  # outside the liver
    prediction = np.roll(truth, 1, axis=0) & liver
    score = np.where(prediction, 200, np.where(liver, 30, 0)).astype(np.uint8)
    return prediction, score, Mask(truth, GEOMETRY), Mask(liver, GEOMETRY)


def test_distances_are_in_mm():
    prediction, truth = np.zeros((9, 9, 9), bool), np.zeros((9, 9, 9), bool)
    prediction[2, 2:7, 2:7] = truth[4, 2:7, 2:7] = True
    assert distances_of(prediction, truth, (5.0, 1.0, 1.0)) == {"mean_mm": 10, "hausdorff95_mm": 10, "dice": 0}
    assert distances_of(prediction, truth, (0.7, 1.0, 1.0)) == {
        "mean_mm": pytest.approx(1.4),
        "hausdorff95_mm": pytest.approx(1.4),
        "dice": 1,
    }
    assert plain(distances_of(prediction & False, truth, (1.0, 1.0, 1.0))) == {"mean_mm": None, "hausdorff95_mm": None, "dice": 0}
    assert all(math.isnan(value) for value in distances_of(prediction, truth & False, (1.0, 1.0, 1.0)).values())


def test_distances_stand_in_the_row_and_in_the_summary():
    prediction, score, tumours, liver = scene()
    found, missed = figures_of(prediction, score, tumours, liver), figures_of(prediction & False, score, tumours, liver)
    healthy = figures_of(prediction, score, Mask(tumours.voxels & False, GEOMETRY), liver)
    said = row(found)["surface"]
    assert (
        said["mean_mm"] > 0 and said["hausdorff95_mm"] >= said["mean_mm"] and 0 < said["dice"] < 1 and said["tolerance_mm"] == 2
    )
    assert row(missed)["surface"] == {"mean_mm": None, "hausdorff95_mm": None, "dice": 0, "tolerance_mm": 2}
    assert row(healthy)["surface"]["dice"] is None
    summary = summarise([found, missed, healthy], not_measured=1)
    json.dumps(summary, allow_nan=False)
    assert (summary["surface"]["mean_mm"]["n"], summary["surface"]["mean_mm"]["of"]) == (1, 4)
    assert (summary["surface"]["dice"]["n"], summary["surface"]["dice"]["mean"]) == (2, pytest.approx(said["dice"] / 2, abs=1e-6))


def test_tumour_outside_the_liver_counts_in_the_whole_scan_only():
    prediction, score, tumours, liver = scene()
    figures = figures_of(prediction, score, tumours, liver)
    made, single = summarise([figures])["dice"], row(figures)
    assert made["pooled"] == pytest.approx(dice(prediction, tumours.voxels & liver.voxels), abs=1e-6) == single["dice"]
    assert made["pooled_whole_scan"] == pytest.approx(dice(prediction, tumours.voxels), abs=1e-6) == single["dice_whole_scan"]
    assert made["pooled_whole_scan"] < made["pooled"]
    assert (made["slice_mean"]["n"], made["slice_mean"]["of"]) == (4, 16)
    assert (made["slice_mean_whole_scan"]["n"], made["slice_mean_whole_scan"]["of"]) == (5, 17)
    assert made["slice_mean"]["mean"] == pytest.approx(3 / 4) and made["slice_mean_whole_scan"]["mean"] == pytest.approx(3 / 5)
    assert made["slice_mean_with_empty"]["mean"] == pytest.approx((3 + 11) / 16)
    assert made["slice_mean_with_empty_whole_scan"]["mean"] == pytest.approx((3 + 11) / 17)


def test_slices_are_ranked_by_every_kind_of_score():
    prediction, score, tumours, liver = scene()
    made = summarise([figures_of(prediction, score, tumours, liver)])
    kinds = set(made["of_slices"]) - {"prevalence"}
    assert kinds == {"maximum", "average", "maximum_of_means", "top_hundredth"}
    assert made["of_slices"]["prevalence"] == 4 / 16 and made["auroc_of_slices"] == made["of_slices"]["top_hundredth"]["auroc"]
    for kind in kinds:  # three of four slices with tumour have a call, and one without
        assert made["of_slices"][kind]["auroc"] == pytest.approx((3 * (11 + 1 / 2) + 11 / 2) / (4 * 12), abs=1e-6)
    assert set(row(figures_of(prediction, score, tumours, liver))["scores"]) == kinds | {"smoothed_average"}
