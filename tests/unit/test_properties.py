"""What holds for any scan: written and read again it is the same, prepared and brought back it lies where it lay, damaged it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel
import numpy as np
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import nifti_file
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io import read, read_mask, write_image, write_labels
from napari_liver_anomaly.preprocessing import PreprocessSettings
from napari_liver_anomaly.preprocessing.frame import frame_of

if TYPE_CHECKING:
    from pathlib import Path

MODEST = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = ("uint8", "uint16", "int16", "int32", "float32")


@st.composite
def grids(draw: st.DrawFn, smallest: int = 1) -> Geometry:
    """A grid of any shape from 1 to 9, any order and direction of axes, turned by any angle."""
    shape = draw(st.tuples(*[st.integers(smallest, 9)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.3, 6)] * 3))
    order, signs = draw(st.permutations(range(3))), draw(st.tuples(*[st.sampled_from((1, -1))] * 3))
    x, y, z = np.deg2rad(draw(st.tuples(*[st.sampled_from((0, 0, 7, -33, 44))] * 3)))
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_y @ about_z @ (np.eye(3)[:, list(order)] * np.array(signs) * spacing)
    affine[:3, 3] = draw(st.tuples(*[st.floats(-900, 900)] * 3))
    return Geometry(shape, affine)


@MODEST
@given(
    grid=grids(),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(("plain.nii", "packed.nii.gz")),
)
def test_what_is_written_is_read_by_others(tmp_path: Path, grid: Geometry, kind: str, seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    low, high = (-1e4, 1e4) if kind == "float32" else (np.iinfo(kind).min, np.iinfo(kind).max)
    array = rng.uniform(low, high, grid.shape).astype(kind)
    path = write_image(array, grid, tmp_path / name)  # with a.nii and a.nii.gz side by side, ITK takes the wrong one
    image, other = nibabel.load(path), SimpleITK.ReadImage(str(path))
    assert np.array_equal(np.asanyarray(image.dataobj), grid.to_source(array))
    assert np.array_equal(SimpleITK.GetArrayFromImage(other).T.reshape(grid.source_shape), grid.to_source(array))
    assert np.allclose(image.affine, grid.source_affine, atol=1e-3)
    last = [n - 1 for n in grid.source_shape]
    if other.GetDimension() < 3:
        return  # a single slice is flat for SimpleITK, and has no place
    there = np.array(other.TransformIndexToPhysicalPoint(last)) * (-1, -1, 1)
    assert np.allclose(there, (grid.source_affine @ (*last, 1))[:3], atol=0.01)


@MODEST
@given(grid=grids(smallest=2), seed=st.integers(0, 2**32 - 1), version=st.sampled_from((1, 2)), order=st.sampled_from("<>"))
def test_read_after_write_is_the_same_scan(tmp_path: Path, grid: Geometry, seed: int, version: int, order: str) -> None:
    hu = np.random.default_rng(seed).integers(-900, 300, grid.source_shape).astype(np.int16)
    hu.flat[:2] = (-1000, 40)  # never a single value
    hu.flat[2:6] = (-80, 20, 60, 90)
    first = read(nifti_file(tmp_path / "scan.nii", hu, grid.source_affine, version=version, order=order))
    again = read(write_image(first.voxels, first.geometry, tmp_path / "again.nii.gz"))
    assert np.array_equal(again.voxels, first.voxels) and np.array_equal(first.geometry.to_source(first.voxels), hu)
    assert again.geometry.same_grid(first.geometry)
    labels = (first.voxels > 0) * np.random.default_rng(seed).integers(1, 70000, first.voxels.shape)
    mask = read_mask(write_labels(labels, first.geometry, tmp_path / "mask.nii"), first, labels="all")
    assert np.array_equal(mask.voxels, labels > 0) and mask.scan == first.identity


@MODEST
@given(
    shape=st.tuples(*[st.integers(4, 24)] * 3), spacing=st.tuples(*[st.floats(0.5, 5)] * 3), seed=st.integers(0, 2**32 - 1),
    geometry=st.sampled_from(("liver", "field")), plane_mm=st.sampled_from((0.0, 3.0)), neighbours=st.integers(0, 2),
)  # fmt: skip
def test_prepared_slices_come_back_to_the_scans_grid(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], seed: int, geometry: str, plane_mm: float, neighbours: int
) -> None:
    if geometry == "field":  # made square with background, which a liver at the very edge would be mixed with
        shape = (shape[0], shape[1], shape[1])
    rng = np.random.default_rng(seed)
    low = np.array([rng.integers(0, n - 1) for n in shape])
    high = np.array([rng.integers(a + 1, n) for a, n in zip(low, shape, strict=True)])
    liver_mask = np.zeros(shape, bool)
    liver_mask[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = True
    made = PreprocessSettings(
        geometry=geometry, size_px=64, plane_mm=plane_mm if geometry == "liver" else 0.0, neighbours=neighbours
    )
    frame = frame_of(liver_mask, spacing, made)
    slices = frame.to_network(np.full(shape, 70, np.int16), (0, 100))
    back = frame.to_scan(slices)
    assert back.shape == shape and np.allclose(back[liver_mask], 70, atol=1e-3), "a constant liver stays what it is"
    ramp = np.broadcast_to(np.arange(shape[0], dtype=np.int16)[:, None, None] * 10, shape)
    if frame.depth == len(frame.planes):  # the scan's own planes: none may move
        assert np.allclose(frame.to_scan(frame.to_network(ramp, (0, 1000)))[liver_mask], ramp[liver_mask], atol=1e-2)
    assert not back[~np.isin(np.arange(shape[0]), frame.planes)].any(), "other planes stay empty"
    ends = [sorted(rng.integers(0, n + 1, 2)) for n in shape]
    part = tuple(slice(int(first), int(last)) for first, last in ends)
    assert np.array_equal(frame.to_scan(slices, part), back[part]), "a part is the part of the whole"


@MODEST
@given(place=st.integers(0), value=st.integers(1, 255), seed=st.integers(0, 99))
def test_any_flipped_byte_of_a_packed_scan_or_mask_is_equal_or_refused(tmp_path: Path, place: int, value: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hu = rng.integers(-1000, 300, (7, 6, 5)).astype(np.int16)
    scan, mask = nifti_file(tmp_path / "scan.nii.gz", hu), nifti_file(tmp_path / "mask.nii.gz", (hu > 0).astype(np.uint8))
    volume = read(scan)
    sound = read_mask(mask, volume)
    attempts = {
        scan: lambda: np.array_equal(read(scan).voxels, volume.voxels),
        mask: lambda: np.array_equal(read_mask(mask, volume).voxels, sound.voxels),
    }
    for path, same in attempts.items():
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[place % len(whole)] ^= value
        path.write_bytes(flipped)
        try:
            assert same(), (path.name, place % len(whole))
        except Refusal:
            pass
        path.write_bytes(whole)
