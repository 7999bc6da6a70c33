"""Augmentation of healthy slices: random crop, rotation, scale and scanner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]


def augment(
    images: Floats, liver_mask: Bools, rng: Generator, *, crop_px: int = 0, turn: bool = False, jitter: bool = False
) -> tuple[Floats, Bools]:
    """Crop, flip and turn neighbouring slices (C, H, W) together; with jitter, also resize them and change contrast, noise and sharpness."""
    if crop_px:
        padding = crop_px // 4 if turn else 0  # turned and resized corners are cut off at the end
        for axis in (1, 2):
            where = np.flatnonzero(liver_mask[len(liver_mask) // 2].any(axis=2 - axis))
            centre = int(where[rng.integers(where.size)]) if where.size else liver_mask.shape[axis] // 2
            size = crop_px + padding
            images, liver_mask = _crop(images, centre, size, axis), _crop(liver_mask, centre, size, axis)
    if turn:
        if rng.random() < (0.8 if jitter else 0.5):
            images, liver_mask = _turned(images, liver_mask, rng.uniform(-10, 10), rng.uniform(0.85, 1.18) if jitter else 1.0)
        for axis in (1, 2):
            if rng.random() < 0.5:
                images, liver_mask = np.flip(images, axis), np.flip(liver_mask, axis)
    if crop_px:
        inner = (slice(None), *(slice(padding // 2, padding // 2 + crop_px) for _ in range(2)))
        images, liver_mask = images[inner], liver_mask[inner]
    if jitter:
        images = _rescanned(images, rng)
    return np.ascontiguousarray(images), np.ascontiguousarray(liver_mask)


def _turned(images: Floats, liver_mask: Bools, degrees: float, scale: float) -> tuple[Floats, Bools]:
    """Turn and resize every slice about its middle."""
    from scipy.ndimage import affine_transform

    cos, sin = np.cos(np.deg2rad(degrees)) / scale, np.sin(np.deg2rad(degrees)) / scale
    turn = np.array([[cos, sin], [-sin, cos]])
    middle = (np.array(liver_mask.shape[1:]) - 1) / 2
    shift = middle - turn @ middle
    kinds = liver_mask.astype(np.uint8) + 2 * (images > 0).astype(np.uint8)  # both masks in one pass
    turned = np.stack([affine_transform(plane, turn, shift, order=0) for plane in kinds])
    inside, seen = turned % 2 == 1, turned > 0
    # Black pixels are not tissue: without filling, turning would draw a dark rim round every liver.
    filled = np.where(images > 0, images, np.float32(0.5))
    moved = np.stack([affine_transform(plane, turn, shift, order=1, mode="nearest") for plane in filled])
    return np.where(seen, moved, 0).astype(np.float32), inside


def _rescanned(images: Floats, rng: Generator) -> Floats:
    """Give tissue the contrast, noise and sharpness of another scanner."""
    from scipy.ndimage import gaussian_filter

    seen = images > 0
    varied = 0.5 + (images - 0.5) * np.float32(rng.uniform(0.85, 1.2))
    if rng.random() < 0.3:
        sigma = rng.uniform(0.3, 0.8)
        varied = gaussian_filter(np.where(seen, varied, np.float32(0.5)), (0, sigma, sigma))
    if rng.random() < 0.5:
        varied = varied + rng.standard_normal(images.shape, dtype=np.float32) * np.float32(rng.uniform(0, 0.04))
    return np.where(seen, np.clip(varied, 0.02, 1), 0).astype(np.float32)


def vary_tissue(images: Floats, liver_mask: Bools, hu_per_unit: float, rng: Generator) -> Floats:
    """Vary neighbouring healthy slices (C, H, W) as patients and protocols do: phase, nodular texture, thickness of slices, and grainy noise.

    Phase moves all tissue by up to 10 HU, as a reference that is a little wrong does, and takes vessels' contrast from none to a third more.
    """
    from scipy.ndimage import gaussian_filter

    seen, unit = images > 0, np.float32(hu_per_unit)
    filled = np.where(seen, images, np.float32(0.5))
    if rng.random() < 0.5:
        bright = np.maximum(gaussian_filter(filled, (0, 1, 1)) - np.float32(0.5) - 12 / unit, 0)
        filled = filled + bright * np.float32(rng.uniform(-0.9, 0.35)) + np.float32(rng.uniform(-10, 10)) / unit
    if rng.random() < 0.3:
        size = rng.uniform(1.2, 2.6)
        nodular = gaussian_filter(rng.standard_normal(images.shape, dtype=np.float32), (size / 2, size, size))
        filled = filled + liver_mask * nodular * (np.float32(rng.uniform(3, 12)) / unit / max(float(nodular.std()), 1e-6))
    if len(images) > 1 and rng.random() < 0.25:
        filled = gaussian_filter(filled, (rng.uniform(0.4, 1.2), 0, 0), mode="nearest")
    if rng.random() < 0.3:
        grain = gaussian_filter(rng.standard_normal(images.shape, dtype=np.float32), (0, 0.7, 0.7))
        filled = filled + grain * (np.float32(rng.uniform(2, 15)) / unit / max(float(grain.std()), 1e-6))
    return np.where(seen, np.clip(filled, 0.02, 1), 0).astype(np.float32)


def redraw_outline(liver_mask: Bools, rng: Generator) -> Bools:
    """Draw the outline of a liver a little wider or tighter, as another reader or another segmenter would."""
    from scipy.ndimage import binary_dilation, binary_erosion

    kind = rng.random()
    if kind < 0.5:
        return liver_mask
    change = binary_dilation if kind < 0.75 else binary_erosion
    redrawn: Bools = change(liver_mask, iterations=int(rng.integers(1, 3)))
    return redrawn


def _crop(array: NDArray[Any], centre: int, size: int, axis: int) -> NDArray[Any]:
    """Cut a piece of fixed size that stays inside the slice where the slice is large enough; background elsewhere."""
    length = array.shape[axis]
    first = int(np.clip(centre - size // 2, 0, max(length - size, 0)))
    piece = np.take(array, range(first, min(first + size, length)), axis=axis)
    padding = [(0, 0)] * array.ndim
    padding[axis] = (0, size - piece.shape[axis])
    return np.pad(piece, padding)
