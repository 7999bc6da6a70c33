"""Curves of one scan."""

from __future__ import annotations

import numpy as np

from napari_liver_anomaly.evaluation.curves import PEAKS, curve_of
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.volume import Mask

GEOMETRY = Geometry((30, 30, 20), np.diag([2.0, 2.0, 3.0, 1.0]))


def test_counts_at_every_threshold():
    liver = np.zeros(GEOMETRY.shape, bool)
    liver[2:18, 3:27, 3:27] = True
    truth, score = np.zeros_like(liver), np.zeros(liver.shape, np.uint8)
    truth[5:9, 5:11, 5:11] = True
    score[5:9, 5:11, 5:11] = 180
    score[12:15, 15:20, 15:20] = 90  # a false lesion, called up to 0.35
    made = curve_of(score, Mask(truth, GEOMETRY), Mask(liver, GEOMETRY), SegmentSettings(min_peak_score=0))
    points = {point["threshold"]: point for point in made["thresholds"]}
    assert list(points) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert (points[0.3]["hits"], points[0.3]["false"], points[0.3]["missed"], points[0.3]["false_lesions"]) == (144, 75, 0, 1)
    assert (points[0.5]["hits"], points[0.5]["false"], points[0.5]["false_lesions"]) == (144, 0, 0)
    assert (points[0.8]["hits"], points[0.8]["missed"]) == (0, 144)
    assert points[0.5]["found"]["10_to_20_mm"] == [1, 1]
    assert points[0.8]["found"]["10_to_20_mm"] == [0, 1]
    assert sum(made["bins"]["voxels"]) == liver.sum()
    assert sum(made["bins"]["tumour"]) == made["bins"]["tumour"][14] == 144


def test_lesions_are_ranked_by_their_highest_score():
    liver = np.zeros(GEOMETRY.shape, bool)
    liver[2:18, 3:27, 3:27] = True
    truth, score = np.zeros_like(liver), np.zeros(liver.shape, np.uint8)
    truth[5:9, 5:11, 5:11] = True
    score[5:9, 5:11, 5:11] = 180
    score[5, 5, 5] = 245  # 0.96
    score[12:15, 15:20, 15:20] = 225  # 0.88, a false lesion
    made = curve_of(score, Mask(truth, GEOMETRY), Mask(liver, GEOMETRY), SegmentSettings(min_peak_score=0.8))
    points = {point["threshold"]: point for point in made["peaks"]}
    assert list(points) == list(PEAKS) and min(PEAKS) == 0.5 and max(PEAKS) == 1
    assert [points[p]["false_lesions"] for p in (0.5, 0.8, 0.9, 1.0)] == [1, 1, 0, 0]
    assert [points[p]["found"]["10_to_20_mm"] for p in (0.5, 0.96, 0.98)] == [[1, 1], [1, 1], [0, 1]]


def test_a_curve_in_a_found_liver_leaves_out_what_a_run_does():
    liver = np.zeros(GEOMETRY.shape, bool)
    liver[2:18, 3:27, 3:27] = True
    score, share = np.zeros(liver.shape, np.uint8), np.full(liver.shape, 255, np.uint8)
    score[5:9, 5:11, 5:11] = score[12:15, 15:20, 15:20] = 230
    share[12:15, 15:20, 15:20] = 100
    truth = Mask(score > 0, GEOMETRY)
    for found, sure, hits in ((share, 0.5, 144), (share, 0.0, 219), (None, 0.5, 219)):
        made = curve_of(score, truth, Mask(liver, GEOMETRY, probability=found), SegmentSettings(min_liver_probability=sure))
        assert {point["hits"] for point in made["thresholds"]} == {hits}, (sure, hits)
