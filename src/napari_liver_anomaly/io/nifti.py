"""NIfTI: nibabel parses the header, our own bounded stream reads the voxels.

nibabel alone does not notice a wrong checksum, and allocates what a header claims before it looks at the file.
"""

from __future__ import annotations

import re
from html import unescape
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_liver_anomaly.errors import Level, Refusal
from napari_liver_anomaly.io import header_checks
from napari_liver_anomaly.io.mask_labels import clean_name
from napari_liver_anomaly.io.read_options import ASK_ALL
from napari_liver_anomaly.io.source import Source, array_from, found
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.storage import unpacking, voxel_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.read_options import ReadOptions

    Affine = NDArray[np.float64]

MOST_EXTENSION = 2**24
ROUNDED = 1e-5  # excess of a quaternion's squared length that rounding to six digits makes: a third of a degree at most
MOST_NAMED = 2**18  # bytes behind the header in which names of labels are looked for
LABEL = re.compile(rb"<Label\s[^<>]{0,200}?Key=\"(\d{1,9})\"[^<>]{0,200}>\s{0,20}(?:<!\[CDATA\[)?([^<>\]]{1,200})")
UNITS: dict[int, str | None] = {0: None, 1: "m", 2: "mm", 3: "um"}
KINDS = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
COLOURS = {128: 3, 2304: 4}  # values a voxel: RGB, RGBA


def open_nifti(path: Path, answers: ReadOptions = ASK_ALL) -> Source:
    """Read the header of a NIfTI-1 or NIfTI-2 file, packed with gzip or not, of either byte order."""
    with unpacking(path) as reader:
        first = bytes(reader.read(4))
        size, order = _version(first)
        header = _parsed(first + bytes(reader.read(size - 4)), size, order)
        offset = _offset(header, size)
        names = _label_names(bytes(reader.read(min(offset - size, MOST_NAMED))))
    kind = np.dtype(KINDS[_kind(header)]).newbyteorder(order)
    sizes, further = _sizes(header, kind.itemsize)
    slope, intercept = _scaling(header)
    with np.errstate(all="ignore"):  # infinite sizes are found by the checks
        affine, about_position = _position(header, sizes, answers)
    volumes = prod(further)

    def load() -> NDArray[np.generic]:
        with unpacking(path) as reader:
            reader.read(offset)
            return array_from(reader, sizes, kind, (answers.volume or 1, volumes))

    findings = found(header_checks.one_volume(further, answers.volume), *about_position)
    oriented = "orientation-unverified" not in {finding.code for finding in findings}
    return Source(
        shape=sizes, affine=affine, findings=findings, load=load, slope=slope, intercept=intercept, oriented=oriented, names=names
    )  # fmt: skip


def _version(first: bytes) -> tuple[int, Literal["<", ">"]]:
    """Length of the header and byte order, from its first four bytes."""
    little, big = int.from_bytes(first, "little"), int.from_bytes(first, "big")
    if little in (348, 540):
        return little, "<"
    if big in (348, 540):
        return big, ">"
    raise _not_nifti()


def _parsed(block: bytes, size: int, order: str) -> Any:
    """Nibabel's view of the header, unchecked and unrepaired."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    header = (Nifti1Header if size == 348 else Nifti2Header)(block, endianness=order, check=False)
    magic = header["magic"].item().rstrip(b"\0")[:3]
    if magic in (b"ni1", b"ni2"):
        raise make_refusal("nifti-pair")
    if magic != (b"n+1" if size == 348 else b"n+2"):
        raise _not_nifti()
    return header


def _kind(header: Any) -> int:
    code = int(header["datatype"])
    if code in COLOURS:
        raise make_refusal("colour", count=COLOURS[code])
    if code not in KINDS or int(header["bitpix"]) != 8 * np.dtype(KINDS[code]).itemsize:
        raise make_refusal("values-kind")
    return code


def _sizes(header: Any, item_bytes: int) -> tuple[tuple[int, int, int], tuple[int, ...]]:
    """Sizes of the first three axes, and of the further ones."""
    dims = [int(n) for n in header["dim"]]
    count = dims[0]
    if not 1 <= count <= 7:
        raise _not_nifti()
    sizes = [*dims[1 : count + 1], 1, 1][: max(3, count)]
    voxel_bytes(sizes[:3], item_bytes)
    voxel_bytes(sizes, 1)
    return (sizes[0], sizes[1], sizes[2]), tuple(sizes[3:])


def _offset(header: Any, size: int) -> int:
    """Place of the first voxel in the file."""
    offset = float(header["vox_offset"])
    if not (size + 4 <= offset <= MOST_EXTENSION) or offset != int(offset):
        raise make_refusal("file-damaged", reason="its header does not say where the voxels begin")
    return int(offset)


def _label_names(extension: bytes) -> dict[int, str]:
    """Find what the labels of a mask are called, in the table that Connectome Workbench defined and TotalSegmentator writes."""
    found = LABEL.findall(extension)
    return {int(key): name for key, words in found if (name := clean_name(unescape(words.decode("utf-8", "ignore"))))}


def _scaling(header: Any) -> tuple[float, float]:
    """Slope and intercept; a slope of zero or NaN means "as stored" in this format."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or np.isnan(slope):
        return 1.0, 0.0
    if not np.isfinite([slope, intercept]).all():
        raise make_refusal("rescale-invalid")
    return slope, intercept


def _position(header: Any, shape: tuple[int, int, int], answers: ReadOptions) -> tuple[Affine, list[Finding | None]]:
    """Affine in mm and the findings about it. The sform counts when both are there, as everywhere else, unless the user says otherwise."""
    factor, unit_finding = header_checks.unit(UNITS.get(int(header["xyzt_units"]) & 7, "strange"))
    scale = np.diag([factor, factor, factor, 1.0])
    missing = int(header["sform_code"]) > 0 and _without_sizes(header)
    stated_mm = np.asarray(header["pixdim"][1:4], dtype=np.float64) * factor
    sizes_mm, negative = np.abs(stated_mm), bool((stated_mm < 0).any())  # the position says which way the axes run
    notes = [
        unit_finding, make_finding("sizes-negative") if negative else None, make_finding("sizes-missing") if missing else None,
    ]  # fmt: skip
    sform = scale @ _sform(header) if int(header["sform_code"]) > 0 else None
    rounded = _round_quaternion(header)
    qform = scale @ _qform(header) if int(header["qform_code"]) > 0 else None
    if not header_checks.possible(sizes_mm) or (negative and sform is None):
        return np.diag([*sizes_mm, 1.0]), [unit_finding, header_checks.impossible(stated_mm)]
    if sform is not None:
        findings = [*notes, *header_checks.geometry(sform, shape)]
        if len(findings) > len(notes):
            return sform, findings
        affine, more = _with_sform(sform, qform, rounded, sizes_mm, shape, answers)
        return affine, [*findings, *more]
    if qform is not None and not np.isfinite(qform).all():
        return qform, [unit_finding, make_finding("geometry-singular")]
    if qform is not None:
        return qform, [*notes, *header_checks.geometry(qform, shape)]
    affine = header_checks.UNORIENTED @ np.diag([*sizes_mm, 1.0])
    return affine, [*notes, *header_checks.geometry(affine, shape), header_checks.unknown_orientation(answers.orientation)]


def _with_sform(
    sform: Affine, qform: Affine | None, rounded: bool, sizes_mm: NDArray[np.float64], shape: tuple[int, int, int],
    answers: ReadOptions,
) -> tuple[Affine, tuple[Finding, ...]]:  # fmt: skip
    """Compare a sound sform with what else the header says about position and size."""
    if qform is None:
        sizes = np.sqrt((sform[:3, :3] ** 2).sum(axis=0))
        disagree = header_checks.sizes_disagree(sizes, sizes_mm, header_checks.POSITIONS[:1])
        return sform, found(header_checks.position_chosen("sform") if disagree and answers.position == "sform" else disagree)
    if not np.isfinite(qform).all():
        return sform, (make_finding("qform-unsound"),)
    of_qform = header_checks.geometry(qform, shape) or found(header_checks.two_positions(sform, qform, shape))
    if rounded and of_qform and of_qform[0].level is not Level.NOTE:
        return sform, (make_finding("qform-unsound"),)  # it agrees neither with the standard nor with the sform
    if answers.position != "ask" and of_qform and of_qform[0].level is Level.ASK:
        return sform if answers.position == "sform" else qform, (header_checks.position_chosen(answers.position),)
    return sform, of_qform


def _sform(header: Any) -> Affine:
    affine = np.eye(4)
    affine[:3] = [header["srow_x"], header["srow_y"], header["srow_z"]]
    return affine


def _without_sizes(header: Any) -> bool:
    """Take voxel sizes that are zero or no number from the sform, and say whether there were any."""
    stated = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    missing = (stated == 0) | np.isnan(stated)
    header["pixdim"][1:4] = np.where(missing, np.sqrt((_sform(header)[:3, :3] ** 2).sum(axis=0)), stated)
    return bool(missing.any())


def _round_quaternion(header: Any) -> bool:
    """Bring a quaternion that rounding made longer than one back to length one, and say whether it had to be."""
    parts = np.array([float(header[f"quatern_{name}"]) for name in "bcd"])
    longer = bool(1 < (square := parts @ parts) <= 1 + ROUNDED)
    for name, part in zip("bcd", parts / np.sqrt(square) if longer else parts, strict=True):
        header[f"quatern_{name}"] = part
    return longer


def _qform(header: Any) -> Affine:
    """Affine of the quaternion; full of NaN when the quaternion is none."""
    from nibabel.spatialimages import HeaderDataError

    if header["pixdim"][0] == 0:
        header["pixdim"][0] = 1  # the standard says so
    header["pixdim"][1:4] = np.abs(header["pixdim"][1:4])
    try:
        with np.errstate(all="ignore"):
            affine = np.array(header.get_qform(), dtype=np.float64)
    except (ValueError, HeaderDataError):
        return np.full((4, 4), np.nan)
    return affine


def _not_nifti() -> Refusal:
    return make_refusal("not-nifti")
