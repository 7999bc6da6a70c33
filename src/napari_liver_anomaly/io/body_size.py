"""Whether the voxel size of a scan can be true: the width of the body from air to air, and signs of a header that lost its geometry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Answer
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.geometry import Geometry

    Voxels = NDArray[np.int16]

BODY_HU = -300
LEAST_PX = 48  # a smaller picture shows no body
NARROWEST_MM, WIDEST_MM = 120.0, 650.0  # of a body, from a small child to a very large adult
SMALLEST_VIEW_MM, LARGEST_VIEW_MM = 100.0, 1000.0  # of matrix × spacing; scanners reach 700
MATRICES = {512, 768, 1024}  # scanners reconstruct no view that makes a voxel exactly 1 mm of these
SAMPLED, SAMPLED_PX = 16, 128  # slices that are looked at, and their size
ACCEPT = Answer(words="The voxel size is right", option="voxel_size", value="accept")


def credible_size(voxels: Voxels, geometry: Geometry, answer: str = "ask") -> tuple[Finding, ...]:
    """Ask about a voxel size that looks lost; ``voxels`` are HU in canonical order."""
    _, down, across = voxels.shape
    if min(down, across) < LEAST_PX:
        return ()
    width, view = body_width_mm(voxels, geometry.spacing_mm[2]), across * geometry.spacing_mm[2]
    reasons = _signs(geometry)
    if width is not None and not NARROWEST_MM <= width <= WIDEST_MM:
        reasons.append("no body is so " + ("narrow" if width < NARROWEST_MM else "wide"))
    elif not SMALLEST_VIEW_MM <= view <= LARGEST_VIEW_MM:
        reasons.append("no scanner has such a field of view")
    if not reasons:
        return ()
    words = f"the body is {width:.0f} mm wide" if width is not None else f"the picture is {view:.0f} mm wide"
    size = " × ".join(f"{mm:.3g}" for mm in geometry.spacing_mm[::-1])
    if answer == "accept":
        return (make_finding("voxel-size-accepted", size=size, width=words),)
    return (make_finding("voxel-size-doubtful", ACCEPT, size=size, width=words, reasons=", and ".join(reasons)),)


def _signs(geometry: Geometry) -> list[str]:
    """List what shows that a header says nothing about voxel size."""
    _, down, across = geometry.shape
    ones = np.isclose(geometry.spacing_mm, 1, atol=1e-6)
    if ones.all() and np.allclose(geometry.source_affine[:3, 3], 0, atol=1e-6):
        return ["1 × 1 × 1 mm at position 0 is what programs write that know neither"]
    if ones[1:].all() and down == across and across in MATRICES:
        return [f"scans of {across} × {down} voxels have smaller ones"]
    return []


def body_width_mm(voxels: Voxels, mm: float) -> float | None:
    """Width of the body from air to air, the median over some slices; None where it reaches both sides, or no air is shown."""
    from scipy.ndimage import label

    depth, down, across = voxels.shape
    step = max(1, max(down, across) // SAMPLED_PX)
    widths = []
    for index in np.unique(np.linspace(depth // 5, depth - 1 - depth // 5, SAMPLED).astype(int)):
        labels, count = label(voxels[index, ::step, ::step] > BODY_HU)
        if not count:
            continue
        sizes = np.bincount(labels.ravel())[1:]
        columns = np.flatnonzero((labels == sizes.argmax() + 1).any(axis=0))
        cut = columns[0] == 0 and columns[-1] == labels.shape[1] - 1
        widths.append(np.nan if cut else (columns[-1] - columns[0] + 1) * step * mm)
    known = [width for width in widths if np.isfinite(width)]
    return float(np.median(known)) if len(known) * 2 > len(widths) else None
