"""Small scans made in the test, with one knob for every fault: ``ct``, ``nifti_file``, ``dicom_series``;
beside them ``nrrd_file`` and ``metaimage_file``, whose headers are a list of fields.

The value of a voxel encodes its place, so that any mix-up can be read in the failure text.
"""

from __future__ import annotations

import gzip
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import Answer, Finding, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.preprocessing import HealthySlices
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.volume import Volume

    Array = NDArray[Any]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
RLE = "1.2.840.10008.1.2.5"
LITTLE = "1.2.840.10008.1.2.1"
NRRD = {
    "type": "int16", "dimension": "3", "space": "left-posterior-superior", "sizes": "16 16 11",
    "space directions": "(0.7,0,0) (0,0.8,0) (0,0,2)", "kinds": "domain domain domain", "endian": "little", "encoding": "raw",
    "space origin": "(1,2,3)",
}  # fmt: skip
META = {
    "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False", "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "1 2 3", "ElementSpacing": "0.7 0.8 2", "DimSize": "16 16 11",
    "ElementType": "MET_SHORT", "ElementDataFile": "LOCAL",
}  # fmt: skip
PLAIN_AFFINE = np.diag([-0.7, -0.8, 2.0, 1.0])


def ct(columns: int = 16, rows: int = 16, slices: int = 11) -> NDArray[np.int16]:
    """HU in source order (x, y, z): air around tissue whose tens tell the slice and whose ones tell column and row."""
    x, y, z = np.indices((columns, rows, slices))
    tissue = 10 * z + (x + 3 * y) % 10
    edge = (x == 0) | (y == 0) | (x == columns - 1) | (y == rows - 1)
    return np.where(edge, -1000, tissue).astype(np.int16)


def healthy_slices(count: int = 8, side: int = 64) -> HealthySlices:
    """Livers as a network sees them: an ellipse with bright vessels and correlated noise."""
    from scipy.ndimage import gaussian_filter

    from napari_liver_anomaly.preprocessing import HealthySlices

    rng = np.random.default_rng(0)
    y, x = (axis - side / 2 for axis in np.ogrid[:side, :side])
    liver_mask = (y / (0.4 * side)) ** 2 + (x / (0.45 * side)) ** 2 < 1
    images = []
    for _ in range(count):
        noise = gaussian_filter(rng.standard_normal(liver_mask.shape), 0.8) * 0.08
        vessels = (gaussian_filter(rng.standard_normal(liver_mask.shape), 2) > 0.25) * 0.12
        images.append(np.where(liver_mask, np.clip(0.5 + noise + vessels, 0.02, 1), 0).astype(np.float32))
    return HealthySlices(images, [liver_mask] * count, 300)


def nifti_file(
    path: Path,
    values: Array | None = None,
    affine: Array = PLAIN_AFFINE,
    *,
    qform: Array | None = None,
    codes: tuple[int, int] = (1, 1),
    units: int = 2,
    scaling: tuple[float, float] = (1.0, 0.0),
    order: str = "<",
    version: int = 1,
    header: Mapping[str, Any] | None = None,
    colour: bool = False,
    extra: bytes = b"",
    cut: int | None = None,
) -> Path:
    """Write a NIfTI file byte by byte, so that nothing is repaired on the way.

    ``affine`` goes to the sform and ``qform`` (the same if not given) to the qform; ``codes`` are those of sform and qform.
    ``header`` overwrites single fields at the end. ``extra`` bytes follow the voxels; ``cut`` keeps so many bytes of the file.
    """
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    values = ct() if values is None else values
    made = (Nifti1Header if version == 1 else Nifti2Header)(endianness=order)
    made.set_data_dtype(np.dtype(values.dtype).newbyteorder(order))
    made.set_data_shape(values.shape)
    made.set_qform(affine if qform is None else qform, code=codes[1], strip_shears=True)
    made.set_sform(affine, code=codes[0])
    made["magic"] = b"n+1" if version == 1 else b"n+2"
    made["vox_offset"] = 352 if version == 1 else 544
    made["xyzt_units"] = units
    made["scl_slope"], made["scl_inter"] = scaling
    if colour:
        made["datatype"], made["bitpix"] = 128, 24
    for field, value in (header or {}).items():
        made[field] = value
    block = (
        made.binaryblock
        + b"\0\0\0\0"
        + values.astype(made.get_data_dtype() if not colour else values.dtype).tobytes(order="F")
        + extra
    )
    block = gzip.compress(block, 1, mtime=0) if path.name.endswith(".gz") else block
    path.write_bytes(block[:cut])
    return path


def nrrd_file(path: Path, data: bytes | None = None, *, end: str = "\n", **fields: str | None) -> Path:
    """Write a NRRD file; a field given as None is left out, underscores stand for blanks."""
    lines = {**NRRD, **{name.replace("_", " "): value for name, value in fields.items()}}
    text = "NRRD0004\n# a comment\n" + "".join(f"{name}: {value}\n" for name, value in lines.items() if value is not None) + "\n"
    path.write_bytes(text.replace("\n", end).encode() + (ct().tobytes(order="F") if data is None else data))
    return path


def metaimage_file(path: Path, data: bytes | None = None, **fields: str | None) -> Path:
    """Write a MetaImage file; a field given as None is left out."""
    lines = {**META, **fields}
    lines["ElementDataFile"] = lines.pop("ElementDataFile")  # the last one by definition
    text = "".join(f"{name} = {value}\n" for name, value in lines.items() if value is not None)
    path.write_bytes(text.encode() + (ct().tobytes(order="F") if data is None else data))
    return path


def dicom_series(
    folder: Path,
    values: Array | None = None,
    *,
    spacing: float = 2.0,
    pixel: tuple[float, float] = (0.8, 0.7),
    directions: Sequence[float] = (1, 0, 0, 0, 1, 0),
    origin: Sequence[float] = (-5.0, -7.0, 30.0),
    tilt_deg: float = 0.0,
    drop: Iterable[int] = (),
    shift: Mapping[int, Sequence[float]] | None = None,
    tags: Mapping[str, Any] | None = None,
    change: Mapping[int, Mapping[str, Any]] | None = None,
    remove: Iterable[str] = (),
    rescale: Mapping[int, tuple[float, float]] | None = None,
    signed: bool = False,
    series: str = "1.2.3.1",
    syntax: str = LITTLE,
    names: Sequence[str] | None = None,
    scout: bool = False,
) -> Path:
    """Write a CT series, one file a slice.

    ``pixel`` is the distance between rows, then columns. ``tilt_deg`` moves slices sideways as a tilted gantry does. ``shift``
    adds mm to the position of single slices, ``change`` overwrites their tags, ``rescale`` gives them their own slope and
    intercept (the stored values follow, so HU stay). ``tags`` are for all slices. ``drop`` leaves slices out, ``remove`` leaves
    tags out, ``scout`` adds a sagittal overview to the series.
    """
    folder.mkdir(parents=True, exist_ok=True)
    values = ct() if values is None else values
    row, column = np.array(directions[:3], float), np.array(directions[3:], float)
    normal = np.cross(row, column) + np.tan(np.radians(tilt_deg)) * column
    for k in range(values.shape[2]):
        if k in set(drop):
            continue
        slope, intercept = (rescale or {}).get(k, (1, 0 if signed else -1024))
        stored = np.rint((values[:, :, k].T - float(intercept)) / slope)
        position = np.array(origin, float) + k * spacing * normal + np.array((shift or {}).get(k, (0, 0, 0)), float)
        fields = {
            "SOPClassUID": CT_IMAGE,
            "SOPInstanceUID": f"{series}.{k + 1}",
            "SeriesInstanceUID": series,
            "Modality": "CT",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "InstanceNumber": k + 1,
            "AcquisitionNumber": 1,
            "SliceThickness": spacing,
            "PixelSpacing": list(pixel),
            "ImageOrientationPatient": [f"{v:.10g}" for v in (*row, *column)],
            "ImagePositionPatient": [f"{v:.10g}" for v in position],
            "RescaleSlope": f"{slope:.10g}",
            "RescaleIntercept": f"{intercept:.10g}",
            "PixelRepresentation": int(signed),
            **(tags or {}),
            **(change or {}).get(k, {}),
        }
        fields = {name: value for name, value in fields.items() if name not in set(remove)}
        _write(folder / (names[k] if names else f"slice{k:02}.dcm"), stored, fields, syntax)
    if scout:
        fields["ImageType"] = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        fields["SOPInstanceUID"] = f"{series}.99"
        fields["ImageOrientationPatient"], fields["ImagePositionPatient"] = [0, 1, 0, 0, 0, -1], [0, 0, 0]
        _write(folder / "scout.dcm", np.zeros((16, 16)), fields, syntax)
    return folder


def ball(
    points: Array, directions: Sequence[float], pixel: tuple[float, float], size: tuple[int, int], centre: Array, radius_mm: float
) -> NDArray[np.int16]:
    """HU of a ball of 100 HU in water, in air at the edge, as slices at ``points`` (first voxels, mm) cut it; edges are soft."""
    row, column = np.array(directions[:3], float), np.array(directions[3:], float)
    x, y = np.indices(size)
    in_plane = x[..., None] * pixel[1] * row + y[..., None] * pixel[0] * column
    away = np.linalg.norm(np.asarray(points)[:, None, None] + in_plane - centre, axis=-1)
    values = 100 * np.clip((radius_mm - away) / np.mean(pixel) + 0.5, 0, 1)
    values[:, :2] = values[:, -2:] = -1000
    return np.rint(values).astype(np.int16).transpose(1, 2, 0)


def enhanced_file(folder: Path, path: Path, syntax: str = LITTLE, shared: Iterable[str] = ()) -> Path:
    """Put the slices of a series that ``dicom_series`` wrote into one file of Enhanced CT, and remove them.

    Functional groups named in ``shared`` are written once for all frames.
    """
    from pydicom import dcmread
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as Items

    ones = [dcmread(name) for name in sorted(folder.iterdir())]
    groups = {
        "PlanePositionSequence": {"ImagePositionPatient": "ImagePositionPatient"},
        "PlaneOrientationSequence": {"ImageOrientationPatient": "ImageOrientationPatient"},
        "PixelMeasuresSequence": {"PixelSpacing": "PixelSpacing", "SliceThickness": "SliceThickness"},
        "PixelValueTransformationSequence": {name: name for name in ("RescaleSlope", "RescaleIntercept")},
        "FrameContentSequence": {"FrameAcquisitionNumber": "AcquisitionNumber"},
        "CTImageFrameTypeSequence": {"FrameType": "ImageType"},
    }

    def group(one: Dataset, names: Iterable[str]) -> Dataset:
        made = Dataset()
        for name in names:
            item = Dataset()
            for theirs, ours in groups[name].items():
                if ours in one:
                    setattr(item, theirs, one[ours].value)
            setattr(made, name, Items([item]))
        return made

    whole = dcmread(sorted(folder.iterdir())[0])
    for name in {ours for fields in groups.values() for ours in fields.values()} - {"ImageType"}:
        if name in whole:
            del whole[name]
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = ENHANCED_CT
    whole.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    whole.NumberOfFrames = len(ones)
    whole.SharedFunctionalGroupsSequence = Items([group(ones[0], shared)])
    whole.PerFrameFunctionalGroupsSequence = Items([group(one, set(groups) - set(shared)) for one in ones])
    whole.PixelData = b"".join(one.PixelData for one in ones)
    if syntax != LITTLE:
        whole.compress(syntax, encoding_plugin="pydicom", generate_instance_uid=False)
    for name in folder.iterdir():
        name.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.save_as(path, enforce_file_format=True)
    return path


def packed(folder: Path, syntax: str = RLE) -> Path:
    """Compress every file of a series in place, with the packer that pydicom itself has."""
    from pydicom import dcmread

    for path in folder.iterdir():
        one = dcmread(path)
        one.compress(syntax, encoding_plugin="pydicom", generate_instance_uid=False)
        one.save_as(path)
    return folder


def _write(path: Path, stored: Array, fields: Mapping[str, Any], syntax: str) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = fields.get("SOPClassUID") or CT_IMAGE
    made.file_meta.MediaStorageSOPInstanceUID = fields.get("SOPInstanceUID") or "1.2.3.99"
    made.Rows, made.Columns = stored.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit = 15
    for name, value in fields.items():
        setattr(made, name, value)
    made.PixelData = stored.astype(np.int64).astype("<u2" if not syntax.endswith("1.2.2") else ">u2").tobytes()
    made["PixelData"].VR = "OW"
    made.save_as(path, enforce_file_format=True)


def refusal_of(kind: type[Refusal], code: str, what: str, meaning: str, action: str, answers: tuple[Answer, ...] = ()) -> Refusal:
    """A refusal with sentences of the test's own."""
    return kind(Finding(level=kind.level, code=code, what=what, meaning=meaning, action=action, answers=answers))


def dicom_segmentation(
    path: Path,
    masks: Array,
    labels: Sequence[tuple[str, str, str]],
    *,
    first: Sequence[float] = (-5.0, -7.0, 30.0),
    step: float = 2.0,
    pixel: tuple[float, float] = (0.8, 0.7),
    kind: str = "BINARY",
    syntax: str = LITTLE,
    shuffled: bool = False,
) -> Path:
    """Write segments (slices, rows, columns, segments) as one DICOM file by highdicom; of each segment its label, code and meaning."""
    import highdicom as hd
    from pydicom import Dataset, dcmread
    from pydicom.dataset import FileMetaDataset

    slices = []
    for k in range(len(masks)):
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = LITTLE
        one.SOPClassUID, one.SOPInstanceUID = CT_IMAGE, f"1.2.3.4.{k}"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID, one.Modality = "1.2.5", "1.2.6", "1.2.7", "CT"
        for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"):
            setattr(one, name, "")
        one.AccessionNumber = one.ReferringPhysicianName = ""
        one.Rows, one.Columns, one.PixelSpacing, one.SliceThickness = *masks.shape[1:3], list(pixel), abs(step)
        one.ImageOrientationPatient, one.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [first[0], first[1], first[2] + k * step]
        slices.append(one)
    described = [
        hd.seg.SegmentDescription(
            number,
            label,
            hd.sr.CodedConcept("123037004", "SCT", "Anatomical structure"),
            hd.sr.CodedConcept(code, "SCT", meaning),
            "MANUAL",
        )
        for number, (label, code, meaning) in enumerate(labels, start=1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hd.seg.Segmentation(
            slices, masks, kind, described, series_instance_uid="1.2.8", series_number=2, sop_instance_uid="1.2.9",
            instance_number=1, manufacturer="A", manufacturer_model_name="B", software_versions="1", device_serial_number="1",
            transfer_syntax_uid=syntax,
        ).save_as(path)  # fmt: skip
        if shuffled:
            fields = dcmread(path)
            frames = fields.PerFrameFunctionalGroupsSequence
            bits = fields.pixel_array.reshape(len(frames), -1)
            order = np.random.default_rng(0).permutation(len(frames))
            fields.PerFrameFunctionalGroupsSequence = [frames[n] for n in order]
            fields.PixelData = np.packbits(bits[order].ravel(), bitorder="little").tobytes()
            fields.save_as(path)
    return path


STUDY = {
    "StudyInstanceUID": "1.2.3.0", "FrameOfReferenceUID": "1.2.3.5", "PatientName": "MUSTERMANN^ERIKA", "PatientID": "4711",
    "PatientBirthDate": "19640812", "StudyDate": "20260102", "PatientSex": "F",
}  # fmt: skip  # what slices of an archive say beside their place


def searched(volume: Volume, lesions: int = 2, **said: Any) -> Result:
    """A result on a scan of ``ct()``: a block of liver, and up to two lesions in it of 12 and 2 voxels."""
    from napari_liver_anomaly.lesions import measure
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.volume import Mask

    inside, labels = np.zeros(volume.geometry.shape, bool), np.zeros(volume.geometry.shape, np.uint16)
    inside[2:9, 3:12, 3:12] = True
    for number in range(1, lesions + 1):
        labels[(slice(3, 5), slice(4, 6), slice(4, 7)) if number == 1 else (slice(6, 7), slice(8, 9), slice(8, 10))] = number
    liver = Mask(inside, volume.geometry).of(volume)
    made: dict[str, Any] = {
        "volume": volume, "liver": liver, "restored": None, "residual": None, "score": (200 * (labels > 0)).astype(np.uint8),
        "labels": labels, "lesions": measure(labels, volume, liver), "settings": SegmentSettings(), "model": "compact",
        "model_hash": "ab" * 32, "device": "cpu", "ran_on": "Ran on CPU.", "timings_s": {"total": 1.25},
    }  # fmt: skip
    return Result(**made | said)
