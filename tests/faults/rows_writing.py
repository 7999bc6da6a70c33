"""Rows about what leaves the program: labels and volumes exact, masks with their own scan, old or new and never half, nobody's name."""

from __future__ import annotations

import itertools
import json
import logging
import os
import socket
import traceback
import urllib.request
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pytest
import SimpleITK

from builders import PLAIN_AFFINE, ct, dicom_series, nifti_file, nrrd_file
from faults.table import row
from faults.witness import SHOW_ALL, child, names_in, organ_of, refused, scanned, searched, turned, witnessed
from napari_liver_anomaly import placing, storage
from napari_liver_anomaly.cli import DONE, REFUSED, main
from napari_liver_anomaly.errors import InvalidNumbers, NotWritten, WrongGrid
from napari_liver_anomaly.evaluation.evaluate import evaluate
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import read, read_mask, write, write_case, write_image, write_labels
from napari_liver_anomaly.io.read_options import MaskOptions
from napari_liver_anomaly.lesions import measure
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import Sample
from napari_liver_anomaly.preprocessing import PreprocessSettings
from napari_liver_anomaly.preprocessing.frame import frame_of
from napari_liver_anomaly.synthesis import RECIPES
from napari_liver_anomaly.synthesis.apply import Synthesis, synthesise
from napari_liver_anomaly.training.training_file import pack_case, write_training_set
from napari_liver_anomaly.volume import Mask, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.table import Kit

RECIPE = RECIPES["noise-stretch"]()


@row(22)
def labels_arrive_exactly(kit: Kit) -> None:
    """Labels are rescaled or clipped when saved: whole numbers arrive exactly, whatever scaling the scan's own header has."""
    numbers = (0, 1, 255, 256, 300, 65535, 65536, 2**31 - 1, -1)
    templates = {
        "plain": scanned(kit.folder, "plain.nii"),
        "scaled": scanned(kit.folder, "scaled.nii.gz", ct() // 2 + 600, scaling=(2.0, -1200.0)),
        "8 bit header": scanned(
            kit.folder, "small.nii", (np.clip(ct(), -1000, 160) // 5 + 210).astype(np.uint8), scaling=(5.0, -1050.0)
        ),
        "float": scanned(kit.folder, "float.nii", ct().astype(np.float32)),
    }
    for (about, volume), kind in itertools.product(templates.items(), ("uint8", "uint16", "int16", "int32", "int64", "uint64")):
        for highest in numbers if about == "scaled" else (65535,):
            limits = np.iinfo(kind)
            chosen = [n for n in numbers if limits.min <= n <= min(limits.max, max(highest, 1))]
            labels = np.zeros(volume.geometry.shape, kind)
            labels[2, 3, 3 : 3 + len(chosen)] = chosen
            path = write_labels(labels, volume.geometry, kit.folder / "labels.nii.gz")
            image, other = nibabel.load(path), SimpleITK.ReadImage(str(path))
            wanted = volume.geometry.to_source(labels)
            for values in (np.asanyarray(image.dataobj), image.get_fdata(), SimpleITK.GetArrayFromImage(other).T):
                assert np.array_equal(values, wanted), (about, kind, chosen)
            assert np.isnan(image.header["scl_slope"]) or float(image.header["scl_slope"]) in (0, 1), (about, kind)
    volume = templates["scaled"]
    for about, odd in {
        "fractions": np.full(volume.geometry.shape, 0.5), "floats": np.ones(volume.geometry.shape, np.float32),
        "2^31": np.full(volume.geometry.shape, 2**31, np.int64), "NaN": np.full(volume.geometry.shape, np.nan),
    }.items():  # fmt: skip
        with refused(about, "labels-not-whole", kind=InvalidNumbers):
            write_labels(odd, volume.geometry, kit.folder / "odd.nii.gz")
    assert not (kit.folder / "odd.nii.gz").exists()
    result = searched(volume)
    write(result, kit.folder / "out")
    tumours = witnessed(kit.folder / "out" / "tumours.nii.gz", volume.geometry)
    assert tumours.dtype == np.uint8 and np.array_equal(tumours, volume.geometry.to_source(result.labels) > 0)


@row(23)
def labels_are_never_interpolated(kit: Kit) -> None:
    """Interpolation of labels invents labels and shrinks lesions: masks stay on the scan's grid; only scores are resampled, and volumes are kept."""
    spacings = ((0.7, 0.7, 2.5), (0.8, 0.8, 3), (0.5, 0.5, 5), (1, 1, 1), (2, 2, 2), (5, 5, 5), (0.5, 0.5, 0.5))
    for diameter, spacing in itertools.product((5, 10, 20, 40), spacings):
        if diameter > 10 and max(spacing) < 1:
            continue  # millions of voxels, and easier than what is left
        width = diameter + 20
        shape = [int(width / mm) for mm in spacing]
        middle = width / 2 - 0.3
        places = np.stack(
            np.meshgrid(*[np.arange(n) * mm - middle for n, mm in zip(shape, spacing, strict=True)], indexing="ij"), -1
        )
        sphere, liver_mask = np.sqrt((places**2).sum(-1)) <= diameter / 2, (np.abs(places) < width / 2 - 2).all(-1)
        about = (diameter, spacing)
        if not sphere.any():
            continue  # smaller than a voxel, and between four of them

        values = np.where(liver_mask, np.where(sphere, 60, 100), -1000).astype(np.int16)
        volume = scanned(kit.folder, "scan.nii", values, np.diag([*spacing, 1.0]))
        liver = Mask(volume.voxels > 0, volume.geometry, volume.identity)
        result = searched(volume, liver)
        assert np.array_equal(result.liver.voxels, liver.voxels), about
        path = write_labels(
            np.where(volume.geometry.to_canonical(sphere), 2, liver.voxels), volume.geometry, kit.folder / "labels.nii"
        )
        back = witnessed(path, volume.geometry)
        assert set(np.unique(back)) == {0, 1, 2} and np.array_equal(back == 2, sphere), about
        assert (
            read_mask(write_labels(sphere_of(volume, sphere), volume.geometry, kit.folder / "m.nii"), volume).voxels.sum()
            == sphere.sum()
        ), about

        # A score on the network's pixels and back. At 3 mm between slices 10 mm are three slices: see the limits.
        z = volume.geometry.to_canonical(sphere)
        for settings, limits in (
            (PreprocessSettings(pixel_mm=1.5), {10: 0.06, 20: 0.05, 40: 0.05}),
            (TRAINED, {10: 0.25, 20: 0.05, 40: 0.05}),
        ):
            frame = frame_of(liver.voxels, volume.geometry.spacing_mm, settings)
            share = frame.to_scan(frame.to_network((z * 200).astype(np.int16), (0, 200)) / np.float32(200))
            assert share.min() >= 0 and share.max() <= 1, about
            found = share >= 0.5
            if diameter in limits:
                assert abs(found.sum() / sphere.sum() - 1) <= limits[diameter], (
                    about,
                    settings.plane_mm,
                    found.sum(),
                    sphere.sum(),
                )
            assert set(np.unique(frame.mask_to_network(liver.voxels))) <= {False, True}

    anomalous, mask = synthesise(volume, liver, RECIPE, 3)
    assert mask.voxels.dtype == bool and not (mask.voxels & ~liver.voxels).any()
    assert np.array_equal(anomalous.voxels[~liver.voxels], volume.voxels[~liver.voxels])


TRAINED = PreprocessSettings(pixel_mm=1.5, plane_mm=3, neighbours=2, around_mm=8, window_low_hu=-45, window_high_hu=160)


def sphere_of(volume: Volume, sphere: np.ndarray) -> np.ndarray:
    return volume.geometry.to_canonical(sphere)


def every_use(volume: Volume, mask: Mask, folder: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every verb that brings a scan and a mask together."""
    sound = searched(volume)
    yield "of", lambda: mask.of(volume)
    yield "segment", lambda: segment(volume, mask, DarkRule(), device="cpu")
    yield "synthesise", lambda: synthesise(volume, mask, RECIPE, 1)
    yield "synthesise a slice", lambda: Synthesis(volume, mask).slice(5, RECIPE, 1)
    yield "measure, liver", lambda: measure(sound.labels, volume, mask)
    yield "measure, lesions", lambda: measure(mask, volume, sound.liver)
    yield "result", lambda: replace(sound, liver=mask)
    yield "write", lambda: write(replace(sound, liver=mask), folder / "out")
    yield "write a sample, liver", lambda: write_case(volume, mask, sound.liver, folder / "sample", "a")
    yield "write a sample, tumours", lambda: write_case(volume, sound.liver, mask, folder / "sample", "a")
    yield "validate_on_synthesis the rule", lambda: DarkRule().calibrated([(volume, mask)])


@row(24)
def a_mask_one_voxel_off_is_refused(kit: Kit) -> None:
    """A mask is one voxel off the scan: shifted by one or half a voxel, or one voxel larger or smaller, in files and in memory."""
    volume = scanned(kit.folder)
    liver_mask = organ_of(volume)
    labels = volume.geometry.to_source(liver_mask.voxels).astype(np.uint8)
    assert read_mask(nifti_file(kit.folder / "mask.nii.gz", labels), volume).ml == liver_mask.ml
    odd: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for axis, step in itertools.product(range(3), (1, -1, 0.5, -0.5, 0.15)):
        shifted = PLAIN_AFFINE.copy()
        shifted[:3, 3] += step * shifted[:3, axis]
        odd[f"shifted by {step} along {axis}"] = (labels, shifted)
    for axis in range(3):
        odd[f"one fewer along {axis}"] = (np.delete(labels, 0, axis), PLAIN_AFFINE)
        odd[f"one more along {axis}"] = (np.pad(labels, [(0, int(a == axis)) for a in range(3)]), PLAIN_AFFINE)
    odd["mirrored"] = (labels, np.diag([0.7, -0.8, 2.0, 1.0]))
    odd["other spacing"] = (labels, np.diag([-0.7, -0.8, 2.02, 1.0]))
    odd["turned by 1°"] = (
        labels,
        np.block([[turned(0, 1, 0) @ PLAIN_AFFINE[:3, :3], np.zeros((3, 1))], [np.zeros((1, 3)), 1.0]]),
    )
    for about, (values, affine) in odd.items():
        geometry = Geometry(values.shape, affine)
        for path in (nifti_file(kit.folder / "odd.nii.gz", values, affine), nrrd_of(kit.folder / "odd.nrrd", values, affine)):
            with refused((about, path.suffix), "mask-grid", kind=WrongGrid) as caught:
                read_mask(path, volume, "liver mask")
            if path.suffix == ".gz":
                words = read(nifti_file(kit.folder / "grid.nii", np.pad(values, 0).astype(np.int16) * 50 - 20, affine)).geometry
                assert str(words) in caught.finding.what and str(volume.geometry) in caught.finding.what, about
        mask = Mask(geometry.to_canonical(values > 0), geometry)
        for verb, use in every_use(volume, mask, kit.folder):
            with refused((about, verb), "mask-grid", kind=WrongGrid):
                use()
    path = nifti_file(kit.folder / "odd.nii.gz", *odd["shifted by 1 along 2"])
    assert (
        main(
            ["segment", str(kit.folder / "scan.nii.gz"), "--liver", str(path), "--out", str(kit.folder / "o"), "--device", "cpu"]
        )
        == REFUSED
    )
    assert "are not on the same grid" in kit.output.readouterr().err
    assert not (kit.folder / "o").exists() and not (kit.folder / "out").exists() and not (kit.folder / "sample").exists()


def nrrd_of(path: Path, values: np.ndarray, affine: np.ndarray) -> Path:
    steps = " ".join("({:.9g},{:.9g},{:.9g})".format(*affine[:3, axis]) for axis in range(3))
    return nrrd_file(
        path, values.astype(np.uint8).tobytes(order="F"), type="uchar", sizes=" ".join(str(n) for n in values.shape), endian=None,
        space="right-anterior-superior", space_directions=steps, space_origin="({:.9g},{:.9g},{:.9g})".format(*affine[:3, 3]),
    )  # fmt: skip


@row(25)
def a_mask_of_another_scan_is_refused(kit: Kit) -> None:
    """A mask is used with another patient's scan on the same grid: identity is the hash of the scan, never a name."""
    later = ct()
    later[8, 8, 5] += 1  # one voxel of one HU: the follow-up on the same grid
    volume, other = scanned(kit.folder), scanned(kit.folder, "other.nii.gz", later)
    assert volume.identity != other.identity and volume.geometry.same_grid(other.geometry)
    assert scanned(kit.folder, "renamed.nii").identity == volume.identity, "the name must not matter"
    moved = PLAIN_AFFINE.copy()
    moved[0, 3] += 0.5
    assert scanned(kit.folder, "moved.nii", affine=moved).identity != volume.identity, "the place must matter"
    foreign = organ_of(other)
    for verb, use in every_use(volume, foreign, kit.folder):
        with refused(verb, "mask-scan", kind=WrongGrid) as caught:
            use()
        assert f"belongs to scan {other.identity[:4]}…, not to scan {volume.identity[:4]}…" in caught.finding.what, verb
    result = searched(volume)
    assert result.liver.scan == result.volume.identity == volume.identity
    with refused("a result with another scan", "mask-scan"):
        replace(result, volume=other)
    smaller = scanned(kit.folder, "smaller.nii", ct(12, 12, 7))
    for name in ("score", "labels"):
        with refused(f"a result with another {name}", "shape-differs"):
            replace(result, **{name: getattr(searched(smaller), name)})
    anomalous, anomalies = synthesise(volume, result.liver, RECIPE, 1)
    assert anomalies.scan == anomalous.identity != volume.identity
    with refused("anomalies on the untouched scan", "mask-scan"):
        anomalies.of(volume)
    assert json.loads(write(result, kit.folder / "kept")[-1].read_text(encoding="utf-8"))["scan"] == volume.identity

    cases = kit.folder / "cases"
    cases.mkdir()
    nifti_file(cases / "a_ct.nii.gz")
    for word in ("liver", "tumour"):
        write_labels(organ_of(volume).voxels, volume.geometry, cases / f"a_{word}.nii.gz")
    with refused("evaluate with the liver of another scan", "mask-scan"):
        taken = MaskOptions(given_liver="accept")
        evaluate(cases, DarkRule(), SHOW_ALL, find=lambda _: foreign, masks=taken, device="cpu")

    from napari.layers import Layer

    from napari_liver_anomaly.gui.layer_snapshot import mask_of, snapshot_of, volume_of
    from napari_liver_anomaly.gui.layers import liver_layer, scan_layer

    layers = {name: Layer.create(*scan_layer(one)) for name, one in (("one", volume), ("two", other))}
    livers = {name: Layer.create(*liver_layer(organ_of(one), one)) for name, one in (("one", volume), ("two", other))}
    for rename in (False, True):
        if rename:  # to the names of each other
            layers["one"].name, layers["two"].name = "two", "one"
            livers["one"].name = livers["two"].name = "liver"
        for scan, mask in itertools.product(layers, livers):
            pictures = snapshot_of(livers[mask]), snapshot_of(layers[scan])
            if scan == mask:
                assert mask_of(*pictures, volume_of(pictures[1]), "liver mask").voxels.any(), (scan, rename)
            else:
                with refused((scan, mask, rename), "mask-scan", kind=WrongGrid):
                    mask_of(*pictures, volume_of(pictures[1]), "liver mask")


@row(39)
def millilitres_are_voxels_times_spacing(kit: Kit) -> None:
    """Volumes in ml: a sphere of known radius on anisotropic and oblique grids, in memory, tables, reports and other libraries."""
    radius = 18.0
    true_ml = 4 / 3 * np.pi * radius**3 / 1000
    for spacing, angles in itertools.product(
        ((1, 1, 1), (0.7, 0.7, 2.5), (1, 1, 5), (0.8, 1.3, 1.9)), ((0, 0, 0), (12, -7, 20), (40, 30, -20))
    ):
        shape = [int(52 / mm) for mm in spacing]
        places = np.stack(
            np.meshgrid(*[np.arange(n) * mm - 25.3 for n, mm in zip(shape, spacing, strict=True)], indexing="ij"), -1
        )
        sphere = np.sqrt((places**2).sum(-1)) <= radius
        affine = np.eye(4)
        affine[:3, :3] = turned(*angles) @ np.diag(spacing)
        about = (spacing, angles)
        inside = (np.abs(places) < 24).all(-1)
        volume = scanned(kit.folder, "scan.nii", np.where(sphere, 40, np.where(inside, 100, -1000)).astype(np.int16), affine)
        counted_ml = sphere.sum() * np.prod(spacing) / 1000
        assert abs(counted_ml / true_ml - 1) < 0.03, about
        mask = read_mask(nifti_file(kit.folder / "mask.nii.gz", sphere.astype(np.uint8), affine), volume)
        assert np.isclose(mask.ml, counted_ml, rtol=1e-5), about
        liver = Mask(volume.voxels > 0, volume.geometry, volume.identity)
        result = searched(volume, liver)
        (lesion,) = result.lesions
        assert np.isclose(lesion.volume_ml, counted_ml, rtol=1e-5), about
        assert np.isclose(lesion.equivalent_mm, 2 * radius, rtol=0.01) and abs(lesion.long_mm - 2 * radius) < 2 * max(
            spacing[:2]
        ), about
        folder = kit.folder / "out"
        write(result, folder, replace=True)
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        assert (
            abs(report["tumour_ml"] - counted_ml) < 1e-3
            and abs(report["liver_ml"] - inside.sum() * np.prod(spacing) / 1000) < 1e-3
        ), about
        assert abs(float(report["summary"].split(" ml in all")[0].rpartition(" ")[2]) - counted_ml) < 0.051, about
        header, line = (folder / "lesions.csv").read_text(encoding="utf-8").splitlines()
        assert abs(float(line.split(",")[header.split(",").index("volume_ml")]) - counted_ml) < 1e-3, about
        witnessed(folder / "tumours.nii.gz", volume.geometry)
        other = SimpleITK.ReadImage(str(folder / "tumours.nii.gz"))
        assert np.isclose(SimpleITK.GetArrayFromImage(other).sum() * np.prod(other.GetSpacing()) / 1000, counted_ml, rtol=1e-5), (
            about
        )


FULL_DISK = """
import dataclasses, json, os, resource, signal, sys
from pathlib import Path
import numpy as np, torch
sys.path.insert(0, sys.argv[2])
from faults.rows_writing import writers, grain
from napari_liver_anomaly.errors import NotWritten
folder = Path(sys.argv[1])
made = writers(grain(folder), folder)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
for name, (paths, use) in made.items():
    before = {path: path.read_bytes() for path in paths}
    there = sorted(os.listdir(paths[0].parent))
    try:
        use()
        print(name, "written")
    except NotWritten as refusal:
        same = all(path.read_bytes() == before[path] for path in paths)
        clean = sorted(os.listdir(paths[0].parent)) == there
        print(name, "untouched" if same and clean else f"spoilt {same} {clean}", refusal)
"""


def grain(folder: Path) -> Volume:
    """A scan too grainy to pack, of more than 20 kB."""
    noise = np.random.default_rng(0).normal(0, 20, (40, 40, 12))
    return scanned(folder, "grain.nii", (ct(40, 40, 12) + noise).astype(np.int16))


def writers(volume: Volume, folder: Path) -> dict[str, tuple[list[Path], Callable[[], Any]]]:
    """Everything that writes: the files, which are there already, and the verb that replaces them."""
    import torch

    from napari_liver_anomaly import checkpoint
    from napari_liver_anomaly.training.loop import _OptimisedNetwork, _Unfinished

    result = searched(volume)
    rng = np.random.default_rng(1)
    weights = {"a": torch.from_numpy(rng.normal(size=9000).astype(np.float32))}
    network = torch.nn.Linear(90, 90)
    adam = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 90)).sum().backward()
    adam.step()
    unfinished = _Unfinished(folder / "t" / "state.safetensors", {"a": 1}, [_OptimisedNetwork("", network, len, 1e-3, adam, {})])
    packed = pack_case(volume.voxels, result.liver.voxels, None, volume.geometry.spacing_mm, scan=volume.identity)
    noise = replace(packed, grey=rng.integers(0, 255, packed.grey.shape).astype(np.uint8), liver=packed.liver)
    many = [noise, replace(noise, grey=rng.integers(0, 255, packed.grey.shape).astype(np.uint8))]
    labels = rng.integers(0, 60000, volume.geometry.shape)
    outputs = [f"{name}.nii.gz" for name in ("residual", "restored", "score", "tumours", "lesions", "liver")] + [
        "lesions.csv",
        "report.json",
    ]
    full = replace(result, restored=volume.voxels, residual=np.zeros_like(volume.voxels))
    sample = Sample(volume, result.liver, result.liver)
    from napari_liver_anomaly.cli.verb import write_json

    made: dict[str, tuple[list[Path], Callable[[], Any]]] = {
        "image": ([folder / "i" / "image.nii.gz"], lambda: write_image(volume.voxels, volume.geometry, folder / "i" / "image.nii.gz")),
        "plain-image": ([folder / "p" / "image.nii"], lambda: write_image(volume.voxels, volume.geometry, folder / "p" / "image.nii")),
        "labels": ([folder / "l" / "labels.nii.gz"], lambda: write_labels(labels, volume.geometry, folder / "l" / "labels.nii.gz")),
        "results": ([folder / "r" / name for name in outputs], lambda: write(full, folder / "r", replace=True)),
        "sample": ([folder / "s" / f"a_{name}.nii.gz" for name in ("ct", "liver", "tumour")], lambda: write_case(
            sample.volume, sample.liver, sample.tumours, folder / "s", "a")),
        "weights": ([folder / "w" / "model.safetensors"], lambda: checkpoint.save(folder / "w" / "model.safetensors", weights, {"key": "k"})),
        "state": ([folder / "t" / "state.safetensors"], lambda: unfinished.keep(3)),
        "healthy": ([folder / "h" / "healthy.npz"], lambda: write_training_set(many, folder / "h" / "healthy.npz")),
        "json": ([folder / "j" / "report.json"], lambda: write_json({"numbers": list(range(9000))}, folder / "j" / "report.json")),
    }  # fmt: skip
    for paths, _ in made.values():
        for path in paths:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"the earlier " + path.name.encode())
    return made


@row(40)
def a_full_disk_leaves_the_earlier_file(kit: Kit) -> None:
    """Disk full while saving an image, labels, results, a sample, weights, a training state, healthy livers, a report."""
    lines = child(FULL_DISK, kit.folder, Path(__file__).parents[1]).splitlines()
    assert len(lines) == 9, lines
    for line in lines:
        name, _, rest = line.partition(" ")
        assert rest.startswith("untouched "), line
        assert (
            "not written: File too large. Earlier files of that name are untouched. Choose another folder or make room." in rest
        ), line
        assert str(kit.folder) not in line, name


@row(41)
def a_folder_that_takes_nothing_is_told(kit: Kit) -> None:
    """Read-only folder, locked file, network share gone: refused, the earlier files stay as they were, and another folder works."""
    made = writers(grain(kit.folder), kit.folder)
    real = os.replace
    kit.patch.setattr(placing, "_exchange", lambda one, other: False)  # a disk that cannot exchange folders
    for name, (paths, use) in made.items():
        for nth in range(1, len(paths) + 1):
            before, calls = {path: path.read_bytes() for path in paths}, []

            def locked(source: Any, target: Any, nth: int = nth, calls: list[int] = calls) -> None:
                calls.append(1)
                if len(calls) == nth:
                    raise PermissionError(13, "Permission denied", str(source))
                real(source, target)

            kit.patch.setattr(storage.os, "replace", locked)
            with refused((name, nth), "not-written", kind=NotWritten) as caught:
                use()
            kit.patch.setattr(storage.os, "replace", real)
            assert (
                "not written: Permission denied." in caught.finding.what and str(kit.folder) not in caught.text.split("Error")[-1]
            ), name
            assert {path: path.read_bytes() for path in paths} == before, (name, nth, "old and new files are mixed")
            assert names_in(paths[0].parent) == sorted(path.name for path in paths), (name, nth)
            for path in paths[nth - 1 :]:  # a place where nothing was before stays empty
                path.unlink()
            calls.clear()
            kit.patch.setattr(storage.os, "replace", locked)
            with refused((name, nth, "new"), "not-written"):
                use()
            kit.patch.setattr(storage.os, "replace", real)
            assert names_in(paths[0].parent) == sorted(path.name for path in paths[: nth - 1]), (name, nth)
            for path in paths:
                path.write_bytes(before[path])
        use()
        assert all(path.read_bytes() != b"the earlier " + path.name.encode() for path in paths), name

    regular = kit.folder / "regular"
    regular.write_bytes(b"a file")
    for name, (_, use) in writers_into(grain(kit.folder), regular).items():
        with refused((name, "into a file"), "not-written", kind=NotWritten):
            use()
    assert regular.read_bytes() == b"a file"
    scan = nifti_file(kit.folder / "scan.nii.gz")
    volume = read(scan)
    liver = write_labels(organ_of(volume).voxels, volume.geometry, kit.folder / "liver.nii.gz")
    words = ["synthesise", str(scan), "--liver", str(liver), "--given-liver", "accept", "--out"]
    assert main([*words, str(regular / "sub")]) == REFUSED
    assert "cannot be written: Not a directory." in kit.output.readouterr().err
    assert main([*words, str(kit.folder / "elsewhere")]) == DONE
    if os.geteuid() != 0:
        closed = kit.folder / "closed"
        closed.mkdir(mode=0o500)
        with refused("read-only folder", "not-written"):
            write(searched(volume), closed)


def writers_into(volume: Volume, file: Path) -> dict[str, tuple[None, Callable[[], Any]]]:
    """The same verbs, with a regular file where their folder should be."""
    import torch

    from napari_liver_anomaly import checkpoint

    result = searched(volume)
    packed = pack_case(volume.voxels, result.liver.voxels, None, volume.geometry.spacing_mm, scan=volume.identity)
    sample = Sample(volume, result.liver, result.liver)
    return {
        "image": (None, lambda: write_image(volume.voxels, volume.geometry, file / "image.nii.gz")),
        "results": (None, lambda: write(result, file)),
        "results deeper": (None, lambda: write(result, file / "sub" / "folder")),
        "sample": (None, lambda: write_case(sample.volume, sample.liver, sample.tumours, file, "a")),
        "weights": (None, lambda: checkpoint.save(file / "model.safetensors", {"a": torch.ones(3)}, {})),
        "healthy": (None, lambda: write_training_set([packed], file / "healthy.npz")),
    }


@row(42)
def an_input_is_never_written_over(kit: Kit) -> None:
    """Writing over an input file: same path, other spelling, links; by the library and by every verb that writes."""
    folder = kit.folder / "data"
    folder.mkdir()
    scan = nifti_file(folder / "a_ct.nii.gz")
    volume = read(scan)
    for word in ("liver", "tumour"):
        write_labels(organ_of(volume).voxels, volume.geometry, folder / f"a_{word}.nii.gz")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    (kit.folder / "sub").mkdir()
    (kit.folder / "alias").symlink_to(folder, target_is_directory=True)
    (kit.folder / "link.nii.gz").symlink_to(scan)
    (kit.folder / "chain.nii.gz").symlink_to(kit.folder / "link.nii.gz")
    os.link(scan, kit.folder / "twin.nii.gz")
    kit.patch.chdir(kit.folder)
    spellings = [
        scan, Path("data/a_ct.nii.gz"), kit.folder / "sub" / ".." / "data" / "a_ct.nii.gz", Path("./data/./a_ct.nii.gz"),
        kit.folder / "alias" / "a_ct.nii.gz", kit.folder / "link.nii.gz", kit.folder / "chain.nii.gz", kit.folder / "twin.nii.gz",
    ]  # fmt: skip
    for spelling, source in itertools.product(spellings, (scan, "data/a_ct.nii.gz", kit.folder / "link.nii.gz")):
        for use in (
            lambda p, i: write_image(volume.voxels, volume.geometry, p, i),
            lambda p, i: write_labels(organ_of(volume).voxels, volume.geometry, p, i),
        ):
            with refused((str(spelling), str(source)), "would-overwrite-input", kind=NotWritten):
                use(spelling, [source])
    for name in ("score", "tumours", "liver"):
        nested = kit.folder / f"as-{name}"
        nested.mkdir()
        own = nifti_file(nested / f"{name}.nii.gz")
        kept = own.read_bytes()
        with refused(f"results over {name}", "would-overwrite-input"):
            write(searched(volume), nested, inputs=(own,))
        with refused(f"results over {name}, by a link to the folder", "would-overwrite-input"):
            (kit.folder / f"to-{name}").symlink_to(nested, target_is_directory=True)
            write(searched(volume), kit.folder / f"to-{name}", inputs=(own,))
        assert own.read_bytes() == kept and names_in(nested) == [own.name]

    model, report = kit.folder / "m.safetensors", kit.folder / "r.json"
    model.write_bytes(b"weights")
    report.write_text('{"summary": {}, "cases": []}', encoding="utf-8")
    healthy = kit.folder / "h.npz"
    write_training_set(
        [pack_case(volume.voxels, organ_of(volume).voxels, None, volume.geometry.spacing_mm, scan=volume.identity)], healthy
    )
    before |= {path: path.read_bytes() for path in (model, report, healthy)}
    verbs = [
        ["liver", scan, "--out", kit.folder / "link.nii.gz"],
        ["liver", scan, "--out", scan],
        ["prepare", folder, "--out", scan],
        ["prepare", folder, "--out", kit.folder / "alias" / "a_liver.nii.gz"],
        ["train", "--healthy", healthy, "--out", healthy],
        ["train", "--healthy", folder, "--out", scan],
        ["train", "--healthy", healthy, "--restorer", model, "--out", model],
        ["train", "--healthy", healthy, "--metrics", report, "--out", report],
        ["train-liver", "--data", folder, "--out", scan],
        ["combine", model, "--out", model],
        ["evaluate", "--data", folder, "--out", folder / "a_tumour.nii.gz"],
        ["evaluate", "--data", folder, "--model", model, "--out", model],
        ["tables", report, "--out", report],
        ["cross-validate", "--healthy", healthy, "--data", folder, "--fold", "a", "--models", kit.folder, "--out", healthy],
        ["cross-validate-liver", "--data", folder, "--fold", "a", "--models", kit.folder, "--out", scan],
    ]  # fmt: skip
    kit.patch.setattr("napari_liver_anomaly.cli.scan.ScanVerb.find_liver", lambda verb, volume, **rest: organ_of(volume))
    for words in verbs:
        assert main([str(word) for word in words]) == REFUSED, words
        assert "is one of the files that were read" in kit.output.readouterr().err, words
    assert {path: path.read_bytes() for path in before} == before
    assert write_image(volume.voxels, volume.geometry, kit.folder / "other.nii.gz", [scan]).exists()


KILLED = """
import gzip, os, random, signal, sys, time
from pathlib import Path
import numpy as np, torch
from napari_liver_anomaly import checkpoint
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io.nifti import open_nifti
from napari_liver_anomaly.io import write_labels
torch.set_num_threads(1)
folder, rng = Path(sys.argv[1]), random.Random(1)
geometry = Geometry((48, 48, 24), np.diag([-1.0, -1.0, 2.0, 1.0]))
mask, weights = folder / "mask.nii.gz", folder / "model.safetensors"
noise = np.random.default_rng(0).integers(0, 60000, geometry.shape)

def write(n):
    write_labels(np.where(noise % 2, noise, n % 1000), geometry, mask)
    checkpoint.save(weights, {"a": torch.full((500_000,), float(n))}, {"number": n})

def whole():
    values = open_nifti(mask).load()
    n = {int(v) for v in geometry.to_canonical(values)[noise % 2 == 0]}
    assert len(n) == 1 and (geometry.to_canonical(values)[noise % 2 == 1] == noise[noise % 2 == 1]).all(), n
    card, tensors = checkpoint.read_card(weights), checkpoint.open_weights(weights).tensors
    assert (tensors["a"] == card["number"]).all() and tensors["a"].numel() == 500_000

write(0)
whole()
kills = during = 0
for kills in range(1, 201):
    child = os.fork()
    if child == 0:
        n = kills * 1000
        while True:
            n += 1
            write(n)
    while not any(name.startswith(".writing-") for name in os.listdir(folder)):
        time.sleep(0.001)  # until it has begun, however slow this machine is
    time.sleep(rng.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    left = [name for name in os.listdir(folder) if name.startswith(".writing-")]
    during += bool(left)
    for name in left:
        os.unlink(folder / name)
    assert sorted(os.listdir(folder)) == ["mask.nii.gz", "model.safetensors"], os.listdir(folder)
    whole()
print(kills, during)
"""


@row(43)
def killed_while_writing_is_old_or_new(kit: Kit) -> None:
    """Killed while writing a mask or weights, 200 times at random moments: the file is complete, old or new."""
    said = child(KILLED, kit.folder, timeout_s=900).split()  # half a minute, where nothing else runs
    kills, during = said
    assert int(kills) == 200
    assert int(during) > 20, "too few kills met a file half written"


PLANTED = "QZXNAME"
TEXT_TAGS = [
    "PatientName", "PatientID", "PatientBirthDate", "OtherPatientNames", "PatientAddress", "PatientComments", "StudyDescription",
    "SeriesDescription", "ProtocolName", "AccessionNumber", "StudyID", "InstitutionName", "InstitutionAddress", "ReferringPhysicianName",
    "PerformingPhysicianName", "OperatorsName", "StationName", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber",
    "ImageComments", "BodyPartExamined", "ConvolutionKernel", "SoftwareVersions", "AdmittingDiagnosesDescription", "PatientMotherBirthName",
    "RequestingPhysician", "ContrastBolusAgent", "DerivationDescription",
]  # fmt: skip


def planted(folder: Path) -> list[Path]:
    """Scans with a made-up name in every tag, header field, path and file name."""
    folder = folder / f"{PLANTED}^ERIKA"
    folder.mkdir()
    values, name = ct(40, 40, 12), PLANTED.encode()
    made = [
        nifti_file(
            folder / f"{PLANTED}.nii.gz",
            values,
            header={"descrip": name, "aux_file": name, "intent_name": name, "db_name": name},
            extra=b"",
        )
    ]
    made.append(
        nifti_file(folder / f"{PLANTED}2.nii", values, version=2, header={"descrip": name, "aux_file": name, "intent_name": name})
    )
    block = nrrd_file(folder / f"{PLANTED}.nrrd", values.tobytes(order="F"), sizes="40 40 12", content=PLANTED).read_bytes()
    (folder / f"{PLANTED}.nrrd").write_bytes(block.replace(b"# a comment\n", b"# " + name + b"\npatient:=" + name + b"\n"))
    made.append(folder / f"{PLANTED}.nrrd")
    from builders import metaimage_file

    made.append(
        metaimage_file(folder / f"{PLANTED}.mha", values.tobytes(order="F"), DimSize="40 40 12", Comment=PLANTED, Name=PLANTED)
    )
    dates = {"PatientBirthDate": "19620229", "StudyDate": "19991231", "SeriesDate": "19991231"}
    tags = {tag: PLANTED[:15] for tag in TEXT_TAGS if tag != "PatientBirthDate"} | dates
    made.append(dicom_series(folder / f"{PLANTED} series", values, tags=tags, names=[f"{PLANTED}{n}.dcm" for n in range(12)]))
    return made


def leaks(*texts: str | bytes) -> list[str]:
    """Where the planted name or one of the planted dates stands in texts."""
    found = []
    for text in texts:
        said = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
        found += [
            said[max(0, said.find(word) - 80) : said.find(word) + 40].decode("utf-8", "replace")
            for word in (PLANTED.encode(), b"19620229", b"19991231", PLANTED.lower().encode())
            if word in said
        ]
    return found


def everything_in(folder: Path) -> Iterator[bytes]:
    """All that was written below a folder, unpacked; and every name."""
    import gzip
    import zipfile

    for path in sorted(folder.rglob("*")):
        yield path.name.encode()
        if path.is_file():
            block = path.read_bytes()
            yield block
            if block[:2] == b"\x1f\x8b":
                yield gzip.decompress(block)
            if block[:2] == b"PK":
                with zipfile.ZipFile(path) as archive:
                    yield from (archive.read(name) for name in archive.namelist())


@row(58)
def nobodys_name_leaves_the_program(kit: Kit) -> None:
    """A made-up name in every tag, header, path and file name: nowhere in what is written, printed, logged or raised."""
    home, out = kit.folder / f"{PLANTED} home", kit.folder / "results"
    home.mkdir()
    out.mkdir()
    logged: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    said: list[str] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            for number, path in enumerate(planted(home)):
                use(path, out / str(number), said, kit)
            learn(home, out, said, kit)
            refuse_all(home, said, kit)
        finally:
            logging.getLogger().removeHandler(handler)
    captured = kit.output.readouterr()
    texts = [*said, *logged, *(str(one.message) for one in warned), captured.out, captured.err]
    assert not leaks(*texts), leaks(*texts)[:5]
    assert len(list(out.rglob("*"))) > 40 and len(said) > 40
    for block in everything_in(out):
        assert not leaks(block), leaks(block)[:3]


def use(path: Path, out: Path, said: list[str], kit: Kit) -> None:
    """Read, search, write and synthesise, by the library and by the command line."""
    volume = read(path)
    notes = volume.findings
    liver_mask = organ_of(volume)
    result = replace(searched(volume, liver_mask), findings=notes)
    write(result, out / "library", inputs=(path,))
    said += [str(note) for note in notes] + [repr(result.settings), str(volume.geometry), volume.identity]
    mask = write_labels(liver_mask.voxels, volume.geometry, path.parent / f"{PLANTED} liver.nii.gz")
    for recipe in ("noise-stretch",):
        assert (
            main(
                [
                    "synthesise",
                    str(path),
                    "--liver",
                    str(mask),
                    "--given-liver",
                    "accept",
                    "--recipe",
                    recipe,
                    "--out",
                    str(out / recipe),
                ]
            )
            == DONE
        )
    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: DarkRule(threshold_hu=5))
    assert (
        main(
            [
                "segment",
                str(path),
                "--liver",
                str(mask),
                "--given-liver",
                "accept",
                "--device",
                "cpu",
                "--out",
                str(out / "segment"),
            ]
        )
        == DONE
    )
    kit.patch.setattr("napari_liver_anomaly.cli.scan.ScanVerb.find_liver", lambda verb, volume, **rest: organ_of(volume))
    assert main(["liver", str(path), "--out", str(out / "liver.nii.gz")]) == DONE
    kit.patch.undo()


def learn(home: Path, out: Path, said: list[str], kit: Kit) -> None:
    """Pack, train two updates, cancel and go on, combine, evaluate: cards, states, reports."""
    from napari_liver_anomaly.checkpoint import read_card

    folder = home / f"{PLANTED} cases"
    folder.mkdir()
    affine = np.diag([-6.0, -6.0, 6.0, 1.0])
    for name in ("a", "b"):
        values = (ct(48, 48, 8) + np.random.default_rng(len(name) + ord(name)).normal(0, 9, (48, 48, 8))).astype(np.int16)
        nifti_file(folder / f"{name}_ct.nii.gz", values, affine, header={"descrip": PLANTED.encode()})
        volume = read(folder / f"{name}_ct.nii.gz")
        write_labels(organ_of(volume).voxels, volume.geometry, folder / f"{name}_liver.nii.gz")
        tumour = np.zeros(volume.geometry.shape, bool)
        tumour[3:5, 20:26, 20:26] = True
        write_labels(tumour, volume.geometry, folder / f"{name}_tumour.nii.gz")
    named = home / f"{PLANTED} named"
    named.mkdir()
    for path in folder.iterdir():
        (named / f"{PLANTED}_{path.name}").write_bytes(path.read_bytes())
    assert (
        main(["prepare", str(named), "--given-liver", "accept", "--out", str(out / "healthy.npz")]) == DONE
    )  # names are kept only where --keep-names says so
    short = [
        "--restorer-steps",
        "2",
        "--segmenter-steps",
        "2",
        "--segmenter-epochs",
        "0",
        "--batch",
        "2",
        "--crop-px",
        "32",
        "--config",
        "compact",
        "--device",
        "cpu",
        "--given-liver",
        "accept",
    ]
    for number, healthy in enumerate((named, out / "healthy.npz")):
        assert main(["train", "--healthy", str(healthy), *short, "--out", str(out / f"model{number}.safetensors")]) == DONE
    said.append(json.dumps(read_card(out / "model0.safetensors")))
    assert "scan" in read_card(out / "model0.safetensors")["data"]["scans"][0]
    assert (
        main(
            ["combine", str(out / "model0.safetensors"), str(out / "model1.safetensors"), "--out", str(out / "both.safetensors")]
        )
        == DONE
    )
    state_of(named, out)
    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: DarkRule())
    words = ["evaluate", "--data", str(folder), "--given-liver", "accept", "--device", "cpu"]
    assert main([*words, "--out", str(out / "evaluation.json")]) == DONE
    assert main(["tables", str(out / "evaluation.json"), "--out", str(out / "tables.md")]) == DONE
    kit.patch.undo()


def state_of(folder: Path, out: Path) -> None:
    """An unfinished training, as a cancelled one leaves it."""
    from napari_liver_anomaly.errors import Cancelled
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.models.two_stage import CONFIGS
    from napari_liver_anomaly.training.fit import fit_and_save
    from napari_liver_anomaly.training.training_file import pack_training_set

    preset = CONFIGS["compact"]
    preset = replace(preset, schedule=replace(preset.schedule, restorer_steps=9, batch=2, crop_px=32))
    job = Job()
    job.report = lambda progress: job.cancel() if progress.done >= 2 and "Training" in progress.phase else None
    with pytest.raises(Cancelled):
        fit_and_save(
            pack_training_set(folder, masks=MaskOptions(given_liver="accept")),
            preset,
            out / "stopped.safetensors",
            device="cpu",
            job=job,
        )
    assert [path.name for path in out.iterdir() if "unfinished" in path.name]


def refuse_all(home: Path, said: list[str], kit: Kit) -> None:
    """Refusals of every kind, with all that a crash report would quote, from the library and from the command line."""
    from napari_liver_anomaly.checkpoint import read_card
    from napari_liver_anomaly.training.training_file import pack_training_set, read_training_set

    folder = home / f"{PLANTED} broken"
    folder.mkdir()
    sound = nifti_file(folder / f"{PLANTED}.nii.gz")
    volume = read(sound)
    (folder / "empty").mkdir()
    odd = {
        "missing": folder / f"{PLANTED}-none.nii", "cut": nifti_file(folder / "cut.nii.gz", cut=300), "empty": folder / "empty",
        "no name": nifti_file(folder / "sides.nii", codes=(0, 0), header={"descrip": PLANTED.encode()}), "kind": folder / f"{PLANTED}.txt",
        "two": nifti_file(folder / "two.nii", qform=np.diag([0.7, -0.8, 2, 1])), "nrrd": folder / f"{PLANTED}.nrrd", "mha": folder / f"{PLANTED}.mha",
        "pipe": folder / f"{PLANTED}.dcm", "no text": folder / f"{PLANTED}\0.nii",
    }  # fmt: skip
    (folder / f"{PLANTED}.txt").write_text(PLANTED, encoding="utf-8")
    (folder / f"{PLANTED}.nrrd").write_bytes(b"NRRD0004\ntype: " + PLANTED.encode() + b"\n\n")
    (folder / f"{PLANTED}.mha").write_bytes(b"ObjectType = " + PLANTED.encode() + b"\n")
    os.mkfifo(folder / f"{PLANTED}.dcm")
    broken = dicom_series(folder / f"{PLANTED} dicom", tags={"PatientName": PLANTED, "PatientID": PLANTED}, drop=[4])
    odd["gap"] = broken
    (folder / "cut dicom").mkdir()
    whole = (broken / "slice00.dcm").read_bytes()
    (folder / "cut dicom" / f"{PLANTED}.dcm").write_bytes(whole[: len(whole) // 2])
    odd["cut dicom"] = folder / "cut dicom"
    for name, path in odd.items():
        for attempt in (lambda path=path: read(path), lambda path=path: read_mask(path, volume)):
            with refused((name, "read")) as caught:
                attempt()
            said.append(caught.text.replace(str(Path(__file__).parents[2]), ""))
        if "\0" not in str(path):
            assert main(["segment", str(path), "--out", str(home / "never"), "--device", "cpu"]) != DONE, name
            assert main(["liver", str(sound), "--out", str(sound)]) == REFUSED if name == "cut" else True
    tries: list[Callable[[], Any]] = [
        lambda: read_training_set(folder / f"{PLANTED}.txt"), lambda: pack_training_set(folder),
        lambda: pack_training_set(folder / f"{PLANTED} none"),
        lambda: read_card(folder / "none.safetensors"), lambda: evaluate(folder, DarkRule()),
        lambda: write(searched(volume), folder / f"{PLANTED}.txt" / "sub"),
        lambda: write_image(volume.voxels, volume.geometry, folder / f"{PLANTED}.txt" / "a.nii"),
        lambda: write_image(volume.voxels, volume.geometry, sound, [sound]),
    ]  # fmt: skip
    for number, attempt in enumerate(tries):
        with refused(("more", number)) as caught:
            attempt()
        said.append(caught.text)

    # A fault of the system or of the program itself: neither the path nor the values are quoted.
    for fault, code in ((OSError(2, "No such file or directory", str(folder / PLANTED)), REFUSED), (KeyError(PLANTED), 1)):

        def crash(*_: Any, fault: Exception = fault, **__: Any) -> None:
            raise fault

        kit.patch.setattr("napari_liver_anomaly.io.read", crash)
        assert main(["segment", str(sound), "--out", str(home / "never"), "--device", "cpu"]) == code
        kit.patch.undo()
    assert not (home / "never").exists()


@row(59)
def nothing_ever_reaches_the_network(kit: Kit) -> None:
    """Any network use: sockets raise in all tests, and a segmentation, a training and a start of the panel open none."""
    import torch

    tries: dict[str, Callable[[], Any]] = {
        "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        "datagram": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        "connection": lambda: socket.create_connection(("127.0.0.1", 80), timeout=1),
        "name": lambda: socket.getaddrinfo("example.org", 80),
        "urllib": lambda: urllib.request.urlopen("http://127.0.0.1:9/"),
        "torch.hub": lambda: torch.hub.load_state_dict_from_url("http://127.0.0.1:9/x.pt", model_dir=str(kit.folder)),
        "torch.hub by name": lambda: torch.hub.load("pytorch/vision", "resnet18", trust_repo=True, verbose=False),
    }
    for name, attempt in tries.items():
        with pytest.raises((OSError, RuntimeError)) as caught:  # our PermissionError, or what a library makes of it
            attempt()
        assert "a test tried" in "".join(traceback.format_exception(caught.value)), name
    tried: list[object] = []

    def watch(*args: object, **keywords: object) -> None:
        tried.append((args[1:], keywords))
        raise PermissionError("a test tried to reach the network")

    kit.patch.setattr(socket.socket, "__init__", watch)
    for name in ("create_connection", "create_server", "getaddrinfo", "gethostbyname"):
        kit.patch.setattr(socket, name, watch)
    scan = nifti_file(kit.folder / "scan.nii.gz", ct(40, 40, 8), np.diag([-1.5, -1.5, 3.0, 1.0]))
    volume = read(scan)
    folder = kit.folder / "cases"
    folder.mkdir()
    (folder / "a_ct.nii.gz").write_bytes(scan.read_bytes())
    liver = str(write_labels(organ_of(volume).voxels, volume.geometry, folder / "a_liver.nii.gz"))
    for words in (
        ["segment", str(scan), "--liver", liver, "--given-liver", "accept", "--device", "cpu", "--out", str(kit.folder / "out")],
        ["synthesise", str(scan), "--liver", liver, "--given-liver", "accept", "--out", str(kit.folder / "made")],
        ["prepare", str(folder), "--given-liver", "accept", "--out", str(kit.folder / "healthy.npz")],
        ["models"], ["info"],
    ):  # fmt: skip
        assert main(words) == DONE, words
    assert main(["liver", str(scan), "--device", "cpu", "--out", str(kit.folder / "liver.nii.gz")]) in (DONE, REFUSED)
    assert (kit.folder / "out" / "report.json").exists()
    assert not tried, tried
