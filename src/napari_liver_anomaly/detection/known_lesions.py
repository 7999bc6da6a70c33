"""Which lesions of known place a search found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.volume import Mask, Volume


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLesion:
    """A lesion whose place is known, and what a search made of it.

    Attributes
    ----------
    volume_ml : float
        Volume in ml.
    equivalent_mm : float
        Diameter of the sphere of the same volume, in mm.
    change_hu : float
        Mean change of the scan inside the lesion, in HU: negative where it was made darker.
    peak_score : float
        Highest anomaly score inside the lesion, 0 to 1.
    dice : float
        Overlap with the lesions of the search that touch it, 0 to 1.
    found : bool
        Whether one voxel of it is in a lesion of the search.
    centre : tuple of int
        Voxel (z, y, x) in the middle of the slice on which it is largest.
    """

    volume_ml: float
    equivalent_mm: float
    change_hu: float
    peak_score: float
    dice: float
    found: bool
    centre: tuple[int, int, int]


def pieces_of(mask: Mask) -> NDArray[np.int32]:
    """Give the connected pieces of a mask numbers from 1; corners connect."""
    from scipy.ndimage import label

    numbered, _ = label(mask.voxels, structure=np.ones((3, 3, 3)))
    return np.asarray(numbered, np.int32)


def look_up(pieces: NDArray[np.int32], before: Volume, result: Result) -> tuple[KnownLesion, ...]:
    """Look up what a search made of each numbered piece, in rising order; ``before`` is the scan without the lesions."""
    return tuple(_looked_up(pieces, before, result))


def _looked_up(pieces: NDArray[np.int32], before: Volume, result: Result) -> Iterator[KnownLesion]:
    from scipy.ndimage import find_objects

    sizes = np.bincount(result.labels.ravel())
    for number, box in enumerate(find_objects(pieces), start=1):
        if box is None:
            continue
        inside = pieces[box] == number
        volume = int(np.count_nonzero(inside))
        touching = result.labels[box][inside]
        hits = int(np.count_nonzero(touching))
        others = int(sizes[np.unique(touching[touching > 0])].sum())
        volume_ml = volume * before.geometry.voxel_ml
        change = result.volume.voxels[box][inside].astype(np.float64) - before.voxels[box][inside]
        yield KnownLesion(
            volume_ml=volume_ml,
            equivalent_mm=float(np.cbrt(6 * volume_ml * 1000 / np.pi)),
            change_hu=float(change.mean()),
            peak_score=float(result.score[box][inside].max()) / 255,
            dice=2 * hits / (volume + others),
            found=hits > 0,
            centre=_centre(inside, box),
        )


def _centre(inside: NDArray[np.bool_], box: tuple[slice, ...]) -> tuple[int, int, int]:
    """Voxel of a piece nearest to the middle of the slice on which it is largest."""
    z = int(inside.sum(axis=(1, 2)).argmax())
    places = np.argwhere(inside[z])
    y, x = places[np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()]
    return z + int(box[0].start), int(y) + int(box[1].start), int(x) + int(box[2].start)


def others_in(pieces: NDArray[np.int32], result: Result) -> int:
    """Count the lesions of a search that touch none of the pieces."""
    touching = np.unique(result.labels[pieces > 0])
    return len(result.lesions) - int(np.count_nonzero(touching))
