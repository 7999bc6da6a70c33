"""Smooth random displacements: a few control points move, everything between them follows.

References
----------
Ronneberger, Fischer, Brox, "U-Net", MICCAI 2015, section 3.1 (random displacements on a coarse grid, interpolated smoothly).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray


def between(values: NDArray[Any], places: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """Interpolate values on a coarse grid by splines, where positions along the axes cross."""
    for axis, where in enumerate(places):
        size = values.shape[axis]
        weights = _spline(size)(np.clip(where, 0, size - 1)).astype(np.float32)
        values = np.moveaxis(np.tensordot(weights, values.astype(np.float32), (1, axis)), 0, axis)
    return values


@cache
def _spline(size: int) -> Any:
    """Natural cubic spline through so many values, as a function from position to the weight of each value."""
    from scipy.interpolate import CubicSpline

    return CubicSpline(np.arange(size), np.eye(size), bc_type="natural")


def displacement(places: Sequence[NDArray[Any]], points: int, sigma: float, rng: Generator) -> NDArray[np.float32]:
    """Draw how far everything moves."""
    coarse = np.clip(rng.standard_normal((len(places), *[points] * len(places))), -2, 2) * sigma
    return np.stack([between(one, places) for one in coarse])
