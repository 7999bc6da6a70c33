"""The losses pull where they should."""

from __future__ import annotations

import pytest
import torch

from napari_liver_anomaly.losses import focal_loss, overlap_loss, restoration_loss


def test_restoration_is_compared_with_the_healthy_image():
    healthy, anomalous = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    nowhere = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert restoration_loss(healthy, healthy, nowhere) == 0
    assert restoration_loss(anomalous, healthy, nowhere, extra_weight=4) == 1


def test_anomalous_pixels_weigh_more_when_asked():
    """Two of four pixels anomalous, each wrong by 1, extra weight 4: (5 + 5 + 1 + 1) / 4."""
    mask = torch.tensor([[[True, True], [False, False]]])
    assert restoration_loss(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), mask, extra_weight=4) == 3
    assert restoration_loss(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), mask) == 1


@pytest.mark.parametrize("anomalous", [True, False])
def test_a_lone_pixel_of_either_class_pulls(anomalous):
    """Some libraries read alpha = 1 as weight 0 for one of the classes."""
    logits = torch.zeros(1, 2, 1, 1, requires_grad=True)
    focal_loss(logits, torch.tensor([[[anomalous]]])).backward()
    assert logits.grad.abs().min() > 0.1


def test_both_classes_weigh_the_same():
    logits = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.rand(1, 3, 3, generator=torch.Generator().manual_seed(1)) > 0.5
    torch.testing.assert_close(focal_loss(logits, mask), focal_loss(logits.flip(1), ~mask))


def test_gamma_zero_is_cross_entropy():
    logits = torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    mask = torch.rand(2, 5, 5, generator=torch.Generator().manual_seed(1)) > 0.7
    torch.testing.assert_close(focal_loss(logits, mask, gamma=0), torch.nn.functional.cross_entropy(logits, mask.long()))


def test_arithmetic_by_hand():
    """One pixel, probability of the right class 0.8: (1 - 0.8)² · -ln 0.8 = 0.04 · 0.22314."""
    logits = torch.log(torch.tensor([0.2, 0.8])).view(1, 2, 1, 1)
    assert float(focal_loss(logits, torch.tensor([[[True]]]))) == pytest.approx(0.04 * 0.22314, rel=1e-4)


def test_overlap_loss_counts_in_the_organ_alone_and_falls_to_nothing():
    truth = torch.zeros(2, 8, 8, dtype=torch.bool)
    truth[0, 2:5, 2:5] = True
    organ = torch.ones_like(truth)
    organ[:, :, 6:] = False
    right = torch.stack([-20.0 * truth, 20.0 * truth - 20.0 * ~truth], 1)
    assert float(overlap_loss(right, truth, organ)) < 1e-3
    assert float(overlap_loss(-right, truth, organ)) > 10
    outside = right.clone()
    outside[:, 1, :, 6:] = 50.0  # called tumour, but outside the liver
    assert torch.equal(overlap_loss(outside, truth, organ), overlap_loss(right, truth, organ))
    flat = torch.zeros(2, 2, 8, 8, requires_grad=True)
    overlap_loss(flat, truth, organ).backward()
    assert (flat.grad[:, 1][truth & organ] < 0).all()
    assert (flat.grad[:, 1][~truth & organ] > 0).all()
    assert not flat.grad[:, 1][~organ].any()
    nothing = overlap_loss(
        torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool), torch.zeros(1, 4, 4, dtype=torch.bool)
    )
    assert torch.isfinite(nothing)
