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

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io.dicom_folder import PREAMBLE, is_bare
from napari_liver_anomaly.io.header_stream import HeaderStream
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from pathlib import Path

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
CT_CLASSES = {CT_IMAGE, CT_IMAGE + ".1", CT_IMAGE + ".2"}  # single-frame, enhanced, converted
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
LARGEST_FILE = 2**29
LARGEST_FRAMES = 2**31  # one file with all slices of a series
REPORTS = {"SCREEN SAVE", "DOSE_INFO", "DOSE REPORT", "REPORT", "PROTOCOL"}  # by these, scanners mark images of text
# Kernels as the scanners' makers name them; whatever else stands in that field is not looked at.
KERNEL = re.compile(
    r"([A-Z][a-z]{0,2}\d{2}[a-z]?|F[CL]\d{2}|Y?[A-F]|STANDARD|STND|SOFT|LUNG|BONE|BONEPLUS|DETAIL|EDGE|CHEST|BRAIN|SHARP|SMOOTH|BODY)"
)
INFORMATION_GROUP = 0x0002
LONGEST_COUNT = 10
NO_AGENT = {"", "NO", "NONE", "N", "0"}
# What pydicom raises on files that are broken in one way or another.
DAMAGE = (
    EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, NotImplementedError, RecursionError, OSError,
    MemoryError, struct.error, zlib.error, BytesLengthException, InvalidDicomError,
)  # fmt: skip
TAGS = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SeriesDescription", "SeriesNumber",
    "Modality", "ImageType", "InstanceNumber", "ImagesInAcquisition", "AcquisitionNumber", "AcquisitionTime",
    "AcquisitionDateTime", "ContentTime", "ConvolutionKernel", "ContrastBolusAgent", "ContrastBolusAgentSequence", "Rows",
    "Columns", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness", "RescaleSlope",
    "RescaleIntercept", "RescaleType", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "LossyImageCompression", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
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

# Numbers written as text, which pydicom refuses with the whole file where they are not quite as the standard wants them.
AS_TEXT = {
    "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "SliceThickness", "RescaleSlope", "RescaleIntercept",
    "NumberOfFrames", "InstanceNumber", "ImagesInAcquisition", "AcquisitionNumber", "TemporalPositionIndex", "FrameAcquisitionNumber",
    "SeriesNumber",
}  # fmt: skip
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)

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
    syntax_told, comma : bool
        Whether the file says how it is encoded; whether its numbers are written with a comma.
    syntax, sop_class, uid, study, series, reference, modality, acquisition, rescale_type, photometric : str
        Transfer syntax, kind of object, and so on, as in the file; ``reference`` is the system that positions are in.
    instance, images : int or None
        Number of this image, and how many its acquisition has.
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
    series_number : int or None
        Number of the series in the archive.
    """

    path: Path
    frame: int
    syntax: str
    syntax_told: bool
    comma: bool
    sop_class: str
    uid: str
    study: str
    series: str
    reference: str
    instance: int | None
    images: int | None
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
    series_number: int | None = None

    @property
    def is_ct(self) -> bool:
        """Whether this is a CT image; where the kind of object is left empty, the modality decides."""
        return self.sop_class in CT_CLASSES or (not self.sop_class and self.modality == "CT")

    @property
    def is_captured_ct(self) -> bool:
        """Whether this is a picture made from a CT that still says where it lies, and what its values are."""
        known = None not in (self.orientation, self.position_mm, self.spacing_mm, self.slope, self.intercept)
        return self.is_capture and self.modality == "CT" and known and not self.is_localizer and not self.is_report

    @property
    def is_capture(self) -> bool:
        """Whether this is a secondary capture: a picture that a workstation made."""
        return self.sop_class == SECONDARY_CAPTURE or self.sop_class.startswith(SECONDARY_CAPTURE + ".")

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

    try:
        if not path.is_file() or path.stat().st_size > LARGEST_FRAMES:  # a pipe would never end
            raise ValueError
        with (
            warnings.catch_warnings(),
            disable_value_validation(),
        ):  # warnings, shown and logged, quote the header, names included
            warnings.simplefilter("ignore")
            bare, about = _about(path)
            told = str(about.get("TransferSyntaxUID", ""))
            if told == DEFLATED:
                raise _deflated()
            framed = str(about.get("MediaStorageSOPClassUID", "")) in CT_CLASSES - {CT_IMAGE}
            if not framed and path.stat().st_size > LARGEST_FILE:
                raise ValueError
            with HeaderStream(path, framed=framed) as stream:
                fields = dcmread(stream, stop_before_pixels=True, specific_tags=TAGS, force=bare)
            syntax = told or _guessed(fields)
            frames = _frames(fields)
            if len(frames) == 1 and path.stat().st_size > LARGEST_FILE:
                raise ValueError
            found = tuple(
                _slice(path, number, (syntax, bool(told)), frame, framed=len(frames) > 1) for number, frame in enumerate(frames)
            )
            if str(about.get("MediaStorageSOPClassUID", "")) in CT_CLASSES and not any(
                one.is_ct or one.modality for one in found
            ):
                raise EOFError  # cut off before it says again that it is a slice: without it the scan would have a gap
            return found
    except DAMAGE:
        raise make_refusal("dicom-damaged") from None  # pydicom's own words quote the header, names included


def _about(path: Path) -> tuple[bool, Any]:
    """Whether a file lacks preamble and file information, and that information where it is there."""
    from pydicom.filereader import read_dataset

    with HeaderStream(path) as stream:
        start = stream.read(PREAMBLE + 4)
        if is_bare(start):
            return True, {}
        if start[PREAMBLE:] != b"DICM":
            raise EOFError
        not_information = lambda tag, _kind, _length: tag >> 16 != INFORMATION_GROUP  # noqa: E731
        return False, read_dataset(stream, False, True, stop_when=not_information)


def _guessed(fields: Any) -> str:
    """How a file is encoded that does not say so: as its first elements show."""
    implicit, little = fields.original_encoding
    return IMPLICIT if implicit else EXPLICIT if little else BIG_ENDIAN


def _frames(fields: Any) -> list[Any]:
    """Fields of every frame: those of the file, and over them those of the shared and the frame's own functional groups."""
    shared: Any = fields.get("SharedFunctionalGroupsSequence") or []
    own: Any = fields.get("PerFrameFunctionalGroupsSequence") or []
    if _text(fields, "SOPClassUID") not in CT_CLASSES - {CT_IMAGE} or len(own) != _whole(fields, "NumberOfFrames", 1):
        return [fields]
    plain = {name: _got(fields, name) for name in TAGS if not name.endswith("GroupsSequence")}
    return [plain | (_grouped(shared[0]) if len(shared) else {}) | _grouped(frame) for frame in own]


def _grouped(group: Any) -> dict[str, Any]:
    """Fields of one functional group, by the names they have in an ordinary slice."""
    told: dict[str, Any] = {}
    for sequence, names in GROUPS.items():
        items: Any = group.get(sequence) or []
        if len(items):
            told |= {name: _got(items[0], name) for name in names if _got(items[0], name) is not None}
    for name, usual in (
        ("FrameType", "ImageType"), ("FrameAcquisitionNumber", "AcquisitionNumber"), ("TemporalPositionIndex", "AcquisitionNumber"),
        ("FrameAcquisitionDateTime", "AcquisitionDateTime"),
    ):  # fmt: skip
        if name in told:
            told[usual] = told.pop(name)
    return told


def _slice(path: Path, frame: int, syntax: tuple[str, bool], fields: Any, *, framed: bool) -> Slice:
    image_type = fields.get("ImageType") or ()
    return Slice(
        path=path,
        frame=frame,
        syntax=syntax[0],
        syntax_told=syntax[1],
        comma=any("," in str(_got(fields, name)) for name in AS_TEXT if isinstance(_got(fields, name), str)),
        sop_class=_text(fields, "SOPClassUID"),
        uid=_text(fields, "SOPInstanceUID"),
        study=_text(fields, "StudyInstanceUID"),
        series=_text(fields, "SeriesInstanceUID"),
        reference=_text(fields, "FrameOfReferenceUID"),
        instance=_count(fields, "InstanceNumber"),
        images=_count(fields, "ImagesInAcquisition"),
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
        thickness_mm=_length(fields, "SliceThickness"),
        series_number=_count(fields, "SeriesNumber"),
    )


def _got(fields: Any, name: str) -> Any:
    """Take a field; a number that the file holds as text, as that text."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import RawDataElement

    if name not in AS_TEXT or isinstance(fields, dict):
        return fields.get(name)
    tag: Any = tag_for_keyword(name)
    raw = fields.get_item(tag) if tag in fields else None
    if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes) and raw.VR in (None, "DS", "IS", "UN"):
        return raw.value.decode("latin-1").strip(" \0")
    return fields.get(name)


def _text(fields: Any, name: str) -> str:
    value = _got(fields, name)
    return str(value if value is not None else "").strip()


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
    number = _number(fields, name)
    return otherwise if number is None else int(number)


def _count(fields: Any, name: str) -> int | None:
    """Take a whole number that nothing depends on; None where it is none."""
    text = _text(fields, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < LONGEST_COUNT else None


def _length(fields: Any, name: str) -> float | None:
    """Take a number that nothing but a note depends on; None where it is none."""
    try:
        return _number(fields, name)
    except Refusal:
        return None


def _number(fields: Any, name: str) -> float | None:
    values = _each(fields, name)
    if not values:
        return None
    if len(values) > 1:
        raise make_refusal("dicom-number", field=name, how="holds several numbers where one belongs")
    return values[0]


def _numbers(fields: Any, name: str, count: int) -> Numbers | None:
    values = _each(fields, name)
    return values if len(values) == count else None


def _each(fields: Any, name: str) -> Numbers:
    """Every number of a field; a comma in one is a point, for it has no other meaning there."""
    value = _got(fields, name)
    if value is None or (isinstance(value, str) and not value):
        return ()
    if not isinstance(value, str):
        return tuple(float(one) for one in value) if hasattr(value, "__iter__") else (float(value),)
    words = [word.strip() for word in value.split("\\")]
    if not all(NUMBER.fullmatch(word) for word in words):
        raise make_refusal("dicom-number", field=name, how="holds something else than a number")
    return tuple(float(word.replace(",", ".")) for word in words)


def _deflated() -> Refusal:
    return make_refusal("dicom-deflated")
