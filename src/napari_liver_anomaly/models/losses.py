"""The losses, each in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from napari_liver_anomaly.processes import totals

if TYPE_CHECKING:
    from torch import Tensor


def restoration_loss(restored: Tensor, healthy: Tensor, anomalous: Tensor, extra_weight: float = 0.0) -> Tensor:
    """Mean absolute difference between the restoration and the *healthy* image.

    From Zhang, Deng, Li 2023, section 3.2. The formula printed there compares with the anomalous image, which would train an
    identity; the public code and this function compare with the healthy one.
    """
    weight = 1 + extra_weight * anomalous.unsqueeze(1)
    return ((restored - healthy).abs() * weight).mean()


def overlap_loss(logits: Tensor, anomalous: Tensor, liver_mask: Tensor) -> Tensor:
    """Cross-entropy in the liver plus the soft Dice loss of the whole batch.

    From Milletari et al., "V-Net", 3DV 2016 (soft Dice); the sum of both is the usual loss of Hu et al. 2023 and of nnU-Net.
    """
    margin = logits[:, 1].float() - logits[:, 0].float()
    truth, counts = anomalous.float(), liver_mask.float()
    entropy = functional.binary_cross_entropy_with_logits(margin, truth, weight=counts, reduction="sum")
    probability = margin.sigmoid() * counts
    entropy, counted, both, found, there = totals(
        entropy, counts.sum(), (probability * truth).sum(), probability.sum(), truth.sum()
    )
    return entropy / counted.clamp(min=1) + (1 - (2 * both + 1) / (found + there + 1))


def lesion_loss(logits: Tensor, anomalous: Tensor, liver_mask: Tensor) -> Tensor:
    """Overlap loss plus the soft Dice loss of each lesion alone, averaged over lesions, so that a small one counts as much as a large one.

    A false pixel counts for the lesion that it is nearest to. From Bouteille et al., "Learning to look closer: a new instance-wise
    loss for small cerebral lesion segmentation", arXiv 2511.17146 (CC-DiceCE), after Kofler et al., "blob loss", IPMI 2023.
    """
    regions = nearest_lesions(anomalous)
    size, place = int(regions.max()) + 1, regions.flatten()
    truth, probability = anomalous.float(), (logits[:, 1].float() - logits[:, 0].float()).sigmoid() * liver_mask
    both, found, there = (
        part.new_zeros(size).index_add(0, place, part.flatten()) for part in (probability * truth, probability, truth)
    )
    apart = (1 - (2 * both + 1) / (found + there + 1))[1:]
    apart, lesions = totals(apart.sum(), apart.new_tensor(float(apart.numel())))
    return overlap_loss(logits, anomalous, liver_mask) + apart / lesions.clamp(min=1)


def nearest_lesions(anomalous: Tensor) -> Tensor:
    """Give every pixel of a batch (B, H, W) the number of the connected lesion of its slice that is nearest, from 1 on; 0 without lesions."""
    from scipy.ndimage import distance_transform_edt, label

    nearest, count = np.zeros(anomalous.shape, dtype=np.int64), 0
    for sample, mask in enumerate(anomalous.cpu().numpy()):
        pieces, found = label(mask, np.ones((3, 3)))
        if found:
            rows, columns = distance_transform_edt(~mask, return_distances=False, return_indices=True)
            nearest[sample] = pieces[rows, columns] + count
            count += found
    return torch.from_numpy(nearest).to(anomalous.device)


def focal_loss(logits: Tensor, anomalous: Tensor, gamma: float = 2.0) -> Tensor:
    """Cross-entropy that weighs down what is already right, with weight 1 for *both* classes.

    From Lin et al., "Focal loss for dense object detection", ICCV 2017; alpha = 1 as in Zhang, Deng, Li 2023, which several
    libraries read as "no weight for one of the classes".
    """
    log_probability = functional.log_softmax(logits.float(), dim=1)
    log_right = log_probability.gather(1, anomalous.long().unsqueeze(1))
    return (-((1 - log_right.exp()) ** gamma) * log_right).mean()


def combined_loss(logits: Tensor, degree: Tensor, dice_weight: float = 0.5) -> Tensor:
    """Soft Dice loss, worked out for each slice, and cross-entropy, both of the probability of "anomalous" over all pixels.

    From "Self-supervised anomaly detection with random-shape pseudo-outliers", EMBC 2022: half and half. How Dice is summed is
    not said there: here for each slice, with 1 added above and below, for slices without anomaly. Cross-entropy is printed as a
    sum, which would swamp Dice: here the mean.
    """
    margin, truth = logits[:, 1].float() - logits[:, 0].float(), degree.float()
    entropy = functional.binary_cross_entropy_with_logits(margin, truth)
    probability = margin.sigmoid().flatten(1)
    both = (probability * truth.flatten(1)).sum(dim=1)
    dice = 1 - (2 * both + 1) / (probability.sum(dim=1) + truth.flatten(1).sum(dim=1) + 1)
    return dice_weight * dice.mean() + (1 - dice_weight) * entropy


def summed_difference(restored: Tensor, healthy: Tensor) -> Tensor:
    """Absolute difference, summed over the pixels of a slice.

    From Baur et al., "Autoencoders for unsupervised anomaly segmentation in brain MR images: a comparative study", Medical
    Image Analysis 69 (2021).
    """
    return slice_difference(restored, healthy).mean()


def slice_difference(restored: Tensor, healthy: Tensor) -> Tensor:
    """Sum the absolute differences of each slice, (B,)."""
    return (restored.float() - healthy).abs().flatten(1).sum(dim=1)


def code_divergence(mean: Tensor, log_spread: Tensor) -> Tensor:
    """Kullback-Leibler divergence of normal codes from the standard normal, for each slice, (B,).

    From Kingma, Welling, "Auto-encoding variational Bayes", ICLR 2014, appendix B.
    """
    return 0.5 * (mean.square() + (2 * log_spread).exp() - 2 * log_spread - 1).flatten(1).sum(dim=1)


def masked_square(restored: Tensor, healthy: Tensor, liver_mask: Tensor) -> Tensor:
    """Mean square difference in the liver.

    From Kascenas, Pugeault, O'Neil, "Denoising autoencoders for unsupervised anomaly detection in brain MRI", MIDL 2022.
    """
    apart, counted = totals(((restored.float() - healthy) ** 2 * liver_mask).sum(), liver_mask.sum())
    return apart / counted.clamp(min=1)
