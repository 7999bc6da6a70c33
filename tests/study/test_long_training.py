"""Special runs: the restorer stands still, points lie where they should, and finished seeds are not trained again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from liver_anomaly_study import long_segmenter, long_training
from liver_anomaly_study.cases import Case
from liver_anomaly_study.figures.segmentations import caption_of_length, draw_length
from liver_anomaly_study.figures.subject import Subject
from liver_anomaly_study.runs import RunFolder
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.networks.restorer import RestorerSettings
from napari_liver_anomaly.models.networks.segmenter import SegmenterSettings
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.models.two_stage import TwoStageOptions
from napari_liver_anomaly.training.fit import train


def case(name: str, seed: int) -> Case:
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[:32, :32]
    liver_mask = np.repeat((((y - 16) / 14) ** 2 + ((x - 16) / 15) ** 2 < 1)[None], 6, axis=0)
    truth = np.zeros_like(liver_mask)
    truth[:3, 10:16, 10:16] = name.startswith("test")
    images = np.where(liver_mask, rng.normal(0.5, 0.04, liver_mask.shape) - 0.25 * truth, 0).clip(0, 1).astype(np.float32)
    return Case(name, images, liver_mask, truth, np.arange(6)[:, None], (4.0, 2.5, 2.5), 200.0, True)


@pytest.fixture
def subject(tmp_path):
    config = config_of("two-stage", 10)  # of which three are the segmenter's
    config = replace(
        config,
        options=TwoStageOptions(restorer=RestorerSettings(width=4), segmenter=SegmenterSettings(width=4)),
        schedule=replace(config.schedule, crop_px=32, batch=4),
    )
    model = build(config, seed=0)
    model.name, model.card = "phantom-two-stage", ModelCard(data={"learned_from": ["train-1"]})
    made = Subject(RunFolder(tmp_path, None, ()), "phantom", 300, tmp_path / "record")
    run = made.run("two-stage")
    for path in (made.folder.model(run), made.folder.result(run)):
        path.parent.mkdir(parents=True)
        path.write_text('{"of_folds": 1}')
    made._models[run] = model
    made._prepared[model.preprocess] = [case("train-1", 1), case("test-1", 2), case("test-2", 3)]
    monkey = pytest.MonkeyPatch()
    monkey.setattr(long_segmenter, "points_of", lambda normal: [normal, 3 * normal])
    yield made
    monkey.undo()


def test_points_begin_at_the_normal_length_and_end_at_twenty_times_it():
    found = long_segmenter.points_of(75)
    assert (found[0], found[-1], len(found)) == (75, 1500, 12)
    assert max(np.diff(found)) - min(np.diff(found)) <= 1
    assert long_segmenter.points_of(1, 2, 12) == [1, 2]  # never twice the same


def test_a_segmenter_trains_long_beside_a_restorer_that_stands_still(subject):
    model = subject.model("two-stage")
    before = {name: value.clone() for name, value in model.parts["restorer"].state_dict().items()}
    found = long_segmenter.train_segmenter(subject, 5, Job())
    again = long_segmenter.train_segmenter(subject, 5, Job())
    assert [point["steps"] for point in found] == [3, 9]
    assert found[0]["epochs"] == pytest.approx(3 * 4 / 6)
    assert all(torch.equal(value, before[name]) for name, value in model.parts["restorer"].state_dict().items())
    summed = [long_segmenter.sum_segmenter([point]) for point in found]
    assert summed == [long_segmenter.sum_segmenter([point]) for point in again]
    assert summed[0] != summed[1]
    assert [len(point["cases"]) for point in found] == [2, 2]
    assert all(
        0 <= summed[0][key] <= 1 for key in ("auroc_maximum", "auroc_average", "dice_pooled", "dice_case_mean", "dice_at_half")
    )


def test_the_first_point_is_the_normal_training_with_a_step_that_does_not_fall(subject):
    known = subject.model("two-stage")
    config = replace(known.config, schedule=replace(known.config.schedule, segmenter_cosine_decay=False))
    normal = build(config, seed=5)
    normal.take_restorer(known.restorer)
    train(normal, long_segmenter.healthy_slices(subject.training_cases(known)))
    data = long_segmenter.healthy_slices(subject.training_cases(known))
    cut = long_segmenter.threshold_of(long_segmenter.validate_on_synthesis(normal, data, config.schedule, seed=5))
    alone = long_segmenter.sum_segmenter([{"steps": 3, "epochs": 2.0, "cases": [
        long_segmenter._measured(normal, one, cut) for one in subject.held_out(known)
    ]}])  # fmt: skip
    assert alone == long_segmenter.sum_segmenter([long_segmenter.train_segmenter(subject, 5, Job())[0]])


def test_finished_seeds_are_not_trained_again_and_other_settings_are_refused(subject, monkeypatch):
    trained = []

    def train(one, seed, job):
        trained.append(seed)
        if seed == 9:
            raise AssertionError
        return [{"steps": 75 * point, "value": seed + point} for point in (1, 2)]

    special = long_training.Special("long-training", lambda folds: {"times": 2, "normal": [75]}, train, lambda same: same[0])
    monkeypatch.setitem(long_training.SPECIALS, "segmenter", special)
    path = long_training.run_special("segmenter", subject, seeds=2)
    assert trained == [0, 1]
    first = json.loads(path.read_text())
    assert (path.name, first["folds"], first["budget"]) == ("phantom-long-training.json", 1, 300)
    long_training.run_special("segmenter", subject, seeds=3)
    assert trained == [0, 1, 2]
    assert [one["seed"] for one in json.loads(path.read_text())["seeds"]] == [0, 1, 2]
    monkeypatch.setitem(long_training.SPECIALS, "segmenter", replace(special, about=lambda folds: {"times": 3, "normal": [75]}))
    with pytest.raises(Refusal, match="other settings: times"):
        long_training.run_special("segmenter", subject, seeds=4)
    assert trained == [0, 1, 2]


def test_without_the_two_stage_model_nothing_is_trained(subject):
    subject.folder.result(subject.run("two-stage")).unlink()
    with pytest.raises(Refusal, match="--only two-stage"):
        long_training.run_special("segmenter", subject)
    assert not subject.record.exists()


def test_the_curve_is_summed_up_over_seeds(subject):
    pytest.importorskip("matplotlib")
    seeds = [
        {"seed": seed, "points": [
            {"steps": 75 * point, "epochs": float(point), "auroc_maximum": 0.8 - 0.1 * seed, "dice_case_mean": 0.5 - 0.1 * point,
             "dice_at_half": 0.2}
            for point in (1, 2)
        ]}
        for seed in (0, 1)
    ]  # fmt: skip
    subject.record.mkdir()
    (subject.record / "phantom-long-training.json").write_text(json.dumps({"times": 2, "normal": [75], "seeds": seeds}))
    _, numbers = draw_length(subject)
    assert (numbers["normal"], numbers["steps"], numbers["seeds"]) == (75, 150, 2)
    assert numbers["auroc_maximum"]["normal"] == [0.75, 0.071]
    assert numbers["dice_case_mean"] == {
        "normal": [0.4, 0.0],
        "last": [0.3, 0.0],
        "highest": 0.4,
        "highest_at": 75,
        "lowest_single": 0.3,
    }
    assert "0.750 ± 0.071 after the normal length" in caption_of_length(numbers)
    alone = caption_of_length(numbers | {"seeds": 1})
    assert "One seed" in alone and "±" not in alone and "0.750 after the normal length" in alone
