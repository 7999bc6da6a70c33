"""A training set as a file: many scans with healthy liver, packed into one small file that any machine can train from.

The file holds, for each scan, the box around the liver as grey levels of 2 HU, kept only within a few millimetres of the liver; the liver mask; and
which planes may serve as healthy. Reading it back needs numpy alone.
"""

from __future__ import annotations

import json
import math
import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_liver_anomaly.errors import UnreadableFile
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.memory import require_memory
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.placing import replacing
from napari_liver_anomaly.storage import memory_budget, opened, voxel_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.read_options import MaskOptions

FORMAT = "napari-liver-anomaly healthy livers, version 2"
LOW_HU, STEP_HU = -200, 2
AROUND_MM = 12.0
BOX_BYTES = 64  # of the distances from a liver, for each voxel of its box
LARGEST_MM = 20.0
LARGEST_HEADER = 2**22
LARGEST_NPY = 256  # what stands before an array, at most
# What stands before an array of bytes in numpy's format, as numpy writes it.
NPY = re.compile(
    rb"\x93NUMPY\x01\0[\0-\xff]{2}\{'descr': '(?P<kind>\|[ub]1)', 'fortran_order': False, 'shape': \((?P<shape>[0-9, ]{1,60})\), \} *\n"
)
# What zipfile, json and numpy raise on files that are broken in one way or another; an encrypted member is a RuntimeError.
DAMAGE = (
    OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingCase:
    """One scan of a training set: the box around its liver.

    Attributes
    ----------
    scan : str
        Identity (hash) of the scan it was made from.
    name : str
        Of the case in its data set; empty when names were not kept.
    grey : ndarray, (z, y, x) uint8
        (HU + 200) / 2 inside the liver's box, 0 away from the liver.
    liver : ndarray, (z, y, x) bool
        In the same box.
    healthy : ndarray, (z,) bool
        Planes of the box that may be used for training.
    shape : tuple of int
        Of the whole scan, canonical order.
    corner : tuple of int
        Index of the box's first voxel.
    spacing_mm : tuple of float
        Voxel size (z, y, x).
    """

    scan: str
    name: str
    grey: NDArray[np.uint8]
    liver: NDArray[np.bool_]
    healthy: NDArray[np.bool_]
    shape: tuple[int, int, int]
    corner: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    def whole(self) -> tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]:
        """Put the box back where it lies in the scan.

        Returns
        -------
        hu : ndarray, (z, y, x) int16
            -200 HU away from the liver.
        liver : ndarray, (z, y, x) bool
            The liver mask.
        healthy : ndarray, (z,) bool
            Planes that may be used for training.
        """
        place = tuple(slice(first, first + size) for first, size in zip(self.corner, self.grey.shape, strict=True))
        hu = np.full(self.shape, LOW_HU, dtype=np.int16)
        hu[place] = self.grey.astype(np.int16) * STEP_HU + LOW_HU
        liver = np.zeros(self.shape, dtype=bool)
        liver[place] = self.liver
        healthy = np.zeros(self.shape[0], dtype=bool)
        healthy[place[0]] = self.healthy
        return hu, liver, healthy


def pack_case(
    hu: NDArray[np.int16],
    liver: NDArray[np.bool_],
    tumours: NDArray[np.bool_] | None,
    spacing_mm: tuple[float, float, float],
    *,
    scan: str,
    name: str = "",
) -> TrainingCase:
    """Keep of a scan what training needs; planes with any tumour are not healthy, and all planes with liver are where ``tumours`` is None."""
    from scipy.ndimage import distance_transform_edt

    inside = box_of(liver)
    if inside is None:
        raise make_refusal("training-mask-empty")
    margin = [int(np.ceil(AROUND_MM / mm)) for mm in spacing_mm]
    low = [max(side.start - more, 0) for side, more in zip(inside, margin, strict=True)]
    high = [min(side.stop + more, size) for side, more, size in zip(inside, margin, liver.shape, strict=True)]
    box = tuple(slice(first, last) for first, last in zip(low, high, strict=True))
    require_memory(math.prod(last - first for first, last in zip(low, high, strict=True)) * BOX_BYTES)
    near = distance_transform_edt(~liver[box], sampling=spacing_mm) <= AROUND_MM
    grey = np.where(near, np.clip(np.rint((hu[box].astype(np.float32) - LOW_HU) / STEP_HU), 0, 255), 0).astype(np.uint8)
    healthy = liver[box].any(axis=(1, 2))
    if tumours is not None:
        healthy &= ~tumours[box].any(axis=(1, 2))
    return TrainingCase(
        scan=scan, name=name, grey=grey, liver=liver[box], healthy=healthy, shape=tuple(liver.shape),  # type: ignore[arg-type]
        corner=(low[0], low[1], low[2]), spacing_mm=spacing_mm,
    )  # fmt: skip


def write_training_set(scans: Iterable[TrainingCase], path: str | Path) -> None:
    """Write packed scans into one ``.npz`` file."""
    arrays: dict[str, NDArray[Any]] = {}
    about: list[dict[str, Any]] = []
    for number, scan in enumerate(scans):
        arrays[f"grey_{number}"] = scan.grey
        arrays[f"liver_{number}"] = np.packbits(scan.liver)
        arrays[f"healthy_{number}"] = scan.healthy
        about.append(
            {"scan": scan.scan, "name": scan.name, "shape": scan.shape, "corner": scan.corner, "spacing_mm": scan.spacing_mm}
        )
    header = json.dumps({"format": FORMAT, "scans": about}).encode()
    with replacing(path) as beside, open(beside, "wb") as file:  # to a name, numpy would add an ending of its own
        np.savez_compressed(file, **{"header": np.frombuffer(header, dtype=np.uint8), **arrays})  # type: ignore[arg-type]


def read_training_set(path: str | Path) -> tuple[TrainingCase, ...]:
    """Read a training set from its file.

    Parameters
    ----------
    path : path-like
        Made by :func:`write_training_set` or ``liver-anomaly prepare``.

    Returns
    -------
    tuple of TrainingCase
        In the order they were written.

    Raises
    ------
    UnreadableFile
        When it is damaged or no such file.
    """
    try:
        with opened(path) as stream, zipfile.ZipFile(stream) as file:
            _require_small(file)
            return tuple(_unpack(number, about, file) for number, about in enumerate(_header(file)["scans"]))
    except (UnreadableFile, *DAMAGE):
        raise make_refusal("healthy-unreadable") from None


def _require_small(file: zipfile.ZipFile) -> None:
    """Refuse what would unpack to more than there is memory for, and ways of packing that are none of ours."""
    members = file.infolist()
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise ValueError("packing")
    if sum(member.file_size for member in members) > memory_budget():
        raise make_refusal("healthy-too-large")


def _header(file: zipfile.ZipFile) -> dict[str, Any]:
    """Read what the file says of its scans, if it is of our kind."""
    header: dict[str, Any] = json.loads(_array(file, "header", np.uint8, 1, LARGEST_HEADER).tobytes())
    if header["format"] != FORMAT:
        raise ValueError("format")
    return header


def _array(file: zipfile.ZipFile, name: str, kind: type[np.generic], axes: int, most: int) -> NDArray[Any]:
    """Take an array of so many bytes at most; what its header claims must be there, which numpy's own reader finds out too late."""
    if file.getinfo(f"{name}.npy").file_size > most + LARGEST_NPY:  # said before anything is unpacked
        raise ValueError(name)
    block = file.read(f"{name}.npy")
    head = NPY.match(block)
    if head is None:
        raise ValueError(name)
    stored, sizes, data = (
        head["kind"].decode(),
        [int(size) for size in head["shape"].split(b",") if size.strip()],
        block[head.end() :],
    )
    if stored != np.dtype(kind).str or len(sizes) != axes or math.prod(sizes) != len(data):
        raise ValueError(name)
    return np.frombuffer(data, kind).reshape(sizes)


def _unpack(number: int, about: dict[str, Any], file: zipfile.ZipFile) -> TrainingCase:
    """Rebuild one scan from its arrays, whose box must lie in the scan."""
    shape, corner = _three(about["shape"], int), _three(about["corner"], int)
    spacing_mm = _three(about["spacing_mm"], float)
    voxel_bytes(shape, 2)
    grey = _array(file, f"grey_{number}", np.uint8, 3, math.prod(shape))
    packed = _array(file, f"liver_{number}", np.uint8, 1, -(-grey.size // 8))
    healthy = _array(file, f"healthy_{number}", np.bool_, 1, len(grey))
    inside = all(0 <= first and first + size <= whole for first, size, whole in zip(corner, grey.shape, shape, strict=True))
    sound = packed.size == -(-grey.size // 8) and healthy.size == len(grey) and all(0 < mm < LARGEST_MM for mm in spacing_mm)
    if not (inside and sound and isinstance(about["scan"], str) and isinstance(about["name"], str)):
        raise ValueError(number)
    liver = np.unpackbits(packed, count=grey.size).reshape(grey.shape).astype(bool)
    return TrainingCase(
        scan=about["scan"], name=about["name"], grey=grey, liver=liver, healthy=healthy, shape=shape, corner=corner,
        spacing_mm=spacing_mm,
    )  # fmt: skip


def _three(values: Any, kind: type[Number]) -> tuple[Number, Number, Number]:
    """Three numbers of one kind, as the header gives them."""
    z, y, x = values
    if not all(isinstance(value, (int, kind)) and not isinstance(value, bool) for value in (z, y, x)):
        raise ValueError("numbers")
    return (kind(z), kind(y), kind(x))


def pack_training_set(
    folder: str | Path,
    *,
    keep_names: bool = False,
    masks: MaskOptions | None = None,
    tell: Callable[[Iterable[Finding]], object] | None = None,
    job: Job | None = None,
) -> list[TrainingCase]:
    """Read and pack every case of a folder: ``NAME_ct``, ``NAME_liver`` and, where known, ``NAME_tumour`` files.

    Parameters
    ----------
    folder : path-like
        Holds the cases.
    keep_names : bool
        Keep the names of the files, for data sets whose names are no patients'; without it only hashes are kept.
    masks : MaskOptions, optional
        Which labels of all liver masks are the liver, and whether masks that are unlike one are taken; asked when nothing is given.
    tell : callable, optional
        Takes what is doubtful about the liver mask of each case.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    list of TrainingCase
        Sorted by name.

    Raises
    ------
    Question
        When liver masks hold several labels, or are unlike a liver, and nothing was decided about that.
    Refusal
        When the folder holds no case, or one cannot be read.
    """
    # Here, not above: a machine that only trains needs no reader of medical files.
    from napari_liver_anomaly.io import read, read_mask
    from napari_liver_anomaly.io.cases import find_cases
    from napari_liver_anomaly.liver.case_livers import ASK, read_case_liver

    cases, job, packed = find_cases(folder), job or Job(), []
    for done, case in enumerate(cases):
        job.at("Packing healthy livers", done, len(cases))
        volume = read(case.ct)
        called = case.name if keep_names else f"case {done + 1} of {len(cases)}"
        liver = read_case_liver(case, volume, masks or ASK, called)
        if tell is not None:
            tell(liver.findings)
        tumours = read_mask(case.tumours, volume, may_be_empty=True).voxels if case.tumours else None
        name = case.name if keep_names else ""
        packed.append(
            pack_case(volume.voxels, liver.voxels, tumours, volume.geometry.spacing_mm, scan=volume.identity, name=name)
        )
    return packed
