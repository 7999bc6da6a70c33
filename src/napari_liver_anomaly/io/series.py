"""What a folder of DICOM files holds: one entry for every stack that can be read, described without anything that identifies a patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.io.dicom_slices import Slice
    from napari_liver_anomaly.io.splitting import Part

    Preview = NDArray[np.uint8]

SMALL = 64
WINDOW_HU = (-150.0, 250.0)
FLAT = 0.7  # of a unit vector: which way a normal points
WORDS = {"MPR": "reformatted", "MIP": "maximum projection", "MIN IP": "minimum projection", "AVERAGE": "average"}


@dataclass(frozen=True, kw_only=True)
class Series:
    """One stack of slices, in words that a radiologist picks by.

    Attributes
    ----------
    number : int
        From 1; what ``ReadOptions.series`` takes.
    slices, rows, columns : int
        Size.
    spacing_mm : tuple of float
        z, y, x; distance of slices from their positions, NaN where these are not known.
    thickness_mm : float or None
        Nominal thickness of a slice.
    kind : str
        For example ``"axial, kernel B30f, contrast given"``.
    phase : str
        Time after the first series of the examination, for example ``"+38 s"``; empty where it is not known.
    description : str
        As in the file, names and dates perhaps included: for the screen only, never for findings, logs or files.
    readable : bool
        Whether it can be read, perhaps after a question.
    archive_number : int or None
        Its number in the archive (DICOM SeriesNumber); None where the file has none.
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
    archive_number: int | None = None
    _images: tuple[Slice, ...] = field(default=(), repr=False, compare=False)

    def __str__(self) -> str:
        apart = f" of {self.spacing_mm[0]:.3g} mm" if np.isfinite(self.spacing_mm[0]) else ""
        slices = "1 slice" if self.slices == 1 else f"{self.slices} slices"
        told = [f"{slices}{apart}", f"{self.columns} × {self.rows}", self.kind, self.phase]
        return ", ".join(word for word in told if word) + ("" if self.readable else " (cannot be read)")

    def thumbnail(self) -> Preview | None:
        """Make a small image of the middle slice, as it is usually looked at."""
        from napari_liver_anomaly.io.pixels import hounsfield, undecodable

        try:
            one = self._images[len(self._images) // 2]
            if undecodable(one.syntax):
                return None
            return _small(hounsfield([one])[..., 0].T, one)
        except (Refusal, OSError, IndexError, ValueError):
            return None


def series_of(number: int, part: Part, ordered: tuple[Slice, ...], apart_mm: float, *, readable: bool) -> Series:
    """Describe a part of what lies in a folder."""
    one = ordered[len(ordered) // 2]
    rows_mm, columns_mm = one.spacing_mm or (np.nan, np.nan)
    return Series(
        number=number,
        slices=len(ordered),
        rows=one.rows,
        columns=one.columns,
        spacing_mm=(float(apart_mm), float(rows_mm), float(columns_mm)),
        thickness_mm=one.thickness_mm,
        kind=_kind(one),
        phase=phase_of(part),
        description=one.description,
        readable=readable,
        archive_number=one.series_number,
        _images=ordered,
    )


def phase_of(part: Part) -> str:
    """Tell the time of a part after the first one of its examination."""
    return "" if part.delay_s is None else f"+{part.delay_s:.0f} s"


def _kind(one: Slice) -> str:
    """Plane, processing, kernel and contrast: none of it in words of the file's own."""
    words = [_plane(one)]
    words += [WORDS[word] for word in one.image_type if word in WORDS]
    words += [f"kernel {one.kernel}"] if one.kernel else []
    words.append("contrast given" if one.contrast else "no contrast noted")
    return ", ".join(word for word in words if word)


def _plane(one: Slice) -> str:
    if one.orientation is None or not np.isfinite(one.orientation).all():
        return "axial" if "AXIAL" in one.image_type else ""
    axes = np.array(one.orientation).reshape(2, 3)
    normal = np.abs(np.cross(axes[0], axes[1]))
    return ("sagittal", "coronal", "axial")[int(normal.argmax())] if normal.max() > FLAT else "oblique"


def _small(image: NDArray[np.int16], one: Slice) -> Preview:
    """Window, turn to the usual view, shrink to a square."""
    rows, columns = image.shape
    tall, wide = np.array([rows, columns]) * np.array(one.spacing_mm or (1.0, 1.0))
    across, down = np.array(one.orientation or (1, 0, 0, 0, 1, 0)).reshape(2, 3)
    if across[np.abs(across).argmax()] < 0:  # on screen, left is the patient's right, or front
        image = image[:, ::-1]
    if (down[np.abs(down).argmax()] < 0) != (np.abs(down).argmax() == 2):  # and below is the back, or the feet
        image = image[::-1]
    height, width = (max(1, round(SMALL * float(mm / max(tall, wide)))) for mm in (tall, wide))
    sampled = image[np.ix_(_spread(height, rows), _spread(width, columns))]
    low, high = WINDOW_HU
    grey = np.clip((sampled - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    square = np.zeros((SMALL, SMALL), np.uint8)
    top, left = (SMALL - height) // 2, (SMALL - width) // 2
    square[top : top + height, left : left + width] = grey
    return square


def _spread(few: int, many: int) -> NDArray[np.intp]:
    """So many indices, evenly spread."""
    return ((np.arange(few) + 0.5) * (many / few)).astype(np.intp)
