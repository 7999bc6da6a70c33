"""Pictures of a report: the liver and its lesions on one slice, in a liver window, with contours and a bar of five centimetres."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_liver_anomaly.notebook import LIVER, TUMOUR, largest_slice, outline, png

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.result import Result

    Bools = NDArray[np.bool_]

WIDTH_HU, LEVEL_HU = 200, 60
AROUND_MM, LEAST_MM = 15.0, 120.0  # beside the liver; and how much is shown at least
FINE_PX = 560  # along the longer side
OTHER = (255, 190, 60)  # lesions that the picture is not about
BAR_MM = 50.0


class Picture(NamedTuple):
    """A picture as PNG, its size in the patient, and what is seen."""

    png: bytes
    width_mm: float
    height_mm: float
    words: str


def lesion_picture(result: Result, lesion: Lesion, number: int) -> Picture:
    """Show the axial slice on which a lesion is measured."""
    labels = result.labels[number]
    place = result.volume.place_of(number)
    words = f"Slice {number}{f' ({place})' if place else ''}: lesion {lesion.number} in red, other lesions in orange, liver in turquoise."
    contours = {
        LIVER: result.liver.voxels[number],
        OTHER: (labels > 0) & (labels != lesion.number),
        TUMOUR: labels == lesion.number,
    }
    return _picture(result.volume.voxels[number], result.volume.geometry.spacing_mm[1:], contours, words)


def overview_picture(result: Result) -> Picture:
    """Show the coronal slice through the largest lesion, or where the liver is largest."""
    tumours = result.labels > 0
    number = largest_slice(np.swapaxes(tumours if tumours.any() else result.liver.voxels, 0, 1))
    z_mm, _, x_mm = result.volume.geometry.spacing_mm
    words = f"Coronal slice {number}: lesions in red, liver in turquoise."
    contours = {LIVER: result.liver.voxels[:, number], TUMOUR: tumours[:, number]}
    return _picture(result.volume.voxels[:, number], (z_mm, x_mm), contours, words)


def _picture(hu: NDArray[np.int16], mm: tuple[float, float], contours: dict[tuple[int, int, int], Bools], words: str) -> Picture:
    """Cut to the liver, enlarge evenly, and draw contours of one fine pixel."""
    rows, columns = (_cut(side, size) for side, size in zip(_used(contours), mm, strict=True))
    hu, contours = hu[rows, columns], {colour: mask[rows, columns] for colour, mask in contours.items()}
    size_mm = (hu.shape[0] * mm[0], hu.shape[1] * mm[1])
    shape = tuple(max(1, round(FINE_PX * side / max(size_mm))) for side in size_mm)
    grey = np.clip((_enlarged(hu, shape) - (LEVEL_HU - WIDTH_HU / 2)) * (255 / WIDTH_HU), 0, 255).astype(np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=-1)
    nearest = np.ix_(*(((np.arange(n) + 0.5) * (side / n)).astype(int) for n, side in zip(shape, hu.shape, strict=True)))
    for colour, mask in contours.items():
        drawn = outline(mask[nearest])
        rgb[drawn] = colour
        rgb[outline(mask[nearest] & ~drawn)] = colour  # a contour of one pixel is lost on paper
    bar = round(BAR_MM * shape[1] / size_mm[1])
    rgb[shape[0] - 14 : shape[0] - 10, 10 : 10 + bar] = 255
    return Picture(png(rgb), size_mm[1], size_mm[0], f"{words} Window {WIDTH_HU}, level {LEVEL_HU} HU; the bar is 5 cm long.")


def _used(contours: dict[tuple[int, int, int], Bools]) -> tuple[Bools, Bools]:
    """Rows and columns in which there is anything to show; all of them where there is nothing."""
    anything = np.logical_or.reduce(list(contours.values()))
    if not anything.any():
        anything = np.ones_like(anything)
    return anything.any(axis=1), anything.any(axis=0)


def _cut(used: Bools, mm: float) -> slice:
    """Choose what is shown along one side: what is used, something around it, and not too little."""
    where = np.flatnonzero(used)
    low, high = float(where[0]), float(where[-1] + 1)
    around = max(AROUND_MM / mm, (LEAST_MM / mm - (high - low)) / 2)
    return slice(max(0, int(low - around)), min(len(used), int(np.ceil(high + around))))


def _enlarged(hu: NDArray[np.int16], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Interpolate an image evenly, pixel borders on pixel borders."""
    from scipy.ndimage import map_coordinates

    places = [(np.arange(n) + 0.5) * (side / n) - 0.5 for n, side in zip(shape, hu.shape, strict=True)]
    grid = np.meshgrid(*places, indexing="ij")
    return np.asarray(map_coordinates(hu.astype(np.float32), grid, order=1, mode="nearest"))
