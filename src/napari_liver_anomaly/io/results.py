"""All that a run found, as a folder: images on the scan's own grid, the lesion table, and a report that says how it was made."""

from __future__ import annotations

import csv
import json
import math
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, Answer
from napari_liver_anomaly.io.export_options import PLAIN, ExportOptions
from napari_liver_anomaly.io.nifti_writing import image_writer, smallest_kind, write_together
from napari_liver_anomaly.io.report_content import content_of, measured_on
from napari_liver_anomaly.io.report_html import report_html
from napari_liver_anomaly.io.report_pdf import report_pdf
from napari_liver_anomaly.lesions import Lesion
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.placing import require_not_an_input, require_place
from napari_liver_anomaly.result import Result
from napari_liver_anomaly.volume import require_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from napari_liver_anomaly.io.report_content import Rows

IMAGES = ("restored", "residual", "score", "tumours", "lesions", "liver")
SEGMENTATION, PAGE, PRINT = "segmentation.dcm", "report.html", "report.pdf"
NAMES = (
    *(f"{name}.nii.gz" for name in IMAGES),
    SEGMENTATION,
    PAGE,
    PRINT,
    "lesions.csv",
    "report.json",
)  # every file that a run may write
FORMULA = tuple("=+-@\t\r")
BESIDE = ("highest_score", "origin", "target", "comment", "largest_slice", "largest_slice_mm", "image")
SIDES_UNVERIFIED = "unverified"
UNVERIFIED = {"orientation-unverified", "layer-orientation"}  # findings that say so


def write(
    result: Result, folder: str | Path, inputs: Iterable[str | Path] = (), *, replace: bool = False, also: ExportOptions = PLAIN
) -> tuple[Path, ...]:
    """Write a result: images, ``lesions.csv`` and ``report.json``; all of them, or none. One folder holds the results of one run.

    Parameters
    ----------
    result : Result
        As given by ``inference.segment``.
    folder : path-like
        Where to; made if it is missing.
    inputs : iterable of path-like
        The files the scan and the liver were read from, which must not be overwritten.
    replace : bool
        Take the place of the results of an earlier run, all of them; without it a folder that holds some is asked about.
    also : ExportOptions
        What is written beside these: a DICOM segmentation, a report for people.

    Returns
    -------
    tuple of Path
        ``restored`` and ``residual`` (HU, where the method restores), ``score`` (0 to 1), ``tumours`` and ``liver`` (0 and 1),
        ``lesions`` (the numbers of the table, 0 elsewhere), all ``.nii.gz`` on the grid of the scan's file; then the table and the report.

    Raises
    ------
    Question
        When the folder holds results of an earlier run.
    NotWritten
        When a name is that of an input, when there can be no DICOM segmentation, or when the disk does not take a file; earlier files are untouched.
    WrongGrid
        When liver, scan and result do not belong together.
    """
    require_kind(result, Result, "write", "segment(volume) gives one")
    folder, geometry = Path(folder), result.volume.geometry
    kept = tuple(inputs)
    for name in NAMES:
        require_not_an_input(folder / name, kept)
    if not replace:
        require_unused(folder)
    liver = result.liver.of(result.volume, "liver mask")
    restored = {"restored": result.restored, "residual": result.residual}
    writers = {
        **{name: image_writer(array, geometry) for name, array in restored.items() if array is not None},
        "score": image_writer(result.score, geometry, "float32", _share),
        "tumours": image_writer(result.labels, geometry, "uint8", lambda labels: labels > 0),
        "lesions": image_writer(result.labels, geometry, smallest_kind(result.labels)),
        "liver": image_writer(liver.voxels, geometry),
    }
    files: dict[Path, Callable[[Path], None]] = {folder / f"{name}.nii.gz": write_one for name, write_one in writers.items()}
    if also.dicom_seg:
        from napari_liver_anomaly.io.dicom_writing import segmentation_writer

        files[folder / SEGMENTATION] = segmentation_writer(result)
    if also.report:
        files |= _for_people(result, folder, also)
    names = [path.name for path in files] + ["lesions.csv", "report.json"]
    files[folder / "lesions.csv"] = lambda path: _write_table(result, path)
    told = {"scan_name": result.volume.name} if also.scan_name else {}
    text = json.dumps(report(result) | told | {"files": names}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files[folder / "report.json"] = lambda path: _write_text(text, path)
    stale = [folder / name for name in NAMES if folder / name not in files]
    return write_together(files, kept, stale=stale, require=lambda: None if replace else require_unused(folder))


def _for_people(result: Result, folder: Path, also: ExportOptions) -> dict[Path, Callable[[Path], None]]:
    """Give what writes the report that people read."""
    patient: Rows = ()
    if also.patient:
        from napari_liver_anomaly.io.dicom_writing import patient_of

        patient = patient_of(result.volume)
    if also.scan_name:
        patient = tuple(dict.fromkeys((*patient, ("Scan", result.volume.name))))
    content = content_of(result, patient, sides_known=sides(result) != SIDES_UNVERIFIED)
    page, printed = report_html(content), report_pdf(content)
    return {folder / PAGE: lambda path: _write_text(page, path), folder / PRINT: lambda path: _write_bytes(printed, path)}


def require_results_place(
    folder: str | Path, inputs: Iterable[str | Path] = (), *, replace: bool = False, needed: int = 0
) -> None:
    """Refuse, or ask about, a folder that the results of a run could not or should not be written to; made to be called before the work."""
    folder, kept = Path(folder), tuple(inputs)
    for name in NAMES:
        require_not_an_input(folder / name, kept)
    if not replace:
        require_unused(folder)
    require_place(folder, folder=True, needed=needed)


def require_unused(folder: Path) -> None:
    """Ask about a folder that holds results of a run."""
    there = [name for name in NAMES if os.path.lexists(folder / name)]
    if there:  # the report comes last: without it, the run was ended while its files took their places
        replace = Answer(words="Replace the results that are there, all of them", option="replace", value="")
        raise make_refusal("folder-used", replace, what="results" if NAMES[-1] in there else "part of the results")


def report(result: Result) -> dict[str, Any]:
    """Say what was found and how, in plain data without anything about the patient."""
    geometry, scores = result.volume.geometry, highest_scores(result)
    return {
        "notice": NOT_A_MEDICAL_DEVICE,
        "summary": result.summary,
        "number_of_lesions": len(result.lesions),
        "lesions": [_plain(lesion) | _told(result, lesion, scores[lesion.number]) for lesion in result.lesions],
        "rejected": [_plain(lesion) | {"comment": result.comments.get(lesion, "")} for lesion in result.rejected],
        "target_lesions": list(result.targets),
        "target_sum_mm": round(result.target_mm, 3),
        "pieces_left_out": result.left_out,
        "tumour_ml": round(result.tumour_ml, 3),
        "liver_ml": round(result.liver.ml, 3),
        "liver_from": result.liver_from,
        "scan": result.volume.identity,
        "grid": str(geometry),
        "sides": sides(result),
        "model": result.model,
        "model_hash": result.model_hash,
        "settings": result.settings.to_dict(),
        "device": result.device,
        "ran_on": result.ran_on,
        "timings_s": dict(result.timings_s),
        "findings": [asdict(finding) | {"level": str(finding.level)} for finding in result.findings],
        "versions": result.versions,
    }


def highest_scores(result: Result) -> dict[int, float]:
    """Say of each lesion the highest score in it, 0 to 1."""
    where = np.flatnonzero(result.labels)
    highest = np.zeros(int(result.labels.max(initial=0)) + 1, np.uint8)
    np.maximum.at(highest, result.labels.reshape(-1)[where], result.score.reshape(-1)[where])
    return {lesion.number: round(int(highest[lesion.number]) / 255, 3) for lesion in result.lesions}


def _told(result: Result, lesion: Lesion, score: float) -> dict[str, Any]:
    """Say what is known of a lesion besides its measures."""
    target, number = lesion.number in result.targets, measured_on(result, lesion)
    geometry, image = result.volume.geometry, result.volume.image_of(number)
    return {
        "highest_score": score, "origin": result.origin(lesion), "target": target, "comment": result.comments.get(lesion, ""),
        "largest_slice": number, "largest_slice_mm": round(geometry.slice_mm(number), 3) if geometry.oriented else None,
        "image": image.number if image is not None else None,
    }  # fmt: skip


def _plain(lesion: Lesion) -> dict[str, Any]:
    """Give the measures of a lesion as JSON has them: nothing for what has no meaning."""
    measures = {name: value if isinstance(value, bool) else np.round(value, 3).tolist() for name, value in asdict(lesion).items()}
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in measures.items()}


def sides(result: Result) -> str:
    """Say whether left and right can be relied on."""
    doubted = UNVERIFIED & {finding.code for finding in result.findings}
    return "as in the scan's file" if result.volume.geometry.oriented and not doubted else SIDES_UNVERIFIED


def _share(score: NDArray[Any]) -> NDArray[np.float32]:
    """Give a score as 0…1, which takes four times its memory: piece by piece, while it is written."""
    return score.astype(np.float32) / np.float32(255)


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _write_bytes(data: bytes, path: Path) -> None:
    path.write_bytes(data)


def _write_table(result: Result, path: Path) -> None:
    """One row for each lesion; notice and mark of the sides are columns, so that every program reads the table as it is."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([column for field in fields(Lesion) for column in _columns(field.name)] + [*BESIDE, "sides", "notice"])
        scores = highest_scores(result)
        for lesion in result.lesions:
            values = [value for field in fields(Lesion) for value in np.atleast_1d(getattr(lesion, field.name)).tolist()]
            told = [_said(value) for value in _told(result, lesion, scores[lesion.number]).values()]
            rows.writerow([_cell(value) for value in values] + told + [sides(result), NOT_A_MEDICAL_DEVICE])


def _columns(name: str) -> list[str]:
    """Columns of a field: a place has three."""
    axes = {"centroid_index": "zyx", "centroid_mm": "xyz"}.get(name)
    stem, _, unit = name.partition("_")
    return [f"{stem}_{axis}_{unit}" for axis in axes] if axes else [name]


def _text(value: object) -> str:
    """Write a text so that no program takes it for a formula."""
    text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    return f"'{text}" if text[:1] in FORMULA else text


def _said(value: object) -> str:
    """Give a number or a text; nothing for what is not known."""
    return _cell(value) if isinstance(value, (int, float)) else _text("" if value is None else value)


def _cell(value: float) -> str:
    """Give a number as text: whole numbers whole, others to a thousandth, nothing for what has no meaning; yes or no."""
    if isinstance(value, bool):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.3f}"
