"""NRRD and MetaImage: text headers before compressed or raw voxels. pynrrd parses the first, the second is a few lines."""

from __future__ import annotations

import os
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from napari_liver_anomaly.io import header_checks
from napari_liver_anomaly.io.read_options import ASK_ALL
from napari_liver_anomaly.io.segment_layers import layered, segment_names
from napari_liver_anomaly.io.source import LPS_TO_RAS, Source, affine_of, array_from, found
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.storage import BoundedReader, opened, voxel_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding, Refusal
    from napari_liver_anomaly.io.read_options import ReadOptions

    Packing = Literal["none", "gzip", "zlib"]

MOST_HEADER = 2**18
MOST_LINE = 2**14
MOST_AXES = 7

NRRD_SIGNS = {
    "right-anterior-superior": (1, 1, 1), "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1),
}  # fmt: skip
NRRD_PACKING: dict[str, Packing] = {"raw": "none", "gzip": "gzip", "gz": "gzip"}
NRRD_KINDS = {
    "i1": "signed char, int8, int8_t", "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t", "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float", "f8": "double",
}  # fmt: skip
META_KINDS = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


def open_nrrd(path: Path, answers: ReadOptions = ASK_ALL) -> Source:
    """Read the header of a NRRD file, with its voxels in the same file or beside it."""
    fields, start = _nrrd_fields(path)
    name = fields.get("data file", fields.get("datafile"))
    packing = NRRD_PACKING.get(str(fields.get("encoding")).lower())
    lines, skip = (int(fields.get(key, fields.get(key.replace(" ", ""), 0))) for key in ("line skip", "byte skip"))
    names = [code for code, words in NRRD_KINDS.items() if str(fields.get("type")) in words.split(", ")]
    if packing is None or lines or not names or not (skip == 0 or (skip == -1 and packing == "none")):
        _unusual("NRRD")
    sizes = [int(n) for n in fields.get("sizes", ())]
    kind = np.dtype(names[0]).newbyteorder(_nrrd_order(fields, names[0]))
    if len(sizes) != fields.get("dimension") or len(sizes) > MOST_AXES:
        _unusual("NRRD")
    if len(sizes) == 4 and sizes[0] == 1 and _list_first(fields):
        sizes = sizes[1:]  # one volume behind an axis for several
        fields["space directions"] = np.asarray(fields["space directions"], dtype=np.float64)[1:]
    layers: list[int] = []
    if len(sizes) == 4 and _list_first(fields) and segment_names(fields):
        layers, sizes = sizes[:1], sizes[1:]
        fields["space directions"] = np.asarray(fields["space directions"], dtype=np.float64)[1:]
    if len(sizes) > 3 and not _volumes_last(fields):
        raise _many_values(prod(sizes) // prod(sorted(sizes)[-3:]))
    shape = _three(sizes[:3], kind)
    affine, findings = _nrrd_position(fields, answers)
    data = (path, start) if name is None else (_beside(path, str(name)), 0)
    if skip == -1:
        data = _from_end(data, [*layers, *sizes], kind)
    if layers:
        return layered(_source(shape, affine, findings, data, packing, kind, (1, 1), layers[0]), fields)
    source = _source(
        shape, affine, (*findings, *_several(sizes, answers)), data, packing, kind, (answers.volume or 1, prod(sizes[3:]))
    )
    return replace(source, names=segment_names(fields))


def open_metaimage(path: Path, answers: ReadOptions = ASK_ALL) -> Source:
    """Read the header of a MetaImage file, with its voxels in the same file or beside it."""
    fields, start = _meta_fields(path)
    code = META_KINDS.get(fields.get("ElementType", ""))
    from_end = fields.get("HeaderSize", "0") == "-1"
    if code is None or not _true(fields.get("BinaryData", "True")) or not (from_end or fields.get("HeaderSize", "0") == "0"):
        _unusual("MetaImage")
    big = _true(fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")))
    kind = np.dtype(code).newbyteorder(">" if big else "<")
    sizes = [int(n) for n in _numbers(fields, "DimSize")]
    if len(sizes) > MOST_AXES:
        _unusual("MetaImage")
    channels = int(_numbers(fields, "ElementNumberOfChannels", [1])[0])
    if channels != 1:
        raise _many_values(channels)
    shape = _three(sizes[:3], kind)
    affine, findings = _meta_position(fields, len(sizes), answers)
    name = fields["ElementDataFile"]
    data = (path, start) if name.upper() == "LOCAL" else (_beside(path, name), 0)
    packing: Packing = "zlib" if _true(fields.get("CompressedData", "False")) else "none"
    if from_end and packing == "none":  # "-1": the voxels are the end of their file
        data = _from_end(data, sizes, kind)
    return _source(
        shape, affine, (*findings, *_several(sizes, answers)), data, packing, kind, (answers.volume or 1, prod(sizes[3:]))
    )


def _from_end(data: tuple[Path, int], sizes: list[int], kind: np.dtype[Any]) -> tuple[Path, int]:
    """Where voxels begin that are the end of their file."""
    return data[0], max(data[1], data[0].stat().st_size - prod(sizes) * kind.itemsize)


def _true(word: str) -> bool:
    return word.lower() in ("true", "1")


def _source(
    shape: tuple[int, int, int], affine: NDArray[np.float64], about_position: tuple[Finding, ...],
    data: tuple[Path, int], packing: Packing, kind: np.dtype[Any], volume: tuple[int, int], layers: int = 0,
) -> Source:  # fmt: skip
    def load() -> NDArray[np.generic]:
        with opened(data[0]) as stream:
            stream.seek(data[1])
            return array_from(BoundedReader(stream, packing), (layers, *shape) if layers else shape, kind, volume)

    oriented = "orientation-unverified" not in {finding.code for finding in about_position}
    findings = (*about_position, *header_checks.geometry(affine, shape))
    return Source(shape=shape, affine=affine, findings=findings, load=load, oriented=oriented)


def _several(sizes: list[int], answers: ReadOptions) -> tuple[Finding, ...]:
    """Ask which volume of a file with more axes than three is meant."""
    voxel_bytes(sizes, 1)
    return found(header_checks.one_volume(sizes[3:], answers.volume))


def _list_first(fields: dict[str, Any]) -> bool:
    """Whether the first axis of a NRRD file lies in no space and the others do."""
    steps = np.asarray(fields.get("space directions", np.full((0, 3), np.nan)), dtype=np.float64)
    return steps.shape == (4, 3) and bool(np.isfinite(steps[1:]).all()) and not bool(np.isfinite(steps[0]).any())


def _volumes_last(fields: dict[str, Any]) -> bool:
    """Whether the first three axes of a NRRD file are those in space, so that whole volumes follow each other."""
    steps = np.asarray(fields.get("space directions", np.full((0, 3), np.nan)), dtype=np.float64)
    return steps.shape[0] > 3 and bool(np.isfinite(steps[:3]).all()) and not bool(np.isfinite(steps[3:]).any())


def _three(sizes: list[int], kind: np.dtype[Any]) -> tuple[int, int, int]:
    if not 1 <= len(sizes) <= 3:
        _unusual("such")
    x, y, z = [*sizes, 1, 1][:3]
    voxel_bytes((x, y, z), kind.itemsize)
    return x, y, z


def _nrrd_fields(path: Path) -> tuple[dict[str, Any], int]:
    """Fields of the header, and where the voxels begin."""
    import nrrd

    with opened(path) as stream:
        block = stream.read(MOST_HEADER)
    ends = [(at + len(gap), at) for gap in (b"\n\n", b"\r\n\r\n") if (at := block.find(gap)) >= 0]
    start, end = min(ends) if ends else (len(block), len(block))
    if block[:4] != b"NRRD" or (not ends and len(block) == MOST_HEADER):
        raise _not("NRRD")
    try:
        with np.errstate(all="ignore"):
            fields = nrrd.read_header(block[:end].decode("ascii", "ignore").splitlines())
    except (nrrd.NRRDError, ValueError, TypeError, IndexError, ArithmeticError, LookupError, StopIteration):
        raise _not("NRRD") from None  # its words quote the header
    return fields, start


def _nrrd_order(fields: dict[str, Any], code: str) -> Literal["<", ">"]:
    order = str(fields.get("endian")).lower()
    if order not in ("little", "big") and code[1] != "1":
        _unusual("NRRD")
    return ">" if order == "big" else "<"


def _nrrd_position(fields: dict[str, Any], answers: ReadOptions) -> tuple[NDArray[np.float64], tuple[Finding, ...]]:
    """Affine (RAS, mm) and the findings about it."""
    signs = NRRD_SIGNS.get(str(fields.get("space")).lower())
    steps = np.asarray(fields.get("space directions", np.full((3, 3), np.nan)), dtype=np.float64)[:3]
    if signs is None or steps.shape != (3, 3):
        sizes = np.asarray(fields.get("spacings", [np.nan] * 3), dtype=np.float64)
        if steps.shape == (3, 3) and np.isfinite(steps).all():
            sizes = np.sqrt((steps**2).sum(axis=1))
        return header_checks.UNORIENTED @ np.diag([*np.resize(sizes, 3), 1.0]), (
            header_checks.unknown_orientation(answers.orientation),
        )
    units = {str(name).strip().lower() for name in fields.get("space units", ["mm"])}
    factor, finding = header_checks.unit(_unit_name(units.pop()) if len(units) == 1 else "mixed")
    placed = "space origin" in fields
    origin = np.asarray(fields.get("space origin", [0.0] * 3), dtype=np.float64)
    if origin.shape != (3,):
        _unusual("NRRD")
    with np.errstate(all="ignore"):
        affine = np.diag([*signs, 1.0]) @ affine_of(steps.T * factor, origin * factor)
    return affine, found(finding, None if placed else make_finding("origin-missing"))


def _unit_name(name: str) -> str | None:
    words = {"mm": "mm", "millimeter": "mm", "millimetre": "mm", "cm": "cm", "m": "m", "um": "um", "µm": "um", "micron": "um"}
    return None if name in ("", "???") else words.get(name, "strange")


def _meta_fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields of the header up to ElementDataFile, and where the voxels begin."""
    fields: dict[str, str] = {}
    with opened(path) as stream:
        while "ElementDataFile" not in fields and stream.tell() < MOST_HEADER:
            line = stream.readline(MOST_LINE)
            if line.endswith(b"\n") and not line.strip():
                continue
            key, equals, value = line.decode("latin-1").partition("=")
            if not equals or not line.endswith(b"\n") or key.strip() in fields:
                raise _not("MetaImage")
            fields[key.strip()] = value.strip()
        start = stream.tell()
    if "ElementDataFile" not in fields:
        raise _not("MetaImage")
    return fields, start


@np.errstate(all="ignore")  # numbers that are none are found by the checks
def _meta_position(
    fields: dict[str, str], dimensions: int, answers: ReadOptions
) -> tuple[NDArray[np.float64], tuple[Finding, ...]]:
    """Affine (RAS, mm) and the findings about it. MetaImage positions are LPS, row i of its matrix is the direction of axis i."""
    count = max(3, dimensions)
    spacing = _first(fields, ("ElementSpacing", "ElementSize"), count)
    matrix = _first(fields, ("TransformMatrix", "Orientation", "Rotation"), count**2)
    origin = _first(fields, ("Offset", "Position", "Origin"), count)
    sizes = np.array((spacing or [np.nan] * 3)[:3])
    if matrix is None or origin is None:
        return header_checks.UNORIENTED @ np.diag([*sizes, 1.0]), (header_checks.unknown_orientation(answers.orientation),)
    axes, origin = np.reshape(matrix, (count, count))[:3, :3].T, origin[:3]
    if not np.allclose((axes**2).sum(axis=0), 1, atol=1e-3) or not (sizes > 0).all():
        sizes = np.full(3, np.nan)
    return LPS_TO_RAS @ affine_of(axes * sizes, np.array(origin)), ()


def _first(fields: dict[str, str], names: tuple[str, ...], count: int) -> list[float] | None:
    """Numbers of the first field that is there."""
    for name in names:
        if name in fields:
            numbers = _numbers(fields, name)
            return numbers if len(numbers) == count else [np.nan] * count
    return None


def _numbers(fields: dict[str, str], name: str, otherwise: list[float] | None = None) -> list[float]:
    if name not in fields and otherwise is not None:
        return otherwise
    try:
        numbers = [float(word) for word in fields.get(name, "").split()]
    except ValueError:
        raise _not("MetaImage") from None
    if not numbers or (name in ("DimSize", "ElementNumberOfChannels") and not all(n.is_integer() for n in numbers)):
        raise _not("MetaImage")
    return numbers


def _beside(path: Path, name: str) -> Path:
    """Find the file with the voxels, which must lie in the same folder and nowhere else."""
    if "%" in name or name == "LIST":
        raise make_refusal("data-in-slices")
    name = name.removeprefix("./")
    if not os.path.isfile(path.parent / name):
        try:
            name = name.encode("latin-1").decode("utf-8")
        except UnicodeError:
            raise make_refusal("data-elsewhere") from None
    other = path.parent / name
    plain = name not in ("", ".", "..") and not set(name) & set('/\\:*?"<>|%\0')
    if not plain or not os.path.isfile(other) or other.resolve().parent != path.parent.resolve():
        raise make_refusal("data-elsewhere")
    return other


def _many_values(count: int) -> Refusal:
    return make_refusal("colour", count=count)


def _not(kind: str) -> Refusal:
    return make_refusal("file-damaged", reason=f"it is not a sound {kind} file, whatever its name says")


def _unusual(kind: str) -> NoReturn:
    raise make_refusal("file-unusual", kind=kind)
