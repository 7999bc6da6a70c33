"""Which part of a scan a network sees, at which pixel size, and how it is mapped back.

References
----------
Zhang, Deng, Li 2023, section 4.1 (the whole field at 256 × 256); the box of the liver at a fixed pixel size is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

MULTIPLE_PX = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class PreprocessSettings(Settings):
    """How a scan becomes slices for a network."""

    geometry: Literal["field", "liver"] = setting(
        "liver", help="Whole field of view resized to a square, or the liver's box at a fixed pixel size."
    )
    size_px: int = setting(256, unit="px", low=32, high=1024, help="Side of the square slice in field geometry.")
    pixel_mm: float = setting(1.5, unit="mm", low=0.3, high=8, help="Pixel size in liver geometry.")
    intensity: Literal["paper", "robust"] = setting(
        "robust", help="Histogram equalisation of each slice, or Hounsfield units around the liver's median."
    )
    window_low_hu: float = setting(-200.0, unit="HU", low=-1024, high=3071, help="Darker values are taken as this one.")
    window_high_hu: float = setting(250.0, unit="HU", low=-1024, high=3071, help="Brighter values are taken as this one.")
    plane_mm: float = setting(
        0.0, unit="mm", low=0, high=10, help="Distance of the network's slices in liver geometry; 0 takes the scan's own planes."
    )
    neighbours: int = setting(0, unit="slices", low=0, high=8, help="Slices seen on each side of the one that is scored.")
    around_mm: float = setting(
        0.0, unit="mm", low=0, high=50, help="Tissue kept in sight around the liver; 0 blacks out all but the liver."
    )
    half_range_hu: float = setting(
        150.0, unit="HU", low=20, high=1000, help="Distance from the liver's median to black and to white in robust intensity."
    )
    reference: Literal["mask", "healthy"] = setting(
        "mask",
        added=True,
        help="Median that is the middle of robust intensity: of the whole mask, or of what is healthy of it.",
    )

    @property
    def planes(self) -> int:
        """Slices that a network sees at once: the one that is scored and its neighbours."""
        return 2 * self.neighbours + 1

    @property
    def hu_per_unit(self) -> float:
        """Hounsfield units between black (0) and white (1)."""
        return 2 * self.half_range_hu if self.intensity == "robust" else self.window_high_hu - self.window_low_hu


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the network's slices lie in the scan.

    Attributes
    ----------
    shape : tuple of int
        Shape (z, y, x) of the scan in canonical order.
    planes : ndarray of int
        Axial indices of the scan's planes in the box.
    depth : int
        Slices they are resampled to; as many as planes when the scan's own planes are taken.
    rows, columns : tuple of int
        First and one past the last voxel of the box; may reach beyond the scan.
    size : tuple of int
        Pixels (rows, columns) the box is resampled to.
    padded : tuple of int
        Pixels (rows, columns) of the network's slices: the resampled box in the upper left corner, background elsewhere.
    """

    shape: tuple[int, int, int]
    planes: NDArray[np.intp]
    depth: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    size: tuple[int, int]
    padded: tuple[int, int]

    def cut(self, array: NDArray[np.generic], fill: float = 0) -> NDArray[np.generic]:
        """Take the box out of a scan-sized array, on the scan's own pixels.

        Parameters
        ----------
        array : ndarray, (z, y, x)
            Canonical order, the scan's shape.
        fill : float
            Value where the box reaches beyond the scan.

        Returns
        -------
        ndarray, (planes, rows, columns)
            The scan's planes in the box, same type.
        """
        inside = array[self.planes, max(self.rows[0], 0) : self.rows[1], max(self.columns[0], 0) : self.columns[1]]
        border = [(max(-first, 0), max(last - size, 0)) for (first, last), size in self._axes()]
        return np.pad(inside, [(0, 0), *border], constant_values=fill) if any(map(any, border)) else inside

    def to_network(self, hu: NDArray[np.int16], window_hu: tuple[float, float]) -> Floats:
        """Bring a scan to the network's pixels: windowed first, then bilinear with anti-aliasing.

        Parameters
        ----------
        hu : ndarray, (z, y, x) int16
            Hounsfield units, canonical order.
        window_hu : tuple of float
            Darkest and brightest value kept. The background gets the darkest.

        Returns
        -------
        ndarray, (n, H, W) float32
            Hounsfield units inside the window.
        """
        from skimage.transform import resize

        low, high = window_hu
        box = np.clip(self.cut(hu, low), low, high).astype(np.float32)
        smaller = any(have > want for have, want in zip(box.shape, self._grid, strict=True))
        small = resize(box, self._grid, order=1, mode="edge", anti_aliasing=smaller, preserve_range=True)
        return np.pad(small, self._padding(), constant_values=low).astype(np.float32)

    def mask_to_network(self, mask: Bools) -> Bools:
        """Bring a mask to the network's pixels: nearest voxel; where planes are resampled, the larger half.

        Parameters
        ----------
        mask : ndarray, (z, y, x) bool
            Canonical order, the scan's shape.

        Returns
        -------
        ndarray, (n, H, W) bool
            False in the background.
        """
        from skimage.transform import resize

        box = self.cut(mask)
        if self.depth == len(self.planes):
            small = resize(box, self._grid, order=0, mode="edge", anti_aliasing=False)
        else:
            small = resize(box.astype(np.float32), self._grid, order=1, mode="edge", anti_aliasing=False) >= 0.5
        return np.pad(small, self._padding()).astype(bool)

    def to_scan(self, slices: Floats, part: tuple[slice, ...] | None = None) -> Floats:
        """Bring values on the network's slices back to the scan's pixels, zero elsewhere.

        Parameters
        ----------
        slices : ndarray, (n, H, W) float32
            As made by a network.
        part : tuple of slice, optional
            The part (z, y, x) of the scan that is wanted, each slice with its ends; the whole scan when nothing is given.

        Returns
        -------
        ndarray, (z, y, x) float32
            On the scan's grid, canonical order.
        """
        from skimage.transform import resize

        box_shape = (len(self.planes), self.rows[1] - self.rows[0], self.columns[1] - self.columns[0])
        box = resize(
            slices[:, : self.size[0], : self.size[1]], box_shape, order=1, mode="edge", anti_aliasing=False, preserve_range=True
        )
        deep, *sides = part or tuple(slice(0, n) for n in self.shape)
        made = np.zeros([one.stop - one.start for one in (deep, *sides)], dtype=np.float32)
        inside = (self.planes >= deep.start) & (self.planes < deep.stop)
        into, out = [], []
        for side, (first, last) in zip(sides, (self.rows, self.columns), strict=True):
            low = max(side.start, first)
            high = max(low, min(side.stop, last))
            into.append(slice(low - side.start, high - side.start))
            out.append(slice(low - first, high - first))
        made[(self.planes[inside] - deep.start, *into)] = box[(inside, *out)]
        return made

    def place_of(self, z: int) -> tuple[int, int, float]:
        """Tell between which slices a plane of the box lies.

        Parameters
        ----------
        z : int
            Canonical axial index, one of ``planes``.

        Returns
        -------
        tuple of int, int and float
            Two neighbouring slices, and which part of the way it is from the first to the second, 0 to below 1.
        """
        along = (int(np.searchsorted(self.planes, z)) + 0.5) * self.depth / len(self.planes) - 0.5
        along = min(max(along, 0.0), self.depth - 1.0)
        below = int(along)
        return below, min(below + 1, self.depth - 1), along - below

    def plane_to_scan(self, image: Floats) -> Floats:
        """Bring one slice back to the scan's pixels, zero elsewhere.

        Parameters
        ----------
        image : ndarray, (H, W) float32
            As made by a network.

        Returns
        -------
        ndarray, (y, x) float32
            A plane of the scan, canonical order.
        """
        alone = replace(self, shape=(1, *self.shape[1:]), planes=np.zeros(1, dtype=np.intp), depth=1)
        return np.asarray(alone.to_scan(image[None])[0])

    @property
    def _grid(self) -> tuple[int, int, int]:
        return (self.depth, *self.size)

    def _padding(self) -> list[tuple[int, int]]:
        """Pixels of background that fill the slice to its padded size."""
        return [(0, 0), (0, self.padded[0] - self.size[0]), (0, self.padded[1] - self.size[1])]

    def _axes(self) -> tuple[tuple[tuple[int, int], int], tuple[tuple[int, int], int]]:
        return ((self.rows, self.shape[1]), (self.columns, self.shape[2]))


def frame_of(liver: Bools, spacing_mm: tuple[float, float, float], settings: PreprocessSettings) -> Frame:
    """Decide which part of a scan the network sees.

    Parameters
    ----------
    liver : ndarray, (z, y, x) bool
        Liver mask in canonical order.
    spacing_mm : tuple of float
        Voxel size (z, y, x) in mm.
    settings : PreprocessSettings
        Geometry, side and pixel size.

    Returns
    -------
    Frame
        One slice for each plane that holds liver; or slices at a fixed distance, with its neighbours on both sides.

    Raises
    ------
    Refusal
        When the mask is empty.
    """
    planes = np.flatnonzero(liver.any(axis=(1, 2)))
    if planes.size == 0:
        raise make_refusal("liver-empty")
    height, width = liver.shape[1:]
    if settings.geometry == "field":
        side = max(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        size = (settings.size_px, settings.size_px)
        return Frame(liver.shape, planes, len(planes), (top, top + side), (left, left + side), size, size)
    boxes = []
    for axis, length, mm in ((1, height, spacing_mm[1]), (2, width, spacing_mm[2])):
        where = np.flatnonzero(liver.any(axis=(0, 3 - axis)))
        margin = int(np.ceil(max(2 * settings.pixel_mm, settings.around_mm) / mm))
        boxes.append((max(int(where[0]) - margin, 0), min(int(where[-1]) + 1 + margin, length)))
    rows, columns = boxes
    size = (_pixels(rows, spacing_mm[1], settings), _pixels(columns, spacing_mm[2], settings))
    padded = (_round_up(size[0]), _round_up(size[1]))
    depth = len(planes)
    if settings.plane_mm:
        padding = int(np.ceil(max(settings.neighbours, 1) * settings.plane_mm / spacing_mm[0]))
        planes = np.arange(max(planes[0] - padding, 0), min(planes[-1] + padding + 1, liver.shape[0]))
        depth = max(1, round(len(planes) * spacing_mm[0] / settings.plane_mm))
    return Frame(liver.shape, planes, depth, rows, columns, size, padded)


def _pixels(span: tuple[int, int], mm: float, settings: PreprocessSettings) -> int:
    """Pixels that a span of voxels needs at the network's pixel size."""
    return max(1, round((span[1] - span[0]) * mm / settings.pixel_mm))


def _round_up(pixels: int) -> int:
    """Smallest size the networks can halve five times."""
    return -(-pixels // MULTIPLE_PX) * MULTIPLE_PX
