"""Whether a liver has the shape and the volume of a whole one: streaks, and whatever else makes the finder lose a lobe, show here.

Bounds were set on livers found in 17 scans, whole and with streaks of 60 to 320 HU laid over them: every liver that lost a fifth or more is
told, and none that was found whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_liver_anomaly.volume import Mask, Volume

STEP_MM = 5.0  # areas are means over slices of so much
DOUBTFUL_PROFILE, MOST_PROFILE = 1.06, 1.15  # whole livers have up to 1.01
DOUBTFUL_UNSURE, MOST_UNSURE = 0.265, 0.33  # whole livers have up to 0.25
UNSURE = (51, 204)  # probability from 0.2 to 0.8, of 255
BOTH_UNSURE, BOTH_JAGGED = 0.25, 2.15  # together: of 30 scans two have both, which are doubtful by either bound alone, too
WHOLE_ML = 1500.0  # edges grow with the square of a liver's size, its volume with the cube
MOST_JAGGED = 2.6  # surface in units of a ball's of the same volume; whole livers have 1.8 to 2.1
SURFACE_MM = 4.0
DOUBTFUL_ML_CM2, LEAST_ML_CM2 = 0.8, 0.5  # volume for the area of the body in axial section; livers have 1.0 to 2.6
AIR_HU, BODY_HU = -500, -300


def oddities(liver: Mask) -> list[str]:
    """List what is unlike the shape of a whole liver, as parts of a sentence."""
    return ["its area jumps from slice to slice, as if a part were missing"] if _profile(liver) > MOST_PROFILE else []


def doubts(volume: Volume, liver: Mask) -> list[str]:
    """List what is doubtful about the shape and the volume of a liver."""
    findings = {
        "its area goes up and down from slice to slice": DOUBTFUL_PROFILE < _profile(liver) <= MOST_PROFILE,
        "its surface is jagged": _jaggedness(liver) > MOST_JAGGED,
        f"{liver.ml:,.0f} ml are little for a body of this size": _ml_per_cm2(volume, liver) < DOUBTFUL_ML_CM2,
    }
    return [words for words, doubtful in findings.items() if doubtful]


def found_oddities(volume: Volume, liver: Mask) -> list[str]:
    """List what is unlike a whole liver in one that the program found."""
    findings = {
        "much of it is uncertain, as where streaks cross it": _unsure(liver) > MOST_UNSURE,
        f"{liver.ml:,.0f} ml are far too little for a body of this size": _ml_per_cm2(volume, liver) < LEAST_ML_CM2,
    }
    return [*oddities(liver), *(words for words, odd in findings.items() if odd)]


def found_doubts(volume: Volume, liver: Mask) -> list[str]:
    """List what is doubtful about a liver that the program found."""
    share = _unsure(liver)
    both = share > BOTH_UNSURE and _jaggedness(liver) > BOTH_JAGGED
    unsure = ["much of it is uncertain, as where streaks cross it"] if share > DOUBTFUL_UNSURE or both else []
    return [*doubts(volume, liver), *unsure]


def _profile(liver: Mask) -> float:
    """How much the area goes up and down along the body: 1 when it rises to its largest and falls again, more when a part is missing."""
    areas = liver.voxels.sum(axis=(1, 2)).astype(np.float64)
    step = max(1, round(STEP_MM / liver.geometry.spacing_mm[0]))
    means = np.array([areas[start : start + step].mean() for start in range(0, len(areas), step)])
    return float(np.abs(np.diff(means, prepend=0, append=0)).sum() / (2 * max(float(means.max()), 1e-9)))


def _unsure(liver: Mask) -> float:
    """Volume between sure and not, for the volume that is liver, as a liver of 1.5 l has it; 0 for a mask without probabilities."""
    if liver.probability is None:
        return 0.0
    # Plane by plane: comparisons of a whole scan would take three times the memory of its probabilities.
    between = sum(int(np.count_nonzero((plane > UNSURE[0]) & (plane < UNSURE[1]))) for plane in liver.probability)
    inside = max(1, sum(int(np.count_nonzero(plane > 127)) for plane in liver.probability))
    return float(between / inside * (liver.ml / WHOLE_ML) ** (1 / 3))


def _jaggedness(liver: Mask) -> float:
    """Surface of a liver, counted by the faces of its voxels, in units of the surface of a ball of the same volume."""
    steps = [max(1, round(SURFACE_MM / mm)) for mm in liver.geometry.spacing_mm]
    mm = [size * step for size, step in zip(liver.geometry.spacing_mm, steps, strict=True)]
    voxels = np.pad(liver.voxels[tuple(slice(None, None, step) for step in steps)], 1).astype(np.int8)
    surface = sum(np.abs(np.diff(voxels, axis=axis)).sum() * np.prod(mm) / mm[axis] for axis in range(3))
    return float(surface / (np.pi ** (1 / 3) * (6 * max(voxels.sum(), 1) * np.prod(mm)) ** (2 / 3)))


def _ml_per_cm2(volume: Volume, liver: Mask) -> float:
    """Volume for the area of the body, where the scan shows both whole; infinite where it does not."""
    levels = np.flatnonzero(liver.voxels.any(axis=(1, 2)))
    cut = liver.voxels[0].any() or liver.voxels[-1].any()
    planes = volume.voxels[levels[:: max(1, len(levels) // 12)], ::4, ::4]
    if cut or np.count_nonzero(planes < AIR_HU) < 0.02 * planes.size:
        return float("inf")
    _, down, across = liver.geometry.spacing_mm
    areas_cm2 = np.count_nonzero(planes > BODY_HU, axis=(1, 2)) * 16 * down * across / 100
    return float(liver.ml / max(float(np.median(areas_cm2)), 1e-9))
