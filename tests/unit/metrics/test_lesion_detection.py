"""Lesions are counted in mm, and over thresholds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.metrics import SIZES, find_lesions, froc, operating_points, sensitivity_at
from napari_liver_anomaly.metrics.lesion_detection import LesionsFound


def blob(mask, centre, radius_mm, spacing):
    index = np.indices(mask.shape, dtype=float)
    mask |= sum(((index[i] - centre[i]) * spacing[i]) ** 2 for i in range(3)) <= radius_mm**2


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7), (5.0, 1.0, 1.0)])
def test_lesions_are_counted_in_mm(spacing):
    shape = tuple(round(90 / s) for s in spacing)
    geometry = Geometry(shape[::-1], np.diag([-spacing[2], -spacing[1], spacing[0], 1]))
    truth, prediction = np.zeros(shape, bool), np.zeros(shape, bool)

    def at(z, y, x):
        return tuple(round(mm / s) for mm, s in zip((z, y, x), spacing, strict=True))

    blob(truth, at(20, 20, 20), 4, spacing)  # 8 mm, missed
    blob(truth, at(20, 20, 60), 7.5, spacing)  # 15 mm, found
    blob(truth, at(60, 60, 30), 14, spacing)  # 28 mm, found
    truth[at(80, 5, 80)] = True  # a speck
    blob(prediction, at(22, 20, 62), 5, spacing)
    prediction[at(60, 60, 30)] = True  # one voxel is enough
    blob(prediction, at(70, 20, 70), 5, spacing)  # false
    prediction[at(5, 85, 5)] = True  # too small to be a lesion
    found = find_lesions(prediction, truth, geometry)
    assert found.by_size() == {"under_10_mm": (0, 1), "10_to_20_mm": (1, 1), "over_20_mm": (1, 1)}
    assert found.small_components == 1 and found.false == 1
    assert sorted(found.sizes_mm) == pytest.approx([8, 15, 28], rel=0.08)


def test_a_touched_lesion_is_not_a_covered_one():
    truth = np.zeros((4, 8, 12), bool)
    truth[:, 1:5, 1:5] = truth[:, 1:5, 7:11] = True
    prediction = np.zeros_like(truth)
    prediction[0, 1, 1] = True  # one voxel of 64
    prediction[:2, 1:5, 7:11] = True  # 32 of 64
    found = find_lesions(prediction, truth, (2.0, 1.0, 1.0))
    assert found.covered == (1 / 64, 0.5)
    assert found.by_size()["under_10_mm"] == (2, 2) and found.by_size(0.5)["under_10_mm"] == (1, 2)


def test_sensitivity_at_a_number_of_false_lesions_is_the_best_that_keeps_to_it():
    curve = froc([[point(0.5, [3, 4], [2, 2], 3), point(0.7, [2, 4], [2, 2], 2), point(0.9, [2, 4], [1, 2], 1)]])
    made = sensitivity_at(curve, (0.5, 1, 2, 4))
    assert made["under_10_mm"] == {"0.5": None, "1": 0.5, "2": 0.5, "4": 0.75}
    assert made["10_to_20_mm"] == {"0.5": None, "1": 0.5, "2": 1.0, "4": 1.0}
    assert made["over_20_mm"] == dict.fromkeys(("0.5", "1", "2", "4"))


def test_no_lesion_at_all():
    nothing = np.zeros((3, 4, 5), bool)
    found = find_lesions(nothing, nothing, Geometry((5, 4, 3), np.eye(4)))
    assert found.sizes_mm == () and found.false == found.small_components == 0
    assert set(found.by_size().values()) == {(0, 0)}


def test_the_size_of_voxels_is_enough():
    truth = np.zeros((9, 9, 9), bool)
    truth[2:5, 2:5, 2:5] = True
    spacing = (5.0, 1.0, 2.0)
    assert find_lesions(truth, truth, spacing) == find_lesions(truth, truth, Geometry((9, 9, 9), np.diag([2.0, 1, 5, 1])))
    assert find_lesions(truth, truth, spacing).sizes_mm == pytest.approx([np.cbrt(6 * 27 * 10 / np.pi)])


def point(threshold, small, medium, false):
    return {"threshold": threshold, "found": dict(zip(SIZES, (small, medium, [0, 0]), strict=True)), "false_lesions": false}


def test_free_response_curves_add_lesions_and_average_false_ones():
    first = [point(0.1, [1, 1], [2, 2], 6), point(0.5, [0, 1], [2, 2], 1)]
    second = [point(0.1, [2, 3], [0, 0], 2), point(0.5, [1, 3], [0, 0], 0)]
    made = froc([first, second])
    assert made["thresholds"] == [0.1, 0.5] and made["false_per_scan"] == [4, 0.5]
    assert made["sensitivity"]["under_10_mm"] == [3 / 4, 1 / 4] and made["sensitivity"]["10_to_20_mm"] == [1, 1]
    assert made["sensitivity"]["all"] == pytest.approx([5 / 6, 3 / 6])
    assert all(math.isnan(value) for value in made["sensitivity"]["over_20_mm"])
    assert froc([second, first])["sensitivity"]["all"] == made["sensitivity"]["all"]
    for wrong in ([], [first, second[:1]]):
        with pytest.raises(ValueError, match="same thresholds"):
            froc(wrong)


def test_10_and_20_mm_belong_to_the_middle_class():
    found = LesionsFound(sizes_mm=(9.99, 10.0, 20.0, 20.01), found=(True, True, False, True), small_components=0, false=0)
    assert found.by_size() == {"under_10_mm": (1, 1), "10_to_20_mm": (1, 2), "over_20_mm": (1, 1)}


def test_operating_points_are_measured_points_that_keep_to_their_number_of_false_lesions():
    curve = {
        "thresholds": [0.5, 0.7, 0.9, 1.0],
        "false_per_scan": [5.0, 2.0, 1.5, 0.2],
        "sensitivity": {"all": [0.9, 0.8, 0.8, 0.5]},
    }
    made = operating_points(curve, {"specific": 0.5, "balanced": 2, "sensitive": 4, "all": 9})
    assert [(one["name"], one["threshold"], one["sensitivity"], one["false_per_scan"]) for one in made] == [
        ("specific", 1.0, 0.5, 0.2), ("balanced", 0.9, 0.8, 1.5), ("all", 0.5, 0.9, 5.0),
    ], "of equals the one with fewer false lesions, and no point twice"  # fmt: skip
    assert operating_points(curve, {"specific": 0.1}) == []
    assert operating_points(curve | {"sensitivity": {"all": [float("nan")] * 4}}, {"sensitive": 4}) == []
