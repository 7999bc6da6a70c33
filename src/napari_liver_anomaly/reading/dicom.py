"""A DICOM series: which files of a folder belong to it, and what is left out.

Only the folder itself is looked at. A DICOMDIR is ignored, links that lead out of the folder are not followed, and no name is
ever made from a tag.
"""

from __future__ import annotations

import os
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import UnreadableFile
from napari_liver_anomaly.reading.answers import ASK_ALL
from napari_liver_anomaly.reading.findings import ask, found, note, refuse
from napari_liver_anomaly.reading.pixels import hounsfield, undecodable
from napari_liver_anomaly.reading.slices import Slice, header_of
from napari_liver_anomaly.reading.source import Source
from napari_liver_anomaly.reading.stack import stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.reading.answers import Answers

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
HOUNSFIELD_TYPES = {"", "HU", "US"}
PREAMBLE = 128


def open_dicom(path: Path, answers: Answers = ASK_ALL) -> Source:
    """Find the one CT series of a folder, or the series of one file, and read its headers.

    Parameters
    ----------
    path : Path
        A folder, or any one file of a series.
    answers : Answers
        Which series and acquisition, and whether to straighten, fill gaps, or take values as HU.

    Returns
    -------
    Source
        With every doubt about the series. Its axes are columns, rows, slices.

    Raises
    ------
    UnreadableFile
        When there is no CT, more than one series, or a damaged file.
    ImpossibleGeometry
        When slices do not say where they lie, or are not of one kind.
    """
    folder = path if path.is_dir() else path.absolute().parent
    files, others = _dicom_files(folder)
    chosen = None if path.is_dir() else header_of(path)
    headers = [header_of(file) for file in files]
    slices, notes = _series(headers, chosen)
    if chosen is None and others:
        notes = (*notes, _left_out(others))
    ordered, affine, doubts = stack(slices)
    shape = (ordered[0].columns, ordered[0].rows, len(ordered))
    codecs = (undecodable(syntax) for syntax in sorted({one.syntax for one in ordered}))
    findings = (*found(_picture(ordered), *codecs), *doubts, *_calibration(ordered), *notes)
    return Source(shape=shape, affine=affine, findings=findings, load=lambda: hounsfield(ordered))


def _dicom_files(folder: Path) -> tuple[list[Path], int]:
    """Regular files with a DICOM preamble that lie in the folder itself, and the number of other files."""
    try:
        with os.scandir(folder) as listing:
            entries = list(islice(listing, MOST_ENTRIES + 1))
    except OSError as error:
        raise UnreadableFile(
            "folder-unreadable",
            f"The folder cannot be read: {error.strerror or type(error).__name__}.",
            "Nothing was read.",
            "Check that you may read it, and that the disk or network share is there.",
        ) from None  # fmt: skip - the system's own words quote the path
    if len(entries) > MOST_ENTRIES:
        raise UnreadableFile(
            "folder-too-full", f"The folder holds more than {MOST_ENTRIES} files.",
            "A series has far fewer.", "Put the series into a folder of its own.",
        )  # fmt: skip
    loud = [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in QUIET]
    candidates = sorted(Path(entry.path) for entry in loud if not entry.is_dir(follow_symlinks=False))
    home = folder.resolve()
    files = [path for path in candidates if _is_slice(path, home)]
    if not files:
        raise UnreadableFile(
            "no-dicom", "There is no DICOM file in this folder.",
            "Nothing was read.", "Choose the folder in which the slices themselves lie.",
        )  # fmt: skip
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


def _series(headers: Sequence[Slice], chosen: Slice | None) -> tuple[list[Slice], tuple[Finding, ...]]:
    """CT slices of the one series, and a note about images of another kind."""
    if chosen is not None:
        headers = [one for one in headers if one.series == chosen.series]
    slices = [one for one in headers if one.is_ct and not one.is_localizer]
    if not slices or (chosen is not None and (not chosen.is_ct or chosen.is_localizer)):
        raise UnreadableFile(
            "no-ct", f"There is no CT scan here, only {_kinds(headers)}.",
            "Other pictures have no Hounsfield units.", "Choose the CT series.",
        )  # fmt: skip
    counts = Counter(one.series for one in slices)
    if len(counts) > 1:
        told = ", ".join(str(count) for _, count in counts.most_common(8))
        raise UnreadableFile(
            "several-series", f"This folder holds {len(counts)} CT series ({told} slices).",
            "Which one is meant is not known.", "Choose a file of the series you want, or give each series a folder of its own.",
        )  # fmt: skip
    aside = [one for one in headers if not (one.is_ct and not one.is_localizer)]
    left_out = note(
        "images-left-out", f"Images of another kind were left out: {_kinds(aside)}.",
        "They are no slices of this scan.",
    )  # fmt: skip
    return slices, (left_out,) if aside else ()


def _kinds(headers: Sequence[Slice]) -> str:
    """Kinds of images and their numbers: "localizer 2, SEG 1"."""
    names = Counter("localizer" if one.is_localizer else one.modality if one.modality in KNOWN else "unknown" for one in headers)
    return ", ".join(f"{name} {count}" for name, count in sorted(names.items())) or "none"


def _left_out(others: int) -> Finding:
    return note(
        "files-left-out", f"Other files in the folder were left out: {others}.",
        "Only ordinary DICOM files in the folder itself are read.",
    )  # fmt: skip


def _picture(slices: Sequence[Slice]) -> Finding | None:
    """Whether every slice is one grey picture of plain integers."""
    for one in slices:
        if one.frames != 1:
            what, action = "This series keeps many slices in one file (multi-frame).", "Export it as single slices."
        elif one.samples != 1 or one.photometric not in ("MONOCHROME2", ""):
            what, action = "This series holds colour or inverted pictures.", "Choose the CT itself, not a picture of it."
        elif one.bits_allocated != 16 or not 1 <= one.bits_stored <= 16 or one.high_bit != one.bits_stored - 1:
            what, action = "The pixels of this series are packed in an unusual way.", "Export the series again from its source."
        else:
            continue
        return refuse("picture-unusual", what, "Hounsfield units cannot be had from it.", action)
    return None


def _calibration(slices: Sequence[Slice]) -> tuple[Finding, ...]:
    """Whether every slice says how its values become Hounsfield units, and whether compression changed them."""
    doubts = []
    if any(not one.slope or one.intercept is None or not np.isfinite([one.slope, one.intercept]).all() for one in slices):
        doubts.append(refuse(
            "rescale-missing", "No Hounsfield calibration in this series (rescale slope or intercept).",
            "Its values cannot be compared with any other CT.", "Export the series again from the scanner or archive.",
        ))  # fmt: skip
    if any(one.rescale_type.upper() not in HOUNSFIELD_TYPES for one in slices):
        doubts.append(ask(
            "values-not-hu", "This series says that its values are not Hounsfield units.",
            "It may be a spectral or dual-energy map.", "Choose the usual CT series.",
        ))  # fmt: skip
    if any(one.lossy for one in slices):
        doubts.append(note(
            "lossy", "These slices were compressed with loss.",
            "Fine detail may be changed.", "Use the original series if you can.",
        ))  # fmt: skip
    return tuple(doubts)
