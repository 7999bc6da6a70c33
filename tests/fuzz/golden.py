"""Sound files of every kind that is read, made here and each smaller than 50 kB; none shows a patient, all carry a name that nobody may repeat."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .dicom_files import BIG, EXPLICIT, IMPLICIT, file_of, lines_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CANARY = "CANARY"  # stands where files name the patient, and may not come up in any message
SHAPE = (6, 7, 5)
AFFINE = ((-0.7, 0, 0, 5), (0, -0.8, 0, 7), (0, 0, 2, 30))
NRRD = (
    "NRRD0004\n# CANARY\ntype: int16\ndimension: 3\nspace: left-posterior-superior\nsizes: 6 7 5\n"
    "space directions: (0.7,0,0) (0,0.8,0) (0,0,2)\nkinds: domain domain domain\nendian: little\nencoding: {}\nspace origin: (1,2,3)\n"
)  # fmt: skip
META = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = {}\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    "Offset = 1 2 3\nComment = CANARY\nElementSpacing = 0.7 0.8 2\nDimSize = 6 7 5\nElementType = MET_SHORT\nElementDataFile = {}\n"
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Golden:
    """One sound file, or a folder of them of which one is damaged."""

    name: str
    kind: str
    files: dict[str, bytes]
    target: str
    opened: str
    header: int
    text: bool = False
    data: tuple[int, int] = (0, 0)
    sealed: bool = False
    inner: bytes = b""
    pack: Callable[[bytes], bytes] = bytes
    inner_header: int = 0
    inner_text: bool = False
    inner_data: tuple[int, int] = (0, 0)

    @property
    def slow(self) -> bool:
        """Whether reading it takes so long that it should come half as often as others."""
        return len(self.files) > 2 or self.kind in ("model", "liver") or self.name == "labels-dicom"


def goldens() -> dict[str, Golden]:
    """Make them all."""
    made = [*_nifti(), *_nrrd(), *_metaimage(), *_dicom(), *_segmentations(), *_weights(), *_healthy(), _report()]
    return {golden.name: golden for golden in made}


def scan() -> NDArray[np.int16]:
    """Values of the scan: air around tissue that tells its place."""
    x, y, z = np.indices(SHAPE)
    edge = (x == 0) | (y == 0) | (x == SHAPE[0] - 1) | (y == SHAPE[1] - 1)
    return np.where(edge, -1000, 10 * z + (x + 3 * y) % 10).astype(np.int16)


def _single(name: str, kind: str, ending: str, contents: bytes, header: int, **more: Any) -> Golden:
    beside = more.pop("beside", {})
    return Golden(
        name=name,
        kind=kind,
        files={f"case{ending}": contents, **beside},
        target=f"case{ending}",
        opened=f"case{ending}",
        header=header,
        **more,
    )


def _zipped(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


def _nifti_bytes(
    values: NDArray[Any], version: int = 1, order: Literal["<", ">"] = "<", scaling: tuple[float, float] = (1.0, 0.0)
) -> bytes:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    header = (Nifti1Header if version == 1 else Nifti2Header)(endianness=order)
    header.set_data_dtype(np.dtype(values.dtype).newbyteorder(order))
    header.set_data_shape(values.shape)
    affine = np.array([*AFFINE, (0, 0, 0, 1)], float)
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    header["magic"] = b"n+1" if version == 1 else b"n+2"
    header["vox_offset"] = 352 if version == 1 else 544
    header["xyzt_units"], header["descrip"] = 2, CANARY.encode()
    header["scl_slope"], header["scl_inter"] = scaling
    return bytes(header.binaryblock) + bytes(4) + values.astype(header.get_data_dtype()).tobytes(order="F")


def _nifti() -> list[Golden]:
    hu, made = scan(), []
    plain = {
        "nifti1": _nifti_bytes(hu), "nifti1-big": _nifti_bytes(hu, 1, ">"), "nifti2": _nifti_bytes(hu, 2), "nifti2-big": _nifti_bytes(hu, 2, ">"),
        "nifti1-float": _nifti_bytes(hu.astype(np.float32)), "nifti1-scaled": _nifti_bytes(hu + np.int16(1024), 1, "<", (1, -1024)),
        "nifti1-4d": _nifti_bytes(np.stack([hu, hu + np.int16(3)], axis=-1)),
    }  # fmt: skip
    for name, data in plain.items():
        start = 544 if name.startswith("nifti2") else 352
        place = (start, len(data))
        made.append(_single(name, "scan", ".nii", data, start, data=place))
        if name in ("nifti1", "nifti2-big", "nifti1-4d"):
            made.append(_single(f"{name}-gz", "scan", ".nii.gz", _zipped(data), 40, sealed=True, inner=data, pack=_zipped, inner_header=start,
                                inner_data=place))  # fmt: skip
    mask, beside = _nifti_bytes((hu > 0).astype(np.uint8)), {"scan.nii": plain["nifti1"]}
    made.append(_single("mask", "mask", ".nii", mask, 352, data=(352, len(mask)), beside=beside))
    made.append(_single("mask-gz", "mask", ".nii.gz", _zipped(mask), 40, sealed=True, inner=mask, pack=_zipped, inner_header=352,
                        inner_data=(352, len(mask)), beside=beside))  # fmt: skip
    named = _with_names(_nifti_bytes((hu > 0).astype(np.uint8) + np.uint8(hu > 30)))
    start = len(named) - hu.size
    made.append(_single("labels", "labels", ".nii", named, start, beside=beside))
    made.append(_single("labels-gz", "labels", ".nii.gz", _zipped(named), 40, sealed=True, inner=named, pack=_zipped, inner_header=start,
                        beside=beside))  # fmt: skip
    return made


def _with_names(mask: bytes) -> bytes:
    """Put names of labels behind a header, as TotalSegmentator does."""
    labels = "".join(f'<Label Key="{key}" Red="1"><![CDATA[{name}]]></Label>' for key, name in ((1, "liver"), (2, "liver_tumor")))
    text = f"<CaretExtension><VolumeInformation><LabelTable>{labels}</LabelTable></VolumeInformation></CaretExtension>".encode()
    text += bytes(-(len(text) + 8) % 16)
    header = bytearray(mask[:348])
    header[108:112] = struct.pack("<f", 352 + 8 + len(text))
    return bytes(header) + b"\1\0\0\0" + struct.pack("<ii", 8 + len(text), 30) + text + mask[352:]


def _nrrd() -> list[Golden]:
    voxels = scan().tobytes(order="F")
    plain, packed = (NRRD.format(encoding).encode() + b"\n" for encoding in ("raw", "gzip"))
    apart = NRRD.format("raw").encode() + b"data file: case.raw\n"
    both = plain + voxels
    return [
        _single("nrrd", "scan", ".nrrd", both, len(plain), text=True, data=(len(plain), len(both))),
        _single("nrrd-gzip", "scan", ".nrrd", packed + _zipped(voxels), len(packed), text=True, inner=voxels,
                pack=partial(_after, packed, _zipped), inner_data=(0, len(voxels))),
        _single("nrrd-apart", "scan", ".nhdr", apart, len(apart), text=True, beside={"case.raw": voxels}),
    ]  # fmt: skip


def _after(head: bytes, pack: Callable[[bytes], bytes], inner: bytes) -> bytes:
    return head + pack(inner)


def _metaimage() -> list[Golden]:
    voxels = scan().tobytes(order="F")
    plain, packed, apart = (
        META.format(*words).encode() for words in (("False", "LOCAL"), ("True", "LOCAL"), ("False", "case.raw"))
    )
    both, squeezed = plain + voxels, partial(zlib.compress, level=1)
    return [
        _single("mha", "scan", ".mha", both, len(plain), text=True, data=(len(plain), len(both))),
        _single("mha-zlib", "scan", ".mha", packed + squeezed(voxels), len(packed), text=True, inner=voxels,
                pack=partial(_after, packed, squeezed), inner_data=(0, len(voxels))),
        _single("mhd-apart", "scan", ".mhd", apart, len(apart), text=True, beside={"case.raw": voxels}),
    ]  # fmt: skip


def _dicom() -> list[Golden]:
    stored, made = scan().astype(np.int32) + 1024, []
    size = (SHAPE[1], SHAPE[0])
    for name, syntax in (("dicom", EXPLICIT), ("dicom-implicit", IMPLICIT), ("dicom-big", BIG)):
        pixels = [stored[:, :, k].T.astype(">u2" if syntax == BIG else "<u2").tobytes() for k in range(3)]
        lines = [lines_of(syntax, size, k) for k in range(3)]
        files = {f"slice{k}.dcm": file_of(lines[k], pixels[k]) for k in range(3)}
        whole = files["slice1.dcm"]
        for opened in ("", "slice1.dcm") if syntax == EXPLICIT else ("",):
            made.append(Golden(
                name=f"{name}-one" if opened else name, kind="scan", files=files, target="slice1.dcm", opened=opened,
                header=len(whole) - len(pixels[1]), data=(len(whole) - len(pixels[1]), len(whole)), inner=lines[1],
                pack=partial(_turned, file_of, pixels[1]), inner_header=len(lines[1]), inner_text=True,
            ))  # fmt: skip
    many, lines_many = stored.T.astype("<u2").tobytes(), lines_of(EXPLICIT, size, 0, SHAPE[2])
    whole = file_of(lines_many, many)
    made.append(Golden(
        name="dicom-frames", kind="scan", files={"frames.dcm": whole}, target="frames.dcm", opened="", header=len(whole) - len(many),
        inner=lines_many, pack=partial(_turned, file_of, many), inner_header=len(lines_many), inner_text=True,
    ))  # fmt: skip
    return made


def _segmentations() -> list[Golden]:
    """Make masks of two segments, liver and tumour: as 3D Slicer keeps them, side by side and in two layers, and as DICOM keeps them."""
    hu, beside = scan(), {"scan.nii": _nifti_bytes(scan())}
    liver, tumour = (hu > 0).astype(np.uint8), (hu > 30).astype(np.uint8)
    made = []
    for name, voxels in (("labels-nrrd", liver + tumour), ("labels-layers", np.stack([liver, tumour]))):
        head = _slicer_header(layers=voxels.ndim == 4)
        data = voxels.tobytes(order="F")
        made.append(_single(name, "labels", ".seg.nrrd", head + _zipped(data), len(head), text=True, inner=data,
                            pack=partial(_after, head, _zipped), beside=beside))  # fmt: skip
    # Written once by highdicom, in whose further versions dates and numbers would differ.
    lines = Path(__file__).with_name("segmentation.txt").read_bytes()
    pixels = bytes.fromhex("80e7799e07009ee7791e00789ee7790000000cc3000000300c030030")
    whole = file_of(lines, pixels)
    return [*made, _single("labels-dicom", "labels", ".dcm", whole, len(whole) - len(pixels), inner=lines, pack=partial(_turned, file_of, pixels),
                           inner_header=len(lines), inner_text=True, beside=beside)]  # fmt: skip


def _slicer_header(*, layers: bool) -> bytes:
    """Header of a segmentation of 3D Slicer, with its segments in layers or side by side."""
    plain = (
        NRRD.format("gzip")
        .replace("type: int16", "type: unsigned char")
        .replace("endian: little\n", "")
        .replace("(1,2,3)", "(-5,-7,30)")
    )
    if layers:
        plain = (
            plain.replace("dimension: 3", "dimension: 4")
            .replace("sizes: 6", "sizes: 2 6")
            .replace("directions: (", "directions: none (")
        )
        plain = plain.replace("kinds: domain", "kinds: list domain")
    for number, name in enumerate(("Liver", "Tumor")):
        place = f"Segment{number}_"
        plain += f"{place}Name:={name}\n{place}ID:=Segment_{number + 1}\n"
        plain += f"{place}LabelValue:={1 if layers else number + 1}\n{place}Layer:={number if layers else 0}\n"
    return plain.encode() + b"\n"


def _turned(make: Callable[[bytes, bytes], bytes], second: bytes, first: bytes) -> bytes:
    return make(first, second)


def _weights() -> list[Golden]:
    """Tiny networks with cards: the product's model, an ensemble, the liver finder, and one of the systems that share their way of loading."""
    from dataclasses import replace

    from napari_liver_anomaly.liver.finder import KEY as LIVER
    from napari_liver_anomaly.liver.finder import Finder
    from napari_liver_anomaly.models.base import narrowed
    from napari_liver_anomaly.models.ensemble import KEY as ENSEMBLE
    from napari_liver_anomaly.models.networks.liver_net import LiverNetSettings
    from napari_liver_anomaly.models.networks.restorer import RestorerSettings
    from napari_liver_anomaly.models.networks.segmenter import SegmenterSettings
    from napari_liver_anomaly.models.registry import build, config_of
    from napari_liver_anomaly.models.two_stage import CONFIGS, KEY, TwoStage, TwoStageOptions

    seen = SegmenterSettings(width=4, depth=1, restoration=False, residual_gain=0.0)
    options = TwoStageOptions(restorer=RestorerSettings(width=4, depth=1), segmenter=seen)
    preset = replace(CONFIGS["paper"], options=options)
    whole = TwoStage(preset).tensors()
    tensors = {name: value.numpy() for name, value in whole.items()}
    about = {"settings": preset.to_dict(), "seed": 0}
    half = {f"0.{name}": narrowed(value).numpy() for name, value in whole.items()}
    net = LiverNetSettings(axes=2, channels=1, folding=1, width=4, widest=4, depth=1)
    finder = Finder(net, net)
    parts = {
        f"{part}.{key}": value.half().numpy()
        for part in ("coarse", "fine")
        for key, value in getattr(finder, part).state_dict().items()
    }
    plan = config_of("ae-spatial", 4)
    coder = build(replace(plan, options=replace(plan.options, width=4, code=1)))
    codes = {name: narrowed(value).numpy() for name, value in coder.tensors().items()}
    return [
        _safetensors("weights-ae", "model", codes, {"key": coder.key, "settings": coder.config.to_dict(), "seed": 0}),
        _safetensors("weights", "model", tensors, {"key": KEY, **about}),
        _safetensors("weights-ensemble", "model", half, {"key": ENSEMBLE, "members": [about], "mirror": False, "shown": 0}),
        _safetensors(
            "weights-liver", "liver", parts, {"key": LIVER, "networks": {"coarse": net.to_dict(), "fine": net.to_dict()}}
        ),
    ]


def _safetensors(name: str, kind: str, tensors: dict[str, NDArray[Any]], card: dict[str, Any]) -> Golden:
    """Write the format by hand: length of the header, header as JSON, numbers. The card itself is what is damaged inside."""
    kinds = {"float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32"}
    entries, data = {}, b""
    for key, value in tensors.items():
        block = np.zeros(value.shape, value.dtype).tobytes()  # the numbers do not matter, and should be the same everywhere
        entries[key] = {
            "dtype": kinds[value.dtype.name],
            "shape": list(value.shape),
            "data_offsets": [len(data), len(data) + len(block)],
        }
        data += block
    inner = json.dumps({"format": 1, **card}).encode()
    pack = partial(_carded, entries, data)
    whole = pack(inner)
    return _single(name, kind, ".safetensors", whole, len(whole) - len(data), text=True, inner=inner, pack=pack, inner_header=len(inner),
                   inner_text=True)  # fmt: skip


def _carded(entries: dict[str, Any], data: bytes, card: bytes) -> bytes:
    head = json.dumps({"__metadata__": {"card": card.decode("latin-1")}, **entries}).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def _healthy() -> list[Golden]:
    """Make a file of healthy livers, to be damaged in its header and in one of its arrays."""
    from napari_liver_anomaly.training.training_file import FORMAT

    grey = (np.arange(60).reshape(3, 4, 5) + 100).astype(np.uint8)
    about = {"scan": "0" * 16, "name": "", "shape": [5, 7, 6], "corner": [1, 2, 1], "spacing_mm": [2.0, 0.8, 0.7]}
    header = json.dumps({"format": FORMAT, "scans": [about]}).encode()
    arrays = {
        "header": np.frombuffer(header, np.uint8),
        "grey_0": grey,
        "liver_0": np.packbits(grey > 120),
        "healthy_0": np.ones(3, bool),
    }
    members = {f"{name}.npy": _npy(array) for name, array in arrays.items()}
    whole = _zip_of(members)
    return [
        _single("healthy", "healthy", ".npz", whole, len(whole)),
        _single("healthy-header", "healthy", ".npz", whole, len(whole), inner=header, pack=partial(_with_header, members),
                inner_header=len(header), inner_text=True),
        *(_single(f"healthy-{name}", "healthy", ".npz", whole, len(whole), inner=members[f"{name}.npy"],
                  pack=partial(_with_member, members, f"{name}.npy"), inner_header=128, inner_text=True)
          for name in ("grey_0", "liver_0")),
    ]  # fmt: skip


def _with_header(members: dict[str, bytes], header: bytes) -> bytes:
    return _zip_of({**members, "header.npy": _npy(np.frombuffer(header, np.uint8))})


def _with_member(members: dict[str, bytes], name: str, data: bytes) -> bytes:
    return _zip_of({**members, name: data})


def _npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _zip_of(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED, 1)
    return stream.getvalue()


def _report() -> Golden:
    """Make an evaluation of two cases, from which tables are made."""
    mean = {"mean": 0.5, "sd": 0.1, "n": 2, "of": 2}
    sizes = {size: {"found": 1, "of": 2} for size in ("under_10_mm", "10_to_20_mm", "over_20_mm")}
    whole = {
        "dice": {"pooled": 0.6, "case_mean": mean, "slice_mean": mean}, "best_dice": {"pooled": 0.7}, "auroc_in_liver": {"case_mean": mean},
        "lesions": {"by_size": sizes, "false_per_scan": mean},
    }  # fmt: skip
    found = {"dice": 0.5, "auroc_in_liver": None, "lesions": {"found": 1, "of": 2, "false": 3}}
    cases = [
        {"case": f"case-{n}", "tumour_ml": 3.0 * n, "methods": dict.fromkeys(("model", "seed-0", "seed-1"), found)}
        for n in range(2)
    ]
    summary = {name: {"all": whole} for name in ("model", "seed-0", "seed-1")}
    text = json.dumps({"summary": summary, "cases": cases}, indent=1).encode()
    return _single("report", "report", ".json", text, len(text), text=True)
