"""The model card: what a model is, told as the model itself would say once it is loaded, and the figure that belongs to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_liver_anomaly.models import load, names, path_of
from napari_liver_anomaly.models.card import CROSS_VALIDATION, LICENCE, THESE_WEIGHTS, Metrics, ModelCard
from napari_liver_anomaly.models.methods import method_of
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.models.two_stage import CONFIGS, TwoStage

CASES = {"mean": 0.547, "sd": 0.342, "n": 12, "of": 15}
SUMMARY = {"direct": {"all": {"dice": {"case_mean": CASES}}}, "dark-rule": {}}


@pytest.mark.parametrize("name", names())
def test_packaged_models(name):
    card = ModelCard.read(path_of(name))
    assert card.restores() == load(name).has_restorer
    assert card.name() == card.title
    method = card.known_method()
    assert replace(card, title="").name() == (method.title if method else f"Mean of {len(card.members)} models")
    assert method is None or method.key == name
    assert card.licence == LICENCE and card.data["about"] and card.validation and card.parameters
    assert ModelCard.from_dict(card.to_dict(), card.checksum) == card, "a card of an earlier version is written as one of today"


@pytest.mark.parametrize("preset", ["compact", "direct"])
def test_presets(tmp_path, preset):
    small = CONFIGS[preset]
    options = small.options
    options = replace(options, restorer=replace(options.restorer, width=4), segmenter=replace(options.segmenter, width=4))
    small = replace(small, options=options)
    TwoStage(small).save(tmp_path / "a.safetensors")
    card = ModelCard.read(tmp_path / "a.safetensors")
    assert card.restores() == small.options.restores
    assert card.name() == {"compact": "Two-stage restorer and segmenter", "direct": "Segmenter alone"}[preset]
    assert card.known_method() is None, "a preset is no method of the list, whatever its kind"


@pytest.mark.parametrize("key", ["draem", "cell-tp-unet"])
def test_methods(tmp_path, key):
    model = build(config_of(key, 40))
    model.save(tmp_path / "a.safetensors")
    card = ModelCard.read(tmp_path / "a.safetensors")
    assert card.known_method() == method_of(key) and card.name() == method_of(key).title
    assert card.restores() == model.has_restorer
    assert ModelCard(key="draem").restores()


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"key": 3, "system": []},
        {"key": "ensemble", "members": 1},
        {"key": "ensemble", "members": [1, None]},
        {"key": "two-stage", "settings": {"schedule": 4}},
        {"title": 4, "parameters": "many", "metrics": [1], "synthetic": "none", "seed": True, "mirror": 1},
    ],
)
def test_an_odd_card_does_not_stop_the_list(odd):
    card = ModelCard.from_dict(odd)
    assert card.restores() and isinstance(card.name(), str) and card.figure() == "" and card.parameters == 0


def test_a_figure_says_what_was_measured():
    said = "Dice 0.55 ± 0.34 on 12 patients"
    measured = Metrics(of=f"{CROSS_VALIDATION}, 2 folds", method="direct", summary=SUMMARY)
    assert ModelCard(metrics=measured).figure() == f"{said} in cross-validation by its makers."
    assert ModelCard(metrics=replace(measured, of=THESE_WEIGHTS)).figure() == f"{said}, measured on these very weights."
    alone = {"direct": {"all": {"dice": {"case_mean": CASES | {"sd": None, "n": 1}}}}}
    assert replace(measured, summary=alone).figure() == "Dice 0.55 on 1 patients in cross-validation by its makers."


def test_a_set_of_several_configurations_shows_what_its_first_seed_reached():
    one, two = config_of("direct"), config_of("direct-varied")
    summary = {"seed-1": {}, "fused-1": SUMMARY["direct"], "fused-2": {}}
    report = {
        "summary": summary,
        "folds": [{"cases": ["a"]}, {"cases": ["a"]}, {"cases": ["b", "c"]}],
        "config": one.to_dict(),
        "fused": [one.to_dict(), two.to_dict()],
    }
    assert ModelCard(metrics=Metrics.of_report(report, [two, one])).figure().startswith("Dice 0.55 ± 0.34 on 12 patients")
    for others in ([two, two], [one, two, two]):
        assert ModelCard(metrics=Metrics.of_report(report, others)).figure() == "", "not what was measured"


def test_a_figure_that_cannot_be_told_to_belong_to_these_weights_is_not_shown():
    measured = Metrics(of=THESE_WEIGHTS, method="direct", summary=SUMMARY)
    assert ModelCard().figure() == ""
    for odd in (
        {"of": ""},
        {"of": "0" * 64},
        {"method": "dark-rule"},
        {"method": "other"},
        {"summary": {"direct": 1}},
        {"summary": {}},
    ):
        assert replace(measured, **odd).figure() == "", odd
    bare = ModelCard.from_dict({"metrics": SUMMARY})
    assert bare.metrics is not None and bare.metrics.summary == SUMMARY and bare.figure() == "", (
        "of an earlier version; nobody can tell"
    )


def test_scans_that_the_model_was_trained_on_do_not_count():
    unseen = {"not_seen_in_training": {"dice": {"case_mean": CASES | {"n": 3}}}} | SUMMARY["direct"]
    assert "on 3 patients" in Metrics(of=THESE_WEIGHTS, method="direct", summary={"direct": unseen}).figure()


def test_the_standard_model_shows_its_own_cross_validation_and_no_other_does():
    figures = {name: ModelCard.read(path_of(name)).figure() for name in names()}
    assert figures.pop("standard") == "Dice 0.55 ± 0.34 on 12 patients in cross-validation by its makers."
    assert not any(figures.values())


def test_the_standard_model_offers_points_to_work_at_and_marks_of_healthy_livers():
    card = ModelCard.read(path_of("standard"))
    points = {
        point.name: (point.min_peak_score, round(point.sensitivity, 2), round(point.false_per_scan, 1))
        for point in card.metrics.operating_points()
    }
    assert points == {"specific": (0.98, 0.57, 0.5), "balanced": (0.7, 0.7, 1.9), "sensitive": (0.6, 0.71, 2.4)}
    assert card.healthy_scores() == {0.01: 0.051, 0.001: 0.639, 0.0001: 1.0}
