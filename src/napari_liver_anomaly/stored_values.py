"""From stored numbers to whole Hounsfield units or to the labels of a mask; what is no number, no HU or no label is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.generic]

LOWEST, HIGHEST = -32768, 32767
WHOLE = 1e-3  # a number is whole when it is so near to one: float32 keeps labels up to 8,000 better than that
WHOLE_SCALED = 1e-2  # at most, for half a step of the file's own scaling, which is how nibabel stores 1 as 0.99998


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


def whole_numbers(stored: Array, slope: float, intercept: float, what: str = "mask") -> NDArray[np.integer]:
    """Bring stored values to the whole numbers that they are but for rounding; none may lie below zero, as a scan's do."""
    plain = slope == 1 and intercept == 0 and stored.dtype.kind in "iu"
    labels: NDArray[np.integer] = stored if plain else np.empty(stored.shape, np.int32, order="F")  # type: ignore[assignment]
    low, high = (int(stored.min()), int(stored.max())) if plain else (0, 0)
    if not plain:
        near = max(WHOLE, min(abs(slope) / 2, WHOLE_SCALED)) if stored.dtype.kind in "iu" else WHOLE
        for index, part in _slices(stored):
            with np.errstate(over="ignore"):
                values = part * slope + intercept
            whole = np.rint(values)
            if not (np.isfinite(values).all() and np.abs(values - whole).max() <= near and np.abs(whole).max() < 2**31):
                raise make_refusal("mask-fractions", what=what)
            labels[..., index] = whole
            low, high = min(low, int(whole.min())), max(high, int(whole.max()))
    if low < 0:
        raise make_refusal("mask-no-labels", what=what, how=f"values from {low} to {high}")
    return labels


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
