"""Which slices are shown and measured: by rule, never by eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from liver_anomaly_study.cases import Case

LEAST_PX = 30  # of a tumour on a slice that is shown: smaller ones cannot be seen
SHIFTS = 4  # slices, at most, between two ways of preparing a liver


def tumour_slices(cases: list[Case], least_px: int = LEAST_PX) -> list[tuple[Case, int]]:
    """List the slices whose tumours can be seen."""
    return [(one, int(z)) for one in cases for z in np.flatnonzero(one.truth.sum(axis=(1, 2)) >= least_px)]


def largest_slices(cases: list[Case], count: int) -> list[tuple[Case, int]]:
    """Choose the slice with most tumour of each of the first cases that have any; no score decides which."""
    return [(one, int(one.truth.sum(axis=(1, 2)).argmax())) for one in cases if one.truth.any()][:count]


def tumour_free_slices(cases: list[Case], least_px: int = 400) -> list[tuple[Case, int]]:
    """List the slices without tumour that show a good part of the liver."""
    found = []
    for one in cases:
        shown = (one.liver_mask.sum(axis=(1, 2)) >= least_px) & ~one.truth.any(axis=(1, 2))
        found += [(one, int(z)) for z in np.flatnonzero(shown)]
    return found


def same_slice(one: Case, z: int, other: Case) -> int:
    """Find a slice of a case where it was prepared in another way: all are shifted by as many, so that the areas of the liver agree best."""
    areas, others = (np.pad(each.liver_mask.sum(axis=(1, 2)).astype(float), SHIFTS) for each in (one, other))

    def mismatch(shift: int) -> float:
        inside = range(SHIFTS, len(areas) - SHIFTS)
        return float(sum(abs(areas[i] - (others[i + shift] if i + shift < len(others) else 0.0)) for i in inside))

    return z + min(range(-SHIFTS, SHIFTS + 1), key=lambda shift: (mismatch(shift), abs(shift)))
