"""Position and size of patches relative to the liver, and how a patch is moved.

References
----------
What these share: Tan et al. 2020 (FPI), Li et al. 2021 (CutPaste), Schlüter et al. 2022 (NSA). Measuring by the liver is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.synthesis.base import Anomalous, Donor

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]
    Window = tuple[slice, slice]

TRIES = 50
TOLERANCE = 1e-3  # what differs by less counts as the same
POINTS = 32


def unchanged(image: Floats) -> Anomalous:
    """Give a sample without an anomaly."""
    return Anomalous(image.copy(), np.zeros(image.shape, dtype=bool), np.zeros(image.shape, dtype=np.float32))


def box(liver_mask: Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the liver's bounding box."""
    where = [np.flatnonzero(liver_mask.any(axis=1 - axis)) for axis in (0, 1)]
    first = np.array([line[0] for line in where], dtype=np.intp)
    return first, np.array([line[-1] for line in where], dtype=np.intp) - first + 1


def side_px(liver_mask: Bools) -> float:
    """Measure the liver: the side of the square that has the area of its bounding box.

    The papers take the side of the frame, which their object fills; a liver fills a part of it that differs from slice to slice [OURS].
    """
    return float(np.sqrt(np.prod(box(liver_mask)[1])))


def place(inside: Bools, rng: Generator) -> NDArray[np.intp]:
    """Draw a pixel, all being alike.

    Every call takes as many random numbers, and points are drawn in the box; so neighbouring slices, drawn by one seed, get patches at one place.
    """
    first, size = box(inside)
    points = first + (rng.random((POINTS, 2)) * size).astype(np.intp)
    good = np.flatnonzero(inside[points[:, 0], points[:, 1]])
    if good.size:
        return np.asarray(points[good[0]], dtype=np.intp)
    pixels = np.argwhere(inside)
    return np.asarray(pixels[((pixels - points[0]) ** 2).sum(axis=1).argmin()], dtype=np.intp)


def window(centre: NDArray[np.intp], half: tuple[float, float], shape: tuple[int, ...]) -> Window:
    """Give the part of a slice around a pixel."""
    reach = [max(round(one), 2) for one in half]
    rows, columns = (
        slice(max(int(at) - far, 0), min(int(at) + far + 1, size)) for at, far, size in zip(centre, reach, shape, strict=True)
    )
    return rows, columns


def moved(
    donor: Donor, source: NDArray[np.intp], target: NDArray[np.intp], where: Window, degrees: float = 0, scale: float = 1
) -> Donor:
    """Take a piece of a slice to another place, turned and resized."""
    from scipy.ndimage import affine_transform

    cos, sin = np.cos(np.deg2rad(degrees)) / scale, np.sin(np.deg2rad(degrees)) / scale
    turn = np.array([[cos, sin], [-sin, cos]])
    start = np.array([part.start for part in where])
    shape = tuple(part.stop - part.start for part in where)
    image, liver_mask = (
        affine_transform(plane, turn, source + turn @ (start - target), output_shape=shape, order=1)
        for plane in (donor.image, donor.liver_mask.astype(np.float32))
    )
    return Donor(image, liver_mask > 0.999)
