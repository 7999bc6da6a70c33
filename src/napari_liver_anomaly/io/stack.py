"""From DICOM slices to a stack: sorted by position along the normal, with spacing from positions and never from thickness.

Tolerances are in millimetres: a stack may drift at most half a voxel from its straight axis, and a slice lies within 0.1 mm
(and 5 % of the spacing) of its place on the fitted line. A slice that is missing at the first or last end leaves a shorter, sound
stack: positions cannot tell that it ever was there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Level
from napari_liver_anomaly.io import header_checks
from napari_liver_anomaly.io.read_options import ASK_ALL
from napari_liver_anomaly.io.source import LPS_TO_RAS, affine_of, found
from napari_liver_anomaly.io.straightening import FILL, STRAIGHTEN, filled, filled_note, straight, straightened_note
from napari_liver_anomaly.messages import make_finding, make_refusal, refuse
from napari_liver_anomaly.storage import MAX_AXIS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.dicom_slices import Slice
    from napari_liver_anomaly.io.read_options import ReadOptions
    from napari_liver_anomaly.io.straightening import Plan

    Points = NDArray[np.float64]

SAME_PLACE_MM = 0.01
OFF_LINE_MM, OFF_LINE_SHARE = 0.1, 0.05
UNIT = 1e-5  # of a unit vector: 0.005 mm over a field of view of 500 mm; nearer, directions are taken as they are written
NEARLY_UNIT = 1e-3  # 0.5 mm over 500 mm: farther, the numbers are not those of directions
SAME_DIRECTION = 2e-4  # of a unit vector: 0.1 mm over a field of view of 500 mm
SAME_SIZE = 1e-4
THICKNESS_DIFFERS = 0.05
WIDE, WHOLE_GAPS = 1.5, 0.1  # a wide gap of a whole number of distances is one where slices are missing
ROW_OF_GAPS = 3  # so many in a row at one end are another distance, not lost slices
TENTH_MM, GRAIN_MM = 0.1, 1e-6  # positions that are all whole tenths were rounded, each number by up to half a tenth
MOST_FILLED = 10  # in a row; beyond, nobody knows what lies between


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Slices in order, on a grid.

    Attributes
    ----------
    ordered : list of Slice
        By position along the normal, which is row direction × column direction.
    shape : tuple of int
        Columns, rows, slices of the grid.
    affine : ndarray, (4, 4) float64
        Index (column, row, slice) to mm, RAS+.
    findings : tuple of Finding
        Doubts about the stack.
    plan : Plan or None
        How the voxels are made where they are not those of the slices themselves.
    """

    ordered: list[Slice]
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    findings: tuple[Finding, ...]
    plan: Plan | None = None

    @property
    def added(self) -> int:
        """How many slices were filled in."""
        return max(0, self.shape[2] - len(self.ordered)) if self.plan is not None else 0


def stack(slices: Sequence[Slice], answers: ReadOptions = ASK_ALL) -> Stack:
    """Put the slices of one series in order."""
    _require_placed(slices)
    axes = _unit(np.array(_agreed(slices)).reshape(2, 3))
    normal = np.cross(axes[0], axes[1])
    ordered = sorted(slices, key=lambda one: float(np.dot(one.position_mm or (), normal)))
    _require_alike(ordered)
    points = np.array([one.position_mm for one in ordered])
    between_rows, between_columns = ordered[0].spacing_mm or (np.nan, np.nan)
    in_plane = np.column_stack([axes[0] * between_columns, axes[1] * between_rows])
    size = (ordered[0].columns, ordered[0].rows)

    def placed(count: int, step: float) -> NDArray[np.float64]:
        return np.asarray(LPS_TO_RAS @ affine_of(np.column_stack([in_plane, normal * step]), points[0]))

    if len(ordered) == 1:
        affine = placed(1, ordered[0].thickness_mm or 1.0)
        return Stack(ordered=ordered, shape=(*size, 1), affine=affine, findings=header_checks.geometry(affine, (*size, 1)))
    lost = _lost(points @ normal)
    fill = answers.gaps == "fill" and 0 < max(lost) <= MOST_FILLED
    whole = _completed(points, lost) if fill else points
    evened = fill or (answers.tilt == "straighten" and _two_distances(lost))
    finding = _repeated(ordered, points @ normal) or (None if evened else _missing(points @ normal, lost))
    askew = _tilted(points, normal, min(between_rows, between_columns)) or _uneven(whole)
    rounded = askew if askew is not None and askew.level is Level.NOTE else None
    askew = None if rounded else askew
    straighten = answers.tilt == "straighten" and not finding and askew is not None and min(between_rows, between_columns) > 0
    finding = finding or (None if straighten else askew)
    step = float((points[-1] - points[0]) @ normal) / (len(whole) - 1)
    affine, shape, plan = placed(len(whole), step), (*size, len(whole)), None
    notes: tuple[Finding, ...] = ()
    if fill and not finding:
        plan, notes = filled(lost, size, affine), found(filled_note(lost))
    if straighten:
        plan = straight(points, axes, (between_columns, between_rows), size)
        affine, shape = LPS_TO_RAS @ plan.affine, plan.shape
        notes += found(straightened_note(plan, _angle(points, normal), float(np.diff(points @ normal).max())))
    sound = () if finding else header_checks.geometry(affine, shape)
    findings = (*found(finding, rounded, _thickness(ordered, float(np.linalg.norm(affine[:3, 2])))), *notes, *sound)
    return Stack(ordered=ordered, shape=shape, affine=affine, findings=findings, plan=plan)


def _require_placed(slices: Sequence[Slice]) -> None:
    """Refuse slices that do not say where they lie, or say it in numbers that are none."""
    for one in slices:
        numbers = [one.position_mm, one.orientation, one.spacing_mm]
        if not all(part is not None and np.isfinite(part).all() for part in numbers):
            raise make_refusal("slices-unplaced")
        if min(one.spacing_mm or (0.0,)) <= 0:
            raise refuse(header_checks.impossible(np.array(one.spacing_mm)))
        rows, columns = np.array(one.orientation).reshape(2, 3)
        lengths = [float(np.linalg.norm(rows)), float(np.linalg.norm(columns))]
        if abs(rows @ columns) > NEARLY_UNIT * lengths[0] * lengths[1]:
            raise make_refusal("slices-skewed")
        if max(abs(length - 1) for length in lengths) > NEARLY_UNIT:
            raise make_refusal("slices-directions", first=lengths[0], second=lengths[1])


def _unit(axes: Points) -> Points:
    """Directions of length 1, so that rounded ones do not stretch the voxels."""
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    return np.where(np.abs(lengths - 1) > UNIT, axes / lengths, axes)


def _agreed(slices: Sequence[Slice]) -> tuple[float, ...]:
    """Direction that most slices have."""
    counts = Counter(tuple(round(number, 3) for number in one.orientation or ()) for one in slices)
    most = counts.most_common(1)[0][0]
    return next(one.orientation for one in slices if one.orientation and tuple(round(n, 3) for n in one.orientation) == most)


def _require_alike(ordered: Sequence[Slice]) -> None:
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
        raise make_refusal("slices-mixed", what=what, number=number, count=len(ordered))


def _repeated(ordered: Sequence[Slice], heights: Points) -> Finding | None:
    same = int(np.count_nonzero(np.diff(heights) < SAME_PLACE_MM))
    if not same:
        return None
    return make_finding("slices-twice", count=same, slices=len(ordered))


def _tilted(points: Points, normal: Points, voxel_mm: float) -> Finding | None:
    way = points[-1] - points[0]
    sideways = float(np.linalg.norm(way - (way @ normal) * normal))
    if sideways <= 0.5 * voxel_mm:
        return None
    return make_finding("slices-tilted", STRAIGHTEN, angle=_angle(points, normal), sideways=sideways)


def _angle(points: Points, normal: Points) -> float:
    """Tilt in degrees, from the first slice to the last."""
    way = points[-1] - points[0]
    return float(np.degrees(np.arctan2(np.linalg.norm(way - (way @ normal) * normal), abs(way @ normal))))


def _lost(heights: Points) -> list[int]:
    """Count slices missing after each slice but the last: where a gap is wide, and a whole number of the usual ones."""
    gaps = np.diff(heights)
    shares = gaps / max(float(np.quantile(gaps, 0.5, method="lower")), SAME_PLACE_MM)
    whole = np.rint(shares)
    return [
        int(n) for n in np.where((shares >= WIDE) & (np.abs(shares - whole) <= WHOLE_GAPS), np.minimum(whole - 1, MAX_AXIS), 0)
    ]


def _missing(heights: Points, lost: Sequence[int]) -> Finding | None:
    if not any(lost):
        return None
    gaps = np.diff(heights)
    widest = max((k for k, n in enumerate(lost) if n), key=lambda k: float(gaps[k]))
    usual = float(np.quantile(gaps, 0.5, method="lower"))
    if _two_distances(lost):
        first = next(k for k, n in enumerate(lost) if n)
        one, other = (gaps[first - 1], gaps[first]) if first else (gaps[first], usual)
        number = first + 1 if first else sum(n > 0 for n in lost) + 1
        return make_finding("distance-changes", STRAIGHTEN, first=one, second=other, number=number)
    many = f"{sum(lost)} slices are" if sum(lost) > 1 else "A slice is"
    few = max(lost) <= MOST_FILLED
    return make_finding(
        "slices-missing",
        *((FILL,) if few else ()),
        slices=many,
        gap=gaps[widest],
        number=widest + 1,
        usual=usual,
        remedy=", or have the gap filled" if few else "",
    )


def _two_distances(lost: Sequence[int]) -> bool:
    """Whether wide gaps follow each other at one end, as where a scan is made of a fine and a coarse part."""
    wide = [k for k, n in enumerate(lost) if n]
    return len(wide) >= ROW_OF_GAPS and wide[-1] - wide[0] + 1 == len(wide) and (not wide[0] or wide[-1] == len(lost) - 1)


def _completed(points: Points, lost: Sequence[int]) -> Points:
    """Positions with those of missing slices, evenly between their neighbours."""
    rows = [points[:1]]
    for k, n in enumerate(lost):
        share = np.arange(1, n + 2)[:, None] / (n + 1)
        rows.append((1 - share) * points[k] + share * points[k + 1])
    return np.concatenate(rows)


def _uneven(points: Points) -> Finding | None:
    index = np.arange(len(points)) - (len(points) - 1) / 2
    step = (index @ points) / (index @ index)
    off = np.linalg.norm(points - points.mean(axis=0) - index[:, None] * step, axis=1)
    worst = int(np.argmax(off))
    usual = min(OFF_LINE_MM, OFF_LINE_SHARE * float(np.linalg.norm(step)))
    if off[worst] <= usual:
        return None
    if off[worst] <= max(usual, _rounding_mm(points)):
        return make_finding("positions-rounded", off=off[worst])
    return make_finding("slices-uneven", STRAIGHTEN, number=worst + 1, off=off[worst])


def _rounding_mm(points: Points) -> float:
    """How far slices may lie off their places because positions are written in tenths of a millimetre; 0 where they are finer."""
    tenths = points / TENTH_MM
    if np.abs(tenths - np.rint(tenths)).max() * TENTH_MM > GRAIN_MM:
        return 0.0
    changing = int(np.count_nonzero(np.ptp(points, axis=0) > GRAIN_MM))
    return min(OFF_LINE_MM, 0.5 * TENTH_MM * float(np.sqrt(changing)) + 0.1 * TENTH_MM)


def _thickness(ordered: Sequence[Slice], step: float) -> Finding | None:
    thickness = ordered[0].thickness_mm
    if thickness is None or not np.isfinite(thickness) or abs(thickness - step) <= THICKNESS_DIFFERS * step:
        return None
    return make_finding("thickness-differs", step=step, thickness=thickness)
