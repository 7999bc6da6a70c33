"""Several models as one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_liver_anomaly import checkpoint, models
from napari_liver_anomaly.errors import UnfitModel
from napari_liver_anomaly.inference import needed_bytes, segment
from napari_liver_anomaly.models.card import CROSS_VALIDATION, Metrics, ModelCard
from napari_liver_anomaly.models.config import ModelConfig
from napari_liver_anomaly.models.ensemble import Ensemble
from napari_liver_anomaly.models.networks.restorer import RestorerSettings
from napari_liver_anomaly.models.networks.segmenter import SegmenterSettings
from napari_liver_anomaly.models.two_stage import TwoStage, TwoStageOptions
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.preprocessing import HealthySlices, PreprocessSettings
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.synthesis import Blobs

SEEING = SegmenterSettings(width=4, depth=2, planes=3, liver_mask=True, residual_gain=5)
ALONE = dataclasses.replace(SEEING, restoration=False, residual_gain=0.0)
TINY = ModelConfig(
    preprocess=PreprocessSettings(plane_mm=3, neighbours=1, around_mm=6),
    options=TwoStageOptions(restorer=RestorerSettings(width=4, depth=2, planes=3), segmenter=SEEING),
    recipe=Blobs(),
)
DIRECT = dataclasses.replace(TINY, options=dataclasses.replace(TINY.options, segmenter=ALONE))


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    return rng.random((2, 3, 40, 33)).astype(np.float32), rng.random((2, 40, 33)) < 0.7


def test_the_mean_of_members_and_mirror_images(batch):
    images, liver_mask = batch
    members = [TwoStage(TINY, seed=seed) for seed in range(2)]
    plain = Ensemble(members, mirror=False).predict(images, liver_mask)
    np.testing.assert_allclose(plain.score, np.mean([m.predict(images, liver_mask).score for m in members], axis=0), atol=1e-6)
    assert np.ptp([m.predict(images, liver_mask).score for m in members], axis=0).max() > 1e-3, "the members are the same"
    both = Ensemble(members).predict(images, liver_mask)
    turned = Ensemble(members).predict(images[..., ::-1], liver_mask[..., ::-1])
    np.testing.assert_allclose(both.score, turned.score[..., ::-1], atol=1e-5)
    np.testing.assert_allclose(both.restored, turned.restored[..., ::-1], atol=1e-5)
    assert not both.score[~liver_mask].any()


def test_save_and_load_agree_to_a_grey_level(batch, tmp_path):
    images, liver_mask = batch
    made = Ensemble([TwoStage(TINY, seed=0), TwoStage(DIRECT, seed=1)])
    digest = made.save(tmp_path / "both.safetensors", ModelCard(title="two"))
    again = models.load(tmp_path / "both.safetensors")
    assert isinstance(again, Ensemble)
    assert (again.hash, again.name, again.mirror, again.card.title) == (digest, "both", True, "two")
    assert [m.seed for m in again.members] == [0, 1]
    assert again.parameters == made.parameters
    np.testing.assert_allclose(again.predict(images, liver_mask).score, made.predict(images, liver_mask).score, atol=1 / 255)
    assert np.array_equal(
        again.predict(images, liver_mask).score, models.load(tmp_path / "both.safetensors").predict(images, liver_mask).score
    )


def test_a_model_without_restorer(batch):
    images, liver_mask = batch
    model = TwoStage(DIRECT)
    assert not model.has_restorer
    assert model.predict(images, liver_mask).restored is None
    assert not any(name.startswith("restorer") for name in model.tensors())
    assert Ensemble([model]).predict(images, liver_mask).restored is None
    mixed = Ensemble([model, TwoStage(TINY)])
    assert mixed.has_restorer
    assert mixed.predict(images, liver_mask).restored.shape == liver_mask.shape


def test_members_that_see_differently_score_a_scan_at_their_own_scales(batch, tmp_path):
    coarse = dataclasses.replace(DIRECT, preprocess=dataclasses.replace(DIRECT.preprocess, pixel_mm=4, plane_mm=6))
    fine = [TwoStage(TINY, seed=seed) for seed in range(2)]
    both = Ensemble([*fine, TwoStage(coarse, seed=5), TwoStage(TINY, seed=7)], mirror=False, shown=1)
    assert [len(scale.members) for scale in both.scales] == [3, 1] and len(both.scales[0].scorers) == 2
    with pytest.raises(UnfitModel, match="differently"):
        both.predict(*batch)
    with pytest.raises(UnfitModel, match="No model is left that scores"):
        Ensemble([])
    sample = make_phantom(PhantomSettings(size_px=64, slices=24))
    settings = SegmentSettings(min_lesion_mm3=0)
    alone = [segment(sample.volume, sample.liver, scale, settings, device="cpu") for scale in both.scales]
    together = segment(sample.volume, sample.liver, both, settings, device="cpu")
    mean = (alone[0].score.astype(int) + alone[1].score) / 2
    assert np.abs(together.score - mean).max() <= 1 and len(np.unique(together.score)) > 20
    assert np.array_equal(together.restored, alone[0].restored) and alone[1].restored is None
    assert not np.array_equal(alone[0].score, alone[1].score)
    both.save(tmp_path / "both.safetensors")
    again = segment(sample.volume, sample.liver, models.load(tmp_path / "both.safetensors"), settings, device="cpu")
    assert np.abs(again.score.astype(int) - together.score).max() <= 1
    assert needed_bytes(sample.volume, sample.liver, both, 4) > max(
        needed_bytes(sample.volume, sample.liver, scale, 4) for scale in both.scales
    )


def test_combining_files(batch, tmp_path):
    paths = []
    for seed in range(2):
        paths.append(tmp_path / f"{seed}.safetensors")
        data = {"scans": [{"scan": "both", "name": ""}, {"scan": f"only{seed}", "name": f"n{seed}"}], "about": "phantoms"}
        card = ModelCard(title="t", training={"slices": seed}, command=f"seed {seed}", data=data)
        TwoStage(TINY, seed=seed).save(paths[-1], card)
    report = {"summary": {"x": 1}, "folds": [{}, {}], "config": TINY.to_dict()}
    models.combine(paths, tmp_path / "all.safetensors", metrics=report)
    made = models.load(tmp_path / "all.safetensors")
    assert made.card.title == "t"
    assert made.card.command == ["seed 0", "seed 1"]
    assert sorted(entry["scan"] for entry in made.card.data["scans"]) == ["both", "only0", "only1"]
    assert made.card.data["members_trained_on"] == [["both", "n0"], ["both", "n1"]]
    assert made.card.data["about"] == "phantoms"
    assert made.mirror is False
    assert made.card.training == [{"slices": 0}, {"slices": 1}]
    assert made.card.metrics == Metrics(of=f"{CROSS_VALIDATION}, 2 folds", method="x", summary={"x": 1})
    assert made.card.healthy_scores() == {}, "nobody measured it"
    images, liver = np.random.default_rng(0).random((3, 40, 33)).astype(np.float32), np.ones((3, 40, 33), bool)
    slices = HealthySlices(list(images), list(liver), 205.0, stacks=[(0, 1, 2)])
    asked = []
    models.combine(paths, tmp_path / "all.safetensors", healthy=lambda preprocess: asked.append(preprocess) or slices)
    score = np.rint(made.predict(images[None], liver[:1]).score * 255)
    top = models.load(tmp_path / "all.safetensors").card.healthy_scores()
    assert asked == [TINY.preprocess] and list(top) == [0.01, 0.001, 0.0001]
    assert top[0.0001] == round((score.max() + 1) / 255, 3), "one of 1,320 pixels is too many"
    earlier = TINY.to_dict()
    assert earlier["schedule"].pop("segmenter_averaging") == 0, "a setting that was added since"
    for said in ({"config": earlier}, {"fused": [earlier, earlier]}):
        models.combine(paths, tmp_path / "all.safetensors", metrics=report | said)
        assert models.load(tmp_path / "all.safetensors").card.metrics.of == f"{CROSS_VALIDATION}, 2 folds"
    models.combine(paths, tmp_path / "all.safetensors", metrics=report | {"config": DIRECT.to_dict()})
    assert models.load(tmp_path / "all.safetensors").card.metrics.of == "", "a cross-validation of another configuration"


@pytest.mark.parametrize("spoil", ["members", "mirror", "tensor", "shown", "shown as 0.0", "shown as no"])
def test_a_card_that_does_not_fit_is_refused(tmp_path, spoil):
    path = tmp_path / "x.safetensors"
    Ensemble([TwoStage(TINY)]).save(path)
    card, tensors = checkpoint.read_card(path), checkpoint.open_weights(path).tensors
    if spoil == "tensor":
        tensors["0.segmenter.head.weight"] = tensors["0.segmenter.head.weight"][:1]
    elif spoil.startswith("shown"):
        card["shown"] = {"shown": "many", "shown as 0.0": 0.0, "shown as no": False}[spoil]
    else:
        card.pop(spoil)
    checkpoint.save(path, tensors, {k: v for k, v in card.items() if k != "format"})
    with pytest.raises(UnfitModel):
        models.load(path)


@pytest.mark.parametrize("owner", [0.0, False, -1, 2, "0"])
def test_a_restorer_of_no_other_member_is_refused(tmp_path, owner):
    path = tmp_path / "x.safetensors"
    both = [TwoStage(TINY), TwoStage(TINY)]
    both[1].restorer = both[0].restorer
    Ensemble(both).save(path)
    card, tensors = checkpoint.read_card(path), checkpoint.open_weights(path).tensors
    assert card["members"][1]["restorer_of"] == 0 and models.load(path).parameters
    card["members"][1]["restorer_of"] = owner
    checkpoint.save(path, tensors, {k: v for k, v in card.items() if k != "format"})
    with pytest.raises(UnfitModel, match="tensors of x"):
        models.load(path)


def test_a_shared_restorer_is_kept_and_run_once(batch, tmp_path, monkeypatch):
    images, liver_mask = batch
    members = [TwoStage(TINY, seed=seed) for seed in range(3)]
    members[1].restorer.load_state_dict(members[0].restorer.state_dict())
    alone = [member.predict(images, liver_mask).score for member in members]
    made = Ensemble(members, mirror=False)
    np.testing.assert_allclose(made.predict(images, liver_mask).score, np.mean(alone, axis=0), atol=1e-6)
    own = sum(p.numel() for p in members[0].restorer.parameters())
    assert made.parameters == sum(m.parameters for m in members) - own
    made.save(tmp_path / "x.safetensors")
    again = models.load(tmp_path / "x.safetensors")
    assert [entry["restorer_of"] for entry in again.card.members] == [0, 0, 2]
    assert again.members[1].restorer is again.members[0].restorer is not again.members[2].restorer
    np.testing.assert_allclose(again.predict(images, liver_mask).score, made.predict(images, liver_mask).score, atol=1 / 255)
    calls = []
    forward = type(members[0].restorer).forward
    monkeypatch.setattr(type(members[0].restorer), "forward", lambda self, x: calls.append(1) or forward(self, x))
    again.predict(images, liver_mask)
    assert len(calls) == 2


def test_members_that_are_only_shown_have_no_say_in_the_score(batch, tmp_path):
    images, liver_mask = batch
    direct, two_stage = TwoStage(DIRECT, seed=3), TwoStage(TINY, seed=4)
    made = Ensemble([direct, two_stage], mirror=True, shown=1)
    alone = Ensemble([direct], mirror=True)
    np.testing.assert_allclose(made.predict(images, liver_mask).score, alone.predict(images, liver_mask).score, atol=1e-6)
    np.testing.assert_allclose(
        made.predict(images, liver_mask).restored, Ensemble([two_stage]).predict(images, liver_mask).restored, atol=1e-6
    )
    made.save(tmp_path / "x.safetensors")
    again = models.load(tmp_path / "x.safetensors")
    assert [m.seed for m in again.scorers] == [3]
    np.testing.assert_allclose(again.predict(images, liver_mask).score, made.predict(images, liver_mask).score, atol=1 / 255)
    with pytest.raises(UnfitModel, match="No model is left that scores"):
        Ensemble([direct], shown=1)
