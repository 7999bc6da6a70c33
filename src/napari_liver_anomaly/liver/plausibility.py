"""Whether a liver mask is plausible for an adult: its volume, its values, and its position in the body.

The bounds are wide on purpose, and what lies outside them is asked about, not refused: children, cut scans and sick livers exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_liver_anomaly.errors import Answer
from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.liver import shape
from napari_liver_anomaly.liver.grid import BRIGHTEST_HU, DARKEST_HU, resample
from napari_liver_anomaly.messages import make_finding, make_refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.volume import Mask, Volume

    Bools = NDArray[np.bool_]

SMALLEST_ML, LARGEST_ML = 300.0, 4000.0
DARKEST, BRIGHTEST = 10.0, 200.0  # median HU: water is 0, and the liver of a magnetic resonance scan is anything
MOST_UNEVEN_HU = 30.0  # robust standard deviation of means over 6 mm; livers, tumours included, have 6 to 17
MOST_SIDES = 3  # of the scan's six
RIGHTWARDS = 0.04  # of the body's width, from the body's middle to the liver's; livers have 0.1 to 0.25
AIR_HU, BODY_HU, BONE_HU = -300, -40, 300
NEAR_MM = 40.0  # above and below
SHELL_MM = 16.0  # around
MOST_AIR, DOUBTFUL_AIR = 0.05, 0.005  # of a given mask; a liver holds no air but for rare bubbles
LEAST_IN_ONE_PIECE, DOUBTFUL_APART = 0.8, 0.01
SAMPLE_MM = 4.0  # distance of the voxels that are examined


def likely(volume: Volume, liver: Mask, unlikely: Literal["ask", "accept"]) -> tuple[Finding, ...]:
    """Ask about what is unlike a liver, or note it when the user accepted it."""
    reasons = [*oddities(volume, liver), *shape.found_oddities(volume, liver)]
    if not reasons:
        doubts = shape.found_doubts(volume, liver)
        return (make_finding("liver-doubtful", reasons=", and ".join(doubts)),) if doubts else ()
    words = ", and ".join(reasons)
    if unlikely == "accept":
        return (make_finding("liver-unlikely-accepted", reasons=words),)
    accept = Answer(words="Take it for the liver", option="found_liver", value="accept")
    raise make_refusal("liver-unlikely", accept, reasons=words)


def likely_given(volume: Volume, liver: Mask, unlikely: Literal["ask", "accept"]) -> tuple[Finding, ...]:
    """Ask about a mask that somebody gave and that is unlike a liver, or note it when the user accepted it; note smaller doubts."""
    reasons = given_oddities(volume, liver)
    if not reasons:
        doubts = given_doubts(volume, liver)
        return (make_finding("given-liver-doubtful", reasons=", and ".join(doubts)),) if doubts else ()
    words = ", and ".join(reasons)
    if unlikely == "accept":
        return (make_finding("given-liver-accepted", reasons=words),)
    accept = Answer(words="Take it for the liver", option="given_liver", value="accept")
    raise make_refusal("given-liver-unlikely", accept, reasons=words)


def given_oddities(volume: Volume, liver: Mask) -> list[str]:
    """List what is unlike an adult's liver in a mask that somebody gave, as parts of a sentence."""
    air, largest = _air(volume, liver), _largest_piece(liver)
    findings = {
        f"{air:.0%} of it is air": air > MOST_AIR,
        f"its largest piece is only {largest:.0%} of it": largest < LEAST_IN_ONE_PIECE,
    }
    return [*oddities(volume, liver), *shape.oddities(liver), *(words for words, odd in findings.items() if odd)]


def given_doubts(volume: Volume, liver: Mask) -> list[str]:
    """List what is doubtful in a mask that may well be a liver, as parts of a sentence."""
    air, largest = _air(volume, liver), _largest_piece(liver)
    findings = {
        f"{air:.1%} of it is air": air > DOUBTFUL_AIR,
        f"{1 - largest:.1%} of it lies apart from its largest piece": 1 - largest > DOUBTFUL_APART,
    }
    return [*(words for words, doubtful in findings.items() if doubtful), *shape.doubts(volume, liver)]


def _air(volume: Volume, liver: Mask) -> float:
    return float((volume.voxels[liver.voxels] < AIR_HU).mean())


def _largest_piece(liver: Mask) -> float:
    """Fraction of a mask that is its largest piece, connected by faces, edges or corners."""
    from scipy.ndimage import label

    labels, count = label(liver.voxels[box_of(liver.voxels)], np.ones((3, 3, 3)))
    if count < 2:
        return 1.0
    sizes = np.sum([np.bincount(plane.ravel(), minlength=count + 1) for plane in labels], axis=0)[1:]
    return float(sizes.max() / sizes.sum())


def oddities(volume: Volume, liver: Mask) -> list[str]:
    """List what is unlike an adult's liver, as parts of a sentence."""
    mask, median = liver.voxels, float(np.median(volume.voxels[liver.voxels]))
    sides = sum(bool(face.any()) for axis in range(3) for face in (mask.take(0, axis), mask.take(-1, axis)))
    steps = tuple(slice(None, None, max(1, round(SAMPLE_MM / mm))) for mm in volume.geometry.spacing_mm)
    hu, inside = volume.voxels[steps], mask[steps]
    mm = [size * (step.step or 1) for size, step in zip(volume.geometry.spacing_mm, steps, strict=True)]
    findings = {
        f"it measures {liver.ml:,.0f} ml": not SMALLEST_ML <= liver.ml <= LARGEST_ML,
        f"its middle value is {median:.0f} HU": not DARKEST <= median <= BRIGHTEST,
        "its values differ as between several organs": _unevenness(volume, mask) > MOST_UNEVEN_HU,
        f"it reaches {sides} of the six sides of the scan": sides > MOST_SIDES,
        "it does not lie on the right side of the body": _rightwards(hu, inside) < RIGHTWARDS,
        "there is air below it and none above": _upside_down(hu, inside, mm[0]),
        "it lies in a shell of bone": _boniness(hu, inside, mm) > 0.3,
    }
    return [words for words, odd in findings.items() if odd]


def _unevenness(volume: Volume, mask: Bools) -> float:
    """Robust standard deviation of means over 6 mm, in the window from -45 to 160 HU."""
    spacing, step = volume.geometry.spacing_mm, (6.0, 6.0, 6.0)
    values = resample(volume.voxels, spacing, step, step, hu=True)[resample(mask, spacing, step, step) > 0.5]
    if not values.size:
        return 0.0
    return float(1.4826 * np.median(np.abs(values - np.median(values)))) * (BRIGHTEST_HU - DARKEST_HU)


def _rightwards(hu: NDArray[np.int16], inside: Bools) -> float:
    """How far to the right of the body's middle the liver's lies, in widths of the body; x grows to the left."""
    body = np.asarray(hu > BODY_HU).sum(axis=(0, 1))
    places = np.arange(body.size)
    if not body.any() or not inside.any():
        return 1.0
    width = np.count_nonzero(body > 0.05 * body.max())
    middle, liver = (float((count * places).sum() / count.sum()) for count in (body, inside.sum(axis=(0, 1))))
    return (middle - liver) / width


def _upside_down(hu: NDArray[np.int16], inside: Bools, mm: float) -> bool:
    """Whether there is air below the liver where lungs should be above; z grows to the feet."""
    reach, columns = round(NEAR_MM / mm), inside.any(axis=0)
    first = inside.argmax(axis=0)[columns]
    last = len(inside) - 1 - inside[::-1].argmax(axis=0)[columns]
    air = np.cumsum(np.pad(hu[:, columns] < AIR_HU, ((1, 0), (0, 0))), axis=0)
    column, end = np.arange(first.size), len(inside)
    above = air[first, column] - air[np.maximum(first - reach, 0), column]
    below = air[np.minimum(last + 1 + reach, end), column] - air[last + 1, column]
    return bool(below.mean() > 0.2 * reach and below.sum() > 3 * above.sum())


def _boniness(hu: NDArray[np.int16], inside: Bools, mm: list[float]) -> float:
    """Share of bone in a shell around the liver, as far out as its densest layer."""
    from scipy.ndimage import distance_transform_edt

    away = distance_transform_edt(~inside, sampling=mm)
    layers = [(away > low) & (away <= low + SHELL_MM / 4) for low in np.arange(0, SHELL_MM, SHELL_MM / 4)]
    return max((float((hu[layer] > BONE_HU).mean()) for layer in layers if layer.any()), default=0.0)
