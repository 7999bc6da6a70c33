"""A DICOM series: which files of a folder belong to it, and what is left out.

Only the folder itself is looked at, or, where it holds no DICOM file, the folders below it. Links that lead out of it are followed
only where the user wants that, and no name is ever made from a tag.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Answer, Level, Refusal
from napari_liver_anomaly.io.completeness import counted, links_of, unreadable
from napari_liver_anomaly.io.dicom_folder import DICOMDIR, Listing, list_folder
from napari_liver_anomaly.io.dicom_slices import Slice, headers_of
from napari_liver_anomaly.io.pixel_meaning import image_findings
from napari_liver_anomaly.io.pixels import hounsfield, undecodable
from napari_liver_anomaly.io.read_options import ASK_ALL
from napari_liver_anomaly.io.series import phase_of, series_of
from napari_liver_anomaly.io.source import Source, found
from napari_liver_anomaly.io.splitting import Part, parts_of
from napari_liver_anomaly.io.stack import stack
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.volume import SourceImage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.read_options import ReadOptions
    from napari_liver_anomaly.io.series import Series

KNOWN = {
    "CT",
    "MR",
    "PT",
    "NM",
    "US",
    "CR",
    "DX",
    "OT",
    "SC",
    "SEG",
    "SR",
    "RTSTRUCT",
    "RTDOSE",
    "RTPLAN",
    "PR",
    "KO",
    "REG",
    "DOC",
}
MOST_LISTED = 24


@dataclass(frozen=True, kw_only=True)
class Found:
    """What lies in a folder.

    Attributes
    ----------
    parts : tuple of Part
        The stacks that it holds.
    listing : Listing
        Its files.
    headers : tuple of Slice
        All images of the series that hold slices, those included that are none.
    notes : tuple of Finding
        What was left out.
    """

    parts: tuple[Part, ...]
    listing: Listing
    headers: tuple[Slice, ...]
    notes: tuple[Finding, ...]


def open_dicom(path: Path, answers: ReadOptions = ASK_ALL, job: Job | None = None) -> Source:
    """Find the one CT series of a folder, or the series of one file, and read its headers."""
    job = job or Job()
    found_there = _found(path, answers, job)
    part, choice = _chosen(found_there.parts, answers)
    made = stack(part.slices, answers)
    whole = (unreadable(part, found_there.listing, answers, made.added), counted(part, found_there.headers))
    findings = (*_findings(part, made.ordered, answers), *made.findings, *found(*whole), *choice, *found_there.notes)

    def load() -> NDArray[np.int16]:
        voxels = hounsfield(made.ordered, job)
        return voxels if made.plan is None else made.plan.follow(voxels)

    images = () if made.plan is not None else tuple(map(_image, made.ordered))
    return Source(shape=made.shape, affine=made.affine, findings=findings, load=load, images=images)


def _image(one: Slice) -> SourceImage:
    """Name the image that a slice is; one of several in a file has the number of its frame."""
    return SourceImage(one.path, one.frame, one.uid, one.frame + 1 if one.frames > 1 else one.instance)


def series_of_path(path: Path, job: Job | None = None) -> tuple[Series, ...]:
    """List the CT series of a folder, or those of the series to which a file belongs."""
    return _listed(_found(path, ASK_ALL, job or Job()).parts)


def _found(path: Path, answers: ReadOptions, job: Job) -> Found:
    alone = not path.is_dir() and path.name.lower() != DICOMDIR
    folder = path if path.is_dir() else path.absolute().parent
    listing = list_folder(folder, follow=answers.links == "follow", below=not alone, job=job)
    if not listing.files:
        raise _no_dicom(listing)
    chosen = headers_of(path)[0] if alone else None
    headers = [one for file in _told(listing.files, job) for one in headers_of(file)]
    if chosen is not None:
        headers = [one for one in headers if one.series == chosen.series]
    slices = [one for one in headers if one.is_slice]
    captured = not slices
    slices = slices or [one for one in headers if one.is_captured_ct]
    if not slices or (chosen is not None and not (chosen.is_captured_ct if captured else chosen.is_slice)):
        raise make_refusal("no-ct", kinds=_kinds(headers))
    parts = parts_of(slices)
    if chosen is not None:
        own = {part.group for part in parts if any(os.path.samefile(one.path, path) for one in part.slices)}
        parts = tuple(part for part in parts if not own or part.group in own)
    taken = {one.path for one in slices}
    aside = [one for one in headers if one.path not in taken and one.frame == 0]
    left_out = make_finding("images-left-out", kinds=_kinds(aside)) if aside else None
    others = len(listing.others) + len(listing.linked)
    rest = make_finding("files-left-out", files=others) if chosen is None and others else None
    return Found(parts=parts, listing=listing, headers=tuple(headers), notes=found(left_out, rest))


def _told(files: Sequence[Path], job: Job) -> Iterator[Path]:
    """Give the files one by one, and tell how many were read."""
    for number, file in enumerate(files):
        job.at("Reading the headers", number, len(files))
        yield file


def _no_dicom(listing: Listing) -> Refusal:
    if listing.linked:
        return make_refusal("dicom-links", *links_of(listing.linked), count=len(listing.linked))
    others = len(listing.others)
    there = (
        ""
        if not others
        else " (1 file of another kind is there)"
        if others == 1
        else f" ({others} files of other kinds are there)"
    )
    return make_refusal("no-dicom", there=there)


def _chosen(parts: Sequence[Part], answers: ReadOptions) -> tuple[Part, tuple[Finding, ...]]:
    """Choose the stack that is meant, with a note where the user chose it; ask where that is open."""
    groups = {part.group for part in parts}
    if answers.series > len(parts) or (not answers.series and len(groups) > 1):
        listed = _listed(parts)
        missing = f"There is no series {answers.series} here. " if answers.series else ""
        raise make_refusal(
            "several-series",
            *(Answer(words=f"Series {one.number}: {one}", option="series", value=one.number) for one in listed[:MOST_LISTED]),
            missing=missing,
            count=len(parts),
        )
    part = parts[max(0, answers.series - 1)]
    phases = [one for one in parts if one.group == part.group]
    if answers.acquisition or (len(phases) > 1 and not answers.series):
        if not 1 <= answers.acquisition <= len(phases):
            raise _acquisitions(phases)
        part = phases[answers.acquisition - 1]
    if len(parts) == 1:
        return part, ()
    if len(groups) == 1:
        return part, (make_finding("acquisition-chosen", number=part.phase, count=len(phases), slices=_count(part)),)
    return part, (make_finding("series-chosen", number=parts.index(part) + 1, count=len(parts), slices=_count(part)),)


def _count(part: Part) -> str:
    return "1 slice" if len(part.slices) == 1 else f"{len(part.slices)} slices"


def _acquisitions(phases: Sequence[Part]) -> Refusal:
    kernels = [part.slices[0].kernel for part in phases]
    told = [f"kernel {kernel}" if kernel and len(set(kernels)) > 1 else "" for kernel in kernels]
    words = [
        ", ".join(word for word in (f"Acquisition {part.phase}: {_count(part)}", kernel, phase_of(part)) if word)
        for part, kernel in zip(phases, told, strict=True)
    ]
    return make_refusal(
        "slices-repeated",
        *(Answer(words=told, option="acquisition", value=part.phase) for told, part in zip(words, phases, strict=True)),
        how="; ".join(words[:4]).replace("Acquisition", "acquisition"),
    )


def _listed(parts: Sequence[Part]) -> tuple[Series, ...]:
    """Describe every part, whether it can be read or not."""
    told = []
    for number, part in enumerate(parts, start=1):
        try:
            made = stack(part.slices)
        except Refusal:
            told.append(series_of(number, part, part.slices, np.nan, readable=False))
            continue
        findings = (*_findings(part, made.ordered, ASK_ALL), *made.findings)
        readable = all(finding.level is Level.NOTE or finding.answers for finding in findings)
        apart_mm = float(np.linalg.norm(made.affine[:3, 2]))
        told.append(series_of(number, part, tuple(made.ordered), apart_mm, readable=readable))
    return tuple(told)


def _findings(part: Part, ordered: Sequence[Slice], answers: ReadOptions) -> tuple[Finding, ...]:
    """Check images and values, and whether files are in the folder twice."""
    codecs = (undecodable(syntax) for syntax in sorted({one.syntax for one in ordered}))
    return (*found(_clash(part), *codecs), *image_findings(ordered, answers), *_copies(part))


def _clash(part: Part) -> Finding | None:
    if not part.clashes:
        return None
    return make_finding("slices-clash", count=part.clashes + 1)


def _copies(part: Part) -> tuple[Finding, ...]:
    return found(
        make_finding("copies-left-out", count=part.copies) if part.copies else None,
        make_finding("slices-read-once", count=part.twice) if part.twice else None,
    )


def _kinds(headers: Sequence[Slice]) -> str:
    """Kinds of images and their numbers: "localizer 2, SEG 1"."""
    names = Counter(_kind(one) for one in headers)
    return ", ".join(f"{name} {count}" for name, count in sorted(names.items())) or "none"


def _kind(one: Slice) -> str:
    if one.modality == "CT" and not one.is_ct:
        return "secondary capture of CT" if one.is_capture else "other object of CT"
    if one.is_ct and (one.is_localizer or one.is_report):
        return "localizer" if one.is_localizer else "report"
    return one.modality if one.modality in KNOWN else "unknown"
