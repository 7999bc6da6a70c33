"""The one cut is local, and equals bit by bit what was cut before from whole volumes, for every threshold and all settings."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy import ndimage

from former_cut import former_cut, former_measure
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.lesions import LiverScan, level_of, measure, measure_again
from napari_liver_anomaly.score_voxels import ScoreVoxels
from napari_liver_anomaly.segmentation import SegmentSettings, cut, cut_voxels
from napari_liver_anomaly.sparse_labels import SparseLabels
from napari_liver_anomaly.volume import Mask, Volume


def geometry_of(shape, spacing=(2.0, 1.0, 1.0)):
    return Geometry(shape[::-1], np.diag([-spacing[2], -spacing[1], -spacing[0], 1.0]))


def cloudy(seed, shape, dense):
    """A score of blobs that touch the borders, with holes, specks and plateaus."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), rng.uniform(0.3, 1.5), mode="wrap")
    score = np.clip(255 * (smooth / (3 * smooth.std() or 1) + dense), 0, 255).astype(np.uint8)
    return (score // 32) * 36 if seed % 3 == 0 else score


shapes = st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 10))
some_settings = st.builds(
    SegmentSettings,
    threshold=st.one_of(st.integers(0, 100).map(lambda n: n / 100), st.sampled_from([128 / 255, 1 / 255])),
    min_peak_score=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    min_lesion_mm3=st.sampled_from([0.0, 2.0, 4.0, 11.9, 50.0]),
    min_liver_probability=st.sampled_from([0.0, 0.25, 0.5, 0.9]),
)


@hypothesis_settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32 - 1), shapes, st.floats(-0.3, 1.2), some_settings, st.sampled_from(["none", "noise", "half", "full"]))
def test_it_equals_the_former_cut(seed, shape, dense, settings, chance):
    score, geometry = cloudy(seed, shape, dense), geometry_of(shape)
    probability = {
        "none": None, "noise": np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8),
        "half": np.full(shape, 128, np.uint8), "full": np.full(shape, 255, np.uint8),
    }[chance]  # fmt: skip
    wanted, wanted_out = former_cut(score, probability, geometry, settings)
    labels, left_out = cut(score, probability, geometry, settings)
    again, again_out = cut_voxels(ScoreVoxels.of(score, probability), geometry, settings)
    assert labels.dtype == wanted.dtype == again.values.dtype and np.array_equal(labels, wanted)
    assert np.array_equal(again.dense(), wanted) and left_out == wanted_out == again_out


def test_every_threshold_of_one_score_equals_the_former_cut():
    score, geometry = cloudy(1, (9, 24, 31), 0.4), geometry_of((9, 24, 31))
    voxels = ScoreVoxels.of(score, None)
    for threshold in np.arange(101) / 100:
        settings = SegmentSettings(threshold=float(threshold), min_lesion_mm3=6, min_peak_score=0.5)
        labels, _ = cut_voxels(voxels, geometry, settings)
        assert np.array_equal(labels.dense(), former_cut(score, None, geometry, settings)[0])


def test_no_more_voxels_are_gone_through_than_count():
    """The scan may be as large as it likes."""
    score = np.zeros((20, 200, 200), np.uint8)
    score[5:8, 50:60, 50:60] = 200
    score[5:8, 80:90, 50:60] = 60
    voxels = ScoreVoxels.of(score, None)
    assert voxels.where.size == 600 and ScoreVoxels.of(score, None, level_of(0.5)).where.size == 300
    pieces = voxels.pieces(level_of(0.5))
    assert pieces.taken.size == 300 and pieces.piece.size == 30, "a row of a lesion is one run"


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), shapes)
def test_voxels_can_be_taken_out(seed, shape):
    rng = np.random.default_rng(seed)
    score, probability = cloudy(seed, shape, 0.5), rng.integers(0, 256, shape, dtype=np.uint8)
    where = np.flatnonzero(rng.random(score.size) < 0.3)
    left = ScoreVoxels.of(score, probability).without(where)
    score.reshape(-1)[where] = 0
    wanted = ScoreVoxels.of(score, probability)
    for name in ("where", "keys", "scores", "probability"):
        assert np.array_equal(getattr(left, name), getattr(wanted, name)), name


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), shapes, st.floats(0, 1), st.floats(0, 1))
def test_measures_equal_the_former_ones_also_when_those_of_another_threshold_are_used(seed, shape, first, second):
    rng = np.random.default_rng(seed)
    score, geometry = cloudy(seed, shape, 0.5), geometry_of(shape)
    volume = Volume(rng.integers(-1024, 1500, shape, dtype=np.int16), geometry)
    liver = Mask(rng.random(shape) < 0.7, geometry, volume.identity)
    scan, known, found = LiverScan(volume, liver), None, ()
    for threshold in (first, second, first):
        settings = SegmentSettings(threshold=threshold, min_peak_score=0, min_lesion_mm3=0)
        labels, _ = cut_voxels(ScoreVoxels.of(score, None), geometry, settings)
        found, known = measure_again(labels, scan, known, found), labels
        wanted = former_measure(labels.dense(), volume, liver)
        assert str(found) == str(wanted) and repr([*map(values, found)]) == repr([*map(values, wanted)])
        assert repr([*map(values, measure(labels.dense(), volume, liver))]) == repr([*map(values, wanted)])


def values(lesion):
    return [getattr(lesion, name) for name in lesion.__slots__]


def test_a_lesion_that_stays_is_not_measured_again(monkeypatch):
    shape = (6, 20, 20)
    labels = np.zeros(shape, np.uint16)
    labels[1:3, 2:6, 2:6], labels[1:3, 10:13, 10:13] = 1, 2
    volume = Volume(np.zeros(shape, np.int16), geometry_of(shape))
    scan, before = LiverScan(volume, Mask(np.ones(shape, bool), volume.geometry, volume.identity)), SparseLabels.of(labels)
    found = measure_again(before, scan)
    labels[3, 10:13, 10:13] = 2
    measured = []
    monkeypatch.setattr("napari_liver_anomaly.lesions.diameters", lambda *_: measured.append(1) or (1.0, 1.0))
    assert measure_again(SparseLabels.of(labels), scan, before, found)[0] == found[0]
    assert len(measured) == 1


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_changes_lead_from_labels_to_labels(seed, size):
    rng = np.random.default_rng(seed)
    before, after = (rng.integers(0, 3, (1, 1, size)).astype(np.uint16) for _ in range(2))
    changes = SparseLabels.of(before).changes_to(SparseLabels.of(after))
    assert changes.where.size == np.count_nonzero(before != after), "only what changes is written"
    np.put(before, changes.where, changes.values)
    assert np.array_equal(before, after) and SparseLabels.of(after).same_as(SparseLabels.of(before))


def test_numbers_never_run_over():
    score = np.zeros((82, 82, 82), np.uint8)
    score[::2, ::2, ::2] = 255
    with pytest.raises(Refusal) as refused:
        cut(score, None, geometry_of(score.shape), SegmentSettings(min_lesion_mm3=0))
    assert refused.value.finding.code == "too-many-lesions"


def large_scan():
    """300 × 512 × 512 with a liver of 1.5 l, noisy scores and twenty tumours, as a model gives them."""
    shape, spacing = (300, 512, 512), (1.0, 0.7, 0.7)
    rng = np.random.default_rng(0)
    inner = tuple(slice(n // 5, n // 5 + m) for n, m in zip(shape, (150, 260, 290), strict=True))
    size = tuple(side.stop - side.start for side in inner)
    grid = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in size], indexing="ij", sparse=True)
    liver = np.zeros(shape, bool)
    liver[inner] = sum(axis**2 for axis in grid) < 0.55
    part = ndimage.gaussian_filter(rng.standard_normal(size, dtype=np.float32), 1.2)
    part = np.clip(40 + 300 * part, 1, 255)
    for centre in rng.uniform(-0.4, 0.4, (20, 3)):
        far = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True)))
        part = np.maximum(part, 255 * np.clip(1.7 - far / rng.uniform(0.04, 0.15), 0, 1))
    score, voxels = np.zeros(shape, np.uint8), np.full(shape, -400, np.int16)
    score[inner] = part.astype(np.uint8)
    score[~liver] = 0
    voxels[inner] = np.where(part > 128, 60, 110)
    volume = Volume(voxels, geometry_of(shape, spacing))
    mask = Mask(liver, volume.geometry, volume.identity, np.where(liver, 230, 0).astype(np.uint8), found=True)
    return volume, mask, score


@pytest.mark.benchmark
def test_a_cut_and_its_table_are_quick_on_a_large_scan(capsys):
    """Former and new way side by side in one run; the bound is the ratio."""
    volume, liver, score = large_scan()
    began = time.perf_counter()
    prepared, scan = ScoreVoxels.of(score, liver.probability), LiverScan(volume, liver)
    assert scan.hu_counts.size
    once_s = time.perf_counter() - began
    known, found = cut_voxels(prepared, volume.geometry, SegmentSettings(threshold=0.49))[0], ()
    found, rows = measure_again(known, scan), []
    for threshold in (0.2, 0.35, 0.5, 0.51, 0.65, 0.8):
        settings = SegmentSettings(threshold=threshold)
        marks = [time.perf_counter()]
        wanted, _ = former_cut(score, liver.probability, volume.geometry, settings)
        marks.append(time.perf_counter())
        rows_wanted = former_measure(wanted, volume, liver)
        marks.append(time.perf_counter())
        labels, _ = cut_voxels(prepared, volume.geometry, settings)
        changes = known.changes_to(labels)
        marks.append(time.perf_counter())
        found, known = measure_again(labels, scan, known, found), labels
        marks.append(time.perf_counter())
        single, _ = cut(score, liver.probability, volume.geometry, settings)
        marks.append(time.perf_counter())
        assert np.array_equal(labels.dense(), wanted) and np.array_equal(single, wanted) and found == rows_wanted
        rows.append((threshold, labels.where.size, changes.where.size, len(found), *np.diff(marks)))
    with capsys.disabled():
        print(f"\nprepared once in {once_s:.2f} s, {prepared.where.size:,} voxels of liver")
        for row in rows:
            words = "threshold {:.2f} {:>9,} voxels {:>9,} changed {:>4} lesions: cut {:.3f} measure {:.3f} s"
            words += " → cut {:.3f} measure {:.3f} s, whole {:.3f} s"
            print(words.format(*row))
    former_s, new_s = (sum(row[at] + row[at + 1] for row in rows) for at in (4, 6))
    assert new_s < former_s / 3, f"{former_s:.2f} s before, {new_s:.2f} s now"
