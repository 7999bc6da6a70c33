"""What a model is, told from its card: as the model itself would say once it is loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_liver_anomaly.checkpoint import read_card
from napari_liver_anomaly.models import load, names, path_of
from napari_liver_anomaly.models.describing import restores, system_of, title_of, updates_of
from napari_liver_anomaly.models.registry import build, entry_of, plan_of
from napari_liver_anomaly.models.two_stage import PRESETS, TwoStage


@pytest.mark.parametrize("name", names())
def test_packaged_models(name):
    card = read_card(path_of(name))
    assert restores(card) == load(name).has_restorer
    assert title_of(card) == card["title"]
    entry = system_of(card)
    assert title_of(card | {"title": ""}) == (entry.title if entry else f"Mean of {len(card['members'])} models")
    assert entry is None or entry.key == name


@pytest.mark.parametrize("preset", ["compact", "direct"])
def test_presets(tmp_path, preset):
    small = PRESETS[preset]
    small = replace(small, restorer=replace(small.restorer, width=4), segmenter=replace(small.segmenter, width=4))
    TwoStage(small).save(tmp_path / "a.safetensors", {})
    card = read_card(tmp_path / "a.safetensors")
    assert restores(card) == small.restores
    assert title_of(card) == {"compact": "Two-stage restorer and segmenter", "direct": "Segmenter alone"}[preset]
    assert system_of(card) is None, "a preset is no system of the comparison, whatever its kind"


@pytest.mark.parametrize("key", ["draem", "cell-tp-unet"])
def test_systems(tmp_path, key):
    model = build(plan_of(key, 40))
    model.save(tmp_path / "a.safetensors", {"system": key})
    card = read_card(tmp_path / "a.safetensors")
    assert system_of(card) == entry_of(key) and title_of(card) == entry_of(key).title
    assert restores(card) == model.has_restorer
    assert restores({"key": "draem"}) and updates_of(card) == 40


@pytest.mark.parametrize(
    "card", [{}, {"key": 3, "system": []}, {"key": "ensemble", "members": 1}, {"key": "two-stage", "settings": {"schedule": 4}}]
)
def test_an_odd_card_does_not_stop_the_list(card):
    assert restores(card) and isinstance(title_of(card), str) and updates_of(card) is None
