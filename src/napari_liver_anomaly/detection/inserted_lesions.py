"""Lesions of chosen size and contrast, inserted into healthy tissue: away from the liver's edge, from lesions that were found, and from vessels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.lesions import box_of

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from napari_liver_anomaly.volume import Mask, Volume

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float32]

MARGIN_MM = 5.0  # of healthy tissue around a lesion, to the liver's edge and to what was found
APART_MM = 10.0  # between the surfaces of two lesions of one search
EDGE_MM = 2.0  # over which a lesion fades into the liver
PLANES = 5  # looked at within the thickness of a slice: a slice shows the mean of what it cuts
SMOOTH_MM, LEAST_HU, DEVIATIONS, ROBUST_SD = (
    2.0,
    10.0,
    3.0,
    1.4826,
)  # what differs from the liver's median by more is a vessel, or no healthy tissue
VESSEL_MM = 5.0  # from a lesion's middle to the next vessel
TRIES = 300  # places looked at for each lesion
MOST_OF_LIVER = 0.05  # of its volume that the lesions of one search may take, so that the rest still looks as it did


@dataclass(frozen=True, slots=True)
class Ball:
    """A lesion to insert: diameter in mm, how much darker than the liver, and its middle voxel (z, y, x)."""

    diameter_mm: float
    darker_hu: float
    centre: tuple[int, int, int]


class HealthyTissue:
    """Where in a liver lesions may be inserted; made once for a scan and what was found in it."""

    def __init__(self, volume: Volume, liver: Mask, lesions: Bools) -> None:
        from scipy.ndimage import distance_transform_edt

        self._spacing_mm = np.array(volume.geometry.spacing_mm)
        self.liver_mm3 = liver.ml * 1000
        box = box_of(liver.voxels) or (slice(0, 0),) * 3
        self._start = np.array([part.start for part in box])
        inside = np.pad(liver.voxels[box] & ~lesions[box], 1)
        self._depth_mm = distance_transform_edt(inside, self._spacing_mm)[1:-1, 1:-1, 1:-1].astype(np.float32)
        odd = _odd(volume.voxels[box], inside[1:-1, 1:-1, 1:-1], self._spacing_mm)
        self._to_vessel_mm = distance_transform_edt(~odd, self._spacing_mm).astype(np.float32) if odd.any() else None

    def place(self, diameter_mm: float, taken: list[Ball], rng: Generator) -> tuple[int, int, int] | None:
        """Choose the middle of a lesion by chance, away from those that are taken; None where no place was found."""
        radius = diameter_mm / 2
        allowed = self._depth_mm >= radius + MARGIN_MM + self._spacing_mm.max() / 2  # to the next voxel's side, not its middle
        if self._to_vessel_mm is not None:
            allowed &= self._to_vessel_mm >= VESSEL_MM
        places = np.flatnonzero(allowed)
        if not places.size:
            return None
        tried = np.stack(np.unravel_index(rng.choice(places, TRIES), allowed.shape), axis=1) + self._start
        for place in tried:
            if all(self._apart_mm(place, other) >= radius + other.diameter_mm / 2 + APART_MM for other in taken):
                return tuple(int(index) for index in place)  # type: ignore[return-value]
        return None

    def has_room(self, diameter_mm: float, taken: list[Ball]) -> bool:
        """Whether a lesion may be added to those of a search without taking too much of the liver; the first always may."""
        whole = sum(_ball_mm3(ball.diameter_mm) for ball in taken) + _ball_mm3(diameter_mm)
        return not taken or whole <= MOST_OF_LIVER * self.liver_mm3

    def _apart_mm(self, place: NDArray[np.intp], other: Ball) -> float:
        return float(np.linalg.norm((place - np.array(other.centre)) * self._spacing_mm))


def insert(volume: Volume, balls: list[Ball]) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    """Insert balls into a scan: its voxels with them, and the number of the ball that each voxel belongs to, from 1."""
    voxels, pieces = volume.voxels.copy(), np.zeros(volume.voxels.shape, np.int32)
    for number, ball in enumerate(balls, start=1):
        box, weight = _weight(ball, volume)
        voxels[box] = np.clip(np.rint(voxels[box] - weight * np.float32(ball.darker_hu)), -32768, 32767).astype(np.int16)
        pieces[box][weight >= 0.5] = number
    return voxels, pieces


def _weight(ball: Ball, volume: Volume) -> tuple[tuple[slice, ...], Floats]:
    """Give how much of each voxel is lesion, and where; along the slices the mean over their thickness."""
    spacing_mm, radius = volume.geometry.spacing_mm, ball.diameter_mm / 2
    reach = [int((radius + EDGE_MM) / mm) + 2 for mm in spacing_mm]
    ends = list(zip(ball.centre, reach, volume.voxels.shape, strict=True))
    box = tuple(slice(max(c - far, 0), min(c + far + 1, size)) for c, far, size in ends)
    z, y, x = (
        (np.arange(part.start, part.stop) - c) * np.float32(mm) for part, c, mm in zip(box, ball.centre, spacing_mm, strict=True)
    )
    flat = y[:, None] ** 2 + x**2
    within = ((np.arange(PLANES) + 0.5) / PLANES - 0.5) * spacing_mm[0]
    parts = [np.clip((radius - np.sqrt((z + shift)[:, None, None] ** 2 + flat)) / EDGE_MM + 0.5, 0, 1) for shift in within]
    return box, np.mean(parts, axis=0, dtype=np.float32)


def _odd(hu: NDArray[np.int16], inside: Bools, spacing_mm: NDArray[np.float64]) -> Bools:
    """Mark what is not like most of the liver after smoothing inside it: vessels, and lesions that were not found."""
    from scipy.ndimage import gaussian_filter

    if not inside.any():
        return np.zeros_like(inside)
    sigma = SMOOTH_MM / spacing_mm
    share = gaussian_filter(inside.astype(np.float32), sigma)
    smooth = gaussian_filter(np.where(inside, hu, 0).astype(np.float32), sigma) / np.maximum(share, 1e-3)
    median = np.median(smooth[inside])
    spread = ROBUST_SD * float(np.median(np.abs(smooth[inside] - median)))
    odd: Bools = inside & (np.abs(smooth - median) > max(LEAST_HU, DEVIATIONS * spread))
    return odd


def _ball_mm3(diameter_mm: float) -> float:
    return float(np.pi / 6 * diameter_mm**3)
