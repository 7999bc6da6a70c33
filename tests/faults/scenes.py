"""Scans made by code that show no adult abdomen lying as its file says: what a liver finder must not find a liver in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.volume import Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_liver_anomaly.phantom import Sample

SHAPE = (30, 84, 84)
SPACING_MM = (5.0, 4.0, 4.0)


def scan(voxels: NDArray[Any], spacing_mm: tuple[float, float, float] = SPACING_MM) -> Volume:
    """Voxels (z, y, x) as a scan whose head is at the first slice."""
    z, y, x = spacing_mm
    shape = voxels.shape[::-1]
    return Volume(np.clip(np.rint(voxels), -1024, 3000).astype(np.int16), Geometry(shape, np.diag([-x, -y, -z, 1.0])), "scene")


def _places_mm() -> list[NDArray[np.float64]]:
    """Distance of every voxel from the middle, along z, y and x."""
    return [
        (np.arange(n) - (n - 1) / 2).reshape([-1 if a == axis else 1 for a in range(3)]) * mm
        for axis, (n, mm) in enumerate(zip(SHAPE, SPACING_MM, strict=True))
    ]


def _egg(centre: tuple[float, float, float], half: tuple[float, float, float]) -> NDArray[np.bool_]:
    """An ellipsoid, mm."""
    return np.asarray(sum(((at - c) / h) ** 2 for at, c, h in zip(_places_mm(), centre, half, strict=True)) < 1)


def _grain(hu: NDArray[np.floating], sd: float = 12.0, seed: int = 3) -> NDArray[np.floating]:
    """Noise of a scanner."""
    from scipy.ndimage import gaussian_filter

    rough = np.random.default_rng(seed).normal(0, 1, hu.shape)
    smooth = gaussian_filter(rough, (0, 0.7, 0.7))
    return hu + sd * smooth / smooth.std()


def head() -> Volume:
    """A skull of 1000 HU around a brain of 35 HU with dark ventricles."""
    hu = np.full(SHAPE, -1000.0)
    hu[_egg((0, 0, 0), (74, 95, 75))] = 30
    hu[_egg((0, 0, 0), (69, 90, 70))] = 1000
    hu[_egg((0, 0, 0), (63, 84, 64))] = 35
    for side in (-14, 14):
        hu[_egg((0, -5, side), (35, 30, 7))] = 5
    return scan(_grain(hu))


def thorax() -> Volume:
    """Lungs, heart and spine in a ring of muscle and fat, without the dome of a liver."""
    hu = np.full(SHAPE, -1000.0)
    hu[np.broadcast_to(_egg((0, 0, 0), (1e6, 115, 165)), SHAPE)] = -95
    hu[np.broadcast_to(_egg((0, 0, 0), (1e6, 100, 150)), SHAPE)] = 50
    for side in (-70, 70):
        hu[np.broadcast_to(_egg((0, 0, side), (1e6, 82, 60)), SHAPE)] = -850
    hu[_egg((30, -25, 20), (60, 45, 50))] = 120
    hu[np.broadcast_to(_egg((0, 80, 0), (1e6, 18, 20)), SHAPE)] = 350
    return scan(_grain(hu))


def air() -> Volume:
    """Nothing on the table."""
    return scan(np.full(SHAPE, -1000.0))


def noise(sd: float = 300.0, mean: float = 0.0, seed: int = 0) -> Volume:
    """Noise alone."""
    return scan(np.random.default_rng(seed).normal(mean, sd, SHAPE))


def upside_down(sample: Sample) -> Volume:
    """A body whose file says that its feet are its head."""
    return Volume(np.ascontiguousarray(sample.volume.voxels[::-1]), sample.volume.geometry, "scene")


def like_mr(sample: Sample) -> Volume:
    """Magnetic resonance: all values from 0 up, fat bright, bone and air dark."""
    hu = sample.volume.voxels.astype(float)
    grey = np.interp(hu, [-1000, -400, -120, -60, 0, 60, 120, 300], [5, 8, 700, 600, 200, 330, 380, 40])
    return Volume(grey.astype(np.int16), sample.volume.geometry, "scene")


NO_LIVER: dict[str, Callable[[], Volume]] = {
    "head": head, "thorax": thorax, "air": air, "noise": noise,
}  # fmt: skip
