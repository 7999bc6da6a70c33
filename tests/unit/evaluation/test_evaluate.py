"""An evaluation lists every case, pools rightly, says what was seen in training, and never drops anything in silence."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from builders import refusal_of
from napari_liver_anomaly.errors import Cancelled, InvalidNumbers, Question, Refusal
from napari_liver_anomaly.evaluation.case_measuring import seen_in_training
from napari_liver_anomaly.evaluation.case_results import figures_of, plain, row, summarise
from napari_liver_anomaly.evaluation.evaluate import evaluate
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import write_case
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.metrics import Mean, Ranking, dice
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.segmentation import AUTO_SETTINGS

SEEDS = (1, 2, 3)
LABEL_FREE = {"synthetic": {"held_out_family": {"threshold": 0.4}}}


class Oracle:
    """A method that knows the truth of every phantom, and is wrong in a fixed way."""

    name = key = "oracle"
    hash = "00"

    def __init__(self, samples, card=None, turned=False, refuses=()):
        self.truths = {s.volume.identity: s.tumours.voxels for s in samples}
        self.card = ModelCard.from_dict(LABEL_FREE | (card or {}))
        self.turned, self.refuses = turned, refuses

    def score_volume(self, volume, liver):
        if volume.identity in self.refuses:
            raise refusal_of(InvalidNumbers, "score-invalid", "Invalid numbers.", "No mask.", "Try again.")
        truth = self.truths[volume.identity]
        blurred = truth | np.roll(truth, 1, axis=2)
        score = np.where(blurred, 180, 40) if not self.turned else np.where(truth, 10, 40)
        return np.where(liver.voxels, score, 0).astype(np.uint8)


@pytest.fixture(scope="module")
def samples():
    made = [make_phantom(PhantomSettings(slices=12, size_px=64, seed=seed)) for seed in SEEDS]
    return [*made, make_phantom(PhantomSettings(slices=12, size_px=64, seed=9, tumours=False))]


@pytest.fixture(scope="module")
def folder(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    for name, sample in zip("abcd", samples, strict=True):
        write_case(sample.volume, sample.liver, sample.tumours, folder, name)
    return folder


@pytest.fixture(scope="module")
def found(samples, folder):
    return evaluate(folder, Oracle(samples))


def test_it_is_plain_data(found):
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    assert list(found["summary"]) == ["oracle", "oracle, fixed", "dark-rule"], "the rule without learning is always there"
    assert found["model"] == {"name": "oracle", "hash": "00", "key": "oracle"}
    assert found["settings"] == AUTO_SETTINGS.to_dict() and "medical device" in found["notice"]


def test_the_three_readings_of_dice_are_what_they_say(samples, found):
    predictions = [segment(s.volume, s.liver, Oracle(samples)).labels > 0 for s in samples]
    truths = [s.tumours.voxels for s in samples]
    said = found["summary"]["oracle"]["all"]["dice"]
    assert said["pooled"] == pytest.approx(dice(np.concatenate(predictions), np.concatenate(truths)), abs=1e-6)
    cases = [dice(g, t) for g, t in zip(predictions[:3], truths[:3], strict=True)]
    assert said["case_mean"] == {
        "mean": pytest.approx(np.mean(cases), abs=1e-6),
        "sd": pytest.approx(np.std(cases, ddof=1), abs=1e-6),
        "n": 3,
        "of": 4,
    }
    slices = [dice(g[z], t[z]) for g, t in zip(predictions, truths, strict=True) for z in range(12) if t[z].any()]
    assert said["slice_mean"]["mean"] == pytest.approx(np.mean(slices), abs=1e-6)
    with_liver = sum(int(s.liver.voxels.any(axis=(1, 2)).sum()) for s in samples)
    assert (said["slice_mean"]["n"], said["slice_mean"]["of"]) == (len(slices), with_liver)
    assert said["slice_mean_with_empty"]["n"] == with_liver


def test_pooled_ranking_is_that_of_all_liver_voxels(samples, found):
    scores = [Oracle(samples).score_volume(s.volume, s.liver) for s in samples]
    pooled = Ranking.of(
        np.concatenate([score[s.liver.voxels] for score, s in zip(scores, samples, strict=True)]),
        np.concatenate([s.tumours.voxels[s.liver.voxels] for s in samples]),
    )
    said = found["summary"]["oracle"]["all"]
    assert said["average_precision"]["pooled"] == pytest.approx(pooled.average_precision(), abs=1e-6)
    assert said["average_precision"]["prevalence"] == pytest.approx(pooled.prevalence, abs=1e-6)
    assert said["auroc_in_liver"]["pooled"] == pytest.approx(pooled.auroc(), abs=1e-6)
    assert said["best_dice"]["pooled"] == pytest.approx(pooled.best_dice()[0], abs=1e-6)
    assert said["best_dice"]["threshold"] == pytest.approx(180 / 255, abs=1e-6) and said["best_dice"]["oracle"] is True
    assert said["auroc_whole_scan"]["pooled"] > said["auroc_in_liver"]["pooled"], "air outside flatters"


def test_the_scan_without_tumour_counts_false_volume_and_no_dice(found):
    healthy = found["cases"][3]
    assert healthy["case"] == "d" and healthy["tumour_ml"] == 0
    assert healthy["methods"]["oracle"]["dice"] is None and healthy["methods"]["oracle"]["false_ml"] == 0
    assert found["summary"]["oracle"]["all"]["false_ml_in_scans_without_tumour"]["n"] == 1
    assert found["summary"]["oracle"]["all"]["scans_with_tumour"] == 3


def test_lesions_are_counted_by_size(found):
    lesions = found["summary"]["oracle"]["all"]["lesions"]
    assert lesions["found"] == sum(part["found"] for part in lesions["by_size"].values()) > 0
    assert lesions["of"] == sum(part["of"] for part in lesions["by_size"].values()) >= lesions["found"]
    assert lesions["false_per_scan"]["of"] == 4


def test_nothing_is_dropped_in_silence(samples, tmp_path):
    for name, sample in zip("abcde", (*samples, samples[0]), strict=True):
        write_case(sample.volume, sample.liver, sample.tumours, tmp_path, name)
    (tmp_path / "b_tumour.nii.gz").unlink()
    (tmp_path / "c_liver.nii.gz").unlink()
    broken = (tmp_path / "d_ct.nii.gz").read_bytes()
    (tmp_path / "d_ct.nii.gz").write_bytes(broken[: len(broken) // 2])
    found = evaluate(tmp_path, Oracle(samples))
    assert [case["case"] for case in found["cases"]] == ["a", "e"]
    why = {entry["case"]: entry["why"] for entry in found["left_out"]}
    assert why["b"] == "no tumour mask" and why["c"] == "no liver mask" and set(why) == {"b", "c", "d"}
    mean = found["summary"]["oracle"]["all"]["dice"]["case_mean"]
    assert (mean["n"], mean["of"]) == (2, 5) and found["summary"]["oracle"]["all"]["not_measured"] == 3
    assert "2 of 5 scans were measured." in found["notes"]
    assert any("more than once: a, e" in note for note in found["notes"])


def test_a_method_that_refuses_gets_the_worst_figures(samples, folder):
    oracle = Oracle(samples, refuses={samples[0].volume.identity})
    found = evaluate(folder, oracle)
    first = found["cases"][0]["methods"]["oracle"]
    assert first["dice"] == 0 and first["lesions"]["found"] == 0 and "Invalid numbers" in first["failed"]
    assert found["summary"]["oracle"]["all"]["dice"]["case_mean"]["n"] == 3
    assert any("gave no result on a" in note for note in found["notes"])
    assert "failed" not in found["cases"][0]["methods"]["dark-rule"]


def test_turned_scores_are_noticed(samples, folder, found):
    turned = evaluate(folder, Oracle(samples, turned=True))
    assert any("turned round" in note for note in turned["notes"])
    assert not any("turned round" in note for note in found["notes"])


def test_cases_of_the_training_are_marked_and_taken_out(samples, folder, found):
    card = {
        "data": {"scans": [{"scan": samples[1].volume.identity, "name": "", "healthy_slices": 3}, {"scan": "ff", "name": "d"}]}
    }
    with pytest.raises(Question, match="was trained on the scan of b"):
        evaluate(folder, Oracle(samples, card))
    seen = evaluate(folder, Oracle(samples, card), seen="mark")
    assert [case["seen_in_training"] for case in seen["cases"]] == [False, True, False, True]
    summary = seen["summary"]["oracle"]
    assert (summary["all"]["scans"], summary["not_seen_in_training"]["scans"]) == (4, 2)
    assert seen["summary"]["dark-rule"]["not_seen_in_training"]["scans"] == 2, "the rule is compared on the same scans"
    assert any("2 of these scans: b, d" in note for note in seen["notes"])
    assert "not_seen_in_training" not in found["summary"]["oracle"]
    assert any("does not say" in note for note in found["notes"])


def test_cards_name_cases_in_several_ways():
    assert seen_in_training("a", "1f", ModelCard.from_dict({})) is None
    assert seen_in_training("a", "1f", ModelCard.from_dict({"data": {"patients": ["b"]}})) is False
    assert seen_in_training("a", "1f", ModelCard.from_dict({"data": {"patients": ["a"]}})) is True
    assert seen_in_training("a", "1f", ModelCard.from_dict({"data": {"scans": [{"scan": "1f", "name": ""}]}})) is True
    assert seen_in_training("", "1f", ModelCard.from_dict({"data": {"scans": [{"scan": "2f", "name": ""}]}})) is False


def test_without_truth_there_is_nothing_to_measure(samples, tmp_path):
    write_case(samples[0].volume, samples[0].liver, samples[0].tumours, tmp_path, "a")
    (tmp_path / "a_tumour.nii.gz").unlink()
    with pytest.raises(Refusal) as refused:
        evaluate(tmp_path, Oracle(samples))
    assert refused.value.finding.code == "no-truth"


def test_it_can_be_stopped(samples, folder):
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        evaluate(folder, Oracle(samples), job=job)


def test_the_rule_alone_is_measured_once(folder):
    alone = evaluate(folder, DarkRule())
    assert list(alone["summary"]) == ["dark-rule"] and alone["notes"] == ["4 of 4 scans were measured."]


def test_pooled_equals_case_when_there_is_one(samples):
    sample = samples[0]
    prediction = np.roll(sample.tumours.voxels, 1, axis=1) & sample.liver.voxels
    figures = figures_of(prediction, prediction.astype(np.uint8) * 200, sample.tumours, sample.liver)
    summary, single = summarise([figures]), row(figures)
    assert summary["dice"]["pooled"] == summary["dice"]["case_mean"]["mean"] == single["dice"]
    assert single["best_dice"]["dice"] >= single["dice"]
    assert summarise([], 2) == {"scans": 0, "not_measured": 2}


def test_a_false_alarm_in_a_healthy_scan_is_no_dice_of_nought(samples):
    healthy = samples[3]
    prediction = np.zeros(healthy.liver.voxels.shape, bool)
    prediction[tuple(np.argwhere(healthy.liver.voxels)[500])] = True
    figures = figures_of(prediction, prediction.astype(np.uint8) * 200, healthy.tumours, healthy.liver)
    assert math.isnan(figures.dice) and row(figures)["dice"] is None
    assert figures.false_ml == pytest.approx(healthy.volume.geometry.voxel_ml)
    assert figures.counts.dice == 0, "but it weighs on the pooled figure"


def test_plain_data_has_no_nan():
    assert plain({"a": math.nan, "b": [1, (0.5, Mean(1.0, math.nan, 1, 2))]}) == {
        "a": None,
        "b": [1, [0.5, {"mean": 1.0, "sd": None, "n": 1, "of": 2}]],
    }


def test_tumour_outside_the_liver_mask_is_told(samples):
    sample = samples[0]
    figures = figures_of(
        sample.tumours.voxels & False, np.zeros(sample.tumours.voxels.shape, np.uint8), sample.tumours, sample.liver
    )
    assert figures.has_tumour and figures.dice == 0
    smaller = SimpleNamespace(voxels=sample.liver.voxels & ~sample.tumours.voxels, geometry=sample.liver.geometry)
    missed = figures_of(sample.tumours.voxels, np.zeros(sample.tumours.voxels.shape, np.uint8), sample.tumours, smaller)
    assert not missed.has_tumour and math.isnan(missed.dice)
    assert missed.whole.lesion.sum() == np.count_nonzero(sample.tumours.voxels)
