"""In a cross-validation no model is measured on a scan that it was trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.evaluation import cross_validation as room
from napari_liver_anomaly.evaluation.cross_validation import cross_validate
from napari_liver_anomaly.io import write_case
from napari_liver_anomaly.models.two_stage import CONFIGS, TwoStage
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.training.training_file import pack_training_set
from napari_liver_anomaly.volume import Mask


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    for seed, name in enumerate("abc", start=1):
        sample = make_phantom(PhantomSettings(slices=12, size_px=64, seed=seed))
        write_case(sample.volume, sample.liver, sample.tumours, folder, name)
    return folder


@pytest.fixture(scope="module")
def preset():
    """The product's, as small as it can be."""
    whole = CONFIGS["compact"]
    return dataclasses.replace(
        whole,
        options=dataclasses.replace(
            whole.options,
            restorer=dataclasses.replace(whole.options.restorer, width=4),
            segmenter=dataclasses.replace(whole.options.segmenter, width=4),
        ),
        schedule=dataclasses.replace(
            whole.schedule, restorer_steps=2, segmenter_epochs=0, segmenter_steps=2, batch=2, crop_px=64
        ),
    )


def test_every_scan_is_measured_by_a_model_that_never_saw_it(folder, preset, tmp_path):
    scans = pack_training_set(folder)  # without names: a scan is known by its hash alone
    found = cross_validate(scans, folder, [["a"], ["b", "c"]], preset, models=tmp_path, about="phantoms")
    assert [case["case"] for case in found["cases"]] == ["a", "b", "c"]
    assert [case["seen_in_training"] for case in found["cases"]] == [False] * 3
    assert [fold["trained_on"] for fold in found["folds"]] == [2, 1]
    assert list(found["summary"]) == ["two-stage", "two-stage, fixed", "dark-rule"]
    assert found["summary"]["two-stage"]["not_seen_in_training"]["scans"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold-1.safetensors", "fold-2.safetensors"]


def test_several_seeds_are_measured_alone_and_together(folder, preset, tmp_path):
    scans = pack_training_set(folder, keep_names=True)
    cross_validate(scans, folder, [["a"], ["b"]], preset, models=tmp_path, seeds=2, only=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold-2-seed-100.safetensors", "fold-2.safetensors"]
    livers = []

    def find(volume, name):
        livers.append(name)
        half = np.zeros(volume.voxels.shape, bool)
        half[:, :, : half.shape[2] // 2] = True
        return Mask(half, volume.geometry, volume.identity)

    alone = dataclasses.replace(preset.options.segmenter, restoration=False, residual_gain=0.0)
    direct = dataclasses.replace(preset, options=dataclasses.replace(preset.options, segmenter=alone))
    also = tmp_path / "also"
    for number in (1, 2):
        cross_validate(scans, folder, [["a"], ["b"]], direct, models=also, only=number)
    found = cross_validate(scans, folder, [["a"], ["b"]], preset, models=tmp_path, seeds=2, also=[also], find=find, jobs=2)
    assert sorted(livers) == ["a", "b"]
    assert [fold["seed"] for fold in found["folds"]] == [0, 100, 1, 101]
    assert found["fused"] == [preset.to_dict(), direct.to_dict()]
    sets = ["fused-1", "fused-1, fixed", "fused-2", "fused-2, fixed"]
    whole = ["ensemble", "ensemble, fixed", "also", "also, fixed", *sets, "dark-rule"]
    assert list(found["summary"]) == ["seed-1", "seed-2", *whole, *(f"{name}, found liver" for name in whole)]
    assert [case["case"] for case in found["cases"]] == ["a", "b"]
    for case in found["cases"]:
        rows = case["methods"]
        assert 0.2 <= rows["ensemble"]["threshold"] <= 0.8
        assert rows["ensemble, fixed"]["threshold"] == 0.5
        assert len(rows["ensemble"]["curve"]["thresholds"]) == 9
        assert "curve" not in rows["seed-1"]
        assert len({rows[name]["auroc_in_liver"] for name in ("ensemble", "seed-1", "fused-1", "fused-2")}) == 4
        assert case["found_liver_dice"] < 1


def test_seeds_of_another_configuration_are_put_together_by_seed(folder, preset, tmp_path):
    scans = pack_training_set(folder)
    cross_validate(scans, folder, [["a"]], preset, models=tmp_path / "one", seeds=2, only=1)
    cross_validate(scans, folder, [["a"]], preset, models=tmp_path / "other", seed=7, seeds=2, only=1)
    members = [TwoStage.load(tmp_path / "one" / name) for name in ("fold-1.safetensors", "fold-1-seed-100.safetensors")]
    named = room._Fold(["a"], 2, members, {"other": room._trained_of(tmp_path / "other", 1, 2)}).methods()
    assert list(named) == [
        "seed-1",
        "seed-2",
        "ensemble",
        "seed-1 of other",
        "seed-2 of other",
        "fused-1",
        "fused-2",
        "dark-rule",
    ]
    assert [[member.seed for member in named[name].members] for name in ("fused-1", "fused-2")] == [[0, 7], [100, 107]]


def test_a_leak_of_another_configuration_is_refused(folder, preset, tmp_path):
    scans = pack_training_set(folder)
    cross_validate(scans, folder, [["b"]], preset, models=tmp_path / "other", only=1)  # has seen a
    with pytest.raises(Refusal) as refused:
        cross_validate(scans, folder, [["a"]], preset, models=tmp_path, also=[tmp_path / "other"])
    assert refused.value.finding.code == "fold-leaks"


def test_a_fold_that_is_trained_is_not_trained_again(folder, preset, tmp_path, monkeypatch):
    scans = pack_training_set(folder)
    first = cross_validate(scans, folder, [["a"]], preset, models=tmp_path)
    real, trained = room.fit_and_save, []
    monkeypatch.setattr(room, "fit_and_save", lambda *args, **keywords: (trained.append(1), real(*args, **keywords)))
    again = cross_validate(scans, folder, [["a"]], preset, models=tmp_path)
    assert not trained and again["folds"][0]["hash"] == first["folds"][0]["hash"]
    cross_validate(scans, folder, [["b"]], preset, models=tmp_path)
    assert trained == [1], "other scans, another model"


def test_a_leak_is_refused(folder, preset, tmp_path, monkeypatch):
    scans = pack_training_set(folder)
    real = room.fit_and_save
    monkeypatch.setattr(room, "fit_and_save", lambda others, *args, **keywords: real(scans, *args, **keywords))
    with pytest.raises(Refusal) as refused:
        cross_validate(scans, folder, [["a"]], preset, models=tmp_path)
    assert refused.value.finding.code == "fold-leaks"


@pytest.mark.parametrize("folds", [[["a"], ["a", "b"]], [["a", "nobody"]]])
def test_names_that_cannot_be_are_refused_before_training(folder, preset, tmp_path, folds):
    with pytest.raises(Refusal) as refused:
        cross_validate([], folder, folds, preset, models=tmp_path)
    assert refused.value.finding.code == "fold-names" and not list(tmp_path.iterdir())


@pytest.mark.parametrize("names", [("one/direct",), ("one/new", "two/new"), ("seed-1",), ("fused",)])
def test_other_models_whose_rows_could_not_be_told_apart_are_refused(folder, preset, tmp_path, names):
    with pytest.raises(Refusal) as refused:
        cross_validate(
            pack_training_set(folder), folder, [["a"], ["b"]], preset, models=tmp_path, also=[tmp_path / name for name in names]
        )
    assert refused.value.finding.code == "fold-other-names" and not list(tmp_path.rglob("*.safetensors"))


def test_other_models_that_lack_a_fold_are_refused_before_training(folder, preset, tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "fold-1.safetensors").touch()
    with pytest.raises(Refusal, match=r"fold-2\.safetensors") as refused:
        cross_validate(
            pack_training_set(folder), folder, [["a"], ["b"]], preset, models=tmp_path / "own", also=[tmp_path / "new"]
        )
    assert refused.value.finding.code == "fold-other-missing" and not (tmp_path / "own").exists()


def test_processes_that_train_together_do_not_cross_validate(folder, preset, tmp_path, monkeypatch):
    for name, value in (("TORCHELASTIC_RUN_ID", "1"), ("WORLD_SIZE", "2"), ("RANK", "1")):
        monkeypatch.setenv(name, value)
    with pytest.raises(Refusal) as refused:
        cross_validate(pack_training_set(folder), folder, [["a"], ["b"]], preset, models=tmp_path)
    assert refused.value.finding.code == "folds-together"
