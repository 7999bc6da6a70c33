"""Lesion detection: detected, missed and false positive lesions, by size and over thresholds.

References
----------
D. Chakraborty, L. Winter, "Free-response methodology: alternate analysis and a new observer-performance experiment", Radiology 174 (1990) 873-881.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.geometry import Geometry

    Bools = NDArray[np.bool_]

SIZES = ("under_10_mm", "10_to_20_mm", "over_20_mm")
THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))  # of a curve


@dataclass(frozen=True, slots=True)
class LesionsFound:
    """Lesions counted one by one.

    Attributes
    ----------
    sizes_mm : tuple of float
        Diameter of the sphere of equal volume, for every lesion of the truth.
    found : tuple of bool
        Whether the prediction touches it.
    small_components : int
        Pieces of the truth too small to count.
    false : int
        Lesions of the prediction that touch no truth at all.
    covered : tuple of float
        The fraction of every lesion of the truth that is predicted.
    """

    sizes_mm: tuple[float, ...]
    found: tuple[bool, ...]
    small_components: int
    false: int
    covered: tuple[float, ...] = ()

    def by_size(self, least_covered: float = 0.0) -> dict[str, tuple[int, int]]:
        """Lesions found, of how many, in three classes of diameter.

        Parameters
        ----------
        least_covered : float
            0…1: a lesion counts as found when at least this fraction of it is predicted. At 0 one voxel is enough.

        Returns
        -------
        dict
            ``under_10_mm``, ``10_to_20_mm`` (both included) and ``over_20_mm`` to (found, of).
        """
        classes = [SIZES[(size >= 10) + (size > 20)] for size in self.sizes_mm]
        found = [part >= least_covered for part in self.covered] if least_covered else self.found
        return {name: (sum(f for f, c in zip(found, classes, strict=True) if c == name), classes.count(name)) for name in SIZES}


def find_lesions(
    prediction: Bools, truth: Bools, grid: Geometry | tuple[float, float, float], smallest_mm3: float = 50.0
) -> LesionsFound:
    """Count lesions found, missed and invented.

    Parameters
    ----------
    prediction, truth : ndarray, (z, y, x) bool
        The masks; 26-connected pieces are lesions.
    grid : Geometry, or tuple of float
        Their grid, or its voxel size (z, y, x) in mm.
    smallest_mm3 : float
        Smaller pieces are no lesions, neither of the truth nor of the prediction.

    Returns
    -------
    LesionsFound
        A lesion of the truth is found when at least one voxel of the prediction lies on it; a lesion of the prediction is false when none
        of its voxels lies on any truth, small components included.
    """
    return find_lesions_each([prediction], truth, grid, smallest_mm3)[0]


def find_lesions_each(
    predictions: Iterable[Bools], truth: Bools, grid: Geometry | tuple[float, float, float], smallest_mm3: float = 50.0
) -> list[LesionsFound]:
    """Count lesions for several predictions of one truth, whose pieces are numbered once.

    Parameters
    ----------
    predictions : iterable of ndarray, (z, y, x) bool
        Taken one after another, so that not all need be there at once.
    truth : ndarray, (z, y, x) bool
        The lesions.
    grid : Geometry, or tuple of float
        Their grid, or its voxel size (z, y, x) in mm.
    smallest_mm3 : float
        Smaller pieces are no lesions.

    Returns
    -------
    list of LesionsFound
        As :func:`find_lesions` gives them.
    """
    voxel_mm3 = float(np.prod(grid)) if isinstance(grid, tuple) else grid.voxel_ml * 1000
    labels, sizes = _components(truth, voxel_mm3)
    real = sizes >= smallest_mm3 - 1e-9
    diameters = tuple(float(d) for d in np.cbrt(6 * sizes[real] / np.pi))
    made = []
    for prediction in predictions:
        hit = _hits(labels, prediction, sizes.size)[real]
        predicted, volumes = _components(prediction, voxel_mm3)
        invented = (volumes >= smallest_mm3 - 1e-9) & (_hits(predicted, truth, volumes.size) == 0)
        made.append(
            LesionsFound(
                diameters,
                tuple((hit > 0).tolist()),
                int(np.count_nonzero(~real)),
                int(np.count_nonzero(invented)),
                tuple((hit * voxel_mm3 / sizes[real]).tolist()),
            )
        )
    return made


def froc(cases: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """Sensitivity against false lesions, over thresholds: the free-response operating characteristic.

    Parameters
    ----------
    cases : sequence of sequence of dict
        For every case the same thresholds, each with ``threshold``, ``found`` (class of size to lesions found and of how many) and ``false_lesions``.

    Returns
    -------
    dict
        ``thresholds``; ``false_per_scan``, the mean over cases; ``sensitivity``, for each class of size and for ``all``: lesions found, of those
        there are in all cases together. One value per threshold; NaN where there is no lesion.

    Raises
    ------
    ValueError
        When there is no case, or cases have different thresholds.
    """
    thresholds = [point["threshold"] for point in cases[0]] if cases else []
    if not cases or any([point["threshold"] for point in case] != thresholds for case in cases):
        raise ValueError("A curve needs cases with the same thresholds.")
    found = np.array([[[point["found"][size] for size in SIZES] for point in case] for case in cases])
    pairs = found.sum(axis=0)  # threshold, size, found and of how many
    pairs = np.concatenate([pairs, pairs.sum(axis=1, keepdims=True)], axis=1).astype(float)
    shares = np.divide(pairs[..., 0], pairs[..., 1], out=np.full(pairs.shape[:2], np.nan), where=pairs[..., 1] > 0)
    false = np.array([[point["false_lesions"] for point in case] for case in cases], float).mean(axis=0)
    sensitivity = {name: shares[:, column].tolist() for column, name in enumerate((*SIZES, "all"))}
    return {"thresholds": thresholds, "false_per_scan": false.tolist(), "sensitivity": sensitivity}


def sensitivity_at(curve: dict[str, Any], false_per_scan: Iterable[float]) -> dict[str, dict[str, float | None]]:
    """Read from a free-response curve what is detected at given numbers of false lesions.

    Parameters
    ----------
    curve : dict
        As :func:`froc` gives it.
    false_per_scan : iterable of float
        False lesions per scan that are accepted.

    Returns
    -------
    dict
        For each class of size and for ``all``, by number of false lesions: the highest sensitivity of the points of the curve that keep to it; None
        where no point does, or there is no lesion. Nothing is interpolated.
    """
    made: dict[str, dict[str, float | None]] = {}
    for size, values in curve["sensitivity"].items():
        points = list(zip(curve["false_per_scan"], values, strict=True))
        kept = {f"{most:g}": [value for false, value in points if false <= most and value == value] for most in false_per_scan}
        made[size] = {most: max(found, default=None) for most, found in kept.items()}
    return made


def operating_points(curve: dict[str, Any], false_per_scan: Mapping[str, float]) -> list[dict[str, Any]]:
    """Choose points of a free-response curve to work at.

    Parameters
    ----------
    curve : dict
        As :func:`froc` gives it.
    false_per_scan : mapping of str to float
        False lesions per scan that each point, by its name, may have at most.

    Returns
    -------
    list of dict
        For each name the point that keeps to it and detects most, of equals the one with the fewest false lesions: ``name``, ``threshold``,
        ``sensitivity`` and ``false_per_scan`` as they were measured. Left out is a name to which no point keeps, or whose point an earlier
        name has.
    """
    points = zip(curve["thresholds"], curve["sensitivity"]["all"], curve["false_per_scan"], strict=True)
    measured = [(found, false, threshold) for threshold, found, false in points if found == found]
    made: list[dict[str, Any]] = []
    for name, most in false_per_scan.items():
        kept = [point for point in measured if point[1] <= most]
        if not kept:
            continue
        found, false, threshold = max(kept, key=lambda point: (point[0], -point[1]))
        if threshold not in [one["threshold"] for one in made]:
            made.append({"name": name, "threshold": threshold, "sensitivity": found, "false_per_scan": false})
    return made


def _components(mask: Bools, voxel_mm3: float) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Find the pieces of a mask: their numbers from 1, and the volume of each in mm³."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3), bool))
    return labels, np.asarray(np.bincount(labels[mask], minlength=count + 1)[1:] * voxel_mm3, np.float64)


def _hits(labels: NDArray[np.int32], other: Bools, count: int) -> NDArray[np.intp]:
    """How many voxels of each of the numbered pieces another mask holds."""
    return np.bincount(labels[other], minlength=count + 1)[1:]
