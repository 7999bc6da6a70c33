"""Several models as one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_liver_anomaly import methods
from napari_liver_anomaly.errors import UnfitModel
from napari_liver_anomaly.methods.ensemble import Ensemble
from napari_liver_anomaly.methods.two_stage import Preset, TwoStage
from napari_liver_anomaly.networks.restorer import RestorerSettings
from napari_liver_anomaly.networks.segmenter import SegmenterSettings
from napari_liver_anomaly.preparing import Prepare

TINY = Preset(
    prepare=Prepare(plane_mm=3, neighbours=1, around_mm=6),
    restorer=RestorerSettings(width=4, depth=2, planes=3),
    segmenter=SegmenterSettings(width=4, depth=2, planes=3, organ=True, residual_gain=5),
)
DIRECT = dataclasses.replace(TINY, segmenter=SegmenterSettings(width=4, depth=2, planes=3, organ=True, restoration=False))


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.random((2, 3, 40, 33)).astype(np.float32), rng.random((2, 40, 33)) < 0.7


def test_the_mean_of_members_and_mirror_images(batch):
    images, organ = batch
    members = [TwoStage(TINY, seed=seed) for seed in range(2)]
    plain = Ensemble(members, mirror=False).score(images, organ)
    np.testing.assert_allclose(plain.score, np.mean([m.score(images, organ).score for m in members], axis=0), atol=1e-6)
    assert np.ptp([m.score(images, organ).score for m in members], axis=0).max() > 1e-3, "the members are the same"
    both = Ensemble(members).score(images, organ)
    turned = Ensemble(members).score(images[..., ::-1], organ[..., ::-1])
    np.testing.assert_allclose(both.score, turned.score[..., ::-1], atol=1e-5)
    np.testing.assert_allclose(both.restored, turned.restored[..., ::-1], atol=1e-5)
    assert not both.score[~organ].any()


def test_save_and_load_agree_to_a_grey_level(batch, tmp_path):
    images, organ = batch
    made = Ensemble([TwoStage(TINY, seed=0), TwoStage(DIRECT, seed=1)])
    digest = made.save(tmp_path / "both.safetensors", {"title": "two"})
    again = methods.load(tmp_path / "both.safetensors")
    assert isinstance(again, Ensemble)
    assert (again.hash, again.name, again.mirror, again.card["title"]) == (digest, "both", True, "two")
    assert [m.seed for m in again.members] == [0, 1]
    assert again.parameters == made.parameters
    np.testing.assert_allclose(again.score(images, organ).score, made.score(images, organ).score, atol=1 / 255)
    assert np.array_equal(
        again.score(images, organ).score, methods.load(tmp_path / "both.safetensors").score(images, organ).score
    )


def test_a_model_without_restorer(batch):
    images, organ = batch
    model = TwoStage(DIRECT)
    assert not model.has_restorer
    assert model.score(images, organ).restored is None
    assert not any(name.startswith("restorer") for name in model.tensors())
    assert Ensemble([model]).score(images, organ).restored is None
    mixed = Ensemble([model, TwoStage(TINY)])
    assert mixed.has_restorer
    assert mixed.score(images, organ).restored.shape == organ.shape


def test_members_that_see_differently_are_refused():
    other = dataclasses.replace(TINY, prepare=dataclasses.replace(TINY.prepare, pixel_mm=2))
    with pytest.raises(UnfitModel, match="same way"):
        Ensemble([TwoStage(TINY), TwoStage(other)])
    with pytest.raises(UnfitModel):
        Ensemble([])


def test_combining_files(batch, tmp_path):
    paths = []
    for seed in range(2):
        paths.append(tmp_path / f"{seed}.safetensors")
        TwoStage(TINY, seed=seed).save(paths[-1], {"title": "t", "training": {"slices": seed}, "command": f"seed {seed}"})
    methods.combine(paths, tmp_path / "all.safetensors", {"summary": {"x": 1}})
    made = methods.load(tmp_path / "all.safetensors")
    assert made.card["title"] == "t"
    assert made.card["commands"] == ["seed 0", "seed 1"]
    assert made.card["training"] == [{"slices": 0}, {"slices": 1}]
    assert made.card["metrics"] == {"x": 1}


@pytest.mark.parametrize("spoil", ["members", "mirror", "tensor"])
def test_a_card_that_does_not_fit_is_refused(tmp_path, spoil):
    from napari_liver_anomaly import checkpoint

    path = tmp_path / "x.safetensors"
    Ensemble([TwoStage(TINY)]).save(path, {})
    card, tensors = checkpoint.read_card(path), checkpoint.read_tensors(path)
    if spoil == "tensor":
        tensors["0.segmenter.head.weight"] = tensors["0.segmenter.head.weight"][:1]
    else:
        card.pop(spoil)
    checkpoint.save(path, tensors, {k: v for k, v in card.items() if k != "format"})
    with pytest.raises(UnfitModel):
        methods.load(path)
