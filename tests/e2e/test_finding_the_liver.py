"""From a scan alone to results: the liver is found where none is given, and the report says so."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from napari_liver_anomaly.cli import main
from napari_liver_anomaly.metrics import dice
from napari_liver_anomaly.models.rules import DarkRule


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    assert main(["phantom", "--out", str(folder), "--tumours", "--slices", "32", "--size-px", "128"]) == 0
    return folder


def load(path):
    return np.asanyarray(nibabel.load(path).dataobj) > 0


def test_the_liver_is_written(sample, tmp_path, capsys) -> None:
    out = tmp_path / "liver.nii.gz"
    assert main(["liver", f"{sample}/phantom_ct.nii.gz", "--device", "cpu", "--out", str(out)]) == 0
    assert dice(load(out), load(sample / "phantom_liver.nii.gz")) > 0.85
    assert "ml of liver" in capsys.readouterr().out


def test_segment_without_a_liver_and_with_one(sample, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_liver_anomaly.models.load", lambda name: DarkRule())
    words = ["segment", f"{sample}/phantom_ct.nii.gz", "--device", "cpu", "--out"]
    assert main([*words, str(tmp_path / "found")]) == 0
    assert main([*words, str(tmp_path / "given"), "--liver", f"{sample}/phantom_liver.nii.gz"]) == 0
    for where in ("found", "given"):
        assert json.loads((tmp_path / where / "report.json").read_text())["liver_from"] == where
    assert dice(load(tmp_path / "found/liver.nii.gz"), load(sample / "phantom_liver.nii.gz")) > 0.85


def test_synthesise_without_a_liver(sample, tmp_path) -> None:
    assert main(["synthesise", f"{sample}/phantom_ct.nii.gz", "--seed", "7", "--out", str(tmp_path / "out")]) == 0
    assert load(tmp_path / "out/anomalies.nii.gz").any()


def test_a_scan_without_a_liver_is_refused_and_nothing_is_written(sample, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("napari_liver_anomaly.models.load", lambda name: DarkRule())
    real = nibabel.load(sample / "phantom_ct.nii.gz")
    shuffled = np.random.default_rng(0).permutation(np.asanyarray(real.dataobj).ravel()).reshape(real.shape)
    image = nibabel.Nifti1Image(shuffled, real.affine, real.header)
    nibabel.save(image, tmp_path / "scan.nii.gz")
    words = [
        "segment",
        str(tmp_path / "scan.nii.gz"),
        "--device",
        "cpu",
        "--voxel-size",
        "accept",
    ]  # noise has no width of a body
    assert main([*words, "--out", str(tmp_path / "out")]) == 3
    assert "No liver was found" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_finder_that_is_not_installed_is_refused(sample, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("napari_liver_anomaly.liver.totalsegmentator.find_spec", lambda name: None)
    words = ["liver", f"{sample}/phantom_ct.nii.gz", "--find-with", "totalsegmentator", "--out", str(tmp_path / "liver.nii.gz")]
    assert main(words) == 3
    assert "pip install" in capsys.readouterr().err
