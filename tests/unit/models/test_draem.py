"""DRAEM's own loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from builders import healthy_slices
from napari_liver_anomaly.models.draem import Draem, configs
from napari_liver_anomaly.models.stage import Batch
from napari_liver_anomaly.training.training_set import make_batch


class Far(torch.nn.Module):
    """Restores a nearly flat image far from 0, as an untrained restorer may."""

    def forward(self, image):
        return -2.5 + 0.01 * image


def test_structural_similarity_is_worked_out_in_full_precision():
    """Its variances are differences of two squares: in half precision they come out below zero, and now and then the loss is no number."""
    model = Draem(configs(10)["draem"])
    batch = make_batch(healthy_slices(), model.config.recipe, model.config.schedule, (0, 1), 0)
    model.parts["restorer"] = Far()
    full = model._restoration_loss(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert float(model._restoration_loss(batch)) == pytest.approx(float(full), abs=1e-4)


@pytest.mark.parametrize("key", ["draem", "cell-unet", "cell-tp", "cell-pa-unet"])
def test_restoration_loss_is_mean_square_and_structural_similarity(key):
    """Beside the similarity as another library works it out, away from the rim, where the two fill up differently."""
    from skimage.metrics import structural_similarity

    model = Draem(configs(10)[key])
    rng = torch.Generator().manual_seed(0)
    healthy = torch.rand(2, 1, 48, 40, generator=rng)
    restored = (healthy + 0.2 * torch.randn(2, 1, 48, 40, generator=rng)).clamp(0, 1)
    model.parts["restorer"] = _Says(restored)
    alike = []
    for one, other in zip(restored[:, 0].numpy(), healthy[:, 0].numpy(), strict=True):
        _, whole = structural_similarity(
            one, other, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, win_size=11, full=True
        )
        alike.append(whole[5:-5, 5:-5].mean())
    wanted = float(((restored - healthy) ** 2).mean()) + 1 - float(np.mean(alike))
    assert wanted > 0.1
    assert float(model._restoration_loss(_batch(healthy))) == pytest.approx(wanted, abs=1e-4)


def test_the_u_net_trained_alone_has_the_papers_loss():
    model = Draem(configs(10)["cell-tp-unet"])
    healthy = torch.zeros(1, 1, 48, 40)
    model.parts["restorer"] = _Says(healthy + 0.25)
    assert float(model._restoration_loss(_batch(healthy))) == pytest.approx(0.25)


def test_both_networks_are_trained_by_the_sum_of_both_losses():
    model = Draem(configs(10)["draem"])
    batch = make_batch(healthy_slices(), model.config.recipe, model.config.schedule, (0, 1), 0)
    (stage,) = model.stages([0])
    with torch.no_grad():
        assert float(stage.loss(batch)) == pytest.approx(float(model._restoration_loss(batch) + model._segmentation_loss(batch)))


class _Says(torch.nn.Module):
    """Restores to what it was told."""

    def __init__(self, restored):
        super().__init__()
        self.restored = restored

    def forward(self, image):
        return self.restored


def _batch(healthy):
    nowhere = torch.zeros(healthy[:, 0].shape, dtype=torch.bool)
    return Batch(healthy=healthy, anomalous=healthy, mask=nowhere, liver_mask=~nowhere, target=nowhere.float())
