"""Which side of the patient is where in a view, and where in the patient a slice lies: in words, without a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot

TOWARDS = ("R", "A", "H"), ("L", "P", "F")  # along the axes of patient positions (RAS+), and against them
OPPOSITE = dict(zip("RAHLPF", "LPFRAH", strict=True))
OBLIQUE = 0.26  # of a direction's length: from 15 degrees on, a view has two letters at an edge
PLANES = dict(zip("HFAPRL", ("Axial", "Axial", "Coronal", "Coronal", "Sagittal", "Sagittal"), strict=True))


@dataclass(frozen=True)
class Sides:
    """How the axes of a viewer run through the patient."""

    towards: NDArray[np.float64]  # columns: direction in the patient, RAS+, of each axis of the viewer
    to_index: NDArray[np.float64]  # (4, 4), place in the viewer to index of the scan
    affine: NDArray[np.float64]  # (4, 4), index of the scan to position in the patient
    shape: tuple[int, ...]

    @staticmethod
    def of(scan: LayerSnapshot) -> Sides | None:
        """Know the sides of a scan; None where its source does not say them, or where its layer is somebody else's."""
        grid = scan.grid
        if grid is None or not grid.oriented:
            return None
        to_index = np.linalg.inv(scan.matrix).astype(np.float64)
        return Sides(grid.affine[:3, :3] @ to_index[:3, :3], to_index, grid.affine, grid.shape)

    def letters(self, axis: int, sign: int = 1) -> str:
        """Name the side of the patient that an axis of the viewer runs to."""
        direction = sign * self.towards[:, axis] / np.linalg.norm(self.towards[:, axis])
        strong = sorted((n for n in range(3) if abs(direction[n]) >= OBLIQUE), key=lambda n: -abs(direction[n]))
        return "".join(TOWARDS[int(direction[n] < 0)][n] for n in strong)

    def place(self, axis: int, point: Sequence[float]) -> str:
        """Say which slice a viewer shows that looks along an axis, and where in the patient it lies."""
        index = self.to_index @ (*point, 1.0)
        along = int(np.argmax(np.abs(self.to_index[:3, axis])))
        number = round(float(index[along]))
        if not 0 <= number < self.shape[along]:
            return ""
        index[along] = number  # what is seen is this slice, also when the point lies a little beside it
        direction = self.towards[:, axis] / np.linalg.norm(self.towards[:, axis])
        mm = float(self.affine[:3] @ index @ direction)
        letters = self.letters(axis, 1 if mm >= 0 else -1)
        return f"{PLANES[letters[0]]}\n{letters} {abs(mm):.1f} mm\nslice {number} / {self.shape[along] - 1}"
