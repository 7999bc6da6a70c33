"""The header of one DICOM image: only the fields that a stack needs, so that names and identifiers are not even read.

A file holds one slice, or, as Enhanced CT, all of a series, each with a place and a rescale of its own.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydicom.errors import BytesLengthException, InvalidDicomError

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from pathlib import Path

    from napari_liver_anomaly.errors import Refusal

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
CT_CLASSES = {CT_IMAGE, CT_IMAGE + ".1", CT_IMAGE + ".2"}  # single-frame, enhanced, converted
DEFLATED = "1.2.840.10008.1.2.1.99"
LARGEST_FILE = 2**29
LARGEST_FRAMES = 2**31  # one file with all slices of a series
REPORTS = {"SCREEN SAVE", "DOSE_INFO", "DOSE REPORT", "REPORT", "PROTOCOL"}  # by these, scanners mark images of text
# Kernels as the scanners' makers name them; whatever else stands in that field is not looked at.
KERNEL = re.compile(
    r"([A-Z][a-z]{0,2}\d{2}[a-z]?|F[CL]\d{2}|Y?[A-F]|STANDARD|STND|SOFT|LUNG|BONE|BONEPLUS|DETAIL|EDGE|CHEST|BRAIN|SHARP|SMOOTH|BODY)"
)
NO_AGENT = {"", "NO", "NONE", "N", "0"}
# What pydicom raises on files that are broken in one way or another.
DAMAGE = (
    EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, NotImplementedError, RecursionError, OSError,
    MemoryError, struct.error, zlib.error, BytesLengthException, InvalidDicomError,
)  # fmt: skip
TAGS = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesDescription", "Modality", "ImageType",
    "AcquisitionNumber", "AcquisitionTime", "AcquisitionDateTime", "ContentTime", "ConvolutionKernel", "ContrastBolusAgent",
    "ContrastBolusAgentSequence", "Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient",
    "SliceThickness", "RescaleSlope", "RescaleIntercept", "RescaleType", "SamplesPerPixel", "PhotometricInterpretation",
    "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "LossyImageCompression",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
# Where Enhanced CT keeps what an ordinary slice has at the top: sequence in a functional group, and its fields.
GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "CTReconstructionSequence": ("ConvolutionKernel",),
    "FrameContentSequence": ("FrameAcquisitionNumber", "FrameAcquisitionDateTime", "TemporalPositionIndex"),
    "CTImageFrameTypeSequence": ("FrameType",),
}

Numbers = tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """What one slice says about itself; ``None`` or an empty text where it says nothing.

    Attributes
    ----------
    path : Path
        The file.
    frame, frames : int
        Which image of the file it is, from 0, and of how many.
    framed : bool
        Whether the file says of each of its images where it lies.
    syntax, sop_class, uid, study, series, modality, acquisition, rescale_type, photometric : str
        Transfer syntax, kind of object, and so on, as in the file.
    kernel : str
        Name of the reconstruction kernel where it is one that makers of scanners use.
    contrast : bool
        Whether a contrast agent is named.
    acquired_s, shown_s : float or None
        Time of day of acquisition and of the image, s: to sort and to tell phases apart, never to show.
    description : str
        Of the series, names perhaps included: for the screen only.
    image_type : tuple of str
        For example ORIGINAL, PRIMARY, AXIAL.
    rows, columns, samples, bits_allocated, bits_stored, high_bit : int
        Size and packing of the image.
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
    frame: int
    syntax: str
    sop_class: str
    uid: str
    study: str
    series: str
    description: str = field(repr=False)
    kernel: str
    contrast: bool
    acquired_s: float | None
    shown_s: float | None
    modality: str
    acquisition: str
    image_type: tuple[str, ...]
    rows: int
    columns: int
    samples: int
    frames: int
    framed: bool
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
        """Whether this is the localizer on which a scan is planned."""
        return "LOCALIZER" in self.image_type

    @property
    def is_report(self) -> bool:
        """Whether this is an image of text, such as a dose report, that the scanner keeps as a CT image."""
        return any(word in REPORTS or word.endswith(" PROT") for word in self.image_type[2:])

    @property
    def is_slice(self) -> bool:
        """Whether this can belong to a stack."""
        return self.is_ct and not self.is_localizer and not self.is_report


def headers_of(path: Path) -> tuple[Slice, ...]:
    """Read the fields of one DICOM file without its pixels."""
    from pydicom import dcmread
    from pydicom.config import disable_value_validation
    from pydicom.filereader import read_file_meta_info

    try:
        if not path.is_file() or path.stat().st_size > LARGEST_FRAMES:  # a pipe would never end
            raise ValueError
        with (
            warnings.catch_warnings(),
            disable_value_validation(),
        ):  # warnings, shown and logged, quote the header, names included
            warnings.simplefilter("ignore")
            about = read_file_meta_info(path)
            syntax = str(about.get("TransferSyntaxUID", ""))
            if syntax == DEFLATED:
                raise _deflated()
            fields = dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
            frames = _frames(fields)
            if len(frames) == 1 and path.stat().st_size > LARGEST_FILE:
                raise ValueError
            found = tuple(_slice(path, number, syntax, frame, framed=len(frames) > 1) for number, frame in enumerate(frames))
            if str(about.get("MediaStorageSOPClassUID", "")) in CT_CLASSES and not any(
                one.is_ct or one.modality for one in found
            ):
                raise EOFError  # cut off before it says again that it is a slice: without it the scan would have a gap
            return found
    except DAMAGE:
        raise make_refusal("dicom-damaged") from None  # pydicom's own words quote the header, names included


def _frames(fields: Any) -> list[Any]:
    """Fields of every frame: those of the file, and over them those of the shared and the frame's own functional groups."""
    shared: Any = fields.get("SharedFunctionalGroupsSequence") or []
    own: Any = fields.get("PerFrameFunctionalGroupsSequence") or []
    if _text(fields, "SOPClassUID") not in CT_CLASSES - {CT_IMAGE} or len(own) != _whole(fields, "NumberOfFrames", 1):
        return [fields]
    plain = {name: fields.get(name) for name in TAGS if not name.endswith("GroupsSequence")}
    return [plain | (_grouped(shared[0]) if len(shared) else {}) | _grouped(frame) for frame in own]


def _grouped(group: Any) -> dict[str, Any]:
    """Fields of one functional group, by the names they have in an ordinary slice."""
    told: dict[str, Any] = {}
    for sequence, names in GROUPS.items():
        items: Any = group.get(sequence) or []
        if len(items):
            told |= {name: items[0].get(name) for name in names if items[0].get(name) is not None}
    for name, usual in (
        ("FrameType", "ImageType"), ("FrameAcquisitionNumber", "AcquisitionNumber"), ("TemporalPositionIndex", "AcquisitionNumber"),
        ("FrameAcquisitionDateTime", "AcquisitionDateTime"),
    ):  # fmt: skip
        if name in told:
            told[usual] = told.pop(name)
    return told


def _slice(path: Path, frame: int, syntax: str, fields: Any, *, framed: bool) -> Slice:
    image_type = fields.get("ImageType") or ()
    return Slice(
        path=path,
        frame=frame,
        syntax=syntax,
        sop_class=_text(fields, "SOPClassUID"),
        uid=_text(fields, "SOPInstanceUID"),
        study=_text(fields, "StudyInstanceUID"),
        series=_text(fields, "SeriesInstanceUID"),
        description=_text(fields, "SeriesDescription"),
        kernel=_kernel(fields),
        contrast=_contrast(fields),
        acquired_s=_seconds(_text(fields, "AcquisitionDateTime")[8:] or _text(fields, "AcquisitionTime")),
        shown_s=_seconds(_text(fields, "ContentTime")),
        modality=_text(fields, "Modality"),
        acquisition=_text(fields, "AcquisitionNumber"),
        image_type=(image_type,) if isinstance(image_type, str) else tuple(str(word) for word in image_type),
        rows=_whole(fields, "Rows"),
        columns=_whole(fields, "Columns"),
        samples=_whole(fields, "SamplesPerPixel", 1),
        frames=_whole(fields, "NumberOfFrames", 1),
        framed=framed,
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


def _kernel(fields: Any) -> str:
    value = fields.get("ConvolutionKernel")
    first = str(value if value is None or isinstance(value, str) or not len(value) else value[0]).strip()
    return first if KERNEL.fullmatch(first) else ""


def _contrast(fields: Any) -> bool:
    return _text(fields, "ContrastBolusAgent").upper() not in NO_AGENT or bool(fields.get("ContrastBolusAgentSequence"))


def _seconds(time: str) -> float | None:
    """Time of day "HHMMSS.ffffff" in seconds."""
    told = re.match(r"(\d\d)(\d\d)(\d\d(?:\.\d{1,6})?)?", time)
    return 3600.0 * int(told[1]) + 60.0 * int(told[2]) + float(told[3] or 0) if told else None


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


def _deflated() -> Refusal:
    return make_refusal("dicom-deflated")
