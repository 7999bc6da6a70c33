"""A DICOM series: which files of a folder belong to it, and what is left out.

Only the folder itself is looked at. A DICOMDIR is ignored, links that lead out of the folder are not followed, and no name is
ever made from a tag.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Answer, Level, Refusal
from napari_liver_anomaly.io.dicom_slices import Slice, headers_of
from napari_liver_anomaly.io.pixel_meaning import image_findings
from napari_liver_anomaly.io.pixels import hounsfield, undecodable
from napari_liver_anomaly.io.read_options import ASK_ALL
from napari_liver_anomaly.io.series import phase_of, series_of
from napari_liver_anomaly.io.source import Source, found
from napari_liver_anomaly.io.splitting import Part, parts_of
from napari_liver_anomaly.io.stack import stack
from napari_liver_anomaly.messages import make_finding, make_refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.read_options import ReadOptions
    from napari_liver_anomaly.io.series import Series

MOST_ENTRIES = 20_000
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
QUIET = {"dicomdir", "thumbs.db", "desktop.ini"}
PREAMBLE = 128
MOST_LISTED = 24


@dataclass(frozen=True, kw_only=True)
class Found:
    """What lies in a folder.

    Attributes
    ----------
    parts : tuple of Part
        The stacks that it holds.
    notes : tuple of Finding
        What was left out.
    """

    parts: tuple[Part, ...]
    notes: tuple[Finding, ...]


def open_dicom(path: Path, answers: ReadOptions = ASK_ALL) -> Source:
    """Find the one CT series of a folder, or the series of one file, and read its headers."""
    found_there = _found(path)
    part, choice = _chosen(found_there.parts, answers)
    made = stack(part.slices, answers)
    findings = (*_findings(part, made.ordered, answers), *made.findings, *choice, *found_there.notes)

    def load() -> NDArray[np.int16]:
        voxels = hounsfield(made.ordered)
        return voxels if made.plan is None else made.plan.follow(voxels)

    return Source(shape=made.shape, affine=made.affine, findings=findings, load=load)


def series_of_path(path: Path) -> tuple[Series, ...]:
    """List the CT series of a folder, or those of the series to which a file belongs."""
    return _listed(_found(path).parts)


def _found(path: Path) -> Found:
    folder = path if path.is_dir() else path.absolute().parent
    files, others = _dicom_files(folder)
    chosen = None if path.is_dir() else headers_of(path)[0]
    headers = [one for file in files for one in headers_of(file)]
    if chosen is not None:
        headers = [one for one in headers if one.series == chosen.series]
    slices = [one for one in headers if one.is_slice]
    if not slices or (chosen is not None and not chosen.is_slice):
        raise make_refusal("no-ct", kinds=_kinds(headers))
    parts = parts_of(slices)
    if chosen is not None:
        own = {part.group for part in parts if any(os.path.samefile(one.path, path) for one in part.slices)}
        parts = tuple(part for part in parts if not own or part.group in own)
    aside = [one for one in headers if not one.is_slice and one.frame == 0]
    left_out = make_finding("images-left-out", kinds=_kinds(aside))
    rest = _left_out(others) if chosen is None and others else None
    return Found(parts=parts, notes=found(left_out if aside else None, rest))


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
    words = [f"Acquisition {part.phase}: {_count(part)}" + (f", {phase_of(part)}" if phase_of(part) else "") for part in phases]
    return make_refusal(
        "slices-repeated",
        *(Answer(words=told, option="acquisition", value=part.phase) for told, part in zip(words, phases, strict=True)),
        how="; ".join(words[:4]).lower(),
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
    if not part.copies:
        return ()
    return found(make_finding("copies-left-out", count=part.copies))


def _dicom_files(folder: Path) -> tuple[list[Path], int]:
    """Regular files with a DICOM preamble that lie in the folder itself, and the number of other files."""
    try:
        with os.scandir(folder) as listing:
            entries = list(islice(listing, MOST_ENTRIES + 1))
    except OSError as error:
        raise make_refusal(
            "folder-unreadable", reason=error.strerror or type(error).__name__
        ) from None  # the system's own words quote the path
    if len(entries) > MOST_ENTRIES:
        raise make_refusal("folder-too-full", most=MOST_ENTRIES)
    loud = [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in QUIET]
    candidates = sorted(Path(entry.path) for entry in loud if not entry.is_dir(follow_symlinks=False))
    home = folder.resolve()
    files = [path for path in candidates if _is_slice(path, home)]
    if not files:
        raise make_refusal("no-dicom")
    return files, len(candidates) - len(files)


def _is_slice(path: Path, home: Path) -> bool:
    """Whether this is a regular file in the folder, not a link out of it, that begins as DICOM files do."""
    try:
        if not path.is_file() or path.resolve().parent != home:
            return False
        with path.open("rb") as stream:
            return stream.read(PREAMBLE + 4)[PREAMBLE:] == b"DICM"
    except (OSError, RuntimeError):  # a link that leads to itself
        return False


def _kinds(headers: Sequence[Slice]) -> str:
    """Kinds of images and their numbers: "localizer 2, SEG 1"."""
    names = Counter(_kind(one) for one in headers)
    return ", ".join(f"{name} {count}" for name, count in sorted(names.items())) or "none"


def _kind(one: Slice) -> str:
    if one.is_ct and (one.is_localizer or one.is_report):
        return "localizer" if one.is_localizer else "report"
    return one.modality if one.modality in KNOWN else "unknown"


def _left_out(others: int) -> Finding:
    return make_finding("files-left-out", files=others)
