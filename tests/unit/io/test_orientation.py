"""A marked voxel stays where it is in the patient, whatever the axes of the file; SimpleITK is the second witness."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk

from builders import ct, dicom_series, nifti_file
from napari_liver_anomaly.io import read

MARK = (3, 11, 7)
TURNS = [np.diag(signs) @ np.eye(3)[list(order)] for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def oblique(degrees: float) -> np.ndarray:
    """Turn about an axis that is none of the body's."""
    axis = np.array([1, 2, -3]) / np.sqrt(14)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def marked() -> np.ndarray:
    values = ct()
    values[MARK] = 777
    return values


def witness(volume, image) -> None:
    """Voxels agree on the source's own grid, and the mark lies at the same place for SimpleITK."""
    theirs = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
    ours = volume.geometry.to_source(volume.voxels)
    np.testing.assert_array_equal(ours, theirs)
    assert tuple(np.argwhere(ours == 777)[0]) == MARK
    (index,) = np.argwhere(volume.voxels == 777)
    x, y, z = image.TransformIndexToPhysicalPoint(MARK)
    np.testing.assert_allclose(volume.geometry.position_mm(tuple(index)), (-x, -y, z), atol=0.01)


def canonical(volume) -> None:
    """Indices grow to the feet, the back and the left."""
    towards = volume.geometry.affine[:3, :3]
    assert (-towards[2, 0], -towards[1, 1], -towards[0, 2]) > (0, 0, 0)
    assert [int(np.abs(towards[:, axis]).argmax()) for axis in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("degrees", [0, 7, 25])
def test_nifti(tmp_path, degrees):
    for turn in TURNS:
        affine = np.eye(4)
        affine[:3, :3] = oblique(degrees) @ turn @ np.diag([0.7, 0.8, 2.0])
        affine[:3, 3] = (-120.5, 33.25, 1234.5)
        path = nifti_file(tmp_path / "a.nii", marked(), affine=affine)
        volume = read(path)
        notes = volume.findings
        assert notes == ()
        canonical(volume)
        witness(volume, sitk.ReadImage(str(path)))


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
@pytest.mark.parametrize("degrees", [0, 25])
def test_nrrd_and_metaimage(tmp_path, name, degrees):
    for turn in TURNS:
        image = sitk.GetImageFromArray(marked().transpose(2, 1, 0))
        image.SetSpacing((0.7, 0.8, 2.0))
        image.SetOrigin((-120.5, 33.25, 1234.5))
        image.SetDirection((oblique(degrees) @ turn).ravel().tolist())
        sitk.WriteImage(image, str(tmp_path / name), useCompression=True)
        volume = read(tmp_path / name)
        notes = volume.findings
        assert notes == ()
        canonical(volume)
        witness(volume, image)


@pytest.mark.parametrize("turn", [np.eye(3), oblique(12), oblique(25)[:, [1, 2, 0]], -oblique(7)[:, [0, 2, 1]]])
def test_dicom(tmp_path, turn):
    directions = [*turn[:, 0], *turn[:, 1]]
    folder = dicom_series(tmp_path / "case", marked(), directions=directions, names=[f"{(7 * k) % 11:02}" for k in range(11)])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    volume = read(folder)
    notes = volume.findings
    assert notes == ()
    canonical(volume)
    witness(volume, reader.Execute())
