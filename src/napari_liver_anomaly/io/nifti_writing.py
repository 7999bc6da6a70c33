"""NIfTI files on the grid of the source, with nothing in them but voxels and their position."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.geometry import wrong_shape
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.placing import replacing_all, require_not_an_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.geometry import Geometry

    Array = NDArray[Any]

KINDS = ("uint8", "uint16", "int16", "int32", "float32")
ENDINGS = (".nii.gz", ".nii")
UNKNOWN = 0
SCANNER = 1  # the code of "position in the scanner"
PIECE = 2**22  # voxels that are turned and packed at once
SCAN_PACKING, MASK_PACKING = 4, 1000  # voxels that take a byte at least, even of a scan that is half air
QUICK = 1  # gzip's level: the higher ones take ten times as long for a tenth less


def least_bytes(voxels: int, *, scans: int = 0, masks: int = 0) -> int:
    """Foresee what packed images of a scan's size take on a disk at least: noise takes half of a scan's bytes, a mask next to nothing."""
    return scans * voxels // SCAN_PACKING + masks * voxels // MASK_PACKING


def write_image(array: Array, geometry: Geometry, path: str | Path, inputs: Iterable[str | Path] = ()) -> Path:
    """Write one image on the grid of its scan's file.

    Parameters
    ----------
    array : ndarray, (z, y, x) bool, uint8, uint16, int16, int32 or float32
        Canonical order. The kind is kept; bool becomes uint8.
    geometry : Geometry
        Grid of the scan.
    path : path-like
        Ends in ``.nii.gz`` or ``.nii``.
    inputs : iterable of path-like
        Files that must not be overwritten.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    NotWritten
        When the path is an input, has another ending, or the disk does not take it; an earlier file is untouched.
    WrongGrid
        When the shape is not that of the grid.
    """
    path = Path(path)
    require_ending(path)
    return write_together({path: image_writer(array, geometry)}, inputs)[0]


def require_ending(path: Path) -> None:
    """Refuse a name that other programs would not take for an image."""
    if not path.name.endswith(ENDINGS):
        raise make_refusal("ending-unknown", file=path.name)


def write_labels(labels: Array, geometry: Geometry, path: str | Path, inputs: Iterable[str | Path] = ()) -> Path:
    """Write a label image; every number arrives exactly.

    Parameters
    ----------
    labels : ndarray, (z, y, x) integer or bool
        Canonical order.
    geometry : Geometry
        Grid of the scan.
    path : path-like
        Ends in ``.nii.gz`` or ``.nii``.
    inputs : iterable of path-like
        Files that must not be overwritten.

    Returns
    -------
    Path
        The file, of the smallest kind of integer that holds all labels.

    Raises
    ------
    InvalidNumbers
        When a label is not a whole number that 32 bits hold.
    NotWritten
        As :func:`write_image`.
    """
    path = Path(path)
    require_ending(path)
    return write_together({path: image_writer(labels, geometry, smallest_kind(labels))}, inputs)[0]


def smallest_kind(labels: Array) -> str:
    """Name the smallest kind of integer that holds all labels."""
    whole, limits = labels.dtype.kind in "biu", np.iinfo(np.int32)
    low, high = (int(labels.min()), int(labels.max())) if whole and labels.size else (0, 0)
    if not whole or low < limits.min or high > limits.max:
        raise make_refusal("labels-not-whole")
    return next(k for k in ("uint8", "uint16", "int32") if np.iinfo(k).min <= low and high <= np.iinfo(k).max)


def image_writer(
    array: Array, geometry: Geometry, kind: str = "", values: Callable[[Array], Array] = np.asarray
) -> Callable[[Path], None]:
    """Prepare to write an image, checking everything that can be checked before a file is touched.

    ``values`` gives what is written of a piece of the array, as ``kind``; both are asked while it is written, so that no copy of the whole is made.
    """
    kind = kind or ("uint8" if array.dtype == np.bool_ else array.dtype.name)
    if kind not in KINDS:
        raise TypeError(f"Images are written as {', '.join(KINDS)}, not as {array.dtype}.")
    if array.shape != geometry.shape:
        raise wrong_shape("An image", array.shape, geometry.shape)

    def write(path: Path) -> None:
        source = geometry.in_source_order(array)
        planes = max(1, PIECE // (source.shape[0] * source.shape[1]))
        with open(path, "wb") as file, ExitStack() as stack:
            stream: Any = file
            if path.name.endswith(".gz"):
                # No name and no time in the gzip header: the same result gives the same bytes, and says nothing about its maker.
                packed = gzip.GzipFile(filename="", mode="wb", compresslevel=QUICK, fileobj=file, mtime=0)
                stream = stack.enter_context(packed)
            _header(geometry, kind).write_to(stream)
            for first in range(0, source.shape[2], planes):
                stream.write(values(source[..., first : first + planes]).astype(kind, copy=False).tobytes(order="F"))

    return write


def _header(geometry: Geometry, kind: str) -> Any:
    """Make the header of a file that holds an image and nothing else."""
    from nibabel.nifti1 import Nifti1Image

    image = Nifti1Image(np.broadcast_to(np.zeros((), kind), geometry.source_shape), geometry.source_affine, dtype=kind)
    image.header.set_xyzt_units("mm")
    # Where the source does not say how the patient lies, no code says so here, and every program guesses alike for scan and result.
    code = SCANNER if geometry.oriented else UNKNOWN
    image.set_sform(geometry.source_affine if geometry.oriented else None, code)
    image.set_qform(geometry.source_affine, code)
    image.header.set_slope_inter(1, 0)
    return image.header


def write_together(
    files: Mapping[Path, Callable[[Path], None]],
    inputs: Iterable[str | Path] = (),
    *,
    stale: Sequence[Path] = (),
    require: Callable[[], None] = lambda: None,
) -> tuple[Path, ...]:
    """Write several files, all or none: each is written beside its place, and only when all are there do they take it; ``stale`` ones go then."""
    kept = tuple(inputs)
    for place in files:
        require_not_an_input(place, kept)
    with replacing_all(tuple(files), stale=stale, require=require) as besides:
        for beside, write in zip(besides, files.values(), strict=True):
            write(beside)
    return tuple(files)
