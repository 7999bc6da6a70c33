"""The header of one DICOM image: only the fields a stack needs, so that names and ids are not even looked at."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom.errors import BytesLengthException, InvalidDicomError

from napari_liver_anomaly.errors import UnreadableFile

if TYPE_CHECKING:
    from pathlib import Path

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
CT_CLASSES = {CT_IMAGE, CT_IMAGE + ".1", CT_IMAGE + ".2"}  # single-frame, enhanced, converted
DEFLATED = "1.2.840.10008.1.2.1.99"
LARGEST_FILE = 2**29
# What pydicom raises on files that are broken in one way or another.
DAMAGE = (
    EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, NotImplementedError, RecursionError, OSError,
    MemoryError, struct.error, zlib.error, BytesLengthException, InvalidDicomError,
)  # fmt: skip
TAGS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "AcquisitionNumber", "Rows", "Columns",
    "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness", "RescaleSlope", "RescaleIntercept",
    "RescaleType", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "LossyImageCompression",
]  # fmt: skip

Numbers = tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """What one file says about itself; ``None`` or an empty text where it says nothing.

    Attributes
    ----------
    path : Path
        The file.
    syntax, sop_class, uid, series, modality, acquisition, rescale_type, photometric : str
        Transfer syntax, kind of object, and so on, as in the file.
    image_type : tuple of str
        For example ORIGINAL, PRIMARY, AXIAL.
    rows, columns, samples, frames, bits_allocated, bits_stored, high_bit : int
        Size and packing of the picture.
    signed, lossy : bool
        Whether stored values are signed; whether compression changed them.
    spacing_mm : tuple of float or None
        Between rows, between columns.
    orientation : tuple of float or None
        Direction of a row, then of a column, LPS.
    position_mm : tuple of float or None
        Centre of the first voxel, LPS.
    slope, intercept, thickness_mm : float or None
        Rescale to HU; nominal thickness of the slice.
    """

    path: Path
    syntax: str
    sop_class: str
    uid: str
    series: str
    modality: str
    acquisition: str
    image_type: tuple[str, ...]
    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    lossy: bool
    photometric: str
    spacing_mm: Numbers | None
    orientation: Numbers | None
    position_mm: Numbers | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    thickness_mm: float | None

    @property
    def is_ct(self) -> bool:
        """Whether this is a CT image; where the kind of object is left empty, the modality decides."""
        return self.sop_class in CT_CLASSES or (not self.sop_class and self.modality == "CT")

    @property
    def is_localizer(self) -> bool:
        """Whether this is the overview picture on which a scan is planned."""
        return "LOCALIZER" in self.image_type


def header_of(path: Path) -> Slice:
    """Read the fields of one DICOM file without its pixels.

    Parameters
    ----------
    path : Path
        A file with a DICOM preamble.

    Returns
    -------
    Slice
        Its fields.

    Raises
    ------
    UnreadableFile
        When the header is damaged, or packed as a whole (such a header can unpack to any size).
    """
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info

    try:
        if not path.is_file() or path.stat().st_size > LARGEST_FILE:  # a pipe would never end
            raise ValueError
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote the header, names included
            about = read_file_meta_info(path)
            syntax = str(about.get("TransferSyntaxUID", ""))
            if syntax == DEFLATED:
                raise _deflated()
            found = _slice(path, syntax, dcmread(path, stop_before_pixels=True, specific_tags=TAGS))
            if str(about.get("MediaStorageSOPClassUID", "")) in CT_CLASSES and not (found.is_ct or found.modality):
                raise EOFError  # cut off before it says again that it is a slice: without it the scan would have a gap
            return found
    except DAMAGE:
        raise UnreadableFile(
            "dicom-damaged",
            "A DICOM file is damaged: its header cannot be read.",
            "A slice of the scan may be missing.",
            "Copy or export the series again.",
        ) from None  # fmt: skip - pydicom's own words quote the header, names included


def _slice(path: Path, syntax: str, fields: Any) -> Slice:
    image_type = fields.get("ImageType") or ()
    return Slice(
        path=path,
        syntax=syntax,
        sop_class=_text(fields, "SOPClassUID"),
        uid=_text(fields, "SOPInstanceUID"),
        series=_text(fields, "SeriesInstanceUID"),
        modality=_text(fields, "Modality"),
        acquisition=_text(fields, "AcquisitionNumber"),
        image_type=(image_type,) if isinstance(image_type, str) else tuple(str(word) for word in image_type),
        rows=_whole(fields, "Rows"),
        columns=_whole(fields, "Columns"),
        samples=_whole(fields, "SamplesPerPixel", 1),
        frames=_whole(fields, "NumberOfFrames", 1),
        bits_allocated=_whole(fields, "BitsAllocated"),
        bits_stored=_whole(fields, "BitsStored"),
        high_bit=_whole(fields, "HighBit"),
        signed=_whole(fields, "PixelRepresentation") == 1,
        lossy=_text(fields, "LossyImageCompression") == "01",
        photometric=_text(fields, "PhotometricInterpretation"),
        spacing_mm=_numbers(fields, "PixelSpacing", 2),
        orientation=_numbers(fields, "ImageOrientationPatient", 6),
        position_mm=_numbers(fields, "ImagePositionPatient", 3),
        slope=_number(fields, "RescaleSlope"),
        intercept=_number(fields, "RescaleIntercept"),
        rescale_type=_text(fields, "RescaleType"),
        thickness_mm=_number(fields, "SliceThickness"),
    )


def _text(fields: Any, name: str) -> str:
    return str(fields.get(name) if fields.get(name) is not None else "").strip()


def _whole(fields: Any, name: str, otherwise: int = 0) -> int:
    value = fields.get(name)
    return otherwise if value is None or value == "" else int(value)


def _number(fields: Any, name: str) -> float | None:
    value = fields.get(name)
    return None if value is None or value == "" else float(value)


def _numbers(fields: Any, name: str, count: int) -> Numbers | None:
    values = fields.get(name)
    if values is None or isinstance(values, (str, float, int)) or len(values) != count:
        return None
    return tuple(float(value) for value in values)


def _deflated() -> UnreadableFile:
    return UnreadableFile(
        "dicom-deflated", "These DICOM files are deflated: header and picture are packed together.",
        "They can unpack to any size and are not read.", "Export the series uncompressed.",
    )  # fmt: skip
