"""Layer decomposition learns on a tiny phantom, and keeps the promises of a system."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_liver_anomaly.errors import UnfitModel
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.config import ModelConfig, schedule_for
from napari_liver_anomaly.models.layer_decomposition import LayerDecomposition, LayersOptions, configs, decomposition_loss
from napari_liver_anomaly.models.stage import Batch
from napari_liver_anomaly.preprocessing import HealthySlices
from napari_liver_anomaly.synthesis import Layers
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.training.training_set import make_batch

RECIPE = Layers(opacity_low=0.7, factor_high=0.5, radius_low=0.15, p_empty=0.1)


def plan(steps: int) -> ModelConfig:
    schedule = schedule_for(steps, batch=4, crop_px=64, learning_rate=2e-3)
    return ModelConfig(options=LayersOptions(width=8), recipe=RECIPE, schedule=schedule)


def tiny_slices() -> HealthySlices:
    """Livers with bright vessels and correlated noise, as a phantom would have them."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    y, x = np.ogrid[:64, :64]
    liver_mask = ((y - 32) / 26) ** 2 + ((x - 32) / 29) ** 2 < 1
    images = []
    for _ in range(12):
        noise = gaussian_filter(rng.standard_normal((64, 64)), 0.8) * 0.08
        vessels = (gaussian_filter(rng.standard_normal((64, 64)), 2) > 0.25) * 0.12
        images.append(np.where(liver_mask, np.clip(0.5 + noise + vessels, 0.02, 1), 0).astype(np.float32))
    return HealthySlices(images, [liver_mask] * 12, 205)


@pytest.fixture(scope="module")
def trained():
    data, model = tiny_slices(), LayerDecomposition(plan(120), seed=0)
    return model, data, train(model, data)


def test_loss_falls(trained):
    _, _, figures = trained
    assert figures["stage_1"]["steps"] == 120
    assert figures["stage_1"]["last_loss"] < 0.6 * figures["stage_1"]["first_loss"]


def test_held_out_anomalies_are_found_and_undone(trained):
    from sklearn.metrics import roc_auc_score

    model, data, _ = trained
    truth, score, before, after = [], [], [], []
    for update in range(6):
        batch = make_batch(data, RECIPE, model.config.schedule, (77, 9), update)
        liver_mask, mask, healthy = batch.liver_mask.numpy(), batch.mask.numpy(), batch.healthy[:, 0].numpy()
        found = model.predict(batch.anomalous.numpy(), liver_mask)
        truth.append(mask[liver_mask])
        score.append(found.score[liver_mask])
        before.append(np.abs(batch.anomalous[:, 0].numpy() - healthy)[mask])
        after.append(np.abs(found.restored - healthy)[mask])
    assert roc_auc_score(np.concatenate(truth), np.concatenate(score)) > 0.9
    assert np.concatenate(after).mean() < 0.7 * np.concatenate(before).mean()


def test_scores_are_finite_zero_outside_the_organ_and_any_size_works(trained):
    model, _, _ = trained
    image = np.random.default_rng(0).random((2, 1, 41, 67)).astype(np.float32)
    liver_mask = np.zeros((2, 41, 67), dtype=bool)
    liver_mask[:, 5:30, 5:50] = True
    found = model.predict(image, liver_mask)
    assert found.score.shape == found.restored.shape == liver_mask.shape
    assert not found.score[~liver_mask].any()
    assert np.isfinite(found.restored).all()
    assert 0 < found.score[liver_mask].min() <= found.score.max() <= 1
    assert model.has_restorer


def test_a_slice_does_not_depend_on_its_batch(trained):
    model, data, _ = trained
    images, liver_mask = np.stack(data.images[:5])[:, None], np.stack(data.liver_masks[:5])
    together, alone = model.predict(images, liver_mask), model.predict(images[2:3], liver_mask[2:3])
    np.testing.assert_allclose(together.score[2], alone.score[0], atol=1e-5)
    np.testing.assert_allclose(together.restored[2], alone.restored[0], atol=1e-5)


def test_save_and_load_give_the_same_bits(trained, tmp_path):
    model, data, figures = trained
    digest = model.save(tmp_path / "tiny.safetensors", ModelCard(training=figures))
    first, second = (LayerDecomposition.load(tmp_path / "tiny.safetensors") for _ in range(2))
    images, liver_mask = np.stack(data.images[:3])[:, None], np.stack(data.liver_masks[:3])
    for name, value in model.tensors().items():
        assert torch.equal(value, first.tensors()[name]), name
    assert np.array_equal(first.predict(images, liver_mask).score, second.predict(images, liver_mask).score)
    np.testing.assert_allclose(model.predict(images, liver_mask).score, first.predict(images, liver_mask).score, atol=1e-5)
    assert (first.hash, first.name, first.config) == (digest, "tiny", model.config)


def test_weights_of_another_width_are_refused(trained, tmp_path):
    model, _, _ = trained
    model.save(tmp_path / "tiny.safetensors")
    card = {"settings": {**model.config.to_dict(), "options": {"width": 4}}, "seed": 0}
    with pytest.raises(UnfitModel):
        LayerDecomposition.rebuilt(card, model.tensors(), "tiny")


def test_same_seed_same_weights_and_another_seed_others():
    made = []
    for seed in (5, 5, 6):
        model = LayerDecomposition(plan(3), seed=seed)
        train(model, tiny_slices())
        made.append(model.tensors())
    assert all(torch.equal(value, made[1][name]) for name, value in made[0].items())
    assert not all(torch.equal(value, made[2][name]) for name, value in made[0].items())


def batch_of(mask: torch.Tensor) -> Batch:
    liver_mask, healthy = torch.ones_like(mask), torch.full((len(mask), 1, *mask.shape[1:]), 0.5)
    anomalous = torch.where(mask[:, None], 0.25, healthy)
    return Batch(healthy, anomalous, mask, liver_mask, mask.float())


def test_each_term_of_the_loss_counts():
    """The right layers lose nothing; an error in one layer costs its mean everywhere and its mean inside the shape."""
    mask = torch.zeros((2, 8, 8), dtype=torch.bool)
    mask[0, 2:4, 2:6] = True
    batch = batch_of(mask)
    right = torch.stack([batch.healthy[:, 0], batch.anomalous[:, 0] * mask, mask * 60.0 - 30], dim=1)
    assert float(decomposition_loss(right, batch)) == pytest.approx(0, abs=1e-4)
    for layer in (0, 1):
        wrong = right.clone()
        wrong[:, layer] += 0.1
        assert float(decomposition_loss(wrong, batch)) == pytest.approx(0.1 + 0.1, abs=1e-4)
        wrong = right.clone()
        wrong[:, layer] += 0.1 * ~mask
        assert float(decomposition_loss(wrong, batch)) == pytest.approx(0.1 * (128 - 8) / 128, abs=1e-4)
    missed = right.clone()
    missed[:, 2] = -30
    assert float(decomposition_loss(missed, batch)) == pytest.approx(1 - 1 / 9, abs=1e-3)
    empty = batch_of(torch.zeros_like(mask))
    nothing = torch.stack([empty.healthy[:, 0], torch.zeros(2, 8, 8), torch.full((2, 8, 8), -30.0)], dim=1)
    assert float(decomposition_loss(nothing, empty)) == pytest.approx(0, abs=1e-4)


def test_the_plan_splits_nothing_and_survives_its_card():
    (planned,) = configs(400).values()
    assert planned.steps == 400
    assert ModelConfig.from_dict(planned.to_dict(), LayersOptions) == planned
    assert LayerDecomposition(planned).parameters < 200_000
