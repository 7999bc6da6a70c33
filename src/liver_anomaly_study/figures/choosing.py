"""Which slices are shown and measured: by rule, never by eye."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from liver_anomaly_study.cases import Liver

LEAST_PX = 30  # of a tumour on a slice that is shown: smaller ones cannot be seen
SHIFTS = 4  # slices, at most, between two ways of preparing a liver


def tumour_slices(livers: list[Liver], least_px: int = LEAST_PX) -> list[tuple[Liver, int]]:
    """List the slices whose tumours can be seen.

    Parameters
    ----------
    livers : list of Liver
        Of one preparation.
    least_px : int
        Tumour pixels that a slice must have.

    Returns
    -------
    list of tuple
        Liver and slice, in order.
    """
    return [(one, int(z)) for one in livers for z in np.flatnonzero(one.truth.sum(axis=(1, 2)) >= least_px)]


def largest_slices(livers: list[Liver], count: int) -> list[tuple[Liver, int]]:
    """Choose the slice with most tumour of each of the first livers that have any.

    Parameters
    ----------
    livers : list of Liver
        Of one preparation.
    count : int
        How many livers.

    Returns
    -------
    list of tuple
        Liver and slice; no score decides which.
    """
    return [(one, int(one.truth.sum(axis=(1, 2)).argmax())) for one in livers if one.truth.any()][:count]


def quiet_slices(livers: list[Liver], least_px: int = 400) -> list[tuple[Liver, int]]:
    """List the slices without tumour that show a good piece of liver.

    Parameters
    ----------
    livers : list of Liver
        Of one preparation.
    least_px : int
        Liver pixels that a slice must have.

    Returns
    -------
    list of tuple
        Liver and slice, in order.
    """
    found = []
    for one in livers:
        shown = (one.liver_mask.sum(axis=(1, 2)) >= least_px) & ~one.truth.any(axis=(1, 2))
        found += [(one, int(z)) for z in np.flatnonzero(shown)]
    return found


def same_slice(one: Liver, z: int, other: Liver) -> int:
    """Find a slice of a liver where it was prepared in another way, with more or fewer slices beyond its ends.

    Parameters
    ----------
    one : Liver
        A liver.
    z : int
        Slice of it.
    other : Liver
        The same liver for another system.

    Returns
    -------
    int
        Slice of the other: all are shifted by as many, so that the areas of the liver agree best.
    """
    areas, others = (np.pad(each.liver_mask.sum(axis=(1, 2)).astype(float), SHIFTS) for each in (one, other))

    def apart(shift: int) -> float:
        inside = range(SHIFTS, len(areas) - SHIFTS)
        return float(sum(abs(areas[place] - (others[place + shift] if place + shift < len(others) else 0.0)) for place in inside))

    return z + min(range(-SHIFTS, SHIFTS + 1), key=lambda shift: (apart(shift), abs(shift)))
