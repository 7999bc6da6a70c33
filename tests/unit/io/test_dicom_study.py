"""The sample as a DICOM series is the same scan at the same place, and names nobody."""

from __future__ import annotations

import numpy as np
import pydicom

from napari_liver_anomaly.cli import main
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.dicom_study import write_study
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom


def test_the_series_is_the_scan_at_its_place(tmp_path):
    sample = make_phantom(PhantomSettings(slices=12, size_px=64))
    paths = write_study(sample.volume, tmp_path / "dicom")
    assert len(paths) == 12
    volume = read(tmp_path / "dicom")
    assert np.array_equal(volume.voxels, sample.volume.voxels)
    assert np.allclose(volume.geometry.affine, sample.volume.geometry.affine, atol=1e-3)
    assert not volume.findings and len(volume.images) == 12
    for element in pydicom.dcmread(paths[0]):
        if element.VR in ("PN", "DA", "TM", "LO") and "Patient" in element.keyword:
            assert not element.value, element.keyword


def test_the_verb_writes_it_beside_the_masks_that_fit_it(tmp_path, capsys):
    assert main(["phantom", "--out", str(tmp_path), "--dicom", "--slices", "12", "--size-px", "64"]) == 0
    assert "Wrote 12 files to the folder dicom." in capsys.readouterr().out
    volume = read(tmp_path / "dicom")
    assert read_mask(tmp_path / "phantom_liver.nii.gz", volume).voxels.any()
