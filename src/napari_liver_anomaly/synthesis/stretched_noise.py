"""Random shapes from stretched noise, and the opening and closing that round them off."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray


def stretched_noise(
    shape: tuple[int, int], sigma_px: float, rng: Generator, kind: Literal["gaussian", "uniform8"] = "gaussian"
) -> NDArray[np.float32]:
    """Blur white noise and stretch it to 0…255.

    From Zhang, Deng, Li 2023, section 3.1.
    """
    from scipy.ndimage import correlate1d, gaussian_filter

    if kind == "gaussian":
        field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma_px, mode="reflect", truncate=3)
    else:
        kernel = _eight_bit_kernel(sigma_px)
        once = correlate1d(rng.integers(0, 256, shape).astype(np.float64), kernel, axis=1, mode="mirror")
        field = np.floor(correlate1d(once, kernel, axis=0, mode="mirror") / 65536 + 0.5).astype(np.float32)
    low, high = float(field.min()), float(field.max())
    if high <= low:
        return np.zeros(shape, dtype=np.float32)
    return np.asarray((field - low) * np.float32(255 / (high - low)), dtype=np.float32)


@cache
def _eight_bit_kernel(sigma_px: float) -> NDArray[np.float64]:
    """Weights of an 8-bit Gaussian blur, in 256ths, as image libraries compute it: each rounding error is carried to the next weight.

    Rounding cuts the Gaussian's tails off (71 of 91 weights are left at sigma 15), so shapes come out smaller than with real numbers.
    """
    radius = round(3 * sigma_px)
    exact = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    exact *= 256 / exact.sum()
    weights = np.zeros_like(exact)
    carried = 0.0
    for tap in range(radius):
        weights[tap] = weights[-1 - tap] = np.rint(exact[tap] + carried)
        carried += exact[tap] - weights[tap]
    weights[radius] = 256 - weights.sum()
    return weights


@cache
def ellipse(size_px: int) -> NDArray[np.bool_]:
    """Elliptic structuring element, as drawn by OpenCV."""
    radius = size_px // 2
    element = np.zeros((size_px, size_px), dtype=bool)
    for row in range(size_px):
        half = round(radius * np.sqrt(max(radius**2 - (row - radius) ** 2, 0)) / max(radius, 1))
        element[row, radius - half : radius + half + 1] = True
    return element


def open_then_close(mask: NDArray[np.bool_], size_px: int) -> NDArray[np.bool_]:
    """Remove what is narrower than an ellipse, then fill gaps narrower than it.

    From Algorithm 1 and public code of Zhang, Deng, Li 2023; its text names the two steps in the other order.
    """
    if size_px <= 1 or not mask.any():
        return mask
    element = ellipse(size_px)
    opened = _dilate(_erode(mask, element), element)
    return _erode(_dilate(opened, element), element)


def _dilate(mask: NDArray[np.bool_], element: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dilation row by row of the element: a run of pixels is one running maximum, so nine cheap passes replace 57."""
    from scipy.ndimage import maximum_filter1d

    radius = element.shape[0] // 2
    out = np.zeros_like(mask)
    for row, width in enumerate(element.sum(axis=1)):
        shift = row - radius
        run = maximum_filter1d(mask.view(np.uint8), int(width), axis=1, mode="constant", cval=0).view(bool)
        if shift == 0:
            out |= run
        elif shift > 0:
            out[shift:] |= run[:-shift]
        else:
            out[:shift] |= run[-shift:]
    return out


def _erode(mask: NDArray[np.bool_], element: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Erosion as dilation of the complement (the element is symmetric)."""
    return ~_dilate(~mask, element)
