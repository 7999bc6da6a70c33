"""Liver and lesions as a DICOM segmentation of the scan's own slices, as archives and viewers take it; highdicom makes the object.

It belongs to the study of the slices, and so it carries what they say about the patient. Nothing else that is written does.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import Refusal, version
from napari_liver_anomaly.io.dicom_slices import DAMAGE
from napari_liver_anomaly.io.export_options import why_no_segmentation
from napari_liver_anomaly.io.header_stream import HeaderStream
from napari_liver_anomaly.io.quiet import quietly
from napari_liver_anomaly.io.source import LPS_TO_RAS
from napari_liver_anomaly.messages import make_refusal, one_line, refuse
from napari_liver_anomaly.notebook import LIVER, TUMOUR
from napari_liver_anomaly.storage import memory_budget, size_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.volume import Volume

PROGRAM = "napari-liver-anomaly"
# What the standard wants in every image and lets be empty, and what must not be.
MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
)  # fmt: skip
NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID", "FrameOfReferenceUID")
ON_REPORT = {
    "PatientName": "Patient", "PatientID": "Number", "PatientBirthDate": "Born", "PatientSex": "Sex", "StudyDate": "Study of",
    "StudyDescription": "Study", "SeriesDescription": "Series", "AccessionNumber": "Accession number",
}  # fmt: skip
TYPES = {"automatic": "AUTOMATIC", "corrected": "SEMIAUTOMATIC", "manual": "MANUAL"}
BASIC_ALONE, BASIC = "ISO_IR 6", "ISO 2022 IR 6"  # the basic character set, without and with others beside it
SERIES_NUMBER = 9100
LONGEST = 64  # characters of a text


def patient_of(volume: Volume) -> tuple[tuple[str, str], ...]:
    """Say whose scan it is, as the DICOM slices have it; for another format, and where they are not told apart, what the user calls it."""
    if not volume.images:
        return (("Scan", volume.name),)
    header = _headers(volume)[0]
    with _unquoted():
        said = [(words, str(header.get(name) or "")) for name, words in ON_REPORT.items()]
    return tuple((words, one_line(value)) for words, value in said if value)


def why_none_can_be_made(volume: Volume) -> Finding | None:
    """Say why no segmentation can be made of a scan, as far as its first slice tells, whose header is read once; None where one may be made."""
    if (why := why_no_segmentation(volume)) is not None:
        return why
    framed = len({image.path for image in volume.images}) < len(volume.images)
    missing = _first_missing(volume.images[0].path, framed)
    return make_refusal("seg-source-unfit", reason=f"lack {missing}").finding if missing else None


@lru_cache(maxsize=32)
def _first_missing(path: Path, framed: bool) -> str:
    """Name what a slice lacks for a segmentation; nothing where it has all, or cannot be read: that is said when one is written."""
    from pydicom import dcmread

    try:
        with _unquoted(), HeaderStream(path, framed=framed) as stream:
            header = dcmread(stream, stop_before_pixels=True, force=True)
            return next((name for name in NEEDED if not header.get(name)), "")
    except (OSError, Refusal):
        return ""


def require_source(volume: Volume) -> None:
    """Refuse, before the work, a scan whose slices a segmentation could not be made of after it."""
    _headers(volume)


def segmentation_writer(result: Result) -> Callable[[Path], None]:
    """Make the segmentation of a result, and give what writes it: one segment for the liver, then one for each lesion."""
    headers = _headers(result.volume)
    with _unquoted():
        made = _made(result, headers)

    def write(path: Path) -> None:
        with _unquoted():
            made.save_as(path)

    return write


@contextmanager
def _unquoted() -> Iterator[None]:
    """Keep what pydicom and highdicom say to themselves: it would quote the header, names included."""
    try:
        with quietly(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (OSError, MemoryError):
        raise
    except DAMAGE:
        raise make_refusal("seg-source-unfit", reason="hold fields that are not as the standard wants them") from None


def _headers(volume: Volume) -> list[Any]:
    """Read the headers of the slices again, one for each file, in the order of the slices; refuse those that are not as they were."""
    from pydicom import dcmread

    if (why := why_no_segmentation(volume)) is not None:
        raise refuse(why)
    framed = len({image.path for image in volume.images}) < len(volume.images)
    headers = {}
    try:
        with _unquoted():
            for path in dict.fromkeys(image.path for image in volume.images):
                with HeaderStream(path, framed=framed) as stream:
                    headers[path] = dcmread(stream, stop_before_pixels=True, force=True)
    except OSError:
        raise make_refusal("seg-source-gone") from None
    if framed and len(headers) > 1:
        raise make_refusal("seg-source-unfit", reason="lie in several files that hold many slices each")
    for index, image in enumerate(volume.images):
        if headers[image.path].get("SOPInstanceUID") != image.uid or not (
            framed or _in_place(headers[image.path], volume, index)
        ):
            raise make_refusal("seg-source-gone")
    for header in headers.values():
        if missing := [name for name in NEEDED if not header.get(name)]:
            raise make_refusal("seg-source-unfit", reason=f"lack {missing[0]}")
        for name in MAY_BE_EMPTY:
            if name not in header:
                setattr(header, name, "")
        _name_character_sets(header)
    return list(headers.values())


def _name_character_sets(header: Any) -> None:
    """Say the basic character set as highdicom takes it: not at all where it is the only one, and by name where it is left empty beside others."""
    said = header.get("SpecificCharacterSet")
    if not said or said == BASIC_ALONE:
        header.pop("SpecificCharacterSet", None)
    elif not isinstance(said, str):
        header.SpecificCharacterSet = [one or BASIC for one in said]


def _in_place(header: Any, volume: Volume, index: int) -> bool:
    """Whether a slice lies where it did, as far as a stack may bend."""
    there = LPS_TO_RAS[:3, :3] @ np.array(header.ImagePositionPatient, float)
    read = volume.geometry.source_affine @ (0, 0, index, 1)
    return bool(np.linalg.norm(there - read[:3]) <= max(volume.geometry.spacing_mm) / 2)


def _made(result: Result, headers: list[Any]) -> Any:
    from highdicom import UID
    from highdicom.seg import Segmentation

    planes, masks = _masks(result)
    framed = len(headers) < len(result.volume.images)
    if framed:
        frames = [result.volume.images[plane].frame for plane in planes]
        whole = np.zeros((int(headers[0].NumberOfFrames), *masks.shape[1:]), np.bool_)
        whole[frames] = masks
        masks = whole
    found = f"{len(result.lesions)} lesions" if result.lesions else "nothing found"
    return Segmentation(
        source_images=headers if framed else [headers[plane] for plane in planes],
        pixel_array=masks,
        segmentation_type="BINARY",
        segment_descriptions=_descriptions(result),
        series_instance_uid=UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer=PROGRAM,
        manufacturer_model_name=_plain(f"{PROGRAM} {result.model}"),
        software_versions=version()[:LONGEST],
        device_serial_number=result.model_hash[:16] or "none",
        series_description="Liver and lesions, found by program",
        content_label="LIVER_LESIONS",
        content_description=f"Searched {result.liver.ml:,.0f} ml of liver: {found}",
    )


def _masks(result: Result) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Cut slices, rows and columns of every segment to the slices that hold a voxel, and say which slices of the file these are."""
    geometry = result.volume.geometry
    liver, labels = (np.transpose(geometry.in_source_order(array)) for array in (result.liver.voxels, result.labels))
    planes = np.flatnonzero(liver.any(axis=(1, 2)) | labels.any(axis=(1, 2)))
    shape = (planes.size, *liver.shape[1:], 1 + len(result.lesions))
    needed = int(np.prod(shape, dtype=np.int64)) + 16 * int(
        np.prod(shape[:3], dtype=np.int64)
    )  # beside them, highdicom counts overlaps
    if needed > (budget := memory_budget()):
        raise make_refusal("seg-too-large", lesions=len(result.lesions), needed=size_words(needed), budget=size_words(budget))
    masks = np.zeros(shape, np.bool_)
    masks[..., 0] = liver[planes]
    within = labels[planes]
    for place, lesion in enumerate(result.lesions, start=1):
        masks[..., place] = within == lesion.number
    return planes, masks


def _descriptions(result: Result) -> list[Any]:
    """Describe the segments: what each is, who drew it, and how lesions can be told apart in later studies."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    settings = result.settings
    found = {"model": result.model, "weights": result.model_hash, "threshold": f"{settings.threshold:.3f}"}
    algorithm, finder = (
        AlgorithmIdentificationSequence(name, codes.DCM.ArtificialIntelligence, version()[:LONGEST], source, parameters)
        for name, source, parameters in (
            (f"{PROGRAM} segment", _plain(result.model), {name: _plain(value) for name, value in found.items()}),
            (f"{PROGRAM} liver", PROGRAM, None),
        )
    )
    kind = _liver_type(result)
    told = [
        SegmentDescription(
            1, "Liver", codes.SCT.AnatomicalStructure, codes.SCT.Liver, kind, None if kind == "MANUAL" else finder,
            display_color=CIELabColor.from_rgb(*LIVER),
        )
    ]  # fmt: skip
    series = result.volume.images[0].uid
    for number, lesion in enumerate(result.lesions, start=2):
        kind, place = TYPES[result.origin(lesion)], [f"{mm:.2f}" for mm in (*lesion.centroid_mm, lesion.volume_ml)]
        told.append(
            SegmentDescription(
                number, f"Lesion {lesion.number}", codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Neoplasm, kind,
                None if kind == "MANUAL" else algorithm, tracking_id=f"Liver lesion {lesion.number}",
                tracking_uid=generate_uid(entropy_srcs=[series, result.volume.identity, *place]),
                anatomic_regions=[codes.SCT.Liver], display_color=CIELabColor.from_rgb(*TUMOUR),
            )
        )  # fmt: skip
    return told


def _liver_type(result: Result) -> str:
    """Say who drew the liver: a mask that somebody gave counts as drawn by hand."""
    if result.liver_from == "found" or result.liver.found:
        return TYPES["automatic"]
    return TYPES["corrected" if result.liver.probability is not None else "manual"]


def _plain(text: str) -> str:
    """Give text that every character set holds, as long as it may be."""
    return text.encode("ascii", "replace").decode()[:LONGEST].replace("\\", "/")
