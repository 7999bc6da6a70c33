"""What a folder of DICOM files holds, one entry for every stack that could be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Series:
    """One stack of slices, in words that a radiologist picks by.

    Attributes
    ----------
    number : int
        From 1; what ``Answers.series`` takes.
    slices, rows, columns : int
        Size.
    spacing_mm : tuple of float
        z, y, x; distance of slices from their positions.
    thickness_mm : float or None
        Nominal thickness of a slice.
    kind : str
        For example ``"axial, kernel B30f, with contrast"``.
    phase : str
        Time after the first series of the examination, for example ``"+38 s"``; empty where it is not known.
    description : str
        As in the file, names and dates perhaps included: for the screen only, never for findings, logs or files.
    readable : bool
        Whether it can be read, perhaps after a question.
    """

    number: int
    slices: int
    rows: int
    columns: int
    spacing_mm: tuple[float, float, float]
    thickness_mm: float | None
    kind: str
    phase: str
    description: str = field(repr=False)
    readable: bool

    def thumbnail(self) -> NDArray[np.uint8] | None:
        """Make a small picture of the middle slice.

        Returns
        -------
        ndarray, (64, 64) uint8, or None
            From -150 to 250 HU; None where it cannot be decoded.
        """
        return None
