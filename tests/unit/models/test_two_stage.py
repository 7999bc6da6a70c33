"""The two-stage system learns on a tiny phantom, and keeps its promises."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from napari_liver_anomaly import checkpoint, models
from napari_liver_anomaly.errors import UnfitModel
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.config import ModelConfig, Schedule
from napari_liver_anomaly.models.networks.restorer import RestorerSettings
from napari_liver_anomaly.models.networks.segmenter import SegmenterSettings
from napari_liver_anomaly.models.two_stage import CONFIGS, KNOWN_PARTS, TwoStage, TwoStageOptions, configs
from napari_liver_anomaly.preprocessing import HealthySlices, PreprocessSettings
from napari_liver_anomaly.synthesis import Blobs
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.training.training_set import make_batch

TINY = ModelConfig(
    preprocess=PreprocessSettings(geometry="liver", pixel_mm=3, intensity="robust"),
    options=TwoStageOptions(restorer=RestorerSettings(width=8, depth=2), segmenter=SegmenterSettings(width=4, residual_gain=5)),
    recipe=Blobs(scale=0.6, dark_low_hu=60, p_dark=1, p_empty=0.2),
    schedule=Schedule(restorer_steps=150, segmenter_steps=70, learning_rate=3e-3, batch=4, anomaly_weight=4, cosine_decay=True),
)
HELD_OUT = (77, 9)


def tiny_slices() -> HealthySlices:
    """Livers with bright vessels and correlated noise, as a phantom would have them."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    y, x = np.ogrid[:64, :64]
    liver_mask = ((y - 32) / 26) ** 2 + ((x - 32) / 29) ** 2 < 1
    images = []
    for _ in range(16):
        noise = gaussian_filter(rng.standard_normal((64, 64)), 0.8) * 0.08
        vessels = (gaussian_filter(rng.standard_normal((64, 64)), 2) > 0.25) * 0.12
        images.append(np.where(liver_mask, np.clip(0.5 + noise + vessels, 0.02, 1), 0).astype(np.float32))
    return HealthySlices(images, [liver_mask] * 16, 300)


def test_what_stands_beside_the_papers_two_stages():
    """Equalised slices, a floor for shifted pixels, and each stage in full: one thing each."""
    made = configs(100)
    literal, equalised = made["two-stage"], made["two-stage-equalised"]
    assert (literal.preprocess.intensity, equalised.preprocess.intensity) == ("robust", "paper")
    assert dataclasses.replace(equalised, preprocess=literal.preprocess) == literal
    assert (equalised.preprocess.window_low_hu, equalised.preprocess.window_high_hu) == (-200, 250)
    clamped = made["two-stage-clamped"]
    assert (equalised.recipe.darkest, clamped.recipe.darkest) == (0, 30)
    assert dataclasses.replace(clamped, recipe=equalised.recipe) == equalised
    long = made["two-stage-long"]
    assert (long.schedule.restorer_steps, long.schedule.segmenter_steps) == (100, 100)
    assert dataclasses.replace(long, schedule=literal.schedule) == literal


def test_parts_differ_in_one_thing_each():
    """Recipe, input and restorer are switched one by one; nothing else changes, and every stage is as long."""
    known = {
        (made, seen, part): configs(100)[KNOWN_PARTS.get((made, seen, part), f"{made}-{seen}-{part}")]
        for made in ("noise", "nodules") for seen in ("slice", "stack") for part in ("alone", "restored")
    }  # fmt: skip
    for (made, seen, part), config in known.items():
        assert (type(config.recipe).__name__, config.preprocess.planes) == (
            {"noise": "NoiseStretch", "nodules": "Nodules"}[made], {"slice": 1, "stack": 5}[seen],
        )  # fmt: skip
        assert config.options.restores is (part == "restored")
        assert (config.schedule.restorer_steps, config.schedule.segmenter_steps) == (100 * config.options.restores, 100)
        same = dataclasses.replace(known["nodules", "stack", "alone"].schedule, restorer_steps=config.schedule.restorer_steps)
        assert config.schedule == same
        assert {network.settings.width for network in TwoStage(config).networks.values()} == {8}
        model = TwoStage(config)
        assert model.predict(np.zeros((1, config.preprocess.planes, 64, 64), np.float32), np.ones((1, 64, 64), bool)).score.shape == (
            1, 64, 64,
        )  # fmt: skip
    assert configs(100)["direct-early"].steps == 30 and configs(100)["direct"].steps == 100


@pytest.fixture(scope="module")
def trained():
    data, model = tiny_slices(), TwoStage(TINY, seed=0)
    frozen = {}
    segmentation_loss = model._segmentation_loss

    def remember(batch):
        frozen.setdefault("first", {k: v.clone() for k, v in model.restorer.state_dict().items()})
        return segmentation_loss(batch)

    model._segmentation_loss = remember
    figures = train(model, data)
    model._segmentation_loss = segmentation_loss
    return model, data, figures, frozen["first"]


def held_out(data, updates=6):
    return [make_batch(data, TINY.recipe, TINY.schedule, HELD_OUT, update) for update in range(updates)]


def test_stage_one_restores_held_out_anomalies(trained):
    """The L1 to the true healthy image falls well below that of the anomalous image, measured inside the anomalies."""
    model, data, _, _ = trained
    with torch.inference_mode():
        before = after = 0.0
        for batch in held_out(data):
            inside = batch.mask[:, None]
            before += float((batch.anomalous - batch.healthy).abs()[inside].mean())
            after += float((model.restorer(batch.anomalous) - batch.healthy).abs()[inside].mean())
    assert after < 0.6 * before


def test_segmenter_finds_held_out_anomalies(trained):
    from sklearn.metrics import roc_auc_score

    model, data, _, _ = trained
    truth, score = [], []
    for batch in held_out(data):
        liver_mask = (batch.healthy[:, 0] > 0).numpy()
        found = model.predict(batch.anomalous.numpy(), liver_mask).score
        truth.append(batch.mask.numpy()[liver_mask])
        score.append(found[liver_mask])
    assert roc_auc_score(np.concatenate(truth), np.concatenate(score)) > 0.9


def test_restorer_is_frozen_bit_for_bit_in_stage_two(trained):
    model, _, _, first = trained
    for name, value in model.restorer.state_dict().items():
        assert torch.equal(value, first[name]), name
    assert not any(p.requires_grad for p in model.restorer.parameters())


def test_a_slice_does_not_depend_on_its_batch(trained):
    model, data, _, _ = trained
    images, liver_mask = np.stack(data.images[:5]), np.stack(data.liver_masks[:5])
    together = model.predict(images[:, None], liver_mask)
    alone = model.predict(images[2:3, None], liver_mask[2:3])
    np.testing.assert_allclose(together.score[2], alone.score[0], atol=1e-5)
    np.testing.assert_allclose(together.restored[2], alone.restored[0], atol=1e-5)


def test_batch_statistics_are_those_of_training(trained):
    """After the short stage 2, running and batch statistics must give nearly the same picture (otherwise it was too short)."""
    model, data, _, _ = trained
    batch = held_out(data, 1)[0]
    with torch.inference_mode():
        restored = model.restorer(batch.anomalous)
        evaluated = torch.softmax(model.segmenter(restored, batch.anomalous), 1)[:, 1]
        model.segmenter.train()
        kept = {k: v.clone() for k, v in model.segmenter.state_dict().items()}
        trained_mode = torch.softmax(model.segmenter(restored, batch.anomalous), 1)[:, 1]
        model.segmenter.load_state_dict(kept)
        model.segmenter.eval()
    assert float((evaluated - trained_mode).abs().mean()) < 0.08


def test_scores_are_zero_outside_the_organ_and_any_size_works(trained):
    model, _, _, _ = trained
    image = np.random.default_rng(0).random((2, 41, 67)).astype(np.float32)
    liver_mask = np.zeros(image.shape, dtype=bool)
    liver_mask[:, 5:30, 5:50] = True
    found = model.predict(image[:, None], liver_mask)
    assert found.score.shape == found.restored.shape == image.shape
    assert not found.score[~liver_mask].any()
    assert found.score.max() <= 1


def test_save_and_load_give_the_same_bits(trained, tmp_path):
    model, data, figures, _ = trained
    digest = model.save(tmp_path / "tiny.safetensors", ModelCard(training=figures))
    again = models.load(tmp_path / "tiny.safetensors")
    images, liver_mask = np.stack(data.images[:3]), np.stack(data.liver_masks[:3])
    for tensor, value in model.segmenter.state_dict().items():
        assert torch.equal(value, again.segmenter.state_dict()[tensor])
    first, second = (
        again.predict(images[:, None], liver_mask),
        models.load(tmp_path / "tiny.safetensors").predict(images[:, None], liver_mask),
    )
    assert np.array_equal(first.score, second.score)
    # The trained model still holds its tensors in the memory layout of training, which adds in another order.
    np.testing.assert_allclose(model.predict(images[:, None], liver_mask).score, first.score, atol=1e-5)
    assert (again.hash, again.name, again.config) == (digest, "tiny", TINY)
    assert again.card.training["slices"] == 16


def test_same_seed_same_weights():
    short = dataclasses.replace(TINY, schedule=Schedule(restorer_steps=3, segmenter_steps=3, batch=4))
    made = []
    for _ in range(2):
        model = TwoStage(short, seed=5)
        train(model, tiny_slices())
        made.append(model)
    for name, value in made[0].segmenter.state_dict().items():
        assert torch.equal(value, made[1].segmenter.state_dict()[name]), name


def test_the_schedule_decides_loss_and_averaging_of_the_segmenter_alone():
    schedule = Schedule(restorer_steps=1, segmenter_steps=1, segmenter_loss="lesion", segmenter_averaging=0.6)
    data, losses = tiny_slices(), {}
    for loss in ("focal", "overlap", "lesion"):
        model = TwoStage(dataclasses.replace(TINY, schedule=dataclasses.replace(schedule, segmenter_loss=loss)), seed=5)
        restorer, segmenter = model.stages(data)
        assert (restorer.averaging, segmenter.averaging) == (0, 0.6)
        losses[loss] = float(segmenter.loss(make_batch(data, TINY.recipe, TINY.schedule, HELD_OUT, 0)).detach())
    assert losses["overlap"] < losses["lesion"] <= losses["overlap"] + 1 and len(set(losses.values())) == 3


def test_direct_models_for_small_lesions_differ_in_one_thing_each():
    direct, fine, small = CONFIGS["direct"], CONFIGS["direct-fine"], CONFIGS["direct-small"]
    assert fine.preprocess.pixel_mm == 1 and dataclasses.replace(fine, preprocess=direct.preprocess) == direct
    assert small.recipe.p_small == 0.5 and dataclasses.replace(small, recipe=direct.recipe) == direct
    assert dataclasses.replace(small.recipe, p_small=0) == direct.recipe


@pytest.mark.parametrize("change", ["drop", "rename", "reshape", "key", "preprocess", "width"])
def test_weights_that_do_not_fit_their_card_are_refused(trained, tmp_path, change):
    model, _, _, _ = trained
    model.save(tmp_path / "good.safetensors")
    tensors, card = (
        checkpoint.open_weights(tmp_path / "good.safetensors").tensors,
        checkpoint.read_card(tmp_path / "good.safetensors"),
    )
    first = sorted(tensors)[0]
    if change == "drop":
        del tensors[first]
    elif change == "rename":
        tensors["other"] = tensors.pop(first)
    elif change == "reshape":
        tensors[first] = tensors[first].flatten()[:1]
    elif change == "key":
        card["key"] = "another-system"
    elif change == "preprocess":
        card["settings"]["preprocess"]["pixel_mm"] = 99.0
    else:
        card["settings"]["options"]["segmenter"]["width"] = 16
    card.pop("format")
    checkpoint.save(tmp_path / "bad.safetensors", tensors, card)
    with pytest.raises(UnfitModel):
        models.load(tmp_path / "bad.safetensors")


def test_presets():
    assert TwoStage(CONFIGS["paper"]).parameters == 7_701_825 + 28_371_842
    paper = CONFIGS["paper"]
    assert (paper.preprocess.geometry, paper.preprocess.intensity, paper.preprocess.size_px) == ("field", "paper", 256)
    assert (paper.schedule.restorer_epochs, paper.schedule.learning_rate, paper.schedule.batch) == (200, 1e-4, 8)
    for preset in CONFIGS.values():
        assert ModelConfig.from_dict(preset.to_dict(), TwoStageOptions) == preset
