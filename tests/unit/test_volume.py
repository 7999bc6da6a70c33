"""Volumes, masks and grids: 48 orientations, straight and oblique, against nibabel."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_liver_anomaly.errors import ImpossibleGeometry, WrongGrid
from napari_liver_anomaly.geometry import CANONICAL, Geometry
from napari_liver_anomaly.volume import Mask, Volume

SHAPE = (5, 4, 3)
SPACING = np.array([0.7, 0.8, 2.5])
ORIENTATIONS = [
    "".join(pair[sign] for pair, sign in zip(axes, signs, strict=True))
    for axes in permutations(("LR", "PA", "IS"))
    for signs in product((0, 1), repeat=3)
]


def turned(x: float, y: float, z: float) -> np.ndarray:
    """A rotation by three angles in degrees."""
    a, b, c = np.deg2rad([x, y, z])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def affine_of(codes: str, angles: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """Affine of a scan whose axes grow towards ``codes``, turned by ``angles``."""
    straight = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(tuple(codes)), SHAPE)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = turned(*angles) @ np.linalg.inv(straight) @ np.diag(SPACING)
    affine[:3, 3] = (-120.5, 33.25, 801.0)
    return affine


def numbered(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def test_there_are_48_orientations() -> None:
    assert len(set(ORIENTATIONS)) == 48
    assert all(nib.aff2axcodes(affine_of(codes)) == tuple(codes) for codes in ORIENTATIONS)


@pytest.mark.parametrize("angles", [(0, 0, 0), (12, -7, 20), (-31, 5, -3)])
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_canonical_order_is_nibabels_and_comes_back_exactly(codes: str, angles: tuple[float, float, float]) -> None:
    source = numbered()
    geometry = Geometry(SHAPE, affine_of(codes, angles))
    image = nib.Nifti1Image(source, geometry.source_affine)
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(CANONICAL))
    expected = image.as_reoriented(turn)

    canonical = geometry.to_canonical(source)
    np.testing.assert_array_equal(canonical, expected.get_fdata().astype(np.int16))
    np.testing.assert_allclose(geometry.affine, expected.affine, atol=1e-9)
    assert geometry.shape == canonical.shape
    assert nib.aff2axcodes(geometry.affine) == CANONICAL
    np.testing.assert_allclose(geometry.spacing_mm, expected.header.get_zooms(), rtol=1e-5)

    back = geometry.to_source(canonical)
    np.testing.assert_array_equal(back, source)
    assert back.dtype == source.dtype
    assert canonical.flags.c_contiguous
    assert back.flags.c_contiguous


@pytest.mark.parametrize("angles", [(0, 0, 0), (12, -7, 20)])
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_a_marker_keeps_its_place_in_the_patient(codes: str, angles: tuple[float, float, float]) -> None:
    geometry = Geometry(SHAPE, affine_of(codes, angles))
    source = np.zeros(SHAPE, np.int16)
    source[3, 1, 2] = 1
    (found,) = np.argwhere(geometry.to_canonical(source))
    expected = geometry.source_affine @ (3, 1, 2, 1)
    np.testing.assert_allclose(geometry.position_mm(tuple(found)), expected[:3], atol=1e-9)


def test_canonical_indices_grow_to_the_feet_the_back_and_the_left() -> None:
    geometry = Geometry(SHAPE, affine_of("RAS"))
    x, y, z = geometry.position_mm((0, 0, 0))
    assert geometry.position_mm((1, 0, 0)) == pytest.approx((x, y, z - 2.5))
    assert geometry.position_mm((0, 1, 0)) == pytest.approx((x, y - 0.8, z))
    assert geometry.position_mm((0, 0, 1)) == pytest.approx((x - 0.7, y, z))


@pytest.mark.parametrize("angles", [(0, 0, 0), (12, -7, 20), (44, 44, 44)])
def test_the_volume_of_a_voxel_does_not_depend_on_its_turn(angles: tuple[float, float, float]) -> None:
    geometry = Geometry(SHAPE, affine_of("LPS", angles))
    assert geometry.voxel_ml == pytest.approx(0.7 * 0.8 * 2.5 / 1000)
    assert sorted(geometry.spacing_mm) == pytest.approx(sorted(SPACING))


def test_the_volume_of_a_sheared_voxel_is_its_determinant() -> None:
    """A tilted gantry shears the grid: the product of the spacings would be too large."""
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[1, 2] = 1.0
    geometry = Geometry(SHAPE, affine)
    assert geometry.voxel_ml == pytest.approx(0.002)
    assert np.prod(geometry.spacing_mm) > 2.2


@given(st.integers(0, 47), st.tuples(*[st.floats(-40, 40)] * 3), st.tuples(*[st.integers(1, 4)] * 3))
def test_there_and_back_for_any_turn_and_shape(
    which: int, angles: tuple[float, float, float], shape: tuple[int, int, int]
) -> None:
    geometry = Geometry(shape, affine_of(ORIENTATIONS[which], angles))
    source = numbered(shape)
    np.testing.assert_array_equal(geometry.to_source(geometry.to_canonical(source)), source)


@pytest.mark.parametrize(
    "affine", [np.zeros((4, 4)), np.eye(3), np.diag([1, 1, 0, 1]), np.full((4, 4), np.nan), np.diag([1, np.inf, 1, 1])]
)
def test_a_meaningless_matrix_is_refused(affine: np.ndarray) -> None:
    with pytest.raises(ImpossibleGeometry):
        Geometry(SHAPE, affine)


def test_an_array_of_another_shape_is_refused() -> None:
    geometry = Geometry(SHAPE, affine_of("RAS"))
    with pytest.raises(WrongGrid, match="3 × 4 × 5 and 5 × 4 × 3 voxels"):
        geometry.to_canonical(numbered((3, 4, 5)))
    with pytest.raises(WrongGrid, match="5 × 4 × 3 and 3 × 4 × 5 voxels"):
        geometry.to_source(numbered(SHAPE))
    with pytest.raises(WrongGrid):
        Volume(numbered(SHAPE), geometry)
    with pytest.raises(WrongGrid):
        Mask(numbered(SHAPE) > 0, geometry)


def test_the_callers_matrix_is_not_shared() -> None:
    affine = affine_of("RAS")
    geometry = Geometry(SHAPE, affine)
    affine[0, 3] += 50
    assert geometry.source_affine[0, 3] == -120.5
    with pytest.raises(ValueError, match="read-only"):
        geometry.source_affine[0, 3] = 0


def scan(codes: str = "RAS", shift_mm: float = 0.0) -> Volume:
    affine = affine_of(codes)
    affine[0, 3] += shift_mm
    geometry = Geometry(SHAPE, affine)
    return Volume(numbered(geometry.shape), geometry)


def test_the_same_place_may_be_stored_in_any_axis_order() -> None:
    """A mask saved RAS belongs to a scan saved LPS when every voxel lies at the same place."""
    image = nib.Nifti1Image(numbered(), affine_of("RAS"))
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(("L", "P", "S")))
    other = image.as_reoriented(turn)
    one, two = Geometry(image.shape, image.affine), Geometry(other.shape, other.affine)
    assert one.same_grid(two)
    assert Mask(two.to_canonical(np.asarray(other.dataobj) > 5), two).of(Volume(one.to_canonical(numbered()), one))


@pytest.mark.parametrize("change", ["shift", "spacing", "shape", "turn"])
def test_a_mask_on_another_grid_is_refused_by_name(change: str) -> None:
    volume = scan()
    affine, shape = affine_of("RAS"), SHAPE
    if change == "shift":
        affine[2, 3] += 0.02
    elif change == "spacing":
        affine[:3, 0] *= 1.01
    elif change == "shape":
        shape = (5, 4, 4)
    else:
        affine = affine_of("RAS", (0.5, 0, 0))
    geometry = Geometry(shape, affine)
    mask = Mask(np.ones(geometry.shape, bool), geometry)
    with pytest.raises(WrongGrid) as refused:
        mask.of(volume, "liver mask")
    assert "liver mask" in refused.value.finding.what
    told = geometry.told_beside(volume.geometry)
    assert told[0] != told[1] and all(words in refused.value.finding.what for words in told)


def test_less_than_a_hundredth_of_a_millimetre_is_the_same_grid() -> None:
    assert scan().geometry.same_grid(scan(shift_mm=0.005).geometry)
    assert not scan().geometry.same_grid(scan(shift_mm=0.02).geometry)


def test_a_mask_of_another_scan_is_refused() -> None:
    volume = scan()
    other = Volume(volume.voxels + np.int16(1), volume.geometry)
    mask = Mask(volume.voxels > 5, volume.geometry).of(volume)
    assert mask.scan == volume.identity
    assert mask.of(volume).scan == volume.identity
    with pytest.raises(WrongGrid) as refused:
        mask.of(other)
    assert refused.value.finding.code == "mask-scan"


def test_only_the_agreed_kinds_of_numbers() -> None:
    volume = scan()
    with pytest.raises(TypeError, match="int16"):
        Volume(volume.voxels.astype(np.float32), volume.geometry)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="bool"):
        Mask(volume.voxels, volume.geometry)  # type: ignore[arg-type]


def test_the_volume_of_a_mask() -> None:
    volume = scan()
    mask = np.zeros(volume.geometry.shape, bool)
    mask[0, :2, :3] = True
    assert Mask(mask, volume.geometry).ml == pytest.approx(6 * 0.7 * 0.8 * 2.5 / 1000)


@pytest.mark.parametrize("index", [(0, 0, 0), (2, 3, 4), (1, 2, 0)])
def test_identity_changes_with_any_voxel(index: tuple[int, int, int]) -> None:
    volume = scan()
    voxels = volume.voxels.copy()
    voxels[index] += 1
    assert Volume(voxels, volume.geometry).identity != volume.identity


def test_identity_changes_with_the_place_and_with_nothing_else() -> None:
    volume = scan()
    assert scan(shift_mm=0.01).identity != volume.identity
    assert Volume(volume.voxels.copy(), volume.geometry, name="another name").identity == volume.identity
    assert Volume(np.asfortranarray(volume.voxels), volume.geometry).identity == volume.identity
    assert len(volume.identity) == 16


def test_identity_does_not_depend_on_how_the_file_ordered_its_axes() -> None:
    image = nib.Nifti1Image(numbered(), affine_of("RAS"))
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(("P", "S", "L")))
    other = image.as_reoriented(turn)
    one, two = Geometry(image.shape, image.affine), Geometry(other.shape, other.affine)
    first = Volume(one.to_canonical(numbered()), one)
    second = Volume(two.to_canonical(np.asarray(other.dataobj)), two)
    assert first.identity == second.identity
