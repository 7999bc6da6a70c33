"""Rows about reading files: where a scan lies, what its values are, and whether the file is sound and harmless."""

from __future__ import annotations

import gzip
import itertools
import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import SimpleITK

from builders import CT_IMAGE, PLAIN_AFFINE, ct, dicom_series, metaimage_file, nifti_file, nrrd_file
from faults.table import row
from faults.witness import child, codes_of, organ_of, refused, scanned, searched, turned, witnessed
from napari_liver_anomaly.cli import ASKED, main
from napari_liver_anomaly.errors import ImpossibleGeometry, InvalidNumbers, OutOfMemory, Question, Refusal, UnreadableFile
from napari_liver_anomaly.io import can_read, read, read_mask, write, write_image, write_labels
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.volume import Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.table import Kit

ORDERS = [(order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]
ANGLES = ((0, 0, 0), (12, -7, 20), (-31, 5, 17))
SHAPE = (6, 7, 8)
UNVERIFIED = ReadOptions(orientation="unverified")


def corkscrew() -> tuple[np.ndarray, dict[int, tuple[int, int, int]]]:
    """Tissue in air with four marked corners, one at the start and one at the end of each axis: no turn or mirror maps it onto itself."""
    values = np.full(SHAPE, -1000, np.int16)
    values[1:-1, 1:-1, 1:-1] = 40
    x, y, z = (n - 1 for n in SHAPE)
    marks = {101: (0, 0, 0), 102: (x, 0, 0), 103: (0, y, 0), 104: (0, 0, z)}
    for value, index in marks.items():
        values[index] = value
    return values, marks


def ordered(order: tuple[int, ...], signs: tuple[int, ...], angles: tuple[int, int, int]) -> np.ndarray:
    """An affine whose axes are permuted, flipped and turned."""
    affine = np.eye(4)
    affine[:3, :3] = turned(*angles) @ (np.eye(3)[:, list(order)] * np.array(signs) * (0.7, 0.9, 2.5))
    affine[:3, 3] = (-31.5, 12.25, 700.0)
    return affine


def itk_file(path: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    """Write a scan with SimpleITK, so that a format's positions are those of another program."""
    image = SimpleITK.GetImageFromArray(values.T)
    lps = np.diag([-1, -1, 1, 1]) @ affine
    sizes = np.sqrt((lps[:3, :3] ** 2).sum(axis=0))
    image.SetSpacing([float(size) for size in sizes])
    image.SetDirection((lps[:3, :3] / sizes).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(path))
    return path


def marked(path: Path, affine: np.ndarray, marks: dict[int, tuple[int, int, int]]) -> None:
    """Hold that nibabel and SimpleITK find every marked corner within 0.01 mm of where the source had it."""
    image, other = nibabel.load(path), SimpleITK.ReadImage(str(path))
    values, itk = np.asanyarray(image.dataobj), SimpleITK.GetArrayFromImage(other)
    for value, index in marks.items():
        place = (affine @ (*index, 1))[:3]
        (found,) = np.argwhere(values == value)
        for one in (image.affine, image.get_sform(), image.get_qform()):
            assert np.abs((one @ (*found, 1))[:3] - place).max() < 0.01, (path.name, value)
        (there,) = np.argwhere(itk == value)
        lps = np.array(other.TransformIndexToPhysicalPoint([int(n) for n in there[::-1]]))
        assert np.abs(lps * (-1, -1, 1) - place).max() < 0.01, (path.name, value)


@row(1)
def a_mask_is_never_mirrored_or_turned(kit: Kit) -> None:
    """A mask is mirrored or rotated when saved: 48 axis orders at three angles, from three formats, read back by two other libraries."""
    values, marks = corkscrew()
    for number, ((order, signs), angles) in enumerate(itertools.product(ORDERS, ANGLES)):
        affine = ordered(order, signs, angles)
        ending = (".nii", ".nrrd", ".mha")[number % 3]
        path = kit.folder / f"scan{ending}"
        nifti_file(path, values, affine) if ending == ".nii" else itk_file(path, values, affine)
        volume = read(path)
        about = (order, signs, angles, ending)
        assert np.allclose(volume.geometry.source_affine, affine, atol=1e-3), about

        marked(write_image(volume.voxels, volume.geometry, kit.folder / "image.nii"), affine, marks)
        labels = np.where(volume.voxels > 100, volume.voxels, 0)
        written = write_labels(labels, volume.geometry, kit.folder / f"labels.nii{'.gz' * (number % 2)}")
        marked(written, affine, marks)
        witnessed(written, volume.geometry)
        back = read_mask(written, volume, labels="all")
        assert np.array_equal(back.voxels, labels > 0), about
        if number % 12 == 0:
            tissue = Mask(volume.voxels > 0, volume.geometry, volume.identity)
            for one in write(searched(volume, tissue), kit.folder / "out", replace=True)[:3]:
                found = witnessed(one, volume.geometry)
                if one.name == "liver.nii.gz":
                    assert np.array_equal(found > 0, values > 0), about


@row(2)
def two_positions_that_disagree_are_asked_about(kit: Kit) -> None:
    """Sform and qform disagree: the user decides, both are described; half a degree is a note."""
    path, other_side = kit.folder / "scan.nii", np.diag([0.7, -0.8, 2.0, 1.0])
    apart = {
        "other side": other_side,
        "upside down": np.diag([-0.7, -0.8, -2.0, 1.0]),
        "turned by 90°": PLAIN_AFFINE @ np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        "other size": np.diag([-0.7, -0.8, 2.5, 1.0]),
        "turned by 10°": np.block(
            [[turned(0, 0, 10) @ PLAIN_AFFINE[:3, :3], np.zeros((3, 1))], [np.zeros((1, 3)), np.ones((1, 1))]]
        ),
    }
    for about, qform in apart.items():
        nifti_file(path, qform=qform)
        with refused(about, "orientation-disagrees", "spacing-disagrees", kind=Question) as caught:
            read(path)
        assert [answer.flag for answer in caught.finding.answers] == ["--position sform", "--position qform"], about
        if about == "other side":
            assert "to the left" in caught.finding.what and "to the right" in caught.finding.what
            assert "may be swapped" in caught.finding.meaning
        if about == "other size":
            assert "2 mm" in caught.finding.what and "2.5 mm" in caught.finding.what
        for name, wanted in (("sform", PLAIN_AFFINE), ("qform", qform)):
            volume = read(path, ReadOptions(position=name))
            notes = volume.findings
            assert np.allclose(volume.geometry.source_affine, wanted, atol=1e-4), (about, name)
            assert "position-chosen" in codes_of(notes), (about, name)
            witnessed(write_labels(volume.voxels, volume.geometry, kit.folder / "out.nii"), volume.geometry)

    nifti_file(path, qform=other_side)
    assert main(["liver", str(path), "--out", str(kit.folder / "liver.nii.gz")]) == ASKED
    said = kit.output.readouterr().err
    assert "--position sform" in said and "--position qform" in said and not (kit.folder / "liver.nii.gz").exists()

    slight = PLAIN_AFFINE.copy()
    slight[:3, :3] = turned(0, 0.5, 0) @ PLAIN_AFFINE[:3, :3]
    volume = read(nifti_file(path, qform=slight))
    notes = volume.findings
    assert codes_of(notes) == {"positions-differ"} and np.allclose(volume.geometry.source_affine, PLAIN_AFFINE, atol=1e-5)
    assert read(nifti_file(path)).findings == ()


@row(3)
def unknown_sides_are_marked_unverified_everywhere(kit: Kit) -> None:
    """No orientation in the file: asked about; if it is read all the same, every note, report and header says so."""
    import json

    from napari_liver_anomaly.cli import DONE

    files = [
        nifti_file(kit.folder / "one.nii", codes=(0, 0)),
        nifti_file(kit.folder / "two.nii.gz", codes=(0, 0), version=2),
        nrrd_file(kit.folder / "three.nrrd", space=None, space_directions=None, space_origin=None, spacings="0.7 0.8 2"),
        metaimage_file(kit.folder / "four.mha", TransformMatrix=None),
    ]
    for path in files:
        with refused(path.suffix, "orientation-unknown", kind=Question) as caught:
            read(path)
        assert "Left and right are unknown" in caught.finding.what
        assert [answer.flag for answer in caught.finding.answers] == ["--orientation unverified"]
        volume = read(path, UNVERIFIED)
        notes = volume.findings
        assert "orientation-unverified" in codes_of(notes) and not volume.geometry.oriented, path.suffix
        # The findings are deliberately not handed on: the mark must not hang on them.
        out = kit.folder / f"out-{path.suffix}"
        write(searched(volume), out)
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        assert report["sides"] == "unverified", path.suffix
        table = (out / "lesions.csv").read_text(encoding="utf-8").splitlines()
        column = table[0].split(",").index("sides")
        assert len(table) > 1 and all(line.split(",")[column] == "unverified" for line in table[1:]), path.suffix
        header = nibabel.load(out / "tumours.nii.gz").header
        assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 0), path.suffix
        # Read again, by us and by others, the result lies on the scan voxel by voxel.
        assert read_mask(out / "liver.nii.gz", volume).ml == searched(volume).liver.ml
        if "two" in path.name:
            continue  # SimpleITK reads no NIfTI-2
        image = SimpleITK.ReadImage(str(out / "liver.nii.gz"))
        scan = SimpleITK.ReadImage(str(path))
        assert image.GetSize() == scan.GetSize() and np.allclose(image.GetDirection(), scan.GetDirection())

    liver = write_labels(organ_of(volume).voxels, volume.geometry, kit.folder / "liver.nii.gz")
    words = ["synthesise", str(files[0]), "--liver", str(liver), "--given-liver", "accept", "--out", str(kit.folder / "made")]
    assert main(words) == ASKED
    assert "--orientation unverified" in kit.output.readouterr().err
    assert main([*words, "--orientation", "unverified"]) == DONE
    assert "Left and right are unverified" in kit.output.readouterr().err

    from napari.layers import Layer

    from napari_liver_anomaly.gui.layer_snapshot import snapshot_of, volume_of
    from napari_liver_anomaly.gui.layers import scan_layer

    again = volume_of(snapshot_of(Layer.create(*scan_layer(volume, notes))))
    assert "orientation-unverified" in codes_of(again.findings) and not again.geometry.oriented

    write(searched(scanned(kit.folder)), kit.folder / "known")
    assert json.loads((kit.folder / "known" / "report.json").read_text(encoding="utf-8"))["sides"] == "as in the scan's file"


def pictures() -> Iterator[tuple[str, np.ndarray, dict[str, Any]]]:
    """Volumes that are no CT, by the look of their values."""
    rng = np.random.default_rng(0)
    shape = (24, 24, 12)
    inside = np.zeros(shape, bool)
    inside[4:-4, 4:-4] = True
    body = lambda mean, spread, outside=0.0: np.where(inside, rng.normal(mean, spread, shape), outside)  # noqa: E731
    yield "MR", np.abs(body(400, 150)).astype(np.int16), {}
    yield "MR after resampling, with a few negative values", (body(500, 150) + rng.normal(0, 4, shape)).astype(np.int16), {}
    yield "MR as float", np.abs(body(0.4, 0.1)).astype(np.float32) * 1000, {}
    yield "PET in SUV", np.abs(body(2.5, 1)).astype(np.float32), {}
    yield "PET in Bq/ml", np.abs(body(9000, 2000)).astype(np.int16), {}
    yield "PET, scaled", np.abs(body(9000, 2000)).astype(np.int16), {"scaling": (0.0005, 0.0)}
    yield "cone beam", np.clip(body(1500, 400), 0, 4095).astype(np.int16), {}
    yield "cone beam, shifted", body(900, 300, -1000).astype(np.int16), {}
    yield "8 bit", np.clip(body(120, 30), 0, 255).astype(np.uint8), {}
    yield "0 to 1", np.clip(body(0.5, 0.1), 0, 1).astype(np.float32), {}
    yield "-1 to 1", np.clip(body(0.2, 0.2, -1), -1, 1).astype(np.float32), {}
    yield "z-scores", body(0.3, 1.5, -2).astype(np.float32), {}
    yield "a mask", inside.astype(np.uint8), {}
    yield "one value", np.full(shape, 40, np.int16), {}


@row(13)
def what_is_no_ct_is_asked_about(kit: Kit) -> None:
    """Not Hounsfield units: MR, PET, cone beam, 8 bit, normalised; a crop of the liver without air is a note."""
    path = kit.folder / "scan.nii"
    for about, values, knobs in pictures():
        nifti_file(path, values, **knobs)
        with refused(about, "values-not-hu", kind=Question) as caught:
            read(path)
        assert "do not look like the Hounsfield units of a CT" in caught.finding.what, about
        assert [answer.flag for answer in caught.finding.answers] == ["--values hounsfield"], about
        volume = read(path, ReadOptions(values="hounsfield"))
        notes = volume.findings
        assert (
            codes_of(notes) == {"values-taken-as-hu"}
            and np.isin(volume.voxels, np.rint(values * knobs.get("scaling", (1, 0))[0])).all()
        )

    rng = np.random.default_rng(1)
    for about, mean, spread in (
        ("plain", 60, 15),
        ("in the portal vein's phase", 120, 18),
        ("noisy", 90, 40),
        ("smooth", 110, 8),
    ):
        crop = rng.normal(mean, spread, (24, 24, 12)).astype(np.int16)
        notes = read(nifti_file(path, crop)).findings
        assert codes_of(notes) == {"no-air"}, (about, codes_of(notes))
    assert read(nifti_file(path)).findings == ()


@row(14)
def padding_is_air(kit: Kit) -> None:
    """Padding of -2000, -3024, -32768: noted, treated as air, and without influence on any measurement."""

    def corners(value: int) -> np.ndarray:
        values = ct()
        for x, y in itertools.product((slice(0, 3), slice(-3, None)), repeat=2):
            values[x, y] = value
        return values

    wanted = read(nifti_file(kit.folder / "air.nii", corners(-1024)))
    notes = wanted.findings
    assert notes == ()
    figures = searched(wanted)
    whole = Mask(np.ones(wanted.geometry.shape, bool), wanted.geometry)  # an organ that reaches into the padding
    for value in (-2000, -3024, -32768):
        paths = [
            nifti_file(kit.folder / "padded.nii", corners(value)),
            nifti_file(kit.folder / "float.nii.gz", corners(value).astype(np.float32)),
            nrrd_file(kit.folder / "padded.nrrd", corners(value).tobytes(order="F")),
            metaimage_file(kit.folder / "padded.mha", corners(value).tobytes(order="F")),
        ]
        if value > -32768 + 1024:
            paths.append(dicom_series(kit.folder / f"dicom{value}", corners(value), signed=True))
        for path in paths:
            about = (value, path.name)
            volume = read(path)
            notes = volume.findings
            assert codes_of(notes) == {"padding"}, about
            assert np.array_equal(np.sort(volume.voxels.ravel()), np.sort(wanted.voxels.ravel())), about
            if path.suffix in (".nii", ".gz"):
                assert volume.identity == wanted.identity, about
                found = searched(volume)
                assert found.lesions == figures.lesions and np.array_equal(found.score, figures.score), about
                assert searched(volume, whole).lesions == searched(wanted, whole).lesions, about


@row(15)
def voxels_that_are_no_numbers_are_counted(kit: Kit) -> None:
    """NaN or infinity among the voxels: refused, with how many and where the first is."""
    makers: dict[str, Callable[[np.ndarray], Path]] = {
        "nii": lambda v: nifti_file(kit.folder / "scan.nii", v),
        "nii.gz, scaled": lambda v: nifti_file(kit.folder / "scan.nii.gz", v.astype(np.float64), scaling=(2.0, -5.0)),
        "nrrd": lambda v: nrrd_file(kit.folder / "scan.nrrd", v.tobytes(order="F"), type="float"),
        "mha": lambda v: metaimage_file(kit.folder / "scan.mha", v.tobytes(order="F"), ElementType="MET_FLOAT"),
    }
    for (kind, make), odd in itertools.product(makers.items(), (np.nan, np.inf, -np.inf)):
        for count, first in ((1, 4), (300, 2), (ct().size, 1)):
            values = ct().astype(np.float32)
            if count == 1:
                values[3, 3, first - 1] = odd
            elif count == 300:
                values[:10, :10, first - 1 : first + 2] = odd
            else:
                values[:] = odd
            with refused((kind, odd, count), "voxels-not-numbers", kind=InvalidNumbers) as caught:
                read(make(values))
            assert f"{count} voxels hold no number" in caught.finding.what, (kind, caught.finding.what)
            assert f"the first in slice {first}." in caught.finding.what, (kind, caught.finding.what)
    volume = scanned(kit.folder, "sound.nii")
    mask = np.zeros(ct().shape, np.float32)
    mask[3, 3, 3] = np.nan
    with refused("mask", kind=InvalidNumbers):
        read_mask(nifti_file(kit.folder / "mask.nii", mask), volume)


def packed_files(folder: Path, values: np.ndarray) -> list[Path]:
    """The same voxels in every packed format."""
    data, sizes = values.tobytes(order="F"), " ".join(str(n) for n in values.shape)
    return [
        nifti_file(folder / "scan.nii.gz", values),
        nrrd_file(folder / "scan.nrrd", gzip.compress(data, 1, mtime=0), encoding="gzip", sizes=sizes),
        metaimage_file(folder / "scan.mha", zlib.compress(data, 1), CompressedData="True", DimSize=sizes),
    ]


def grainy() -> np.ndarray:
    """A scan that hardly packs, so that flipped bytes lie in its voxels."""
    noise = np.random.default_rng(0).normal(0, 20, (24, 24, 14))
    values = np.pad(np.full((20, 20, 14), 50), ((2, 2), (2, 2), (0, 0)), constant_values=-1000)
    return (values + noise).astype(np.int16)


@row(17)
def bit_rot_is_found_by_the_checksum(kit: Kit) -> None:
    """Damaged gzip: every 997th byte flipped in turn, from several starts; the scan is the same or refused."""
    for path in packed_files(kit.folder, grainy()):
        whole, sound = path.read_bytes(), read(path)
        start = len(whole) - len(zlib.compress(grainy().tobytes(order="F"), 1)) if path.suffix != ".gz" else 0
        told = set()
        for place in sorted({*range(0, len(whole), 997), *range(start, len(whole), 211), len(whole) - 1, len(whole) - 5}):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
            try:
                volume = read(path)
            except Refusal as refusal:
                told.add(refusal.finding.code)
            else:
                if place >= start:  # a header without a checksum may name another position
                    assert np.array_equal(volume.voxels, sound.voxels), (path.suffix, place)
        assert "file-damaged" in told, path.suffix
        path.write_bytes(whole)
    volume = read(packed_files(kit.folder, grainy())[0])
    mask = nifti_file(
        kit.folder / "mask.nii.gz", np.random.default_rng(0).integers(0, 2, volume.geometry.source_shape).astype(np.uint8)
    )
    whole, sound = mask.read_bytes(), read_mask(mask, volume)
    for place in range(0, len(whole), 97):
        mask.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            assert np.array_equal(read_mask(mask, volume).voxels, sound.voxels), place
        except Refusal:
            continue


@row(18)
def a_file_that_ends_early_is_refused(kit: Kit) -> None:
    """Truncated files of every format, cut at 0, 1, within and after the header, half, and the last byte."""
    paths = [
        nifti_file(kit.folder / "plain.nii", grainy()), nifti_file(kit.folder / "two.nii", grainy(), version=2),
        nrrd_file(kit.folder / "plain.nrrd"), metaimage_file(kit.folder / "plain.mha"), *packed_files(kit.folder, grainy()),
    ]  # fmt: skip
    for path in paths:
        whole = path.read_bytes()
        for cut in (0, 1, 347, 352, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:cut])
            with refused((path.name, cut), kind=UnreadableFile) as caught:
                read(path)
            if path.suffix in (".nii", ".gz"):
                assert caught.code == "file-truncated" and "ends early" in caught.finding.what, (path.name, cut, caught.code)
        path.write_bytes(whole)
        read(path)
    with refused("sizes are told") as caught:
        read(nifti_file(kit.folder / "half.nii", grainy(), cut=352 + grainy().nbytes // 2))
    assert "8.1 kB of 16.1 kB" in caught.finding.what, caught.finding.what

    for name in ("slice00.dcm", "slice05.dcm", "slice10.dcm"):
        folder = dicom_series(kit.folder / f"cut-{name}")
        whole = (folder / name).read_bytes()
        for cut in (200, 347, 352, len(whole) // 2, len(whole) - 1):
            (folder / name).write_bytes(whole[:cut])
            with refused((name, cut)):
                read(folder)
        for cut in (0, 1, 131):  # no longer to be known as DICOM: a gap, or asked about where it was an end
            (folder / name).write_bytes(whole[:cut])
            with refused((name, cut), "slices-missing" if name == "slice05.dcm" else "slices-lost"):
                read(folder)


@row(20)
def impossible_sizes_are_refused_and_units_converted(kit: Kit) -> None:
    """Spacing zero, NaN, negative, absurd: refused; microns and metres converted with a note; never 1 mm by default."""
    path = kit.folder / "scan.nii"
    for odd, axis, codes in itertools.product((0.0, np.nan, -1.0, 1e6, np.inf), (1, 2, 3), ((1, 1), (0, 1), (1, 0), (0, 0))):
        sizes = np.array([1, 0.7, 0.8, 2, 1, 1, 1, 1], np.float32)
        sizes[axis] = odd
        nifti_file(path, codes=codes, header={"pixdim": sizes})
        if codes[0] and not odd > 0 and odd != -1:  # the sform says it, too
            assert codes_of(read(path, UNVERIFIED).findings) >= {"sizes-missing"}
            continue
        kinds = ("spacing-disagrees", "sizes-negative") if odd == -1 and codes[0] else ("spacing-impossible",)
        with refused((odd, axis, codes), *kinds):
            read(path, UNVERIFIED)
    for odd in (0.0, np.nan, 1e6):
        rows = np.array([-0.7 * odd, 0, 0, 0], np.float32)
        with refused(("sform", odd), "spacing-impossible", "spacing-disagrees"):
            read(nifti_file(path, codes=(1, 0), header={"srow_x": rows}))
    for odd in ("0", "nan", "-1", "1000000", "inf"):
        with refused(("mha", odd)):
            read(metaimage_file(kit.folder / "scan.mha", ElementSpacing=f"{odd} 0.8 2"))
    for odd in ("0", "nan", "1000000"):
        with refused(("nrrd", odd)):
            read(nrrd_file(kit.folder / "scan.nrrd", space_directions=f"({odd},0,0) (0,0.8,0) (0,0,2)"))
        with refused(("nrrd, spacings", odd)):
            read(
                nrrd_file(
                    kit.folder / "scan.nrrd", space=None, space_directions=None, space_origin=None, spacings=f"{odd} 0.8 2"
                ),
                UNVERIFIED,
            )
    for number, pixel in enumerate(([0, 0.7], [-0.8, 0.7], [1e6, 0.7], [0.8, 0])):
        with refused(("dicom", pixel)):
            read(dicom_series(kit.folder / f"dicom{number}", tags={"PixelSpacing": pixel}))
    with refused(("dicom", "none")):
        read(dicom_series(kit.folder / "dicom-none", remove=["PixelSpacing"]))

    plain = scanned(kit.folder, "plain.nii")
    for code, factor, word in ((3, 1000.0, "micrometres"), (1, 0.001, "metres")):
        affine = np.diag([factor] * 3 + [1]) @ PLAIN_AFFINE
        volume = read(nifti_file(path, affine=affine, units=code))
        notes = volume.findings
        assert codes_of(notes) == {"units-converted"} and word in notes[0].what, code
        assert np.allclose(volume.geometry.source_affine, PLAIN_AFFINE, atol=1e-4), code
        assert np.isclose(organ_of(volume).ml, organ_of(plain).ml, rtol=1e-5), code
        witnessed(write_image(volume.voxels, volume.geometry, kit.folder / "out.nii"), plain.geometry)
    volume = read(nifti_file(path, units=0))
    notes = volume.findings
    assert codes_of(notes) == {"units-unknown"} and volume.geometry.same_grid(plain.geometry)
    for code in (4, 5, 7):
        with refused(("unit", code), "units-strange"):
            read(nifti_file(path, units=code))


@row(21)
def a_matrix_that_is_no_grid_is_refused(kit: Kit) -> None:
    """The affine is singular or sheared, in every format that has one."""
    path = kit.folder / "scan.nii"
    zero, double, shear = PLAIN_AFFINE.copy(), PLAIN_AFFINE.copy(), PLAIN_AFFINE.copy()
    zero[:3, 1] = 0
    double[:3, 1] = double[:3, 0]
    shear[:3, 2] += np.tan(np.radians(15)) * 2.0 * np.array([0, 1, 0])
    header = {"pixdim": np.array([1, 0.7, 0.8, 2, 1, 1, 1, 1], np.float32)}
    for about, affine, codes in (
        ("zero column", zero, ("spacing-impossible", "geometry-singular")),
        ("two axes alike", double, ("geometry-singular",)),
        ("sheared", shear, ("geometry-sheared",)),
    ):
        nifti_file(path, codes=(1, 0), header=header)
        rows = {name: affine[n].astype(np.float32) for n, name in enumerate(("srow_x", "srow_y", "srow_z"))}
        with refused(about, *codes, kind=ImpossibleGeometry) as caught:
            read(nifti_file(path, codes=(1, 0), header=header | rows))
        if about == "sheared":
            assert "15° away from right angles" in caught.finding.what
        steps = " ".join("({:.9g},{:.9g},{:.9g})".format(*affine[:3, axis]) for axis in range(3))
        with refused((about, "nrrd"), *codes, kind=ImpossibleGeometry):
            read(nrrd_file(kit.folder / "scan.nrrd", space="right-anterior-superior", space_directions=steps))
        axes = affine[:3, :3] / np.maximum(np.sqrt((affine[:3, :3] ** 2).sum(axis=0)), 1e-9)
        with refused((about, "mha"), kind=ImpossibleGeometry):
            read(metaimage_file(kit.folder / "scan.mha", TransformMatrix=" ".join(f"{v:.9g}" for v in axes.T.ravel())))
    slight = PLAIN_AFFINE.copy()
    slight[1, 2] = 0.02  # a fifth of a voxel over the whole stack
    volume = read(nifti_file(path, codes=(1, 0), header={"srow_y": slight[1].astype(np.float32)}))
    assert np.isclose(volume.geometry.voxel_ml, 0.7 * 0.8 * 2.0 / 1000)


@row(34)
def byte_order_does_not_matter(kit: Kit) -> None:
    """Wrong byte order: big-endian files of both versions give the same scan; the magic of a pair is refused."""
    plain = scanned(kit.folder)
    kinds = ("<i2", "<i4", "<u2", "<f4", "<f8", "<i8")
    for version, order, kind, ending in itertools.product((1, 2), "<>", kinds, ("nii", "nii.gz")):
        values = ct() + (1024 if kind == "<u2" else 0)
        scaling = (1.0, -1024.0) if kind == "<u2" else (1.0, 0.0)
        path = nifti_file(kit.folder / f"other.{ending}", values.astype(kind), order=order, version=version, scaling=scaling)
        volume = read(path)
        notes = volume.findings
        about = (version, order, kind, ending)
        assert volume.identity == plain.identity and notes == (), about
    mask = nifti_file(kit.folder / "mask.nii", (ct() > 20).astype(np.int16), order=">")
    assert np.array_equal(read_mask(mask, plain).voxels, plain.voxels > 20)
    big = read(nifti_file(kit.folder / "big.nii", order=">"))
    witnessed(write_image(big.voxels, big.geometry, kit.folder / "out.nii"), plain.geometry)
    assert np.array_equal(
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(kit.folder / "big.nii"))).T, big.geometry.to_source(big.voxels)
    )
    for version, magic, order in ((1, b"ni1", "<"), (1, b"ni1", ">"), (2, b"ni2", "<"), (2, b"ni2", ">")):
        with refused((magic, order), "nifti-pair", kind=UnreadableFile):
            read(nifti_file(kit.folder / "pair.nii", version=version, order=order, header={"magic": magic}))
    data = ct().astype(">i2").tobytes(order="F")
    assert np.array_equal(read(nrrd_file(kit.folder / "big.nrrd", data, endian="big")).voxels.sum(), plain.voxels.sum())
    assert read(metaimage_file(kit.folder / "big.mha", data, BinaryDataByteOrderMSB="True")).voxels.sum() == plain.voxels.sum()


BOMBS = """
import resource, sys
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.training.training_file import read_training_set
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.read_options import ReadOptions
import napari_liver_anomaly.io.hounsfield, napari_liver_anomaly.stored_values, napari_liver_anomaly.io.dicom, napari_liver_anomaly.io.itk
import nibabel.nifti1, nibabel.nifti2, nibabel.orientations, nrrd, pydicom.filereader, numpy as np
sound = read(sys.argv[1])  # imports what is imported on first use
for path in sys.argv[2:3]:
    read(path)
resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, 6 * 2**30))

def most():  # a child's ru_maxrss begins with its parent's
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:"))

for path in sys.argv[3:]:
    if sys.platform == "linux":
        open("/proc/self/clear_refs", "w").write("5")
    base = most()
    try:
        if path.endswith(".npz"):
            read_training_set(path)
        elif "mask" in path:
            read_mask(path, sound)
        else:
            read(path, ReadOptions(volume=1))
        print("READ", 0, path)
    except Refusal as refusal:
        print(refusal.finding.code, most() - base, path)
"""


def bombs(folder: Path) -> Iterator[Path]:
    """Small files that claim or hold very much."""
    huge = np.array([3, 1024, 1024, 1000, 1, 1, 1, 1])
    zeros = np.zeros(2**27, np.uint8)
    once, twice = gzip.compress(zeros.tobytes(), 1), zlib.compress(zeros.tobytes(), 1)
    yield nifti_file(folder / "claims.nii.gz", header={"dim": huge})
    yield nifti_file(folder / "claims.nii", header={"dim": huge})
    yield nifti_file(folder / "claims-more.nii.gz", header={"dim": np.array([4, 1024, 1024, 512, 3000, 1, 1, 1])})
    yield nifti_file(folder / "claims-most.nii", version=2, header={"dim": np.array([3, 2**31, 2**31, 2**31, 1, 1, 1, 1])})
    yield nifti_file(folder / "negative.nii", header={"dim": np.array([3, -5, 16, 11, 1, 1, 1, 1])})
    yield nifti_file(folder / "none.nii", header={"dim": np.array([3, 0, 16, 11, 1, 1, 1, 1])})
    yield more(nifti_file(folder / "holds.nii.gz"), once)
    yield nifti_file(folder / "mask-claims.nii.gz", header={"dim": huge})
    yield more(nifti_file(folder / "mask-holds.nii.gz"), once)
    yield nifti_file(folder / "far.nii.gz", header={"vox_offset": 2.0**30})
    yield nrrd_file(folder / "claims.nrrd", sizes="4000 4000 60")
    yield nrrd_file(folder / "claims-gz.nrrd", gzip.compress(bytes(400)), encoding="gzip", sizes="1024 1024 1000")
    yield nrrd_file(folder / "holds.nrrd", once, encoding="gzip")
    yield nrrd_file(folder / "absurd.nrrd", sizes="99999999999 99999999999 99999999999")
    yield metaimage_file(folder / "claims.mha", DimSize="1024 1024 1000")
    yield metaimage_file(folder / "claims-zlib.mha", zlib.compress(bytes(400)), CompressedData="True", DimSize="1024 1024 1000")
    yield metaimage_file(folder / "holds.mha", twice, CompressedData="True")
    endless = folder / "endless.nrrd"
    endless.write_bytes(b"NRRD0004\n" + b"# comment\n" * 300_000)
    yield endless
    endless = folder / "endless.mha"
    endless.write_bytes(b"A" * 5_000_000)
    yield endless
    yield deflated(folder / "deflated")
    wide = dicom_series(folder / "wide", ct(4, 4, 3))
    for path in wide.iterdir():
        import pydicom

        made = pydicom.dcmread(path)
        made.Rows = made.Columns = 65535
        made.save_as(path)
    yield wide
    packed = folder / "bomb.npz"
    np.savez_compressed(packed, header=zeros)
    yield packed


def more(path: Path, member: bytes) -> Path:
    """A packed file that goes on with a second member."""
    path.write_bytes(path.read_bytes() + member)
    return path


def deflated(folder: Path) -> Path:
    """A DICOM slice that is packed as a whole, with a long private field of zeros."""
    from pydicom.dataset import Dataset, FileMetaDataset

    folder.mkdir()
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = CT_IMAGE
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "1.2.3"
    made.add_new((0x0009, 0x1001), "OB", bytes(2**27))
    made.save_as(folder / "slice.dcm", enforce_file_format=True)
    return folder


@row(55)
def bombs_cost_nothing(kit: Kit) -> None:
    """Header, gzip and deflate bombs: refused within 100 MB, in a process whose memory is limited."""
    files = list(bombs(kit.folder))
    assert max(path.stat().st_size for path in files if path.is_file()) < 6_000_000
    sound = nifti_file(kit.folder / "sound.nii.gz")
    said = [line.split(maxsplit=2) for line in child(BOMBS, sound, dicom_series(kit.folder / "sound"), *files).splitlines()]
    assert len(said) == len(files)
    for code, kilobytes, path in said:
        about = (path.rpartition("/")[2], code, kilobytes)
        assert code != "READ", about
        assert int(kilobytes) < 100_000, about
    kit.patch.setattr("napari_liver_anomaly.storage._free_memory", lambda: 3 * 10**9)
    with refused("the limit is told", "scan-too-large", kind=OutOfMemory) as caught:
        read(nifti_file(kit.folder / "large.nii", header={"dim": np.array([3, 1024, 1024, 1000, 1, 1, 1, 1])}))
    assert "needs 2.1 GB of memory; 1.0 GB can be given to it" in caught.finding.what


@row(56)
def a_hostile_folder_leads_nowhere(kit: Kit) -> None:
    """Links out of the folder, pipes, devices, 10⁵ files, deep nesting, `..` and absolute names: nothing outside is read."""
    home, outside = kit.folder / "home", kit.folder / "outside"
    values = ct()
    dicom_series(home, values[:, :, :8])
    dicom_series(outside, values)  # slices 8 to 10 of the very series: each would be taken if a link were followed
    sound = read(home)
    for n in (8, 9, 10):
        (home / f"link{n}.dcm").symlink_to(outside / f"slice{n:02}.dcm")
    (home / "up.dcm").symlink_to("../outside/slice08.dcm")
    (home / "chain.dcm").symlink_to(home / "link8.dcm")
    (home / "folder.dcm").symlink_to(outside, target_is_directory=True)
    (home / "loop.dcm").symlink_to(home / "loop.dcm")
    (home / "nothing.dcm").symlink_to(home / "gone.dcm")
    (home / "zero.dcm").symlink_to("/dev/zero")
    os.mkfifo(home / "pipe.dcm")
    (home / "linked-pipe.dcm").symlink_to(home / "pipe.dcm")
    deep = home
    for _ in range(200):
        deep = deep / "d"
        deep.mkdir()
    (deep / "slice08.dcm").write_bytes((outside / "slice08.dcm").read_bytes())
    (home / "DICOMDIR").write_bytes((outside / "slice09.dcm").read_bytes().replace(b"slice", b"../ou"))
    assert can_read(home)
    with refused("links named like slices", "slices-lost") as asked:
        read(home)
    assert [answer.flag for answer in asked.finding.answers] == ["--links follow", "--incomplete accept"]
    volume = read(home, ReadOptions(incomplete="accept"))
    notes = volume.findings
    assert np.array_equal(volume.voxels, sound.voxels), "a file from outside was read"
    assert [note.what for note in notes if note.code == "files-left-out"] == ["Other files in the folder were left out: 11."]
    for name in ("pipe.dcm", "zero.dcm", "loop.dcm", "nothing.dcm"):
        with refused(name):
            read(home / name)
        assert not can_read(home / name)
    for name in ("pipe.nii", "pipe.nii.gz", "pipe.nrrd", "pipe.mha", "pipe"):
        os.mkfifo(kit.folder / name)
        with refused(name, kind=UnreadableFile):
            read(kit.folder / name)
        if name != "pipe":
            with refused((name, "mask"), kind=UnreadableFile):
                read_mask(kit.folder / name, volume)
        assert name.startswith("pipe.") or not can_read(kit.folder / name)

    canary = kit.folder / "outside" / "canary.raw"
    canary.write_bytes(ct().tobytes(order="F"))
    (home / "linked.raw").symlink_to(canary)
    for name in (
        "../outside/canary.raw",
        str(canary),
        "linked.raw",
        "..",
        ".",
        "/dev/zero",
        "a/../../outside/canary.raw",
        "%d.raw 1 9",
        "LIST",
    ):
        with refused(name, kind=UnreadableFile):
            read(metaimage_file(home / "scan.mhd", b"", ElementDataFile=name))
        with refused((name, "nrrd"), kind=UnreadableFile):
            read(nrrd_file(home / "scan.nhdr", b"", data_file=name))

    memory = Path("/dev/shm")  # noqa: S108 - as many files are made quickly where there is no disk
    crowd = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else kit.folder))
    (crowd / "0").write_bytes((outside / "slice00.dcm").read_bytes())
    for n in range(1, 100_000):
        os.mknod(crowd / str(n))
    can_read(crowd)
    with refused("100,000 files", "folder-too-full"):
        read(crowd)
    shutil.rmtree(crowd)


@row(64)
def other_files_are_told_or_refused(kit: Kit) -> None:
    """A folder with other files, an empty folder, an empty file, a wrong extension: what was left out, and why."""
    folder = dicom_series(kit.folder / "mixed", names=[f"IM{n}" for n in range(11)])  # no suffix at all
    plain = read(folder)
    assert read(folder).findings == ()
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".hidden"):
        (folder / name).write_bytes(b"of no interest")
    assert read(folder).findings == ()
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "readme.txt").write_text("hello", encoding="utf-8")
    (folder / "short").write_bytes(b"\0" * 50)
    (folder / "picture.jpg").write_bytes(b"\xff\xd8\xff" + bytes(500))
    nifti_file(folder / "scan.nii")
    (folder / "sub").mkdir()
    volume = read(folder)
    notes = volume.findings
    (note,) = (note for note in notes if note.code == "files-left-out")
    assert volume.identity == plain.identity
    assert "left out: 5." in note.what and "not DICOM" in note.meaning
    assert read(folder / "IM3").identity == plain.identity

    empty = kit.folder / "empty"
    empty.mkdir()
    with refused("empty folder", "no-dicom", kind=UnreadableFile):
        read(empty)
    (empty / ".DS_Store").write_bytes(b"x")
    (empty / "notes.txt").write_text("hello", encoding="utf-8")
    with refused("folder without a scan", "no-dicom", kind=UnreadableFile):
        read(empty)
    assert not can_read(empty)
    for name in ("a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.dcm", "a"):
        (kit.folder / name).write_bytes(b"")
        with refused(("empty", name), kind=UnreadableFile):
            read(kit.folder / name)

    sound = scanned(kit.folder, "sound.nii")
    packed, unpacked = nifti_file(kit.folder / "p.nii.gz"), nifti_file(kit.folder / "u.nii")
    for name, source in (("really-packed.nii", packed), ("really-plain.nii.gz", unpacked)):
        (kit.folder / name).write_bytes(source.read_bytes())
        assert read(kit.folder / name).identity == sound.identity, name
    swapped = {
        "nifti.dcm": unpacked, "nifti.nrrd": unpacked, "nifti.mha": unpacked, "dicom.nii": folder / "IM0", "dicom.nrrd": folder / "IM0",
        "nrrd.nii": nrrd_file(kit.folder / "n.nrrd"), "mha.nii.gz": metaimage_file(kit.folder / "m.mha"), "nifti.txt": unpacked,
    }  # fmt: skip
    for name, source in swapped.items():
        (kit.folder / name).write_bytes(source.read_bytes())
        with refused(("wrong extension", name), kind=UnreadableFile):
            read(kit.folder / name)


ODD = {
    "spaces": "a scan of  someone", "umlauts": "Überprüfung größer Ärger", "emoji": "🫀 liver 🩻", "trailing dot": "folder.",
    "decomposed": "u\u0308ber", "quotes": "it's \"here\" & $HOME; `x`", "percent": "%s %d 100%", "many dots": "a.b.c.nii.d",
    "leading dash": "-o", "right to left": "צילום", "long name": "n" * 200, "newline": "two\nlines", "no text": os.fsdecode(b"caf\xe9"),
}  # fmt: skip
SPOKEN = {"umlauts", "emoji", "no text", "300 characters"}  # those that the command line is tried with


@row(65)
def odd_paths_work(kit: Kit) -> None:
    """Spaces, umlauts, emoji, a trailing dot, 260 characters and more in names: read, written and reported."""
    import json

    from napari_liver_anomaly.cli import DONE, REFUSED
    from napari_liver_anomaly.training.training_file import pack_case, read_training_set, write_training_set

    folders = {about: kit.folder / name for about, name in ODD.items()}
    folders["300 characters"] = kit.folder.joinpath(*["p" * 60] * 5)
    wanted = scanned(kit.folder)
    for about, folder in folders.items():
        folder.mkdir(parents=True)
        stem = ODD.get(about, "scan")
        scans = [
            nifti_file(folder / f"{stem}.nii.gz"),
            nrrd_file(folder / f"{stem}.nrrd"),
            metaimage_file(folder / f"{stem}.mha"),
        ]
        assert read(scans[0]).identity == wanted.identity, about
        assert all(read(path).voxels.sum() == wanted.voxels.sum() for path in scans[1:]), about
        assert read(str(scans[0])).identity == wanted.identity, about
        series = dicom_series(
            folder / f"{stem} series", ct(16, 16, 4), names=[f"{n} {stem[:40]}".replace(".", "_") for n in range(4)]
        )
        assert read(series).geometry.shape == (4, 16, 16), about
        volume = read(scans[0])
        result = searched(volume)
        for path in write(result, folder / "out.", inputs=scans)[:3]:
            if about != "no text":  # SimpleITK takes no such name
                witnessed(path, volume.geometry)
        assert json.loads((folder / "out." / "report.json").read_text(encoding="utf-8"))["scan"] == volume.identity, about
        with refused(about, "would-overwrite-input"):
            write_image(volume.voxels, volume.geometry, folder / "." / f"{stem}.nii.gz", inputs=scans)
        model_file(folder / f"{stem}.safetensors", about)
        packed = pack_case(volume.voxels, result.liver.voxels, None, volume.geometry.spacing_mm, scan=volume.identity)
        for path in (folder / f"{stem}.npz", folder / "no-ending"):
            write_training_set([packed], path)
            assert read_training_set(path)[0].scan == volume.identity, (about, path.name)
        if about in SPOKEN:
            liver = write_labels(result.liver.voxels, volume.geometry, folder / f"{stem} liver.nii.gz")
            words = [
                "synthesise",
                f"{folder}/{scans[0].name}",
                "--liver",
                str(liver),
                "--given-liver",
                "accept",
                "--out",
                str(folder / "made"),
            ]
            assert main(words) == DONE, (about, kit.output.readouterr().err)
            assert main(["tables", str(folder / f"{stem}.json"), "--out", str(folder / "t.md")]) == REFUSED, about
            assert "is not a readable evaluation" in kit.output.readouterr().err


def model_file(path: Path, about: str) -> None:
    """Write and read weights at an odd path."""
    import torch

    from napari_liver_anomaly import checkpoint

    checkpoint.save(path, {"a": torch.arange(6.0)}, {"about": "é"})
    assert checkpoint.read_card(path)["about"] == "é", about
    assert torch.equal(checkpoint.open_weights(path).tensors["a"], torch.arange(6.0)), about
