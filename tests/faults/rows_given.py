"""Rows about what a user gives: masks of several labels, of other organs, or on grids that differ by rounding; scans whose geometry was lost."""

from __future__ import annotations

import gzip
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import nibabel as nib
import numpy as np
from scipy.ndimage import binary_erosion

from builders import ct, metaimage_file, nifti_file, nrrd_file
from faults.table import row
from faults.witness import codes_of, refused
from napari_liver_anomaly import storage
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.cli.program import ASKED, REFUSED
from napari_liver_anomaly.errors import Question
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.liver import check_liver, checked, find_liver
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.storage import unpacking
from napari_liver_anomaly.volume import Mask

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from faults.table import Kit
    from napari_liver_anomaly.volume import Volume

    Array = NDArray[Any]

MM = (4.0, 4.0, 6.0)
LIVER, SPINE, SPLEEN = 5, 30, 1


def abdomen(folder: Path) -> tuple[Volume, Array, Array]:
    """A scan of a plain abdomen, its voxels in the file's order, and its organs by TotalSegmentator's labels."""
    shape = (80, 64, 24)
    x, y, z = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, MM, strict=True)], indexing="ij")
    hu = np.full(shape, -1000.0)
    hu[(x / 150) ** 2 + (y / 110) ** 2 < 1] = -100
    inner = (x / 135) ** 2 + (y / 95) ** 2 < 1
    hu[inner] = 45
    organs = np.zeros(shape, np.uint8)
    organs[inner & (((x - 55) / 70) ** 2 + ((y - 5) / 65) ** 2 + (z / 60) ** 2 < 1)] = LIVER
    organs[inner & (((x + 95) / 28) ** 2 + ((y + 10) / 28) ** 2 + (z / 45) ** 2 < 1)] = SPLEEN
    organs[(x / 16) ** 2 + ((y + 70) / 16) ** 2 < 1] = SPINE
    hu[organs == LIVER], hu[organs == SPINE], hu[organs == SPLEEN] = 105, 400, 110
    hu = np.rint(hu + np.random.default_rng(0).normal(0, 8, shape)).astype(np.int16)
    return read(saved(folder / "ct.nii.gz", hu)), hu, organs


def affine_of(*, first: tuple[int, int, int] = (0, 0, 0), moved_mm: float = 0.0) -> Array:
    affine = np.diag([*MM, 1.0])
    affine[:3, 3] = np.array([-158.0, -126.0, -69.0]) + np.array(first) * MM + moved_mm
    return affine


def saved(path: Path, values: Array, affine: Array | None = None) -> Path:
    image = nib.Nifti1Image(values, affine_of() if affine is None else affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


@row(80)
def a_mask_of_several_labels_is_asked_about(kit: Kit) -> None:
    """A given mask holds several labels, or is a scan: all organs, or everything above 0 HU, would be taken for the liver."""
    volume, hu, organs = abdomen(kit.folder)
    path = saved(kit.folder / "organs.nii.gz", organs)
    scan, out = str(kit.folder / "ct.nii.gz"), kit.folder / "out"
    with refused("several", "mask-labels", kind=Question) as caught:
        read_mask(path, volume, "liver mask")
    assert {answer.value for answer in caught.finding.answers} == {"1", "5", "30", "1+5", "all"}
    command = ["segment", scan, "--liver", str(path), "--out", str(out), "--model", "layers", "--device", "cpu"]
    assert main(command) == ASKED
    assert "--liver-label 5" in kit.output.readouterr().err and not out.exists()
    mask = read_mask(path, volume, "liver mask", labels="5")
    assert np.array_equal(volume.geometry.to_source(mask.voxels), organs == LIVER)
    assert "mask-labels-chosen" in codes_of(mask.findings)
    assert main([*command, "--liver-label", "5"]) == 0
    assert main([*command[:3], scan, *command[4:], "--replace"]) == REFUSED
    assert "this looks like a scan" in kit.output.readouterr().err
    for values in (hu, hu.astype(np.float32), np.clip(hu + 1024, 0, None).astype(np.uint16)):
        with refused("scan", "mask-no-labels"):
            read_mask(saved(kit.folder / "m.nii.gz", values), volume, "liver mask")


@row(81)
def a_given_liver_is_judged_as_a_found_one_is(kit: Kit) -> None:
    """A given mask marks another organ, air, pieces or half a body: it would be searched as the liver, and its volume reported."""
    volume, hu, organs = abdomen(kit.folder)
    liver = organs == LIVER
    lung = liver.copy()
    lung[:, :, -8:] |= hu[:, :, -8:] < -900
    scattered = (np.random.default_rng(1).random(liver.shape) < 0.02) & (hu > -50)
    odd = {
        "spleen": (organs == SPLEEN, "it does not lie on the right side of the body"),
        "mirrored": (liver[::-1], "it does not lie on the right side of the body"),
        "body": (hu > -200, "it measures"),
        "air": (lung, "of it is air"),
        "bone": (organs == SPINE, "its middle value is"),
        "crumbs": (scattered, "its largest piece is only"),
    }
    path, out = kit.folder / "m.nii.gz", kit.folder / "out"
    for about, (marked, reason) in odd.items():
        saved(path, marked.astype(np.uint8))
        mask = read_mask(path, volume, "liver mask")
        with refused(about, "given-liver-unlikely", kind=Question) as caught:
            check_liver(mask, volume)
        assert reason in caught.finding.what, (about, caught.finding.what)
        (answer,) = caught.finding.answers
        assert answer.flag == "--given-liver accept"
        assert any(note.code == "given-liver-accepted" for note in check_liver(mask, volume, unlikely="accept").findings)
    command = ["segment", str(kit.folder / "ct.nii.gz"), "--liver", str(path), "--out", str(out), "--model", "layers"]
    assert main([*command, "--device", "cpu"]) == ASKED and not out.exists()
    assert "--given-liver accept" in kit.output.readouterr().err
    assert check_liver(read_mask(saved(path, liver.astype(np.uint8)), volume), volume).findings == ()
    stray = liver.copy()
    stray[4:12, 30:36, 4:10] = True
    (doubt,) = check_liver(read_mask(saved(path, stray.astype(np.uint8)), volume), volume).findings
    assert doubt.code == "given-liver-doubtful"


@row(82)
def a_lost_voxel_size_is_asked_about(kit: Kit) -> None:
    """A header lost its geometry: 1 × 1 × 1 mm, or a size with which no body fits; volumes would be wrong without a word."""
    _, hu, _ = abdomen(kit.folder)
    path = kit.folder / "lost.nii"
    wide = np.full((512, 512, 4), -1000, np.int16)
    wide[60:450, 100:400] = np.random.default_rng(0).normal(50, 20, (390, 300, 4)).astype(np.int16)
    moved = np.array([[0, 0, 0, 40]] * 3 + [[0, 0, 0, 0]])
    lost = {
        "identity": (hu, np.eye(4), "the body is 74 mm wide"),
        "all ones": (wide, np.eye(4) + moved, "the body is 388 mm wide"),
        "ones in plane": (wide, np.diag([1, 1, 5, 1]) + moved, "the body is 388 mm wide"),
        "centimetres": (hu, np.diag([0.4, 0.4, 0.6, 1]) + moved, "the body is 30 mm wide"),
        "too wide": (hu, np.diag([12, 12, 6, 1]) + moved, "the body is 888 mm wide"),
    }
    for about, (values, affine, width) in lost.items():
        saved(path, values, affine)
        with refused(about, "voxel-size-doubtful", kind=Question) as caught:
            read(path)
        assert width in caught.finding.what, (about, caught.finding.what)
        (answer,) = caught.finding.answers
        assert "voxel-size-accepted" in codes_of(read(path, ReadOptions().with_answer(answer)).findings)
    out = kit.folder / "out.nii.gz"
    assert main(["liver", str(path), "--out", str(out)]) == ASKED and not out.exists()
    assert "--voxel-size accept" in kit.output.readouterr().err
    for affine in (np.diag([0.7, 0.7, 5, 1]), np.diag([1.0, 1.0, 0.9, 1]) + moved):
        assert codes_of(read(saved(path, wide[:448, :448], affine)).findings) == set(), affine


@row(84)
def masks_off_by_rounding_fit(kit: Kit) -> None:
    """A mask is off by rounding: values, positions, or a cut grid; it would be refused, though its voxels are the scan's."""
    volume, _, organs = abdomen(kit.folder)
    liver, path = organs == LIVER, kit.folder / "m.nii.gz"
    template = nib.load(kit.folder / "ct.nii.gz")
    nib.save(nib.Nifti1Image(liver.astype(float), template.affine, template.header), path)
    assert np.array_equal(volume.geometry.to_source(read_mask(path, volume).voxels), liver)
    for affine in (affine_of(moved_mm=0.02), affine_of(moved_mm=-0.09), affine_of() * np.array([1.00005] * 3 + [1])):
        mask = read_mask(saved(path, liver.astype(np.uint8), affine), volume)
        assert np.array_equal(volume.geometry.to_source(mask.voxels), liver)
    with refused("too far", "mask-grid"):
        read_mask(saved(path, liver.astype(np.uint8), affine_of(moved_mm=0.12)), volume)
    low, high = np.argwhere(liver).min(axis=0), np.argwhere(liver).max(axis=0) + 1
    cut = liver[tuple(map(slice, low, high))].astype(np.uint8)
    mask = read_mask(saved(path, cut, affine_of(first=tuple(low))), volume)
    assert np.array_equal(volume.geometry.to_source(mask.voxels), liver)
    assert "mask-part-of-grid" in codes_of(mask.findings)
    for affine in (affine_of(first=tuple(low), moved_mm=0.5), affine_of(first=tuple(low - 20))):
        with refused("beside", "mask-grid"):
            read_mask(saved(path, cut, affine), volume)


@row(83)
def half_a_liver_is_told(kit: Kit) -> None:
    """Streaks make the finder lose part of the liver: half of it would be searched without a word."""
    volume, _, organs = abdomen(kit.folder)
    whole = volume.geometry.to_canonical(organs == LIVER)
    probability = np.where(whole, np.uint8(255), np.uint8(0))

    def judged(voxels: Array, probability: Array = probability, unlikely: Literal["ask", "accept"] = "ask") -> set[str]:
        return codes_of(checked(Mask(voxels, volume.geometry, volume.identity, probability), volume, unlikely).findings)

    assert judged(whole) == set()
    middle = slice(9, 14)
    waist = whole.copy()
    waist[middle, :, : whole.any(axis=(0, 1)).argmax() + 22] = False
    with refused("a part is missing", "liver-unlikely", kind=Question) as caught:
        judged(waist)
    assert "its area jumps from slice to slice" in caught.finding.what
    assert judged(waist, unlikely="accept") == {"liver-unlikely-accepted"}
    unsure = probability.copy()
    unsure[middle][~whole[middle] & (volume.voxels[middle] > 20)] = 120
    with refused("uncertain", "liver-unlikely", kind=Question) as caught:
        judged(whole, unsure)
    assert "much of it is uncertain" in caught.finding.what
    small = binary_erosion(whole, np.ones((1, 3, 3)), iterations=5)
    assert judged(small, np.where(small, np.uint8(255), np.uint8(0))) == {"liver-doubtful"}
    given = Mask(waist, volume.geometry, volume.identity)
    with refused("given", "given-liver-unlikely", kind=Question):
        check_liver(given, volume)


@row(160)
def an_eighth_of_a_liver_lost_to_streaks_is_told(kit: Kit) -> None:
    """Streaks of 80 HU take an eighth of the liver: each sign of it stays within its bound, and nothing would be said."""
    sample = make_phantom(PhantomSettings(size_px=192, slices=32))
    geometry = sample.volume.geometry
    inside, plain = geometry.to_source(sample.liver.voxels), geometry.to_source(sample.volume.voxels)
    first, second, _ = (where.mean() for where in np.nonzero(inside))
    x, y = np.meshgrid(*map(np.arange, inside.shape[:2]), indexing="ij")
    along, across = x - first + 25, y - second  # streaks spread from a place in the liver
    streaks = np.sin(24 * np.arctan2(across, along)) * np.exp(-np.hypot(along, across) / 60)
    for height, told in {0: set(), 80: {"liver-doubtful"}}.items():
        hu = plain.astype(np.float64)
        hu[..., 10:21] += height * streaks[..., None]
        found = find_liver(replace(sample.volume, voxels=geometry.to_canonical(np.rint(hu).astype(np.int16))), device="cpu")
        assert codes_of(found.findings) == told, (height, found.ml, inside.sum() * geometry.voxel_ml)


@row(85)
def headers_are_read_as_other_programs_write_them(kit: Kit) -> None:
    """NIfTI, NRRD and MetaImage as other programs write them: refused, or with words that are not true."""
    raw = ct().tobytes(order="F")
    wanted = read(metaimage_file(kit.folder / "plain.mha"))
    (kit.folder / "x.raw").write_bytes(raw)
    (kit.folder / "Größe.raw").write_bytes(raw)
    for name, fields in {
        "a.mha": {"HeaderSize": "-1"}, "b.mha": {"BinaryData": "true", "CompressedData": "false"}, "c.mha": {"ElementDataFile": "Local"},
        "e.mhd": {"ElementDataFile": "./x.raw"}, "f.mhd": {"ElementDataFile": "Größe.raw"}, "g.mha": {"\nComment": "a blank line"},
    }.items():  # fmt: skip
        path = metaimage_file(kit.folder / name, b"" if name.endswith("mhd") else None, **fields)
        volume = read(path)
        assert np.array_equal(volume.voxels, wanted.voxels) and volume.geometry.same_grid(wanted.geometry), name
    long = metaimage_file(kit.folder / "l.mha", ct().astype("<i4").tobytes(order="F"), ElementType="MET_LONG")
    assert np.array_equal(read(long).voxels, wanted.voxels)
    with refused("slices", "data-in-slices"):
        read(metaimage_file(kit.folder / "s.mhd", b"", ElementDataFile="s%03d.raw 0 10 1"))

    wanted = read(nrrd_file(kit.folder / "plain.nrrd"))
    listed = {
        "dimension": "4", "sizes": "1 16 16 11", "space_directions": "none (0.7,0,0) (0,0.8,0) (0,0,2)", "kinds": "list domain domain domain"
    }  # fmt: skip
    volume = read(nrrd_file(kit.folder / "one.nrrd", **listed))
    assert np.array_equal(volume.voxels, wanted.voxels) and volume.geometry.same_grid(wanted.geometry)
    two = nrrd_file(kit.folder / "two.seg.nrrd", raw * 2, **{**listed, "sizes": "2 16 16 11", "Segment0_LabelValue:": "1"})
    assert b"Segment0 LabelValue" in two.read_bytes()
    two.write_bytes(two.read_bytes().replace(b"Segment0 LabelValue:: 1", b"Segment0_LabelValue:=1"))
    with refused("layers", "mask-layers"):
        read(two)
    assert codes_of(read(nrrd_file(kit.folder / "o.nrrd", space_origin=None)).findings) == {"origin-missing"}


@row(87)
def work_is_bounded_by_the_size_of_a_file(kit: Kit) -> None:
    """Thousands of empty gzip members or of axes of size 1: minutes of work, or gigabytes, for a file of some kilobytes."""
    whole, empty = nifti_file(kit.folder / "plain.nii").read_bytes(), gzip.compress(b"", mtime=0)
    path = kit.folder / "members.nii.gz"
    path.write_bytes(gzip.compress(whole[:352]) + empty * 20_000 + gzip.compress(whole[352:]))
    copied = 0

    class Counted(bytes):
        """Bytes that count what is cut out of them."""

        def __getitem__(self, key: Any) -> Any:
            nonlocal copied
            piece = super().__getitem__(key)
            copied += len(piece) if isinstance(piece, bytes) else 0
            return piece

    kit.patch.setattr(storage, "PIECE", 2**20)
    with unpacking(path) as reader:
        read_from = reader._stream.read
        kit.patch.setattr(reader, "_stream", SimpleNamespace(read=lambda count: Counted(read_from(count))))
        assert bytes(reader.read(len(whole))) == whole
        reader.finish()
    assert copied < 40 * path.stat().st_size
    assert np.array_equal(read(path).voxels, read(kit.folder / "plain.nii").voxels)
    tracemalloc.start()
    try:
        with refused("axes", "file-unusual"):
            read(metaimage_file(kit.folder / "axes.mha", DimSize=" ".join(["1"] * 8000)))
        assert tracemalloc.get_traced_memory()[1] < 20 * 10**6
    finally:
        tracemalloc.stop()
