"""How well a model restores real livers: what happens to tumours, what happens to healthy liver, and whether the residual tells them apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.evaluation.tables import markdown_table, number
from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.metrics import Mean, Ranking, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.volume import Mask

AWAY_MM = 5.0  # from a tumour on each axial slice, for tissue to count as healthy
LARGE_MM = 10.0  # lesions that a restorer must take away
FAR_HU = 15.0  # what the panel leaves blank
KEYS = {
    "healthy_change_hu": ("healthy liver: mean change, HU", 1),
    "healthy_far": (f"healthy liver changed by more than {FAR_HU:.0f} HU", 2),
    "healthy_residual_hu": ("mean residual in healthy liver, HU", 1),
    "tumour_residual_hu": ("mean residual in tumour, HU", 1),
    "contrast_before_hu": ("contrast of lesions ≥ 10 mm in the scan, HU", 1),
    "contrast_after_hu": ("the same restored, HU", 1),
    "auroc_dark": ("AUROC of the dark residual", 3),
}


def restoration_of(result: Result, tumours: Mask) -> dict[str, Any]:
    """Measure the restoration of one scan.

    Parameters
    ----------
    result : Result
        With a restored scan.
    tumours : Mask
        The tumours that were drawn.

    Returns
    -------
    dict
        As plain data: mean absolute change of healthy liver in HU, the share of it that changed by more than 15 HU, and its mean residual; the mean
        residual in tumour; mean over the lesions of 10 mm and more of their contrast to the healthy liver, in the scan and restored; AUROC of the
        residual's darkness for tumour among the voxels of the liver. Without tumour, the figures of tumour have no value.
    """
    from scipy.ndimage import mean

    if result.restored is None or result.residual is None:
        raise ValueError("there is no restored scan")
    inside = result.liver.voxels
    box = box_of(inside | tumours.voxels) or (slice(0, 0),) * 3
    truth, liver = tumours.voxels[box] & inside[box], inside[box]
    hu, restored, residual = (image[box] for image in (result.volume.voxels, result.restored, result.residual))
    healthy = liver & ~_around(truth, result.liver.geometry.spacing_mm)
    changes = residual[healthy].astype(np.float64)
    levels = [float(np.median(image[healthy])) if healthy.any() else math.nan for image in (hu, restored)]
    labels, large = _large(truth, result.liver.geometry.voxel_ml)
    before, after = ((mean(image, labels, large) - level).tolist() for image, level in zip((hu, restored), levels, strict=True))
    found: dict[str, Any] = plain({
        "healthy_change_hu": float(np.abs(changes).mean()) if changes.size else math.nan,
        "healthy_far": float((np.abs(changes) > FAR_HU).mean()) if changes.size else math.nan,
        "healthy_residual_hu": float(changes.mean()) if changes.size else math.nan,
        "tumour_residual_hu": float(residual[truth].mean()) if truth.any() else math.nan,
        "contrast_before_hu": float(np.mean(before)) if before else math.nan,
        "contrast_after_hu": float(np.mean(after)) if after else math.nan,
        "auroc_dark": Ranking.of(-residual.astype(np.float32), truth, liver).auroc() if truth.any() else math.nan,
        "lesions": len(before),
    })  # fmt: skip
    return found


def summarise_restoration(many: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Take the mean of every figure over the scans in which it has a value."""
    values = {key: [math.nan if one[key] is None else one[key] for one in many] for key in KEYS}
    found: dict[str, Any] = plain(
        {key: Mean.over(values[key]) for key in KEYS} | {"lesions": sum(one["lesions"] for one in many)}
    )
    return found


def restoration_table(report: dict[str, Any], methods: Sequence[str]) -> str:
    """Compare the restorations of methods, mean ± SD over scans; empty when none restores."""
    rows = []
    for name in methods:
        about = report["summary"][name]["all"].get("restoration")
        if about is not None:
            told = [f"{number(about[key]['mean'], n)} ± {number(about[key]['sd'], n)}" for key, (_, n) in KEYS.items()]
            rows.append([name, *told, str(about["lesions"])])
    return markdown_table(["what", *(words for words, _ in KEYS.values()), "lesions ≥ 10 mm"], rows) if rows else ""


def _around(truth: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Give the tumours with what lies near them on the same slice."""
    from scipy.ndimage import binary_dilation, generate_binary_structure

    if not truth.any():
        return truth
    flat = generate_binary_structure(2, 1)[None]
    return np.asarray(binary_dilation(truth, flat, max(1, round(AWAY_MM / min(spacing_mm[1:])))))


def _large(truth: NDArray[np.bool_], voxel_ml: float) -> tuple[NDArray[np.integer], NDArray[np.intp]]:
    """Label the lesions, and say which of them are large enough."""
    from scipy.ndimage import label

    labels, count = label(truth, np.ones((3, 3, 3), bool))
    across_mm = np.cbrt(6 * np.bincount(labels.reshape(-1), minlength=count + 1) * voxel_ml * 1000 / np.pi)
    return labels, 1 + np.flatnonzero(across_mm[1:] >= LARGE_MM)
