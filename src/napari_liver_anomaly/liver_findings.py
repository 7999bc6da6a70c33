"""Findings about a liver and its result, each worded in one place; and the check of a network's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.messages import make_finding, make_refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.volume import Mask

FEW = 15  # lesions in a liver; twice as many were marked in phantoms without any, when their tissue was nodular
SLACK = 1e-3  # a probability computed in half precision may lie so far outside 0…1


def about_the_edge(liver: Mask) -> tuple[Finding, ...]:
    """Say when a liver reaches the edge of its scan."""
    voxels = liver.voxels
    faces = [face for axis in range(3) for face in (voxels.take(0, axis), voxels.take(-1, axis))]
    if not any(face.any() for face in faces):
        return ()
    return (make_finding("liver-at-edge"),)


def about_lesions(lesions: int, left_out: int) -> tuple[Finding, ...]:
    """Say how many pieces were taken for something else than a lesion of the liver, and when lesions are many."""
    found = []
    if left_out:
        what = "1 suspicious piece was" if left_out == 1 else f"{left_out} suspicious pieces were"
        found.append(make_finding("pieces-left-out", pieces=what))
    if lesions > FEW:
        found.append(make_finding("lesions-many", lesions=lesions))
    return tuple(found)


def require_probabilities(array: NDArray[np.floating], *, probability: bool = False) -> None:
    """Refuse what is not a number: NaN compares as false and would look like "nothing there"."""
    wrong = not np.isfinite(array).all()
    if not wrong and probability and array.size:
        wrong = bool(array.min() < -SLACK or array.max() > 1 + SLACK)
    if wrong:
        raise make_refusal("score-invalid")
