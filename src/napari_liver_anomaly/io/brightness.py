"""Whether soft tissue is as bright on one slice as on the next: two phases, or two scans, in one stack differ where a scan does not.

Compared is what is soft tissue on both slices, so that a change from lung to liver is none;
of its changes the median, so that edges between tissues count little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_liver_anomaly.errors import Answer
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding

    Floats = NDArray[np.float64]

SOFT_HU = (0, 200)
LOOKED_AT = 110  # rows and columns of a slice, about
LEAST_PLACES, LEAST_SHARE, LEAST_STEPS = 50, 0.1, 8  # places of a slice, and of the most on any; a top or an end holds too little
# Of 33 scans, none went up and down with more than 0.68 of its steps or by more than 1.5 HU, nor jumped by more than 9 HU away from its ends.
STEADY, UP_AND_DOWN_HU = 0.85, 3.0
JUMP_HU, ALONE = 14.0, 2.0  # against the next largest
LEAST_BODY_MM = 150.0  # a picture that no trunk fits in is no CT of one; where a small object begins, its edge is a jump
ENDS = 8  # of the stack are left out for a jump: ends may be blurred or cut
ACCEPT = Answer(words="Read it as one scan", option="brightness", value="accept")


def even_brightness(
    voxels: NDArray[np.int16], spacing_mm: tuple[float, float, float], answer: Literal["ask", "accept"]
) -> tuple[Finding, ...]:
    """Ask about slices whose brightness goes up and down, or jumps once; note it where the user takes them for one scan."""
    steps = _steps(voxels)
    holds_body = min(np.multiply(voxels.shape, spacing_mm)[1:]) >= LEAST_BODY_MM
    how = "" if len(steps) < LEAST_STEPS else _up_and_down(steps) or (_jump(steps) if holds_body else "")
    if not how:
        return ()
    if answer == "accept":
        return (make_finding("brightness-accepted", how=how),)
    return (make_finding("brightness-uneven", ACCEPT, how=how),)


def _steps(voxels: NDArray[np.int16]) -> Floats:
    """Median change of soft tissue from each slice to the next, HU; 0 where there is too little of it."""
    apart = max(1, round((voxels.shape[1] * voxels.shape[2]) ** 0.5 / LOOKED_AT))
    slices = voxels[:, ::apart, ::apart]
    soft = (slices > SOFT_HU[0]) & (slices < SOFT_HU[1])
    both = soft[:-1] & soft[1:]
    places = np.count_nonzero(both, axis=(1, 2))
    steps = np.zeros(len(both))
    for k in np.flatnonzero(places >= max(LEAST_PLACES, LEAST_SHARE * places.max(initial=0))):
        steps[k] = np.median(slices[k + 1][both[k]].astype(np.float64) - slices[k][both[k]])
    return steps


def _up_and_down(steps: Floats) -> str:
    turned = steps * np.where(np.arange(len(steps)) % 2, -1, 1)
    by_hu = abs(float(np.median(turned)))
    steady = max((turned > 0).mean(), (turned < 0).mean()) >= STEADY
    return f"goes up and down from slice to slice by {by_hu:.0f} HU" if steady and by_hu >= UP_AND_DOWN_HU else ""


def _jump(steps: Floats) -> str:
    end = max(LEAST_STEPS // 2, len(steps) // ENDS)
    inner = np.abs(steps[end : len(steps) - end])
    if len(inner) < 2:
        return ""
    at, (next_hu, most_hu) = int(inner.argmax()) + end, np.sort(inner)[-2:]
    alone = most_hu >= JUMP_HU and most_hu >= ALONE * next_hu
    return f"jumps by {most_hu:.0f} HU between slices {at + 1} and {at + 2}, counted from the head" if alone else ""
