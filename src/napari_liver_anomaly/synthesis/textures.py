"""Perlin noise, and textures made of it.

References
----------
Perlin, "Improving noise", ACM Transactions on Graphics 2002. Textures are altered as in Zavrtanik, Kristan, Skočaj, "DRAEM", ICCV 2021; a change of
contrast stands for its change of hue, which grey does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    Field = NDArray[np.float32]

ALTERATIONS = 3


def perlin(y: NDArray[np.floating], x: NDArray[np.floating], periods: tuple[int, int], rng: Generator) -> Field:
    """Perlin noise on a lattice of random directions."""
    rows, columns = periods
    angles = rng.uniform(0, 2 * np.pi, (rows + 1, columns + 1))
    slopes_y, slopes_x = np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)
    row, column = np.clip(np.floor(y), 0, rows - 1).astype(int), np.clip(np.floor(x), 0, columns - 1).astype(int)
    down, right = (y - row).astype(np.float32), (x - column).astype(np.float32)
    fade_y, fade_x = _fade(down), _fade(right)
    noise = np.zeros(np.broadcast_shapes(y.shape, x.shape), dtype=np.float32)
    for below in (0, 1):
        for beside in (0, 1):
            corner = row + below, column + beside
            ramp = slopes_y[corner] * (down - below) + slopes_x[corner] * (right - beside)
            noise += ramp * (fade_y if below else 1 - fade_y) * (fade_x if beside else 1 - fade_x)
    within = (y >= 0) & (y <= rows) & (x >= 0) & (x <= columns)
    return np.where(within, noise * np.float32(np.sqrt(2)), np.float32(0))


def _fade(t: Field) -> Field:
    return np.asarray(t * t * t * (t * (t * 6 - 15) + 10))


def drawn_periods(finest: int, rng: Generator) -> tuple[int, int]:
    """Draw how fine a noise is."""
    rows, columns = (2 ** int(power) for power in rng.integers(0, finest + 1, 2))
    return rows, columns


def turned_noise(
    y: NDArray[np.intp], x: NDArray[np.intp], shape: tuple[int, int], periods: tuple[int, int], rng: Generator
) -> Field:
    """Perlin noise of a slice, turned about its middle by up to a right angle either way."""
    angle = rng.uniform(-np.pi / 2, np.pi / 2)
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    middle_y, middle_x = np.float32(shape[0] / 2), np.float32(shape[1] / 2)
    down, right = (y + 0.5).astype(np.float32) - middle_y, (x + 0.5).astype(np.float32) - middle_x
    turned_y, turned_x = down * cosine - right * sine + middle_y, down * sine + right * cosine + middle_x
    scale_y, scale_x = (np.float32(count / length) for count, length in zip(periods, shape, strict=True))
    return perlin(turned_y * scale_y, turned_x * scale_x, periods, rng)


def texture(shape: tuple[int, int], finest: int, rng: Generator) -> Field:
    """Make a foreign texture: Perlin noise of several octaves, altered in three of ten ways."""
    y, x = (np.arange(shape[0])[:, None] + 0.5) / shape[0], (np.arange(shape[1])[None] + 0.5) / shape[1]
    rows, columns = drawn_periods(finest, rng)
    octaves = [perlin(y * rows * n, x * columns * n, (rows * n, columns * n), rng) / n for n in (1, 2, 4)]
    field = _stretched(np.sum(octaves, axis=0, dtype=np.float32))
    for which in rng.choice(len(WAYS), ALTERATIONS, replace=False):
        field = np.clip(WAYS[which](field, rng), 0, 1).astype(np.float32)
    return field


def _stretched(field: Field, cut: float = 0.0) -> Field:
    """Lowest value to 0 and highest to 1, but for a share at either end."""
    low, high = np.quantile(field, (cut, 1 - cut)) if cut else (field.min(), field.max())
    return np.asarray(np.clip((field - low) / max(float(high - low), 1e-6), 0, 1), dtype=np.float32)


def _brightness(field: Field, rng: Generator) -> Field:
    return field * np.float32(rng.uniform(0.8, 1.2)) + np.float32(rng.uniform(-30, 30) / 255)


def _contrast(field: Field, rng: Generator) -> Field:
    middle = np.float32(field.mean())
    return middle + (field - middle) * np.float32(rng.uniform(0.5, 1.5))


def _sharpness(field: Field, rng: Generator) -> Field:
    from scipy.ndimage import uniform_filter

    blurred = uniform_filter(field, 3)
    return np.asarray(blurred + (field - blurred) * np.float32(rng.uniform(0.1, 1.9)))


def _solarised(field: Field, rng: Generator) -> Field:
    return np.where(field >= rng.uniform(32, 128) / 255, 1 - field, field)


def _posterised(field: Field, rng: Generator) -> Field:
    levels = 2 ** int(rng.integers(1, 9))
    return np.asarray(np.minimum(np.floor(field * levels), levels - 1) / levels)


def _equalised(field: Field, rng: Generator) -> Field:
    from skimage.exposure import equalize_hist

    return np.asarray(equalize_hist(field))


def _turned(field: Field, rng: Generator) -> Field:
    from scipy.ndimage import rotate

    return np.asarray(rotate(field, rng.uniform(-45, 45), reshape=False, order=1, mode="reflect"))


WAYS: tuple[Callable[[Field, Generator], Field], ...] = (
    lambda field, rng: field ** np.float32(rng.uniform(0.5, 2)),
    _brightness,
    _contrast,
    _sharpness,
    _solarised,
    _posterised,
    lambda field, rng: 1 - field,
    lambda field, rng: _stretched(field, rng.uniform(0, 0.2)),
    _equalised,
    _turned,
)
