"""Healthy tissue that looks like a lesion and is none, drawn into healthy slices so that a network learns to leave it alone.

Dark vessels, fat in fissures, shading along the liver's edge, partial volume at the dome, wedges of other perfusion, and streaks. They are no
anomalies: they have no mask, and a restorer shall keep them.

References
----------
Karcaaltincaba, Akhan, "Imaging of hepatic steatosis and fatty sparing", European Journal of Radiology 61 (2007) (where focal fat and sparing lie);
Colagrande et al., "Transient hepatic intensity differences", AJR 188 (2007) (wedges of other perfusion). Sizes and contrasts are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

    Field = NDArray[np.float32]
    Bools = NDArray[np.bool_]
    Spacing = tuple[float, float, float]
    Lookalike = Callable[[Bools, Generator, Spacing], Field]


def draw_lookalikes(
    images: Field, liver_mask: Bools, hu_per_unit: float, rng: Generator, spacing_mm: tuple[float, float, float]
) -> Field:
    """Draw one to three kinds of tissue that looks like a lesion into healthy neighbouring slices.

    Parameters
    ----------
    images : ndarray, (C, H, W) float32
        Neighbouring healthy slices, 0…1; not changed.
    liver_mask : ndarray, (C, H, W) bool
        Where the liver is.
    hu_per_unit : float
        Hounsfield units between 0 and 1.
    rng : numpy.random.Generator
        Where all chance comes from.
    spacing_mm : tuple of float
        Distance (z, y, x) of slices and pixels in mm.

    Returns
    -------
    ndarray, (C, H, W) float32
        The slices, changed in the liver only.
    """
    if not liver_mask[len(liver_mask) // 2].any():
        return images.copy()
    change = np.zeros(images.shape, dtype=np.float32)
    for which in rng.choice(len(KINDS), int(rng.integers(1, 4)), replace=False):
        change += KINDS[which](liver_mask, rng, spacing_mm)
    return np.where(liver_mask & (change != 0), np.clip(images + change / np.float32(hu_per_unit), 0.02, 1), images).astype(
        np.float32
    )


def _grid_mm(shape: tuple[int, ...], spacing_mm: Spacing, origin: NDArray[np.intp]) -> list[Field]:
    """Distance of every pixel from a place along each axis, in mm."""
    steps = zip(shape, origin, spacing_mm, strict=True)
    return [axis.astype(np.float32) for axis in np.ix_(*((np.arange(size) - first) * mm for size, first, mm in steps))]


def _place(liver: Bools, rng: Generator) -> NDArray[np.intp]:
    """One pixel of a slice's liver."""
    places = np.argwhere(liver)
    place: NDArray[np.intp] = places[int(rng.integers(len(places)))]
    return place


def _edge(liver: Bools) -> Bools:
    from scipy.ndimage import binary_erosion

    rim: Bools = liver & ~binary_erosion(liver)
    return rim


def vessels(liver_mask: Bools, rng: Generator, spacing_mm: Spacing) -> Field:
    """Give the change in HU of one to three bent dark tubes that meet: veins without contrast medium, or wide bile ducts."""
    middle = len(liver_mask) // 2
    z, y, x = _grid_mm(liver_mask.shape, spacing_mm, np.array([middle, *_place(liver_mask[middle], rng)]))
    drop, tubes = rng.uniform(20, 60), np.zeros(liver_mask.shape, dtype=np.float32)
    for _ in range(int(rng.integers(1, 4))):
        way = rng.normal(size=3)
        way /= np.linalg.norm(way)
        along = way[0] * z + way[1] * y + way[2] * x
        bend, start, length = rng.normal(0, 0.004, 3), rng.uniform(-60, 0), rng.uniform(40, 120)
        off = (axis - along * part - b * along**2 for axis, part, b in zip((z, y, x), way, bend, strict=True))
        radius = rng.uniform(2, 6) * np.clip(1 - 0.006 * (along - start), 0.4, 1)
        tube = np.clip(radius - np.sqrt(sum(part**2 for part in off)) + 0.5, 0, 1) * ((along > start) & (along < start + length))
        tubes = np.maximum(tubes, tube)
    return np.asarray(-drop * tubes, dtype=np.float32)


def _wedge(liver_mask: Bools, rng: Generator, spacing_mm: Spacing, base_mm: float, length_mm: float) -> Field:
    """Weight of a wedge with its base at the liver's edge and its tip inside, through all slices, a little turned from one to the next."""
    middle = len(liver_mask) // 2
    base = _place(_edge(liver_mask[middle]), rng)
    inward = np.argwhere(liver_mask[middle]).mean(axis=0) - base
    angle = np.arctan2(*inward) + rng.uniform(-0.5, 0.5)
    z, y, x = _grid_mm(liver_mask.shape, spacing_mm, np.array([middle, *base]))
    y, x = y - z * np.float32(rng.normal(0, 0.3)), x - z * np.float32(rng.normal(0, 0.3))
    along, across = np.sin(angle) * y + np.cos(angle) * x, np.cos(angle) * y - np.sin(angle) * x
    half = base_mm / 2 * (1 - along / length_mm)
    return np.asarray(
        np.clip((half - np.abs(across)) / spacing_mm[1] + 0.5, 0, 1) * (along > -base_mm) * (along < length_mm), np.float32
    )


def fat_in_a_fissure(liver_mask: Bools, rng: Generator, spacing_mm: Spacing) -> Field:
    """Give the change in HU of a narrow wedge of fat."""
    return np.float32(-rng.uniform(60, 160)) * _wedge(liver_mask, rng, spacing_mm, rng.uniform(2, 8), rng.uniform(10, 35))


def perfusion(liver_mask: Bools, rng: Generator, spacing_mm: Spacing) -> Field:
    """Give the change in HU of a wide wedge that takes up more contrast medium."""
    return np.float32(rng.uniform(20, 40)) * _wedge(liver_mask, rng, spacing_mm, rng.uniform(15, 45), rng.uniform(30, 70))


def edge_shading(liver_mask: Bools, rng: Generator, spacing_mm: Spacing) -> Field:
    """Give the change in HU along one stretch of the liver's edge: shading at the gallbladder, focal fat or sparing under the capsule."""
    from scipy.ndimage import distance_transform_edt

    middle = len(liver_mask) // 2
    depth = distance_transform_edt(liver_mask, sampling=(1e6, *spacing_mm[1:])).astype(np.float32)
    z, y, x = _grid_mm(liver_mask.shape, spacing_mm, np.array([middle, *_place(_edge(liver_mask[middle]), rng)]))
    near = np.exp(-(z**2 + y**2 + x**2) / np.float32(2 * rng.uniform(8, 22) ** 2))
    strength = rng.uniform(10, 25) if rng.random() < 0.2 else -rng.uniform(10, 40)
    return np.asarray(strength * np.exp(-depth / rng.uniform(2, 6)) * near, dtype=np.float32)


def dome(liver_mask: Bools, rng: Generator, spacing_mm: Spacing) -> Field:
    """Give the change in HU of partial volume: a wide dark disc on one or two slices at either end of the stack."""
    middle, count = len(liver_mask) // 2, len(liver_mask)
    z, y, x = _grid_mm(liver_mask.shape, spacing_mm, np.array([middle, *_place(liver_mask[middle], rng)]))
    first = int(rng.integers(0, 2))
    order = np.arange(count) if rng.random() < 0.5 else np.arange(count)[::-1]
    part = np.where(order < middle - first + 1, np.minimum(1.0, 0.35 * (middle - first + 1 - order)), 0)
    disc = np.exp(-((np.hypot(y, x) / rng.uniform(10, 35)) ** 4))
    return np.asarray(-rng.uniform(30, 120) * part[:, None, None] * disc * np.ones_like(z), dtype=np.float32)


def streaks(liver_mask: Bools, rng: Generator, spacing_mm: Spacing) -> Field:
    """Give the change in HU of parallel dark and bright bands, as from ribs, arms or metal."""
    _, y, x = _grid_mm(liver_mask.shape, spacing_mm, np.zeros(3, dtype=np.intp))
    angle = rng.uniform(0, np.pi)
    across = np.cos(angle) * y + np.sin(angle) * x
    bands = sum(np.sin(2 * np.pi * across / rng.uniform(6, 40) + rng.uniform(0, 2 * np.pi)) for _ in range(3))
    return np.asarray(np.broadcast_to(rng.uniform(1, 4) * bands, liver_mask.shape), dtype=np.float32)


KINDS: tuple[Lookalike, ...] = (vessels, fat_in_a_fissure, perfusion, edge_shading, dome, streaks)
