"""From a file or folder to a Volume in Hounsfield units, with every finding about it; never silently repaired."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Level, Question
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io.dicom_folder import begins_as_dicom, walked
from napari_liver_anomaly.io.quiet import quietly
from napari_liver_anomaly.io.read_options import ASK_ALL, ReadOptions
from napari_liver_anomaly.messages import make_refusal, refuse
from napari_liver_anomaly.volume import VOLUME_FROM, Mask, Volume, require_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.series import Series
    from napari_liver_anomaly.io.source import Source
    from napari_liver_anomaly.job import Job

NIFTI = (".nii", ".nii.gz")
NRRD = (".nrrd", ".nhdr")
METAIMAGE = (".mha", ".mhd")
DICOM = (".dcm", ".dicom", ".ima")
ENDINGS = (*NIFTI, *NRRD, *METAIMAGE, *DICOM)
LOOKED_AT = 200  # entries of a folder that can_read opens at most

# Kind of refusal by the first word of a finding's code.


@quietly()
def read(path: str | Path, answers: ReadOptions | None = None, *, job: Job | None = None) -> Volume:
    """Read a CT.

    Parameters
    ----------
    path : path-like
        A ``.nii``, ``.nii.gz``, ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file, a folder that holds one DICOM series, or any one
        file of a series.
    answers : ReadOptions, optional
        What the user decided about its questions; every open question is asked when nothing is given.
    job : Job, optional
        Progress and cancel, asked at every folder and file of a DICOM series.

    Returns
    -------
    Volume
        Hounsfield units, int16, (z, y, x). Its ``findings`` are notes to show and store, decisions of the user among them; its name is the
        file's or folder's, for the screen only.

    Raises
    ------
    Question
        For a question that only the user can decide; its finding holds the answers there are.
    UnreadableFile
        When it is damaged, truncated, or of a kind that is not read.
    ImpossibleGeometry
        When position, spacing or orientation make no sense or are not known.
    InvalidNumbers
        When values are no numbers, or not Hounsfield units.
    OutOfMemory
        When it would not fit into memory.
    Cancelled
        When the job was cancelled.
    """
    from napari_liver_anomaly.io.body_size import credible_size
    from napari_liver_anomaly.io.brightness import even_brightness
    from napari_liver_anomaly.io.hounsfield import air_for_padding, plausible
    from napari_liver_anomaly.io.straightening import unsheared
    from napari_liver_anomaly.stored_values import to_hounsfield

    path, answers = Path(path), ASK_ALL if answers is None else answers
    require_kind(answers, ReadOptions, "read", "ReadOptions(series=2) makes them")
    source = _source(path, answers, job=job)
    if answers.tilt == "straighten" and "geometry-sheared" in {finding.code for finding in source.findings}:
        source = unsheared(source)
    if source.layered:
        raise make_refusal("mask-layers", names=", ".join(filter(None, source.names.values())) or "without names")
    notes = _settled(source.findings)
    stored = to_hounsfield(source.load(), source.slope, source.intercept)
    geometry = Geometry(source.shape, source.affine, source.oriented)
    padding = air_for_padding(stored)
    notes += _settled(plausible(stored, answers.values))
    voxels = geometry.to_canonical(stored).astype(np.int16, copy=False)
    notes += _settled(credible_size(voxels, geometry, answers.voxel_size))
    notes += _settled(even_brightness(voxels, geometry.spacing_mm, answers.brightness))
    findings = (*notes, *((padding,) if padding else ()))
    return Volume(voxels, geometry, name_of(path), findings, source.images)


@quietly()
def read_mask(
    path: str | Path, volume: Volume, what: str = "mask", *, may_be_empty: bool = False, labels: str = "ask", some: bool = False
) -> Mask:
    """Read a mask of a scan: the voxels of one label, or of those that are chosen.

    Parameters
    ----------
    path : path-like
        A file of the kinds :func:`read` takes that holds whole numbers on the scan's own grid; of DICOM, a segmentation (SEG) or the folder
        with it.
    volume : Volume
        The scan.
    what : str
        What the mask is, for messages: "liver mask".
    may_be_empty : bool
        Whether it holds tumours: a mask without any voxel is fine then, as that of a healthy liver is, and each tumour may have its own label;
        nothing is asked.
    labels : str
        Which labels count where there are several: ``"ask"``, ``"all"``, or numbers or names that the file gives, joined by ``+``.
    some : bool
        Whether it will do that the file holds some of the labels, as where a liver has no tumour.

    Returns
    -------
    Mask
        In canonical order, knowing its scan; its ``findings`` are notes about the file.

    Raises
    ------
    UnreadableFile
        When it is damaged, of a kind that is not read, or empty.
    ImpossibleGeometry
        When its position or spacing make no sense.
    InvalidNumbers
        When its values are not whole numbers, or are those of a scan.
    Question
        When it holds several labels, and which of them are meant was not said.
    WrongSetting
        When it holds no such label.
    WrongGrid
        When it lies on another grid than the scan; both are named.
    """
    from napari_liver_anomaly.io.mask_grid import offset_on, on_whole_grid
    from napari_liver_anomaly.io.mask_labels import chosen_voxels

    require_kind(volume, Volume, "read_mask", VOLUME_FROM)
    # A mask of a scan without orientation has none, either.
    source = _mask_source(Path(path), ReadOptions(orientation="ask" if volume.geometry.oriented else "unverified"), what)
    try:
        findings = _settled(finding for finding in source.findings if finding.code != "single-slice")  # part of a scan may be one
    except Question as question:
        finding = question.finding  # these questions have no answer for a mask
        raise make_refusal("mask-question", what=what, question=finding.what, meaning=finding.meaning) from None
    geometry = Geometry(source.shape, source.affine, source.oriented)
    offset, about_grid = offset_on(volume.geometry, geometry, what, sparse=source.sparse)
    chosen, about_labels = chosen_voxels(
        source.load(), (source.slope, source.intercept), what=what, wanted="numbered" if may_be_empty and labels == "ask" else labels,
        voxel_ml=geometry.voxel_ml, names=source.names, further_names=source.further_names, some=some,
    )  # fmt: skip
    voxels = on_whole_grid(geometry.to_canonical(chosen).astype(np.bool_, copy=False), offset, volume.geometry)
    mask = Mask(voxels, volume.geometry, findings=(*findings, *about_grid, *about_labels)).of(volume, what)
    if not may_be_empty and not voxels.any():
        raise make_refusal("mask-empty", what=what)
    return mask


def series_in(path: str | Path, *, job: Job | None = None) -> tuple[Series, ...]:
    """List what can be read of a folder of DICOM files, without its pixels.

    Parameters
    ----------
    path : path-like
        A folder, or any one file of a series.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    tuple of Series
        In the order of the numbers that ``ReadOptions.series`` takes; empty for a file of another kind.

    Raises
    ------
    UnreadableFile
        When there is no CT in it, or a file is damaged.
    Cancelled
        When the job was cancelled.
    """
    path = Path(path)
    if not os.path.exists(path):
        raise make_refusal("file-missing", what="The scan")
    if not path.is_dir() and _kind_of(path) != "dicom":
        return ()
    from napari_liver_anomaly.io.dicom import series_of_path

    return series_of_path(path, job)


def header_of(path: str | Path, answers: ReadOptions) -> Source:
    """Open a scan and read its header, which is not judged; no voxel is read."""
    return _source(Path(path), answers)


def can_read(path: str | Path) -> bool:
    """Whether :func:`read` is worth trying; a quick look that never fails.

    Parameters
    ----------
    path : path-like
        A file or folder.

    Returns
    -------
    bool
        True for a file with one of our endings or that begins as DICOM does, and for a folder in or below which such a file lies.
    """
    try:
        path = Path(path)
        if path.is_dir():
            return any(begins_as_dicom(entry) for entry in islice(walked(path), LOOKED_AT))
        return path.is_file() and (_kind_of(path) in ("nifti", "nrrd", "metaimage") or begins_as_dicom(path))
    except (OSError, ValueError, TypeError):
        return False


def name_of(path: str | Path) -> str:
    """Name a scan for the screen."""
    path = Path(path)
    name = path.name.lower()
    for ending in sorted((*NIFTI, *NRRD, *METAIMAGE), key=len, reverse=True):
        if name.endswith(ending) and not path.is_dir():
            return path.name[: -len(ending)] or "scan"
    return (path if path.is_dir() else path.absolute().parent).resolve().name or "scan"


def _mask_source(path: Path, answers: ReadOptions, what: str) -> Source:
    """Open the file of a mask, which may be a DICOM segmentation."""
    if not os.path.exists(path) or not (os.path.isdir(path) or _kind_of(path) == "dicom"):
        return _source(path, answers, what)
    from napari_liver_anomaly.io.dicom_segmentation import open_segmentation, segmentation_in

    return open_segmentation(segmentation_in(path, what), what)


def _source(path: Path, answers: ReadOptions, what: str = "scan", job: Job | None = None) -> Source:
    """Open a path with the room that knows its format."""
    if not os.path.exists(path):  # unlike Path.exists, also for names no file can have
        raise make_refusal("file-missing", what=f"The {what}")
    kind = "dicom" if path.is_dir() else _kind_of(path)
    if kind == "nifti":
        from napari_liver_anomaly.io.nifti import open_nifti

        return open_nifti(path, answers)
    if kind in ("nrrd", "metaimage"):
        from napari_liver_anomaly.io.itk import open_metaimage, open_nrrd

        return (open_nrrd if kind == "nrrd" else open_metaimage)(path, answers)
    if kind == "dicom":
        from napari_liver_anomaly.io.dicom import open_dicom

        return open_dicom(path, answers, job)
    raise make_refusal("file-kind")


def _kind_of(path: Path) -> str:
    """Format of a file by its ending, or by its first bytes when the ending says nothing."""
    name = path.name.lower()
    for kind, endings in (("nifti", NIFTI), ("nrrd", NRRD), ("metaimage", METAIMAGE), ("dicom", DICOM)):
        if name.endswith(endings):
            return kind
    return "dicom" if begins_as_dicom(path) else ""


def _settled(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Refuse for what was refused, then for what the user would have to decide; what is left are notes."""
    findings = tuple(findings)
    grave = [finding for level in (Level.REFUSE, Level.ASK) for finding in findings if finding.level == level]
    if grave:
        raise refuse(grave[0])
    return findings
