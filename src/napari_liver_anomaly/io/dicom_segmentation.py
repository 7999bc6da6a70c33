"""DICOM segmentations: highdicom puts their frames in order and names their segments; what is read of a file is bounded as for scans.

Slices without any voxel are not stored in such a file. Segments may overlap; then each lies in a layer of its own.
"""

from __future__ import annotations

import sqlite3
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.io.dicom_folder import list_folder
from napari_liver_anomaly.io.dicom_slices import DAMAGE, EXPLICIT, IMPLICIT, LARGEST_FILE
from napari_liver_anomaly.io.header_stream import HeaderStream
from napari_liver_anomaly.io.mask_labels import MOST_LABELS, clean_name
from napari_liver_anomaly.io.pixels import pixel_place
from napari_liver_anomaly.io.source import LPS_TO_RAS, Source, found
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.storage import voxel_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Refusal

    Array = NDArray[np.generic]

CLASSES = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}  # one layer for each segment; one map of labels
RLE = "1.2.840.10008.1.2.5"
HALF = 0.5  # of a voxel, or of certainty: from there on a fraction counts
EVEN_MM = 0.1  # how far a slice may lie off its place, as positions are written with few digits
BROKEN = (*DAMAGE, RuntimeError, sqlite3.Error)  # highdicom sorts frames in a table of SQLite


def segmentation_in(path: Path, what: str) -> Path:
    """Find the one segmentation that a path leads to, a file or the folder it lies in."""
    files = list_folder(path).files if path.is_dir() else (path,)
    kept = [file for file in files if file.is_file() and _is_segmentation(file)]  # a pipe would never end
    if len(kept) != 1:
        raise make_refusal("mask-dicom", what=what)
    return kept[0]


def open_segmentation(path: Path, what: str) -> Source:
    """Read the segments of a file and where they lie."""
    from highdicom.seg import Segmentation

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fields = _fields(path, what)
            _require_few(fields, what)
            about = Segmentation.from_dataset(fields, copy=False)
            numbers = [int(number) for number in about.segment_numbers]
            place = about.get_volume_geometry(allow_missing_positions=True, atol=EVEN_MM)
            names = {number: _named(about, number) for number in numbers}
            fractions = about.segmentation_type.value == "FRACTIONAL"
            apart = about.segmentation_type.value == "LABELMAP" or (not fractions and fields.get("SegmentsOverlap") == "NO")
    except BROKEN:
        raise _damaged() from None  # their own words quote the file
    if place is None:
        raise make_refusal("mask-uneven", what=what)
    z, y, x = place.spatial_shape
    voxel_bytes((x, y, z), 2)
    affine = LPS_TO_RAS @ np.asarray(place.affine, dtype=np.float64)[:, [2, 1, 0, 3]]

    def load() -> Array:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if apart:
                    return _from_slices(about.get_volume(combine_segments=True, atol=EVEN_MM).array)
                return _layers(about, numbers)
        except BROKEN:
            raise _damaged() from None

    return Source(
        shape=(x, y, z), affine=affine, load=load, names={number: told[0] for number, told in names.items()},
        further_names={number: told[1:] for number, told in names.items()}, sparse=True,
        findings=found(make_finding("mask-halves", what=what) if fractions else None),
    )  # fmt: skip


def _is_segmentation(path: Path) -> bool:
    from pydicom import dcmread

    try:
        if not path.is_file():  # a pipe would never end
            return False
        with warnings.catch_warnings(), HeaderStream(path) as stream:
            warnings.simplefilter("ignore")
            return str(dcmread(stream, stop_before_pixels=True, specific_tags=["SOPClassUID"]).get("SOPClassUID")) in CLASSES
    except BROKEN:
        return False


def _fields(path: Path, what: str) -> Any:
    """Read the elements of a file: those of the header with the work that headers may take, then the stored frames."""
    from pydicom import dcmread

    if path.stat().st_size > LARGEST_FILE:
        raise ValueError
    with HeaderStream(path, framed=True) as stream:
        fields = dcmread(stream, stop_before_pixels=True)
    syntax = str(fields.file_meta.TransferSyntaxUID)
    if syntax not in (IMPLICIT, EXPLICIT, RLE):
        raise make_refusal("mask-packed", what=what)
    with path.open("rb") as stream:
        start, length = pixel_place(stream, syntax)
        stream.seek(start)
        if length < 0:
            raise EOFError
        fields.PixelData = stream.read() if syntax == RLE else stream.read(length)
    voxel_bytes((fields.Columns, fields.Rows), 1)
    stored = -(-fields.Columns * fields.Rows * int(fields.NumberOfFrames) * fields.BitsAllocated // 8)
    if syntax != RLE and len(fields.PixelData) < stored:
        raise EOFError
    fields["PixelData"].is_undefined_length = syntax == RLE
    return fields


def _require_few(fields: Any, what: str) -> None:
    """Refuse so many segments that each of them, read for itself, would take a volume and its time."""
    count = len(fields.SegmentSequence)
    if count > MOST_LABELS:
        raise make_refusal("mask-segments", what=what, count=count, most=MOST_LABELS)


def _named(about: Any, number: int) -> tuple[str, str, str]:
    """Name a segment as the file does: its label, then the code of what it is and that code's meaning."""
    segment = about.get_segment_description(number)
    kind = segment.segmented_property_type
    return clean_name(str(segment.segment_label)), clean_name(str(kind.value)), clean_name(str(kind.meaning))


def _layers(about: Any, numbers: list[int]) -> Array:
    """Numbers of the segments, in as many volumes as keep those apart that overlap."""
    layers: list[NDArray[np.uint16]] = []
    for number in numbers:
        one = np.asarray(about.get_volume(segment_numbers=[number], atol=EVEN_MM).array)[..., 0]
        inside = _from_slices(one >= HALF)
        free = next((layer for layer in layers if not layer[inside].any()), None)
        if free is None:
            voxel_bytes((*inside.shape, len(layers) + 1), 2)
            layers.append(free := np.zeros(inside.shape, np.uint16))
        free[inside] = number
    return np.stack(layers, axis=-1)


def _from_slices(voxels: NDArray[Any]) -> NDArray[Any]:
    """Bring (slices, rows, columns) to (columns, rows, slices)."""
    return voxels.transpose(2, 1, 0)


def _damaged() -> Refusal:
    return make_refusal("file-damaged", reason="it is not a sound DICOM segmentation")
