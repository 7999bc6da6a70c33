"""Two livers of one patient laid over each other as rigid bodies, by the distance of their surfaces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.volume import Mask

GRID_MM, AROUND_MM = 4.0, 40.0  # of the distance map
MOST_POINTS, MOST_STEPS = 3000, 80  # so that it takes a few seconds at most
ROBUST_MM = 5.0  # beyond this a surface that differs counts less: livers breathe, and are cut off


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a point of then is now.

    Attributes
    ----------
    matrix : ndarray, (4, 4) float64
        Place in the patient then to place now, in mm, RAS+.
    liver_dice : float
        Overlap (Dice) of the two livers once they are aligned.
    """

    matrix: NDArray[np.float64]
    liver_dice: float

    @property
    def turned_deg(self) -> float:
        """Angle of the rotation."""
        return float(np.degrees(np.arccos(np.clip((np.trace(self.matrix[:3, :3]) - 1) / 2, -1, 1))))


def align(then: Mask, now: Mask) -> Alignment:
    """Align two livers: first their centres, then their surfaces, by least squares of distances.

    After Besl and McKay, "A method for registration of 3-D shapes", IEEE PAMI 1992, with distances looked up in a map instead of by
    nearest points (Fitzgibbon 2003).

    Parameters
    ----------
    then, now : Mask
        The liver in both scans; grids may differ.

    Returns
    -------
    Alignment
        From then to now.

    Raises
    ------
    Refusal
        When a mask is empty.
    """
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    points, target = _surface_mm(then), _DistanceMap(now)
    centre, goal = _centre_mm(then), _centre_mm(now)

    def matrix_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_rotvec(values[:3] / 100).as_matrix()  # a hundredth of a radian weighs as a millimetre
        matrix[:3, 3] = goal + values[3:] - matrix[:3, :3] @ centre
        return matrix

    def distances(values: NDArray[np.float64]) -> NDArray[np.float64]:
        matrix = matrix_of(values)
        return target.at(points @ matrix[:3, :3].T + matrix[:3, 3])

    starts = [np.zeros(6), np.array([0, 0, 0, *(centre - goal)])]  # centre on centre, and as the scanner has them
    found = [
        least_squares(distances, start, loss="soft_l1", f_scale=ROBUST_MM, diff_step=1e-3, x_scale=1.0, max_nfev=MOST_STEPS)
        for start in starts
    ]
    matrices = [matrix_of(one.x) for one in found]
    return max((Alignment(matrix, liver_dice(then, now, matrix)) for matrix in matrices), key=lambda one: one.liver_dice)


def liver_dice(then: Mask, now: Mask, matrix: NDArray[np.float64]) -> float:
    """Overlap (Dice) of two livers, one of them moved, on an even grid around both."""
    places = [_corners_mm(then) @ matrix[:3, :3].T + matrix[:3, 3], _corners_mm(now)]
    low, high = np.min([one.min(axis=0) for one in places], axis=0), np.max([one.max(axis=0) for one in places], axis=0)
    axes = [np.arange(a, b + GRID_MM, GRID_MM) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    back = np.linalg.inv(matrix)
    one, other = _inside(then, points @ back[:3, :3].T + back[:3, 3]), _inside(now, points)
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / total if total else 0.0


class _DistanceMap:
    """Distance to the surface of a liver in mm, negative inside, on an even grid around it."""

    def __init__(self, mask: Mask) -> None:
        from scipy.ndimage import distance_transform_edt

        corners = _corners_mm(mask)
        self._low = corners.min(axis=0) - AROUND_MM
        axes = [np.arange(a, b, GRID_MM) for a, b in zip(self._low, corners.max(axis=0) + AROUND_MM, strict=True)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        inside = _inside(mask, points.reshape(-1, 3)).reshape(points.shape[:3])
        away, within = distance_transform_edt(~inside, GRID_MM), distance_transform_edt(inside, GRID_MM)
        self._map = (away - within + np.where(inside, GRID_MM / 2, -GRID_MM / 2)).astype(np.float32)

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Look points up; farther out than the map reaches, the distance to its edge is added."""
        from scipy.ndimage import map_coordinates

        index = (points - self._low) / GRID_MM
        held = np.clip(index, 0, np.array(self._map.shape) - 1)
        beyond = np.linalg.norm(index - held, axis=1) * GRID_MM
        found: NDArray[np.float64] = map_coordinates(self._map, held.T, order=1) + beyond
        return found


def _inside(mask: Mask, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each place lies in a mask."""
    to_index = np.linalg.inv(mask.geometry.affine)
    index = np.rint(points @ to_index[:3, :3].T + to_index[:3, 3]).astype(np.int32)
    inside: NDArray[np.bool_] = np.asarray(((index >= 0) & (index < mask.voxels.shape)).all(axis=1))
    inside[inside] = mask.voxels[tuple(index[inside].T)]
    return inside


def _surface_mm(mask: Mask) -> NDArray[np.float64]:
    """Places on the surface of a mask, some thousands, evenly drawn. Where the scan cuts the liver off there is no surface."""
    from scipy.ndimage import binary_erosion

    box = _box(mask)
    part = mask.voxels[box]
    edge = part & ~binary_erosion(part, border_value=1)
    # The box touches the surface on every side, which is taken for inside above; a voxel there belongs to the surface unless the scan ends.
    for axis, side in enumerate(box):
        for end, last in ((0, side.start == 0), (-1, side.stop == mask.voxels.shape[axis])):
            if not last:
                face = tuple(slice(None) if other != axis else end for other in range(3))
                edge[face] |= part[face]
    index = np.argwhere(edge) + [side.start for side in box]
    index = index[np.random.default_rng(0).permutation(len(index))[:MOST_POINTS]]
    affine = mask.geometry.affine
    return np.asarray(index @ affine[:3, :3].T + affine[:3, 3])


def _centre_mm(mask: Mask) -> NDArray[np.float64]:
    box = _box(mask)
    index = np.argwhere(mask.voxels[box]).mean(axis=0) + [side.start for side in box]
    return np.asarray(mask.geometry.affine[:3, :3] @ index + mask.geometry.affine[:3, 3])


def _corners_mm(mask: Mask) -> NDArray[np.float64]:
    """Corners of the box around a mask."""
    ends = [(side.start, side.stop - 1) for side in _box(mask)]
    index = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.asarray(index @ mask.geometry.affine[:3, :3].T + mask.geometry.affine[:3, 3])


def _box(mask: Mask) -> tuple[slice, ...]:
    box = box_of(mask.voxels)
    if box is None:
        raise make_refusal("liver-empty")
    return box
