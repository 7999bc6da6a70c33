"""DICOM slices to a stack: sorted by position along the normal, spacing from positions and never from thickness.

Tolerances are in millimetres: a stack may drift at most half a voxel from its straight axis, and a slice lies within 0.1 mm
(and 5 % of the spacing) of its place on the fitted line.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import ImpossibleGeometry
from napari_liver_anomaly.reading import checks
from napari_liver_anomaly.reading.findings import ask, found, note, refuse
from napari_liver_anomaly.reading.source import LPS_TO_RAS, affine_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.reading.slices import Slice

    Points = NDArray[np.float64]

SAME_PLACE_MM = 0.01
OFF_LINE_MM, OFF_LINE_SHARE = 0.1, 0.05
SAME_DIRECTION = 2e-4  # of a unit vector: 0.1 mm over a field of view of 500 mm
SAME_SIZE = 1e-4
THICKNESS_DIFFERS = 0.05
MOST_LISTED = 4


def stack(slices: Sequence[Slice]) -> tuple[list[Slice], NDArray[np.float64], tuple[Finding, ...]]:
    """Put the slices of one series in order.

    Parameters
    ----------
    slices : sequence of Slice
        In any order, at least one.

    Returns
    -------
    ordered : list of Slice
        By position along the normal, which is row direction × column direction.
    affine : ndarray, (4, 4) float64
        Index (column, row, slice) to mm, RAS+.
    findings : tuple of Finding
        Doubts about the stack.

    Raises
    ------
    ImpossibleGeometry
        When a slice does not say where it lies, or the slices differ in size, voxel size or direction.
    """
    _demand_placed(slices)
    directions = np.array(_agreed(slices)).reshape(2, 3)
    normal = np.cross(directions[0], directions[1])
    ordered = sorted(slices, key=lambda one: float(np.dot(one.position_mm or (), normal)))
    _demand_alike(ordered)
    points = np.array([one.position_mm for one in ordered])
    heights = points @ normal
    count = len(ordered)
    between_rows, between_columns = ordered[0].spacing_mm or (np.nan, np.nan)
    step = (heights[-1] - heights[0]) / (count - 1) if count > 1 else (ordered[0].thickness_mm or 1.0)
    affine = LPS_TO_RAS @ affine_of(
        np.column_stack([directions[0] * between_columns, directions[1] * between_rows, normal * step]), points[0]
    )
    if count == 1:
        return ordered, affine, checks.geometry(affine, (ordered[0].columns, ordered[0].rows, 1))
    doubt = (
        _repeated(ordered, heights)
        or _tilted(points, normal, min(between_rows, between_columns))
        or _missing(heights)
        or _uneven(points)
    )
    shape = (ordered[0].columns, ordered[0].rows, count)
    return ordered, affine, found(doubt, _thickness(ordered, step)) + (() if doubt else checks.geometry(affine, shape))


def _demand_placed(slices: Sequence[Slice]) -> None:
    """Refuse slices that do not say where they lie, or say it in numbers that are none."""
    for one in slices:
        numbers = [one.position_mm, one.orientation, one.spacing_mm]
        if not all(part is not None and np.isfinite(part).all() for part in numbers):
            raise ImpossibleGeometry(
                "slices-unplaced", "A slice does not say where it lies, or how large its voxels are.",
                "The scan cannot be put together.", "Export the series again from its source.",
            )  # fmt: skip
        rows, columns = np.array(one.orientation).reshape(2, 3)
        if abs(np.linalg.norm(rows) - 1) > 1e-3 or abs(np.linalg.norm(columns) - 1) > 1e-3 or abs(rows @ columns) > 1e-3:
            raise ImpossibleGeometry(
                "slices-skewed", "The rows and columns of a slice are not at right angles.",
                "Shapes would be skewed.", "Export the series again from its source.",
            )  # fmt: skip


def _agreed(slices: Sequence[Slice]) -> tuple[float, ...]:
    """Direction that most slices have."""
    counts = Counter(tuple(round(number, 3) for number in one.orientation or ()) for one in slices)
    most = counts.most_common(1)[0][0]
    return next(one.orientation for one in slices if one.orientation and tuple(round(n, 3) for n in one.orientation) == most)


def _demand_alike(ordered: Sequence[Slice]) -> None:
    """Refuse a change of size, voxel size or direction, naming the first odd slice."""
    usual = (_agreed(ordered), Counter((one.rows, one.columns) for one in ordered).most_common(1)[0][0],
             Counter(one.spacing_mm for one in ordered).most_common(1)[0][0])  # fmt: skip
    for number, one in enumerate(ordered, start=1):
        if (one.rows, one.columns) != usual[1]:
            what = "number of rows and columns"
        elif not np.allclose(one.spacing_mm or (), usual[2] or (), rtol=SAME_SIZE, atol=0):
            what = "voxel size"
        elif not np.allclose(one.orientation or (), usual[0], rtol=0, atol=SAME_DIRECTION):
            what = "direction"
        else:
            continue
        raise ImpossibleGeometry(
            "slices-mixed", f"The {what} changes within the series, first in slice {number} of {len(ordered)}.",
            "These slices are not one stack.", "Export the wanted stack as a series of its own.",
        )  # fmt: skip


def _repeated(ordered: Sequence[Slice], heights: Points) -> Finding | None:
    same = int(np.count_nonzero(np.diff(heights) < SAME_PLACE_MM))
    if not same:
        return None
    acquisitions = Counter(one.acquisition for one in ordered)
    if len({one.uid for one in ordered if one.uid}) < len([one for one in ordered if one.uid]):
        told = "some files are copies"
    elif 1 < len(acquisitions) <= MOST_LISTED:
        counts = (count for _, count in sorted(acquisitions.items()))
        told = ", ".join(f"acquisition {rank}: {count} slices" for rank, count in enumerate(counts, start=1))
    else:
        told = f"{len(ordered)} slices in all"
    return ask(
        "slices-repeated", f"{same} positions of this series are taken twice ({told}).",
        "It may hold two phases of contrast.", "Export the one phase you want as a series of its own.",
    )  # fmt: skip


def _tilted(points: Points, normal: Points, voxel_mm: float) -> Finding | None:
    way = points[-1] - points[0]
    sideways = float(np.linalg.norm(way - (way @ normal) * normal))
    if sideways <= 0.5 * voxel_mm:
        return None
    angle = np.degrees(np.arctan2(sideways, abs(way @ normal)))
    return refuse(
        "slices-tilted",
        f"The slices are tilted by {angle:.3g}° (gantry tilt); the last lies {sideways:.1f} mm aside.",
        "Stacked straight, shapes and positions would be wrong.",
        "Straighten the scan (resample without tilt) first.",
    )  # fmt: skip


def _missing(heights: Points) -> Finding | None:
    gaps = np.diff(heights)
    usual, widest = float(np.median(gaps)), int(np.argmax(gaps))
    if gaps[widest] < 1.5 * usual:
        return None
    return refuse("slices-missing",
        f"A slice is missing: a gap of {gaps[widest]:.1f} mm after slice {widest + 1} (usual {usual:.1f} mm).",
        "Sizes and volumes would be wrong.", "Copy or export the whole series again.",
    )  # fmt: skip


def _uneven(points: Points) -> Finding | None:
    index = np.arange(len(points)) - (len(points) - 1) / 2
    step = (index @ points) / (index @ index)
    off = np.linalg.norm(points - points.mean(axis=0) - index[:, None] * step, axis=1)
    worst = int(np.argmax(off))
    if off[worst] <= min(OFF_LINE_MM, OFF_LINE_SHARE * float(np.linalg.norm(step))):
        return None
    return refuse(
        "slices-uneven",
        f"The slices are unevenly spaced: slice {worst + 1} lies {off[worst]:.2f} mm from its place.",
        "Sizes and volumes would be wrong.", "Export the series again with even spacing.",
    )  # fmt: skip


def _thickness(ordered: Sequence[Slice], step: float) -> Finding | None:
    thickness = ordered[0].thickness_mm
    if thickness is None or not np.isfinite(thickness) or abs(thickness - step) <= THICKNESS_DIFFERS * step:
        return None
    return note(
        "thickness-differs", f"Slices are {step:.3g} mm apart and {thickness:.3g} mm thick.",
        "Sizes are measured with the distance.",
    )  # fmt: skip
