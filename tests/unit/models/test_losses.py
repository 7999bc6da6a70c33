"""The losses pull where they should."""

from __future__ import annotations

import pytest
import torch

from napari_liver_anomaly.models.losses import (
    combined_loss,
    focal_loss,
    lesion_loss,
    masked_square,
    nearest_lesions,
    overlap_loss,
    restoration_loss,
    summed_difference,
)


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
    liver_mask = torch.ones_like(truth)
    liver_mask[:, :, 6:] = False
    right = torch.stack([-20.0 * truth, 20.0 * truth - 20.0 * ~truth], 1)
    assert float(overlap_loss(right, truth, liver_mask)) < 1e-3
    assert float(overlap_loss(-right, truth, liver_mask)) > 10
    outside = right.clone()
    outside[:, 1, :, 6:] = 50.0  # called tumour, but outside the liver
    assert torch.equal(overlap_loss(outside, truth, liver_mask), overlap_loss(right, truth, liver_mask))
    flat = torch.zeros(2, 2, 8, 8, requires_grad=True)
    overlap_loss(flat, truth, liver_mask).backward()
    assert (flat.grad[:, 1][truth & liver_mask] < 0).all()
    assert (flat.grad[:, 1][~truth & liver_mask] > 0).all()
    assert not flat.grad[:, 1][~liver_mask].any()
    nothing = overlap_loss(
        torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.bool), torch.zeros(1, 4, 4, dtype=torch.bool)
    )
    assert torch.isfinite(nothing)


def logits_of(share):
    """Two logits whose softmax gives this share to class 1."""
    return torch.stack([torch.zeros_like(share), torch.logit(share)], 1)


def test_every_pixel_belongs_to_the_nearest_lesion_of_its_slice():
    """Pixels that touch at a corner are one lesion; numbers go on over the slices of a batch; a slice without lesions belongs to none."""
    anomalous = torch.zeros(3, 2, 7, dtype=torch.bool)
    anomalous[0, 0, 0] = anomalous[0, 1, 1] = anomalous[0, 0, 5] = anomalous[2, 1, 3] = True
    assert nearest_lesions(anomalous).tolist() == [
        [[1, 1, 1, 2, 2, 2, 2], [1, 1, 1, 1, 2, 2, 2]],
        [[0] * 7, [0] * 7],
        [[3] * 7, [3] * 7],
    ]


def test_lesion_loss_by_hand():
    """A lesion of six pixels found with 0.5, one of a single pixel missed, and one false pixel near the small one, all else sure.

    Large: 1 - (2 · 3 + 1) / (3 + 6 + 1) = 0.3. Small: 1 - (0 + 1) / (1 + 1 + 1) = 2/3. Their mean is added to the overlap loss.
    """
    anomalous = torch.zeros(2, 1, 12, dtype=torch.bool)
    anomalous[0, 0, :6] = anomalous[0, 0, 10] = True
    found = torch.zeros(2, 1, 12)
    found[0, 0, :6], found[0, 0, 11] = 0.5, 1.0
    logits, liver_mask = logits_of(found.clamp(1e-6, 1 - 1e-6)), torch.ones_like(anomalous)
    apart = lesion_loss(logits, anomalous, liver_mask) - overlap_loss(logits, anomalous, liver_mask)
    assert float(apart) == pytest.approx((0.3 + 2 / 3) / 2, abs=1e-4)
    liver_mask[0, 0, 11] = False  # what is predicted outside the liver does not count
    apart = lesion_loss(logits, anomalous, liver_mask) - overlap_loss(logits, anomalous, liver_mask)
    assert float(apart) == pytest.approx((0.3 + 1 / 2) / 2, abs=1e-4)


def test_a_small_lesion_pulls_as_much_as_a_large_one():
    """What is gained by finding a lesion of 4 pixels beside one of 400: with soft Dice of the batch a hundredth, here about as much."""
    anomalous = torch.zeros(1, 40, 40, dtype=torch.bool)
    anomalous[0, :20, :20] = anomalous[0, 30:32, 30:32] = True
    small, large = anomalous.clone(), anomalous.clone()
    small[0, :20, :20] = large[0, 30:32, 30:32] = False
    liver_mask = torch.ones_like(anomalous)
    left = {
        loss: [float(loss(logits_of(found.float().clamp(0.01, 0.99)), anomalous, liver_mask)) for found in (large, small)]
        for loss in (lesion_loss, overlap_loss)
    }
    assert left[overlap_loss][0] < 0.1 and left[lesion_loss][0] > 0.3
    assert left[lesion_loss][0] - left[overlap_loss][0] == pytest.approx(0.5 * (1 - 1 / 5), abs=0.1)


def test_lesion_loss_of_healthy_slices_is_the_overlap_loss():
    logits = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    healthy, liver_mask = torch.zeros(2, 6, 6, dtype=torch.bool), torch.ones(2, 6, 6, dtype=torch.bool)
    loss = lesion_loss(logits, healthy, liver_mask)
    loss.backward()
    assert loss == overlap_loss(logits, healthy, liver_mask)
    assert torch.isfinite(logits.grad).all()


def test_combined_loss_by_hand():
    """Two slices of two pixels, shares 0.8 and 0.2, the first slice anomalous in its first pixel, the second healthy.

    Dice: 1 - (2 · 0.8 + 1) / (1 + 1 + 1) and 1 - (0 + 1) / (1 + 0 + 1). Cross-entropy: three times -ln 0.8 and once -ln 0.2.
    """
    share = torch.tensor([[[0.8, 0.2]], [[0.8, 0.2]]])
    truth = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]])
    dice, entropy = (0.4 / 3 + 0.5) / 2, (3 * 0.22314 + 1.60944) / 4
    for part in (0, 0.5, 1):
        assert float(combined_loss(logits_of(share), truth, part)) == pytest.approx(part * dice + (1 - part) * entropy, rel=1e-4)
    assert combined_loss(logits_of(share), truth) == combined_loss(logits_of(share), truth, 0.5)


def test_combined_loss_of_healthy_slices_is_a_number_that_pulls_down():
    logits = torch.zeros(2, 2, 4, 4, requires_grad=True)
    loss = combined_loss(logits, torch.zeros(2, 4, 4))
    loss.backward()
    assert torch.isfinite(loss)
    assert (logits.grad[:, 1] > 0).all()
    sure = torch.stack([torch.full((2, 4, 4), 20.0), torch.full((2, 4, 4), -20.0)], 1)
    assert float(combined_loss(sure, torch.zeros(2, 4, 4))) < 1e-4


def test_a_degree_is_learned_by_cross_entropy_and_missed_by_dice():
    degree = torch.full((1, 8, 8), 0.3)
    least = {}
    for part in (0.0, 1.0):
        losses = {share: float(combined_loss(logits_of(torch.full((1, 8, 8), share)), degree, part)) for share in (0.1, 0.3, 0.9)}
        least[part] = min(losses, key=losses.__getitem__)
    assert least == {0.0: 0.3, 1.0: 0.9}


def test_difference_is_summed_over_pixels_and_averaged_over_slices():
    """One slice wrong by 0.5 in four pixels, one right: (4 · 0.5 + 0) / 2."""
    restored = torch.zeros(2, 1, 2, 2)
    restored[0] = 0.5
    assert summed_difference(restored, torch.zeros(2, 1, 2, 2)) == 1


def test_masked_square_counts_in_the_organ_alone():
    healthy, liver_mask = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    restored = torch.tensor([[[[0.0, 2.0], [9.0, 9.0]]]])
    assert masked_square(restored, healthy, liver_mask) == 2
    assert masked_square(restored, healthy, 0 * liver_mask) == 0
