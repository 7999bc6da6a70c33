"""What is done to a prediction after the network does that and no more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_liver_anomaly.errors import WrongSetting
from napari_liver_anomaly.metrics import Cleaning, clean_in_space, find_lesions, open_then_close_slices

SPACING = (2.5, 1.0, 1.0)


@pytest.mark.parametrize("side", [5, 9])
def test_slices_are_opened_then_closed_by_a_square(side):
    field = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((4, 60, 50)), (0, 3, 3))
    prediction = field > 0.05
    prediction[2] = False
    made = open_then_close_slices(prediction, side)
    for before, after in zip(prediction, made, strict=True):
        square, room = np.ones((side, side)), 2 * side
        opened = ndimage.binary_opening(np.pad(before, room), square)
        assert np.array_equal(after, ndimage.binary_closing(opened, square)[room:-room, room:-room])
    assert made.any() and (made != prediction).any() and not made[2].any()
    assert np.array_equal(open_then_close_slices(prediction, 1), prediction)


def test_small_things_go_gaps_close_and_the_edge_is_no_gap():
    prediction = np.zeros((2, 40, 40), bool)
    prediction[0, 10:30, 10:19] = prediction[0, 10:30, 21:30] = True  # a gap of two pixels
    prediction[0, 2:6, 2:9] = True  # four pixels wide: an opening by five deletes it
    prediction[1, :6, 10:20] = True  # at the edge
    made = open_then_close_slices(prediction, 5)
    assert made[0, 10:30, 10:30].all() and made[0].sum() == 400
    assert np.array_equal(made[1], prediction[1])
    assert find_lesions(made, prediction, SPACING).by_size()["under_10_mm"] == (3, 4), "why sensitivity by size stands beside it"


def test_a_score_is_cleaned_in_space():
    liver = np.zeros((6, 40, 40), bool)
    liver[1:5, 5:35, 5:35] = True
    score = np.zeros(liver.shape, np.float32)
    score[2:4, 10:14, 10:14] = 0.8  # 32 voxels, less the corners that a median takes
    score[2, 20:24, 20:24] = 0.8  # 12 voxels are left
    score[2:5, 5:8, 20:30] = 0.8  # at the rim
    score[3, 30, 12] = 1.0  # a single voxel
    score[2:4, 37:40, 37:40] = 1.0  # outside
    made = clean_in_space(score, liver, SPACING)
    assert made[2:4, 10:14, 10:14].sum() == 24 and not made[2, 20:24, 20:24].any() and not made[3, 30, 12]
    assert made[2:5, 5:8, 20:30].any() and not (made & ~liver).any()
    assert np.array_equal(made, clean_in_space(np.rint(score * 255).astype(np.uint8), liver, SPACING))
    rimless = clean_in_space(score, liver, SPACING, Cleaning(rim_px=2))
    assert not rimless[2:5, 5:7].any() and np.array_equal(rimless[2:4, 10:14], made[2:4, 10:14])
    raw = clean_in_space(score, liver, SPACING, Cleaning(median_px=1, min_voxels=0))
    assert np.array_equal(raw, (score >= 0.5) & liver)
    large = clean_in_space(score, liver, SPACING, Cleaning(median_px=1, min_voxels=0, min_mm3=41))
    assert not large[2, 20:24, 20:24].any() and large[2:4, 10:14, 10:14].all(), "40 mm³ and 80 mm³"
    assert not clean_in_space(score, liver, SPACING, Cleaning(threshold=0.9)).any()
    nothing = clean_in_space(score * 0, liver, SPACING, Cleaning(threshold=0.0, median_px=1, min_voxels=0))
    assert not nothing.any(), "a score of 0 is never tumour"
    with pytest.raises(WrongSetting):
        Cleaning(rim_px=-1)
