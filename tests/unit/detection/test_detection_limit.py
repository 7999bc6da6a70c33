"""The detection limit: larger and darker lesions are found more, what is not there is not found, and time ends it as told."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from napari_liver_anomaly.detection import DetectionLimitSettings, detection_limit
from napari_liver_anomaly.detection.inserted_lesions import APART_MM, MARGIN_MM, Ball, HealthyTissue, insert
from napari_liver_anomaly.detection.limit_table import cells_of, plain_limit, text_of, write_limit
from napari_liver_anomaly.errors import Cancelled, Refusal
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.volume import Mask

FEW = DetectionLimitSettings(sizes=3, contrasts=3, per_cell=2, size_low_mm=8, contrast_high_hu=75)


@pytest.fixture(scope="module")
def sample():
    return make_phantom(PhantomSettings(slices=32, size_px=128))


@pytest.fixture(scope="module")
def limit(sample):
    return detection_limit(sample.volume, sample.liver, DarkRule(), FEW)


def test_larger_and_darker_lesions_are_found_more(limit):
    rate = limit.found / limit.inserted
    assert (np.diff(limit.found.sum(axis=1)) >= 0).all() and (np.diff(limit.found.sum(axis=0)) >= 0).all()
    assert rate[0, 0] == 0 and rate[-1, -1] == 1
    assert limit.smallest_found_mm(FEW.darker_hu[0]) is None and limit.smallest_found_mm(FEW.darker_hu[-1]) is not None


def test_without_contrast_nothing_is_found(sample):
    same = replace(FEW, contrast_low_hu=0, contrast_high_hu=0)
    limit = detection_limit(sample.volume, sample.liver, DarkRule(), same)
    assert limit.inserted.shape == (3, 1) and limit.inserted.sum() > 0 and limit.found.sum() == 0


def test_lesions_lie_in_healthy_tissue_apart_from_each_other(sample, limit):
    from scipy.ndimage import distance_transform_edt

    found = segment(sample.volume, sample.liver, DarkRule(), unlikely="accept").labels > 0
    assert found.any()
    spacing = sample.volume.geometry.spacing_mm
    depth = distance_transform_edt(sample.liver.voxels & ~found, spacing)
    for lesion in limit.lesions:
        assert depth[lesion.known.centre] >= lesion.diameter_mm / 2 + MARGIN_MM
    for number in range(1, limit.searches + 1):
        here = [lesion for lesion in limit.lesions if lesion.search == number]
        for n, one in enumerate(here):
            for other in here[:n]:
                apart = np.linalg.norm((np.array(one.known.centre) - other.known.centre) * spacing)
                assert apart >= (one.diameter_mm + other.diameter_mm) / 2 + APART_MM - max(spacing)


def test_no_lesion_is_put_into_a_vessel(sample):
    bright = sample.volume.voxels.copy()
    rows = np.indices(bright.shape)[1]
    line = sample.liver.voxels & (np.abs(rows - np.argwhere(sample.liver.voxels)[:, 1].mean()) < 3)
    bright[line] = 250
    volume = replace(sample.volume, voxels=bright)
    tissue = HealthyTissue(volume, sample.liver, np.zeros_like(line))
    rng = np.random.default_rng(0)
    middles = [tissue.place(10.0, [], rng) for _ in range(60)]
    assert None not in middles and not any(line[middle] for middle in middles)


def test_a_ball_has_the_contrast_it_was_given_and_changes_nothing_else(sample):
    centre = tuple(int(n) for n in np.argwhere(sample.liver.voxels).mean(axis=0))
    voxels, pieces = insert(sample.volume, [Ball(20.0, 40.0, centre)])
    change = voxels.astype(int) - sample.volume.voxels
    assert change[centre] == -40 and change.min() == -40 and change.max() == 0
    mm3 = (pieces == 1).sum() * sample.volume.geometry.voxel_ml * 1000
    assert mm3 == pytest.approx(np.pi / 6 * 20**3, rel=0.1)
    assert (change != 0).sum() < 2 * (pieces == 1).sum()


def test_the_same_seed_inserts_the_same(sample, limit):
    again = detection_limit(sample.volume, sample.liver, DarkRule(), FEW)
    assert [(one.known.centre, one.known.found) for one in again.lesions] == [
        (one.known.centre, one.known.found) for one in limit.lesions
    ]
    other = detection_limit(sample.volume, sample.liver, DarkRule(), replace(FEW, seed=2))
    assert [one.known.centre for one in other.lesions] != [one.known.centre for one in limit.lesions]


def test_time_ends_it_after_a_whole_search_and_it_says_so(sample):
    many = replace(FEW, per_cell=8, most_minutes=0)
    limit = detection_limit(sample.volume, sample.liver, DarkRule(), many)
    assert limit.searches == 1 < limit.planned
    assert {lesion.search for lesion in limit.lesions} == {1}
    assert limit.summary.endswith(f"Stopped after 1 of {limit.planned} searches, by the limit of time.")


def test_what_finds_no_room_is_counted(sample):
    crowded = replace(FEW, per_cell=8, searches=1)
    limit = detection_limit(sample.volume, sample.liver, DarkRule(), crowded)
    assert limit.searches == 1 and limit.without_place == 9 * 8 - len(limit.lesions) > 0
    nowhere = np.zeros_like(sample.liver.voxels)
    nowhere[16, 60:64, 40:44] = True
    with pytest.raises(Refusal) as refused:
        detection_limit(sample.volume, Mask(nowhere, sample.volume.geometry, sample.volume.identity), DarkRule(), FEW)
    assert refused.value.finding.code == "insertion-no-place"


def test_progress_runs_forward_and_cancel_stops(sample):
    seen = []
    detection_limit(sample.volume, sample.liver, DarkRule(), FEW, job=Job(seen.append))
    steps = [(one.done, one.total) for one in seen if one.phase == "Searching with inserted lesions"]
    assert steps == sorted(steps) and steps and steps[-1][0] <= steps[-1][1]
    job = Job()

    def stop(progress):
        if progress.phase == "Searching with inserted lesions":
            job.cancel()

    job.report = stop
    with pytest.raises(Cancelled):
        detection_limit(sample.volume, sample.liver, DarkRule(), FEW, job=job)


def test_text_table_and_data_say_the_same(limit, tmp_path):
    assert cells_of(limit)[0][0] == "8 mm"
    assert f"{limit.found[0, 0]}/{limit.inserted[0, 0]}" in text_of(limit)
    without = replace(limit, lesions=tuple(one for one in limit.lesions if one.diameter_mm != 8))
    assert cells_of(without)[0][1:] == ["–"] * 3, "none inserted is not none found"
    write_limit(limit, tmp_path / "limit.csv")
    with open(tmp_path / "limit.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["found"] == "True" for row in rows) == limit.found.sum() and len(rows) == limit.inserted.sum()
    write_limit(limit, tmp_path / "limit.json")
    data = json.loads((tmp_path / "limit.json").read_text(encoding="utf-8"))
    assert data == json.loads(json.dumps(plain_limit(limit))) and data["found"] == limit.found.tolist()
    assert "phantom" not in (tmp_path / "limit.json").read_text(encoding="utf-8"), "no name of a scan"
