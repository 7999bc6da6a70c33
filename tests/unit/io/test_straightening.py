"""Straightened and filled stacks: voxels in their true place, volumes in ml, and a note that says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import ball, ct, dicom_series, metaimage_file, nifti_file, nrrd_file, refusal_of
from napari_liver_anomaly.errors import ImpossibleGeometry, Refusal, UnreadableFile
from napari_liver_anomaly.io import read
from napari_liver_anomaly.io.read_options import ReadOptions

SIZED = ReadOptions(voxel_size="accept")  # these balls are smaller than any body
STRAIGHTEN, FILL = replace(SIZED, tilt="straighten"), replace(SIZED, gaps="fill")
BOTH = replace(STRAIGHTEN, gaps="fill")
AXIAL = (1, 0, 0, 0, 1, 0)
OBLIQUE = (0.9848077530, 0, -0.1736481777, 0.0593911746, 0.9396926208, 0.3368240888)
RADIUS_MM = 15.0
TRUE_ML = 4 / 3 * np.pi * RADIUS_MM**3 / 1000


def ball_series(folder, heights, tilt_deg=0.0, directions=AXIAL, pixel=(0.8, 0.7), size=(64, 64)):
    """A ball in slices at such heights along the normal; gives the folder and where its middle is, RAS."""
    row, column = np.array(directions[:3], float), np.array(directions[3:], float)
    normal = np.cross(row, column)
    heights = np.asarray(heights, float)
    points = np.array((-5.0, -7.0, 30.0)) + heights[:, None] * (normal + np.tan(np.radians(tilt_deg)) * column)
    middle = (heights[0] + heights[-1]) / 2
    at = points[np.abs(heights - middle).argmin()]
    centre = at + size[0] / 2 * pixel[1] * row + size[1] / 2 * pixel[0] * column + 0.37
    values = ball(points, directions, pixel, size, centre, RADIUS_MM)
    shift = {k: point - (-5.0, -7.0, 30.0) - k * normal for k, point in enumerate(points)}
    return dicom_series(folder, values, spacing=1.0, pixel=pixel, directions=directions, shift=shift), centre * (-1, -1, 1)


def measured(volume):
    """Volume of the ball in ml, and its centre in mm."""
    inside = volume.voxels > 50
    centre = np.argwhere(inside).mean(axis=0)
    return np.count_nonzero(inside) * volume.geometry.voxel_ml, np.array(volume.geometry.position_mm(tuple(centre)))


@pytest.mark.parametrize("directions", [AXIAL, OBLIQUE])
@pytest.mark.parametrize("tilt", [1, 2.5, 8, 15, 25])
@pytest.mark.parametrize("spacing", [1.0, 2.5])
def test_a_tilted_ball_has_its_volume_and_place(tmp_path, tilt, spacing, directions):
    folder, centre = ball_series(tmp_path / "case", np.arange(0, 50.1, spacing), tilt, directions)
    with pytest.raises(ImpossibleGeometry, match="tilted") as error:
        read(folder)
    assert [answer.flag for answer in error.value.finding.answers] == ["--tilt straighten"]
    volume = read(folder, STRAIGHTEN)
    notes = volume.findings
    ml, found = measured(volume)
    assert ml == pytest.approx(TRUE_ML, rel=0.02)
    np.testing.assert_allclose(found, centre, atol=0.15)
    (told,) = [note for note in notes if note.code == "stack-straightened"]
    assert f"tilt {tilt}°" in told.what
    assert f"now {spacing:.3g} mm apart" in told.what
    assert volume.geometry.spacing_mm == pytest.approx((spacing, 0.8, 0.7), rel=1e-6)
    axes = volume.geometry.affine[:3, :3] / np.array(volume.geometry.spacing_mm)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)


@pytest.mark.parametrize(
    "heights",
    [
        np.cumsum([0, *[2, 2.6, 1.4, 2, 3.1] * 5]),
        np.r_[0:22:1.0, 21.4:54:2.6],  # two ways of scanning in one series
        np.arange(0, 50, 2) + np.where(np.arange(25) == 12, 0.5, 0),
    ],
)
def test_uneven_slices(tmp_path, heights):
    folder, centre = ball_series(tmp_path / "case", heights)
    with pytest.raises(ImpossibleGeometry, match="unevenly spaced") as error:
        read(folder)
    assert [answer.flag for answer in error.value.finding.answers] == ["--tilt straighten"]
    volume = read(folder, STRAIGHTEN)
    notes = volume.findings
    ml, found = measured(volume)
    assert ml == pytest.approx(TRUE_ML, rel=0.02)
    np.testing.assert_allclose(found, centre, atol=0.2)
    assert "stack-straightened" in {note.code for note in notes}
    first, last = (volume.geometry.position_mm((k, 0, 0))[2] for k in (0, volume.voxels.shape[0] - 1))
    assert sorted([first, last]) == pytest.approx([30.0, 30.0 + heights[-1]])  # covers all slices


@pytest.mark.parametrize("tilt", [0, 10])
def test_missing_slices_are_filled(tmp_path, tilt):
    heights = np.delete(np.arange(0, 50.1, 1.0), [17, 30, 31])
    folder, centre = ball_series(tmp_path / "case", heights, tilt)
    with pytest.raises(ImpossibleGeometry) as error:
        read(folder, STRAIGHTEN)
    assert error.value.finding.what == "3 slices are missing: a gap of 3.0 mm after slice 29 (usual 1.0 mm)."
    assert [answer.flag for answer in error.value.finding.answers] == ["--gaps fill"]
    volume = read(folder, BOTH if tilt else FILL)
    notes = volume.findings
    ml, found = measured(volume)
    assert volume.voxels.shape[0] == 51
    assert ml == pytest.approx(TRUE_ML, rel=0.02)
    np.testing.assert_allclose(found, centre, atol=0.15)
    told = {note.code: note.what for note in notes}
    assert told["slices-filled"] == "Missing slices were filled in from their neighbours: 1 after slice 17, 2 after slice 29."
    assert ("stack-straightened" in told) == bool(tilt)


def test_slices_that_are_there_are_kept_as_they_are(tmp_path):
    volume = read(dicom_series(tmp_path / "case", drop=[4]), FILL)
    wanted = ct()
    between = np.rint((wanted[..., 3] + wanted[..., 5].astype(float)) / 2)
    found = volume.geometry.to_source(volume.voxels)
    np.testing.assert_array_equal(np.delete(found, 4, axis=2), np.delete(wanted, 4, axis=2))
    np.testing.assert_array_equal(found[..., 4], between)


def test_a_long_gap_is_not_filled(tmp_path):
    folder = dicom_series(tmp_path / "case", ct(slices=30), drop=range(8, 20))
    with pytest.raises(ImpossibleGeometry, match="12 slices are missing") as error:
        read(folder, BOTH)
    assert error.value.finding.answers == ()


def test_nothing_is_made_up_outside(tmp_path):
    values = np.full((16, 16, 11), 40, np.int16)
    values[:8] = -1000
    volume = read(dicom_series(tmp_path / "case", values, tilt_deg=20), STRAIGHTEN)
    assert set(np.unique(volume.voxels)) == {-1024, -1000, 40}


def test_padding_is_air_before_anything_is_mixed(tmp_path):
    values = np.full((16, 16, 11), 40, np.int16)
    values[:8] = -1000
    values[:2] = -3024
    values[:, :, 3] = -3024
    volume = read(dicom_series(tmp_path / "case", values, tilt_deg=20, signed=True, shift={5: (0, 0, 0.4)}), STRAIGHTEN)
    assert volume.voxels.min() == -1024


def test_a_straight_stack_is_left_alone(tmp_path):
    folder = dicom_series(tmp_path / "case")
    volume = read(folder, BOTH)
    notes = volume.findings
    assert notes == ()
    np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), ct())


@pytest.mark.parametrize("far", [1e5, 1e9])
def test_an_absurd_stack_is_refused_and_not_made(tmp_path, far):
    for shift in ({10: (far, 0, 0)}, {10: (0, 0, far)}, {10: (0, far, far)}):
        with pytest.raises(Refusal):
            read(dicom_series(tmp_path / "case", shift=shift), BOTH)


SHEARS = {"along z": (0, 2), "z to y": (1, 2), "x to y": (1, 0), "y to z": (2, 1), "x to z": (2, 0)}


@pytest.mark.parametrize("shear", SHEARS)
def test_sheared_files_of_every_kind(tmp_path, shear):
    steps = np.diag([0.7, 0.8, 1.5])
    row, column = SHEARS[shear]
    steps[row, column] = np.tan(np.radians(15)) * steps[column, column]
    size, origin = (48, 44, 30), np.array([3.0, 4.0, 5.0])
    index = np.indices(size).reshape(3, -1)
    centre = origin + steps @ (np.array(size) / 2)
    away = np.linalg.norm(origin[:, None] + steps @ index - centre[:, None], axis=0).reshape(size)
    values = np.rint(100 * np.clip(11 - away + 0.5, 0, 1)).astype(np.int16)
    values[:3] = values[-3:] = -1000
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = steps, origin
    nifti = nifti_file(tmp_path / "a.nii", values, affine, codes=(1, 0))
    lengths = np.sqrt((steps**2).sum(axis=0))
    columns = " ".join("(" + ",".join(f"{v:.12g}" for v in steps[:, k]) + ")" for k in range(3))
    told = {"type": "int16", "sizes": "48 44 30", "space_directions": columns, "space_origin": "(3,4,5)"}
    nrrd = nrrd_file(tmp_path / "a.nrrd", values.tobytes(order="F"), space="right-anterior-superior", **told)
    flip = np.diag([-1.0, -1.0, 1.0])
    meta = metaimage_file(
        tmp_path / "a.mha", values.tobytes(order="F"), DimSize="48 44 30", Offset="-3 -4 5",
        TransformMatrix=" ".join(f"{v:.12g}" for v in (flip @ steps / lengths).T.ravel()),
        ElementSpacing=" ".join(f"{v:.12g}" for v in lengths),
    )  # fmt: skip
    for path in (nifti, nrrd, meta):
        if path is nifti:  # its voxel sizes are those of the axes
            path = nifti_file(
                path, values, affine, codes=(1, 0), header={"pixdim": np.array([1, *lengths, 1, 1, 1, 1], np.float32)}
            )
        with pytest.raises(Refusal) as error:
            read(path)
        assert error.value.finding.code == "geometry-sheared", path
        assert [answer.flag for answer in error.value.finding.answers] == ["--tilt straighten"]
        volume = read(path, STRAIGHTEN)
        notes = volume.findings
        inside = volume.voxels > 50
        assert np.count_nonzero(inside) * volume.geometry.voxel_ml == pytest.approx(4 / 3 * np.pi * 11**3 / 1000, rel=0.02), path
        found = volume.geometry.position_mm(tuple(np.argwhere(inside).mean(axis=0)))
        np.testing.assert_allclose(found, centre, atol=0.15)
        assert "stack-straightened" in {note.code for note in notes}


def test_axes_of_which_no_two_are_at_right_angles_stay_refused(tmp_path):
    steps = np.array([[0.7, 0.2, 0.4], [0, 0.8, 0.4], [0, 0, 1.5]])
    affine = np.eye(4)
    affine[:3, :3] = steps
    sizes = np.sqrt((steps**2).sum(axis=0))
    path = nifti_file(
        tmp_path / "a.nii", affine=affine, codes=(1, 0), header={"pixdim": np.array([1, *sizes, 1, 1, 1, 1], np.float32)}
    )
    with pytest.raises(ImpossibleGeometry, match="away from right angles"):
        read(path, STRAIGHTEN)


def test_a_stack_too_large_to_straighten(tmp_path, monkeypatch):
    from napari_liver_anomaly.io import straightening

    def refuse(*_):
        raise refusal_of(UnreadableFile, "scan-too-large", "a.", "b.", "c.")

    monkeypatch.setattr(straightening, "voxel_bytes", refuse)
    with pytest.raises(UnreadableFile):
        read(dicom_series(tmp_path / "case", tilt_deg=20), STRAIGHTEN)
