"""DRAEM's own loss."""

from __future__ import annotations

import pytest
import torch

from builders import healthy_slices
from napari_liver_anomaly.models.draem import Draem, configs
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
