"""Checks of a header: each function looks at one thing and returns a finding, or nothing.

A finding of level *refuse* ends the reading, *ask* needs the user's decision, *note* is shown and stored.
Tolerances are in millimetres, not in angles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Answer
from napari_liver_anomaly.io.source import found
from napari_liver_anomaly.io.straightening import STRAIGHTEN
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding

    Affine = NDArray[np.float64]

SMALLEST_MM, LARGEST_MM = 0.05, 20.0
APART_MM = 0.1
TURNED_DEG = 5.0
SIZES_DIFFER = 0.01  # of the voxel size
MOST_LISTED = 24
UNORIENTED = np.diag([-1.0, 1.0, 1.0, 1.0])  # what nibabel assumes, and Analyze did: axes to the left, the front, the head
POSITIONS = tuple(
    Answer(words=f"Use the {place} ({name})", option="position", value=name)
    for name, place in (("sform", "first position"), ("qform", "second position"))
)
PER_MM = {"mm": 1.0, "m": 1000.0, "cm": 10.0, "um": 0.001}


def geometry(affine: Affine, shape: tuple[int, int, int]) -> tuple[Finding, ...]:
    """Check what every format must promise: usable numbers, credible voxel sizes, right angles, more than one slice."""
    finding = _spacing(affine) or _singular(affine) or sheared(affine, shape)
    return found(finding, _flat(shape))


def _spacing(affine: Affine) -> Finding | None:
    with np.errstate(all="ignore"):
        sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if not possible(sizes):
        return impossible(sizes)
    return None if np.isfinite(affine).all() else make_finding("geometry-singular")


def possible(sizes_mm: NDArray[np.float64]) -> bool:
    """Whether a CT can have such voxels."""
    return bool(np.isfinite(sizes_mm).all() and (sizes_mm >= SMALLEST_MM).all() and (sizes_mm <= LARGEST_MM).all())


def impossible(sizes_mm: NDArray[np.float64]) -> Finding:
    """Refuse voxels that no CT has."""
    return make_finding("spacing-impossible", size=" × ".join(f"{size:.4g}" for size in sizes_mm))


def _singular(affine: Affine) -> Finding | None:
    axes = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    if abs(np.linalg.det(axes)) > 1e-3:
        return None
    return make_finding("geometry-singular")


def sheared(affine: Affine, shape: tuple[int, int, int]) -> Finding | None:
    """Whether the axes stand so askew that the far end of one is more than half a voxel off."""
    sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    cosines = np.abs((affine[:3, :3] / sizes).T @ (affine[:3, :3] / sizes)) - np.eye(3)
    drift = cosines * ((np.array(shape) - 1) * sizes)[None, :] / sizes[:, None]
    if drift.max() <= 0.5:
        return None
    angle = np.degrees(np.arcsin(min(1.0, cosines.max())))
    return make_finding("geometry-sheared", STRAIGHTEN, angle=angle)


def _flat(shape: tuple[int, int, int]) -> Finding | None:
    if min(shape) >= 2:
        return None
    return make_finding("single-slice")


def one_volume(further: Sequence[int], chosen: int) -> Finding | None:
    """Whether the file holds more than one volume."""
    count = int(np.prod([int(n) for n in further], dtype=object)) if len(further) else 1
    if count == 1:
        return None
    if 1 <= chosen <= count:
        return make_finding("volume-chosen", number=chosen, count=count)
    return make_finding(
        "many-volumes",
        *(Answer(words=f"Volume {n}", option="volume", value=n) for n in range(1, min(count, MOST_LISTED) + 1)),
        count=count,
    )


def unknown_orientation(answer: str) -> Finding:
    """State that nothing says where left, right, front and back are."""
    if answer == "unverified":
        return make_finding("orientation-unverified")
    return make_finding(
        "orientation-unknown", Answer(words="Go on; mark sides as unverified", option="orientation", value="unverified")
    )


def position_chosen(name: str) -> Finding:
    """State which of two positions counts, after the user decided."""
    return make_finding("position-chosen", position=name)


def two_positions(first: Affine, second: Affine, shape: tuple[int, int, int]) -> Finding | None:
    """Compare the two position matrices a NIfTI file can carry."""
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)
    difference = first - second
    apart = float(np.abs(corners @ difference[:3, :3].T + difference[:3, 3]).max())
    if apart <= APART_MM:
        return None
    one, other = _axes_of(first), _axes_of(second)
    if one != other:
        return make_finding("orientation-disagrees", *_sides(first, second), how=f"its axes run {one}, or {other}")
    sizes = [np.sqrt((affine[:3, :3] ** 2).sum(axis=0)) for affine in (first, second)]
    if (np.abs(sizes[0] - sizes[1]) > SIZES_DIFFER * sizes[0]).any():
        return sizes_disagree(sizes[0], sizes[1])
    if (turned := _turned(first / [*sizes[0], 1], second / [*sizes[1], 1])) > TURNED_DEG:
        return make_finding("orientation-disagrees", *POSITIONS, how=f"they are turned by {turned:.2g}°")
    return make_finding("positions-differ", apart=apart)


def _sides(first: Affine, second: Affine) -> tuple[Answer, ...]:
    """Offer two positions by where each puts the patient's left; by their names alone where that is the same place."""
    lefts = [_left_of(affine) for affine in (first, second)]
    if lefts[0] == lefts[1]:
        return POSITIONS
    return tuple(
        replace(answer, words=f"Left is at the {left} ({answer.value})") for answer, left in zip(POSITIONS, lefts, strict=True)
    )


def _left_of(affine: Affine) -> str:
    """Say at which end of the file's voxels the patient's left is."""
    from nibabel.orientations import aff2axcodes

    codes = aff2axcodes(affine)
    axis = next(n for n, code in enumerate(codes) if code in "LR")
    return f"{'last' if codes[axis] == 'L' else 'first'} {('column', 'row', 'slice')[axis]}"


def sizes_disagree(
    first: NDArray[np.float64], second: NDArray[np.float64], answers: tuple[Answer, ...] = POSITIONS
) -> Finding | None:
    """Compare two statements of the voxel size in one file."""
    if (np.abs(first - second) <= SIZES_DIFFER * np.abs(first)).all():
        return None
    told = [" × ".join(f"{size:.4g}" for size in sizes) for sizes in (first, second)]
    return make_finding("spacing-disagrees", *answers, first=told[0], second=told[1])


def unit(name: str | None) -> tuple[float, Finding | None]:
    """Millimetres in one unit of length of the file."""
    if name == "mm":
        return 1.0, None
    if name is None:
        return 1.0, make_finding("units-unknown")
    if name in PER_MM:
        long = {"m": "metres", "cm": "centimetres", "um": "micrometres"}[name]
        return PER_MM[name], make_finding("units-converted", unit=long)
    return 1.0, make_finding("units-strange")


def _turned(first: Affine, second: Affine) -> float:
    """Largest angle between like axes, degrees; both matrices have columns of length 1."""
    cosines = (first[:3, :3] * second[:3, :3]).sum(axis=0)
    return float(np.degrees(np.arccos(np.clip(cosines, -1, 1))).max())


def _axes_of(affine: Affine) -> str:
    """Which way the axes run, in words: "to the right, to the front, to the head"."""
    from nibabel.orientations import aff2axcodes

    words = {"R": "right", "L": "left", "A": "front", "P": "back", "S": "head", "I": "feet"}
    return ", ".join(f"to the {words[code]}" for code in aff2axcodes(affine))
