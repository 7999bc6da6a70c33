"""From stored numbers to whole Hounsfield units or to a mask; what is no number, or no HU, is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.generic]

LOWEST, HIGHEST = -32768, 32767


def to_hounsfield(stored: Array, slope: float, intercept: float) -> NDArray[np.int16]:
    """Work out whole Hounsfield units slice by slice."""
    if slope == 1 and intercept == 0 and stored.dtype.kind in "iu" and np.can_cast(stored.dtype, np.int16):
        return stored.astype(np.int16, copy=False)
    result = np.empty(stored.shape, np.int16, order="F")
    low, high = np.inf, -np.inf
    for index, part in _slices(stored):
        with np.errstate(over="ignore"):
            hounsfield = np.rint(part * slope + intercept)
        low, high = min(low, float(hounsfield.min())), max(high, float(hounsfield.max()))
        if low < LOWEST or high > HIGHEST:
            raise make_refusal("values-range", value=low if low < LOWEST else high)
        result[..., index] = hounsfield
    return result


def to_mask(stored: Array, slope: float, intercept: float) -> NDArray[np.bool_]:
    """Find the voxels above zero in a file of whole numbers."""
    if slope == 1 and intercept == 0 and stored.dtype.kind in "iu":
        return np.asarray(stored > 0)  # type: ignore[operator]
    result = np.empty(stored.shape, np.bool_, order="F")
    for index, part in _slices(stored):
        with np.errstate(over="ignore"):
            labels = part * slope + intercept
        if not (np.isfinite(labels) & (labels == np.rint(labels))).all():
            raise make_refusal("mask-fractions")
        result[..., index] = labels > 0
    return result


def _slices(stored: Array) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Slices as float64 one by one; refuses numbers that are none, after counting them all."""
    if stored.dtype.kind == "f":
        _require_finite(stored)
    for index in range(stored.shape[-1]):
        yield index, stored[..., index].astype(np.float64)


def _require_finite(stored: Array) -> None:
    counts = [int(np.count_nonzero(~np.isfinite(stored[..., k]))) for k in range(stored.shape[-1])]
    if total := sum(counts):
        first = next(k for k, count in enumerate(counts) if count) + 1
        raise make_refusal("voxels-not-numbers", count=total, first=first)
