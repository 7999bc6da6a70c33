"""Would the model see this: anomalies of known place, and what a search made of each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_liver_anomaly.detection import search_synthetic
from napari_liver_anomaly.detection.known_lesions import look_up, others_in, pieces_of
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.synthesis import RECIPES
from napari_liver_anomaly.synthesis.apply import synthesise
from napari_liver_anomaly.volume import Mask, Volume

AFFINE = np.diag([-2.0, -2.0, 3.0, 1.0])


def scan_with(*boxes, size=(40, 40, 20), background=100, inside=40):
    """A block of even tissue, and the same with dark boxes."""
    before = np.full(size, background, np.int16)
    after, mask = before.copy(), np.zeros(size, bool)
    for box in boxes:
        after[box], mask[box] = inside, True
    liver = np.zeros(size, bool)
    liver[2:-2, 2:-2, 2:-2] = True
    volume = Volume.from_array(before, AFFINE)
    changed = Volume.from_array(after, AFFINE)
    return volume, changed, Mask.from_array(mask, AFFINE), Mask.from_array(liver, AFFINE)


def test_each_anomaly_is_looked_up_by_itself():
    near, far = np.s_[6:12, 6:12, 5:8], np.s_[24:30, 24:30, 10:13]
    volume, changed, mask, liver = scan_with(near, far)
    result = segment(changed, liver, DarkRule(), SegmentSettings(threshold=0.5, min_lesion_mm3=0), unlikely="accept")
    pieces = pieces_of(mask)
    labels = np.where(pieces == 1, result.labels, 0)  # a search that found one of the two
    halved = replace(result, labels=labels.astype(np.uint16), lesions=result.lesions[:1])
    first, second = look_up(pieces, volume, halved)
    assert (first.found, second.found) == (True, False)
    assert first.change_hu == second.change_hu == -60
    assert first.dice > 0.7 and second.dice == 0
    assert first.volume_ml == pytest.approx(6 * 6 * 3 * 12 / 1000)
    for one, number in ((first, 1), (second, 2)):
        assert pieces[one.centre] == number
        assert one.peak_score == halved.score[pieces == number].max() / 255


def test_lesions_that_touch_no_anomaly_are_counted_apart():
    _, changed, mask, liver = scan_with(np.s_[6:12, 6:12, 5:8], np.s_[24:30, 24:30, 10:13])
    result = segment(changed, liver, DarkRule(), SegmentSettings(threshold=0.5, min_lesion_mm3=0), unlikely="accept")
    assert len(result.lesions) == 2
    pieces = pieces_of(mask)
    assert others_in(pieces, result) == 0
    assert others_in(np.where(pieces == 1, pieces, 0), result) == 1


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(PhantomSettings(slices=24, size_px=96, tumours=False))


def test_the_scan_that_is_searched_is_the_one_that_is_drawn(phantom):
    recipe = RECIPES["nodules"](p_empty=0.0)
    found = search_synthetic(phantom.volume, phantom.liver, recipe, 3, DarkRule())
    volume, mask = synthesise(phantom.volume, phantom.liver, recipe, 3)
    assert np.array_equal(found.result.volume.voxels, volume.voxels)
    assert np.array_equal(found.mask.voxels, mask.voxels) and found.mask.scan == found.result.volume.identity
    alone = segment(volume, replace(phantom.liver, scan=volume.identity), DarkRule(), unlikely="accept")
    assert np.array_equal(found.result.labels, alone.labels)
    sizes = [one.volume_ml for one in found.anomalies]
    assert sizes == sorted(sizes, reverse=True) and sum(sizes) == pytest.approx(mask.ml)
    assert f"Found {found.found} of {len(sizes)} anomalies" in found.summary and f"Dice {found.dice:.2f}" in found.summary


def test_without_an_anomaly_there_is_nothing_to_see(phantom):
    with pytest.raises(Refusal) as refused:
        search_synthetic(phantom.volume, phantom.liver, RECIPES["nodules"](p_empty=1.0), 0, DarkRule())
    assert refused.value.finding.code == "anomalies-none"
