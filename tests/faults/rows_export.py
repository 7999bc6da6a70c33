"""Rows about results as archives and people take them: DICOM segmentations and reports."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

import highdicom
import numpy as np

from builders import STUDY, dicom_series, nifti_file, searched
from faults.table import row
from faults.witness import refused
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, NotWritten
from napari_liver_anomaly.io import read, read_mask, write
from napari_liver_anomaly.io.export_options import ExportOptions
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.io.report_content import content_of
from napari_liver_anomaly.io.report_html import report_html
from napari_liver_anomaly.io.report_pdf import report_pdf

if TYPE_CHECKING:
    from faults.table import Kit

WITH_SEG = ExportOptions(dicom_seg=True)


@row(130)
def a_dicom_segmentation_lies_on_the_slices_it_names(kit: Kit) -> None:
    """A DICOM segmentation lies beside its slices, loses a lesion, or is made of a scan whose voxels are not those of the slices."""
    names = [f"{(7 * k) % 11:02}.dcm" for k in range(11)]
    for about, directions in {"plain": (1, 0, 0, 0, 1, 0), "prone": (-1, 0, 0, 0, -1, 0), "coronal": (1, 0, 0, 0, 0, -1)}.items():
        scan = read(dicom_series(kit.folder / about, tags=STUDY, directions=directions, names=names))
        result = searched(scan)
        write(result, kit.folder / f"{about}-out", also=WITH_SEG)
        path = kit.folder / f"{about}-out" / "segmentation.dcm"
        assert highdicom.seg.segread(path).number_of_segments == 1 + len(result.lesions), about
        for number in (1, 2):
            mask = read_mask(path, scan, labels=f"Lesion {number}")
            assert np.array_equal(mask.voxels, result.labels == number), about
        assert np.array_equal(read_mask(path, scan, labels="liver").voxels, result.liver.voxels), about
    tilted = read(dicom_series(kit.folder / "tilted", tags=STUDY, tilt_deg=15), ReadOptions(tilt="straighten"))
    for about, scan, code in (
        ("tilted", tilted, "seg-resampled"), ("NIfTI", read(nifti_file(kit.folder / "ct.nii")), "seg-no-dicom"),
    ):  # fmt: skip
        with refused(about, code, kind=NotWritten):
            write(searched(scan), kit.folder / "none", also=WITH_SEG)
    words = ["segment", str(kit.folder / "ct.nii"), "--out", str(kit.folder / "none"), "--dicom-seg"]
    assert main(words) == 3 and "not read from DICOM" in kit.output.readouterr().err, "said before the work"
    assert not (kit.folder / "none").exists()


@row(131)
def slices_that_changed_get_no_segmentation(kit: Kit) -> None:
    """The slices were replaced or moved away since they were read: the segmentation would carry another patient's name."""
    folder = kit.folder / "ct"
    scan = read(dicom_series(folder, tags=STUDY))
    dicom_series(folder, tags={**STUDY, "PatientName": "OTHER^PATIENT"}, series="1.2.3.9")
    with refused("replaced", "seg-source-gone", kind=NotWritten):
        write(searched(scan), kit.folder / "out", also=WITH_SEG)
    folder.rename(kit.folder / "elsewhere")
    with refused("moved", "seg-source-gone", kind=NotWritten):
        write(searched(scan), kit.folder / "out", also=WITH_SEG)
    assert not (kit.folder / "out").exists()


@row(132)
def only_what_was_ticked_names_the_patient(kit: Kit) -> None:
    """The patient's name goes into a file for which nobody asked for it."""
    scan = read(dicom_series(kit.folder / "ct", tags=STUDY))
    write(searched(scan), kit.folder / "plain")
    write(searched(scan), kit.folder / "seg", also=WITH_SEG)
    named = {
        path.relative_to(kit.folder).as_posix()
        for folder in ("plain", "seg")
        for path in (kit.folder / folder).iterdir()
        if any(word.encode() in path.read_bytes() for word in ("MUSTERMANN", "4711", "19640812"))
    }
    assert named == {"seg/segmentation.dcm"}


@row(157)
def only_what_was_ticked_names_the_scans_file(kit: Kit) -> None:
    """The name of the scan's file, often the patient's, goes into results; or a corrected liver ends the report in a fault."""
    (kit.folder / "NOVAK_JAN").mkdir()
    result = replace(searched(read(nifti_file(kit.folder / "NOVAK_JAN" / "NOVAK_4711.nii"))), liver_from="corrected")
    written: dict[str, set[str]] = {}
    for name, also in {"not": ExportOptions(report=True), "ticked": ExportOptions(report=True, scan_name=True)}.items():
        paths = write(result, kit.folder / name, also=also)
        plain = {path.name: gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes() for path in paths}
        written[name] = {name for name, said in plain.items() if b"NOVAK" in said}
    assert not written["not"] and {"report.json", "report.html"} <= written["ticked"] <= {
        "report.json",
        "report.html",
        "report.pdf",
    }


@row(133)
def foreign_text_in_a_report_stays_text(kit: Kit) -> None:
    """Names of files and models hold markup: a report would load what it names, or lose what stands beside it."""
    evil = "<img src=x onerror=alert(1)> {{ 7 * 7 }} <b>bold"
    scan = read(nifti_file(kit.folder / "ct.nii"))
    object.__setattr__(scan, "name", evil)
    result = searched(scan, model=evil, about_model={"Kind": evil})
    write(result, kit.folder / "out", also=ExportOptions(report=True, patient=True))
    page = (kit.folder / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 1 + len(result.lesions) and "&lt;img src=x" in page and "49" not in page.split("<style>")[0]
    assert (kit.folder / "out" / "report.pdf").read_bytes().startswith(b"%PDF")
    content = content_of(result, (), sides_known=True)
    with_markup = replace(content, notes=("</para><para>", "a < b & c"), summary="<b>")
    assert report_pdf(with_markup).startswith(b"%PDF")


@row(134)
def a_report_says_what_was_searched_and_who_drew(kit: Kit) -> None:
    """A report of nothing found looks like one of nothing searched; a corrected lesion looks like one that the program found."""
    scan = read(nifti_file(kit.folder / "ct.nii"))
    none = content_of(searched(scan, lesions=0), (), sides_known=True)
    assert "nothing found" in none.summary and ("Lesions", "0") in none.overview and not none.table
    made = content_of(searched(scan, origins={1: "corrected", 2: "manual"}), (), sides_known=True)
    assert [line[-1] for line in made.table] == ["by the program, corrected", "by hand"]
    assert [dict(lesion.rows)["Drawn"] for lesion in made.lesions] == ["by the program, corrected", "by hand"]
    for content in (none, made):
        assert report_html(content).count(NOT_A_MEDICAL_DEVICE) == 2
