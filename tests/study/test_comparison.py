"""The comparison: no case is measured by a model trained on it, finished runs are not repeated, and an inserted ball is what it says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from builders import healthy_slices
from liver_anomaly_study import cases, comparison, record, runs
from liver_anomaly_study.cases import Case
from liver_anomaly_study.cli import main
from liver_anomaly_study.comparison import run_all, run_one
from liver_anomaly_study.lesion_insertion import insert_lesion, inserted_auroc
from liver_anomaly_study.record import STRICT
from liver_anomaly_study.runs import Run, RunFolder, plan_runs, split
from liver_anomaly_study.scoring import change_hu, rule_on_slices, score_case, threshold_of
from napari_liver_anomaly.errors import Question, Refusal
from napari_liver_anomaly.io import write_case, write_image
from napari_liver_anomaly.io.read_options import MaskOptions
from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.config import FRAME
from napari_liver_anomaly.models.methods import METHODS
from napari_liver_anomaly.models.registry import config_of
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

FOLDS = (("a", "b"), ("c",))


def case(name: str, *, labelled: bool = True) -> Case:
    """Give six slices of a made-up liver with a dark block on two of them."""
    slices = healthy_slices(6, 96)
    images, liver_mask = np.stack(slices.images), np.stack(slices.liver_masks)
    truth = np.zeros(liver_mask.shape, bool)
    truth[3:5, 40:50, 45:55] = True
    images[truth] -= 0.2
    return Case(name, images, liver_mask, truth, np.array([[0], [1], [2]]), (4.0, 2.5, 2.5), 300.0, labelled)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = [case("a"), case("b"), case("c"), case("d", labelled=False)]
    monkeypatch.setattr(cases, "patients", lambda *_, **__: made)
    monkeypatch.setattr(runs, "patients", lambda *_, **__: made)
    runs._cases.cache_clear()
    return RunFolder(tmp_path, tmp_path, FOLDS, "cpu")


def test_every_method_is_planned_on_every_fold_before_a_second_seed_begins(folder):
    planned = plan_runs(folder, datasets=["patients"], seeds=2)
    first = [run for run in planned if run.seed == 0]
    assert planned[: len(first)] == first and len(first) == 2 * len(METHODS)
    assert {run.key for run in planned if run.seed} == {entry.key for entry in METHODS if entry.trains}
    with pytest.raises(Refusal, match="no method called 'nonsense'"):
        plan_runs(folder, only=["nonsense"])
    assert not plan_runs(replace(folder, data=None), datasets=["patients"])


def test_no_case_is_measured_by_a_model_trained_on_it(folder):
    for fold in (1, 2):
        train, test = split(Run("patients", "dark-rule", fold, 0, 0), folder, FRAME)
        assert {one.name for one in test} == set(FOLDS[fold - 1])
        assert {one.name for one in train} == set("abcd") - set(FOLDS[fold - 1])


def test_strictly_nobody_with_a_tumour_is_trained_on(folder):
    *_, healthy = cases.patients()
    healthy.truth[:] = False
    train, test = split(Run(STRICT, "dark-rule", 1, 0, 0), folder, FRAME)
    assert [one.name for one in train] == ["d"], "c has a tumour, a and b are measured"
    assert {one.name for one in test} == set(FOLDS[0])


@pytest.mark.parametrize("folds", [(("a", "a"),), (("a", "x"),), (("d",),), ()])
def test_folds_that_cannot_be_are_refused_before_training(folder, folds):
    with pytest.raises(Refusal, match="named twice, or are not in the folder"):
        run_all([Run("patients", "dark-rule", 1, 0, 0)], replace(folder, folds=folds))


def test_a_run_is_done_once_and_its_weights_are_used_again(folder, monkeypatch):
    run = Run("patients", "random-shape", 1, 0, 2)
    assert run_all([run], folder) == 1
    stored = json.loads(folder.result(run).read_text())
    assert [one["case"] for one in stored["cases"]] == ["a", "b"] and stored["trained_on"] == ["c", "d"]
    assert stored["parameters"] == load(folder.model(run)).parameters and stored["steps"] == 2 and stored["of_folds"] == 2
    assert not list(folder.model(run).parent.glob("*unfinished*"))
    assert run_all([run], folder) == 0
    monkeypatch.setattr(comparison, "healthy_slices", None)  # training again would need it
    stored.pop("inserted_auroc")  # as an earlier version wrote it
    folder.result(run).write_text(json.dumps(stored))
    assert run_all([run], folder) == 1
    again = json.loads(folder.result(run).read_text())
    assert again["cases"] == stored["cases"] and 0 < again["threshold"] <= 1


def test_other_folds_are_trained_and_measured_again(folder):
    run, other = Run("patients", "random-shape", 1, 0, 2), replace(folder, folds=(("c",), ("a", "b")))
    run_all([run], folder)
    before = load(folder.model(run)).hash
    assert run_all([run], other) == 1
    stored = json.loads(folder.result(run).read_text())
    assert [one["case"] for one in stored["cases"]] == ["c"] and stored["trained_on"] == ["a", "b", "d"]
    marks = load(folder.model(run)).card.data["learned_from"]
    assert len(set(marks)) == 3 and not set(marks) & set("abcd"), "cases are told by a hash of their slices, not by name"
    assert load(folder.model(run)).hash != before
    assert run_all([run], other) == 0


def test_weights_of_another_configuration_are_trained_again(folder):
    run = Run("patients", "random-shape", 2, 0, 2)
    run_one(run, folder)
    model = load(folder.model(run))
    model.config = replace(model.config, schedule=replace(model.config.schedule, batch=3))
    model.save(folder.model(run))
    run_one(run, folder)
    assert load(folder.model(run)).config == config_of("random-shape", 2)


def test_runs_become_a_record_and_the_record_a_list(folder, tmp_path):
    planned = plan_runs(folder, only=["dark-rule", "random-shape"], datasets=["patients"], budget=2)
    run_all(planned[:-1], folder)  # one fold of the last method is missing
    assert record.gather(folder.result(planned[0]).parent, tmp_path / "record", 2) == ["patients-dark-rule.json"]
    run_all(planned, folder)
    record.gather(folder.result(planned[0]).parent, tmp_path / "record", 2)
    seeds = record.seeds_of("patients", tmp_path / "record")
    assert set(seeds) == {"dark-rule", "random-shape"}
    assert set(record.dice_by_case(seeds["dark-rule"])) == {"a", "b", "c"}
    whole = record.summary_of(seeds["dark-rule"])
    by_hand = [one["figures"]["dice"] for run in planned[:2] for one in json.loads(folder.result(run).read_text())["cases"]]
    assert whole["case_mean_dice"] == pytest.approx(np.mean(by_hand), abs=1e-4) and whole["cases"] == 3


def test_a_second_family_gives_a_second_threshold_and_its_dice(folder, monkeypatch, tmp_path):
    """Kept with the weights, so that it is there again when they are; older ones have none, and nothing is told of it."""
    run = Run("patients", "random-shape", 1, 0, 4)
    made = run_one(run, folder)
    model = load(folder.model(run))
    assert made["outlines"] == max(model.card.validation["outlines"]["threshold"], 1 / 255)
    for row, one in zip(made["cases"], [case("a"), case("b")], strict=True):
        predicted = (score_case(model, one)[0] >= made["outlines"]) & one.liver_mask
        both = 2 * (predicted & one.truth).sum() / (predicted.sum() + one.truth.sum())
        assert row["dice_at_outlines"] == pytest.approx(float(both), abs=1e-6)
    folder.result(run).unlink()
    monkeypatch.setattr(comparison, "healthy_slices", None)  # nothing is trained again
    assert run_one(run, folder)["outlines"] == made["outlines"]
    monkeypatch.setattr(comparison, "OUTLINES", "of another version")
    older = run_one(run, folder)
    assert older["of another version"] is None and "dice_at_outlines" not in older["cases"][0]


def test_a_threshold_leaves_something_out():
    """At 0 every voxel would be predicted positive, those that score nothing, too."""
    assert threshold_of({"held_out_family": {"threshold": 0.0}}) == 1 / 255
    assert threshold_of({"held_out_family": {"threshold": 0.0}, "outlines": {"threshold": 0.4}}, "outlines") == 0.4


def test_every_slice_of_a_training_case_is_there_unlabelled():
    chosen = cases.healthy_slices([case("a"), case("b")])
    assert chosen.unlabelled == [(n,) for n in range(12)] and chosen.stacks == [(0,), (1,), (2,), (6,), (7,), (8,)]
    stacked = cases.healthy_slices([replace(case("a"), healthy=np.array([[0, 1, 2]]))])
    assert stacked.unlabelled[0] == (0, 0, 1) and stacked.unlabelled[-1] == (4, 5, 5)


def test_equalised_slices_have_no_hounsfield_units(folder, monkeypatch):
    """Neither a ball of 60 HU nor a change in HU is told of them, and their cases are kept apart."""
    monkeypatch.setattr(comparison, "inserted_auroc", lambda *_: 0.9)
    told = {}
    for key in ("two-stage", "two-stage-equalised"):
        run = Run("patients", key, 1, 0, 4)
        told[key] = run_one(run, folder)
    assert (told["two-stage"]["inserted_auroc"], told["two-stage-equalised"]["inserted_auroc"]) == (0.9, None)
    assert (
        "change_healthy_hu" in told["two-stage"]["cases"][0]
        and "change_healthy_hu" not in told["two-stage-equalised"]["cases"][0]
    )
    seen = []
    monkeypatch.setattr(runs, "patients", lambda folder, settings, cache, *_, **__: seen.append(cache.name) or [])
    for key in told:
        folder.cases("patients", config_of(key, 4).preprocess)
    assert seen == ["patients-0-0.npz", "patients-0-0-equalised.npz"]


def test_the_rule_finds_what_is_dark(folder):
    one = case("a")
    score, restored = score_case(rule_on_slices("dark-rule"), one)
    assert restored is None and score.shape == one.images.shape and not score[~one.liver_mask].any()
    assert (score[3, 43:47, 48:52] >= 0.5).all() and (score[0] >= 0.5).sum() < 0.02 * one.liver_mask[0].sum()


def test_the_change_of_healthy_liver_leaves_tumours_and_surroundings_out():
    one = case("a")
    healthy = one.liver_mask & ~one.truth
    restored = np.where(healthy, one.images - np.float32(0.1), one.images + np.float32(0.5))
    assert one.truth.any() and (~one.liver_mask).any()
    assert change_hu(restored, one) == pytest.approx(0.1 * one.hu_per_unit, rel=1e-4)


def test_a_case_without_tumour_has_no_part_in_the_mean_of_cases():
    """Its Dice is 0 as soon as one voxel is predicted, and would pull the mean down by as much as it likes."""
    cases = [{"case": "ill", "tumour_ml": 2.5, "dice": 0.6}, {"case": "well", "tumour_ml": 0.0, "dice": 0.0}]
    assert record.dice_by_case([{"cases": cases}]) == {"ill": 0.6}


def test_the_inserted_ball_is_sixty_hu_darker_and_lies_in_healthy_liver():
    one = case("a")
    changed, ranked = insert_lesion(one)
    apart = (one.images - changed.images) * one.hu_per_unit
    middle = np.argwhere(changed.truth).mean(axis=0).round().astype(int)
    assert apart[tuple(middle)] == pytest.approx(60, abs=0.1) and middle[0] in (0, 1, 2)
    volume_ml = changed.truth.sum() * 4 * 2.5 * 2.5 / 1000
    assert 0.3 * 7.24 < volume_ml < 1.1 * 7.24  # 12 mm round, cut off by the ends of a short stack
    assert not (changed.truth & (one.truth | ~one.liver_mask)).any() and not (ranked & one.truth).any()
    assert (apart[~one.liver_mask] == 0).all() and (apart >= -1e-6).all()
    assert insert_lesion(replace(one, healthy=np.zeros((0, 1), int))) is None


def test_tumours_beside_the_inserted_ball_are_not_ranked():
    """The ball reaches from the last healthy slice into those with tumour: what is tumour there is neither ball nor liver around it."""
    one = replace(case("a"), healthy=np.array([[2]]))
    changed, ranked = insert_lesion(one)
    there = one.truth & changed.truth.any(axis=(1, 2))[:, None, None]
    assert there.any(), "the ball reaches a slice with tumour"
    assert ranked[3].any() and not (ranked & one.truth).any()


def test_the_inserted_ball_is_ranked_by_what_sees_it_and_by_no_other():
    rng = np.random.default_rng(0)
    livers = [case("a"), case("b")]
    assert inserted_auroc(rule_on_slices("dark-rule"), livers) > 0.9
    assert inserted_auroc(lambda one: rng.random(one.images.shape).astype(np.float32), livers) == pytest.approx(0.5, abs=0.1)
    assert inserted_auroc(rule_on_slices("dark-rule"), []) is None


def test_phantoms_are_kept_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "PHANTOM_TRAIN", range(201, 202))
    monkeypatch.setattr(cases, "PHANTOM_TEST", range(301, 302))
    made = cases.phantoms(FRAME, tmp_path / "kept.npz")
    monkeypatch.setattr(cases, "make_phantom", None)
    again = cases.phantoms(FRAME, tmp_path / "kept.npz")
    assert [one.name for one in made] == ["train-201", "test-301"] == [one.name for one in again]
    assert not made[0].truth.any() and made[1].truth.any() and len(made[0].healthy) > len(made[1].healthy) > 0
    for one, other in zip(made, again, strict=True):
        assert all(
            np.array_equal(getattr(one, name), getattr(other, name)) for name in ("images", "liver_mask", "truth", "healthy")
        )
        assert not (one.truth & ~one.liver_mask).any() and one.spacing_mm == other.spacing_mm == (4, 2.5, 2.5)
    chosen = cases.healthy_slices(made)
    assert len(chosen) == len(made[0].healthy) + len(made[1].healthy)
    assert not made[1].truth[made[1].healthy].any()


def test_the_command_goes_from_nothing_to_a_model_of_the_panel(folder, tmp_path, monkeypatch, capsys):
    from napari_liver_anomaly.training.training_file import pack_case, write_training_set

    out = str(tmp_path)
    rest = ["--data", out, "--fold", "a", "b", "--fold", "c", "--budget", "4", "--out", out]
    assert main(["run", "--only", "random-shape", "--dataset", "patients", "--device", "cpu", *rest]) == 0
    assert "Runs asked for: 2; done now: 2" in capsys.readouterr().out
    box = np.zeros((6, 24, 24), bool)
    box[:, 4:20, 4:20] = True
    scans = [pack_case(np.where(box, 100, -100).astype(np.int16), box, None, (4, 2.5, 2.5), scan=n * 16, name=n) for n in "cd"]
    write_training_set(scans, tmp_path / "healthy.npz")
    more = ["--healthy", str(tmp_path / "healthy.npz"), "--only", "random-shape", "--to", str(tmp_path / "models")]
    assert main(["export", *rest, *more]) == 0
    model = load(tmp_path / "models" / "random-shape.safetensors")
    assert [scan["name"] for scan in model.card.data["scans"]] == ["c", "d"] and model.card.method == "random-shape"
    assert model.card.command.endswith("--without a b") and 0 < model.card.validation["held_out_family"]["threshold"] <= 1
    whole = load(folder.model(Run("patients", "random-shape", 1, 0, 4)))
    sizes = [folder.model(Run("patients", "random-shape", 1, 0, 4)), tmp_path / "models" / "random-shape.safetensors"]
    assert sizes[1].stat().st_size < 0.6 * sizes[0].stat().st_size
    one = case("a")
    assert score_case(model, one)[0] == pytest.approx(score_case(whole, one)[0], abs=0.01)
    assert main(["export", *rest, *more, "--seed", "7"]) == 3
    assert "has not been trained yet" in capsys.readouterr().err


def test_liver_masks_of_patients_are_asked_about_and_answered_for_all(tmp_path):
    sample = make_phantom(PhantomSettings(seed=3, size_px=96, slices=24))
    geometry, labels = sample.volume.geometry, sample.liver.voxels.astype(np.uint8)
    write_case(sample.volume, sample.liver, sample.tumours, tmp_path, "a")
    labels[:, :, :40] = 7  # all that lies on the other side
    write_image(labels, geometry, tmp_path / "a_liver.nii.gz")
    for masks, code in {MaskOptions(): "label", MaskOptions(liver_label="1"): "looks"}.items():
        with pytest.raises(Question) as error:
            cases.patients(tmp_path, FRAME, tmp_path / "cache.npz", masks)
        assert error.value.finding.code == "case-liver-question" and "a" in error.value.finding.what, code
    told = []
    answered = MaskOptions(liver_label="1", given_liver="accept")
    (one,) = cases.patients(tmp_path, FRAME, tmp_path / "cache.npz", answered, tell=told.extend)
    assert [note.code for note in told].count("case-liver-note") == len(told) >= 2
    (kept,) = cases.patients(tmp_path, FRAME, tmp_path / "cache.npz", answered)  # from the file, without a question
    assert np.array_equal(one.liver_mask, kept.liver_mask)
    (both,) = cases.patients(tmp_path, FRAME, tmp_path / "cache.npz", replace(answered, liver_label="1+7"))
    assert both.liver_mask.sum() > one.liver_mask.sum()
