"""Files that belong together."""

from __future__ import annotations

import pytest

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io.cases import find_cases


def test_cases_are_found_by_name(tmp_path):
    for name in (
        "b_ct.nii.gz",
        "b_liver.nii.gz",
        "b_tumor.nii.gz",
        "a_ct.nrrd",
        "a_liver.mha",
        "c_ct.nii",
        "x_liver.nii.gz",
        "d_ct.txt",
    ):
        (tmp_path / name).touch()
    first, second = find_cases(tmp_path)
    assert (first.name, first.liver.name, first.tumours) == ("a", "a_liver.mha", None)
    assert (second.name, second.ct.name, second.tumours.name) == ("b", "b_ct.nii.gz", "b_tumor.nii.gz")


def test_a_folder_without_cases_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Refusal, match="No scan with a liver mask"):
            find_cases(folder)


def test_masks_may_be_segmentations_of_slicer_and_dicom(tmp_path):
    for name in ("a_ct.nii.gz", "a_liver.seg.nrrd", "a_tumour.dcm", "b_ct.nii.gz", "b_liver.dcm"):
        (tmp_path / name).touch()
    first, second = find_cases(tmp_path)
    assert (first.liver.name, first.tumours.name, second.liver.name) == ("a_liver.seg.nrrd", "a_tumour.dcm", "b_liver.dcm")
