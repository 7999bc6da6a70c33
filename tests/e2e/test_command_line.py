"""The whole way on the command line: the built-in sample, a real scan, refusals, and a model trained from nothing."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import nibabel
import numpy as np
import pytest
import SimpleITK

from napari_liver_anomaly.cli import main
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = ("restored", "residual", "score", "tumours", "lesions", "liver")
FILES = {*(f"{name}.nii.gz" for name in IMAGES), "lesions.csv", "report.json"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert main(["phantom", "--out", str(folder), "--tumours", "--slices", "24", "--size-px", "160"]) == 0
    return folder


@pytest.fixture(scope="module")
def segmented(sample, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out")
    words = [
        "segment",
        f"{sample}/phantom_ct.nii.gz",
        "--liver",
        f"{sample}/phantom_liver.nii.gz",
        "--out",
        str(out),
        "--device",
        "cpu",
    ]
    assert main(words) == 0
    return out


def check_outputs(out: Path, scan: Path) -> dict:
    """Every file is there, and nibabel and SimpleITK read each image on the scan's own grid."""
    assert {path.name for path in out.iterdir()} == FILES
    truth, witness = nibabel.load(scan), SimpleITK.ReadImage(str(scan))
    images = {name: nibabel.load(out / f"{name}.nii.gz") for name in IMAGES}
    for name, image in images.items():
        assert image.shape == truth.shape
        np.testing.assert_allclose(image.affine, truth.affine, atol=1e-4)
        other = SimpleITK.ReadImage(str(out / f"{name}.nii.gz"))
        assert other.GetSize() == witness.GetSize()
        np.testing.assert_allclose(other.GetOrigin(), witness.GetOrigin(), atol=1e-3)
        np.testing.assert_allclose(other.GetSpacing(), witness.GetSpacing(), atol=1e-5)
        np.testing.assert_allclose(other.GetDirection(), witness.GetDirection(), atol=1e-5)
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(other).T, np.asanyarray(image.dataobj))
    values = {name: np.asanyarray(image.dataobj) for name, image in images.items()}
    assert 0 <= values["score"].min() <= values["score"].max() <= 1
    assert set(np.unique(values["tumours"])) <= {0, 1}
    assert set(np.unique(values["liver"])) == {0, 1}
    assert not values["tumours"][values["liver"] == 0].any()
    np.testing.assert_array_equal(values["restored"] + values["residual"], np.asanyarray(truth.dataobj).astype(int))
    report = json.loads((out / "report.json").read_text())
    assert report["notice"] == NOT_A_MEDICAL_DEVICE
    rows = list(csv.DictReader((out / "lesions.csv").read_text().splitlines()))
    assert len(rows) == report["number_of_lesions"]
    voxel_ml = abs(np.linalg.det(truth.affine[:3, :3])) / 1000
    assert report["tumour_ml"] == pytest.approx(values["tumours"].sum() * voxel_ml, abs=0.01)
    assert report["liver_ml"] == pytest.approx(values["liver"].sum() * voxel_ml, abs=0.1)
    return report


def test_segment_the_sample(sample, segmented):
    report = check_outputs(segmented, sample / "phantom_ct.nii.gz")
    assert report["model"] == "standard"
    assert len(report["model_hash"]) == 64
    assert report["timings_s"]["total"] > 0


def test_tumours_of_the_sample_are_found_better_than_by_chance(sample, segmented):
    """The phantom's tumours are of another family than any training synthesis."""
    from sklearn.metrics import roc_auc_score

    load = lambda path: np.asanyarray(nibabel.load(path).dataobj)  # noqa: E731
    inside = load(sample / "phantom_liver.nii.gz") > 0
    truth = load(sample / "phantom_tumour.nii.gz")[inside] > 0
    assert roc_auc_score(truth, load(segmented / "score.nii.gz")[inside]) > 0.75


def test_the_same_input_gives_the_same_bytes(sample, segmented, tmp_path):
    main(
        [
            "segment",
            f"{sample}/phantom_ct.nii.gz",
            "--liver",
            f"{sample}/phantom_liver.nii.gz",
            "--out",
            str(tmp_path),
            "--device",
            "cpu",
        ]
    )
    for name in IMAGES:
        assert (tmp_path / f"{name}.nii.gz").read_bytes() == (segmented / f"{name}.nii.gz").read_bytes()


def test_a_higher_threshold_finds_no_more(sample, segmented, tmp_path):
    words = ["segment", f"{sample}/phantom_ct.nii.gz", "--liver", f"{sample}/phantom_liver.nii.gz", "--out", str(tmp_path)]
    assert main([*words, "--threshold", "0.9"]) == 0
    ml = [json.loads((folder / "report.json").read_text())["tumour_ml"] for folder in (segmented, tmp_path)]
    assert ml[1] < ml[0]


def refuse(words: list[str], capsys, out: Path) -> str:
    """Run, and hold that it was refused in one line on stderr, with nothing written."""
    assert main(words) == 3
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1, said
    assert said.startswith("liver-anomaly: ")
    assert not out.exists()
    return said


@pytest.mark.parametrize("fault", ["cut", "missing", "other grid", "empty liver", "text", "model", "no liver file"])
def test_refusals(sample, tmp_path, capsys, fault):
    scan, liver, out, model = sample / "phantom_ct.nii.gz", sample / "phantom_liver.nii.gz", tmp_path / "out", "standard"
    if fault == "cut":
        scan = tmp_path / "cut.nii.gz"
        scan.write_bytes((sample / "phantom_ct.nii.gz").read_bytes()[:20000])
    elif fault == "missing":
        scan = tmp_path / "nothing.nii.gz"
    elif fault in ("other grid", "empty liver"):
        image = nibabel.load(liver)
        array = np.asanyarray(image.dataobj)
        array = array[:-1] if fault == "other grid" else np.zeros_like(array)
        liver = tmp_path / "liver.nii.gz"
        nibabel.save(nibabel.Nifti1Image(array, image.affine), liver)
    elif fault == "text":
        scan = tmp_path / "scan.nii"
        scan.write_text("not a scan")
    elif fault == "model":
        model = str(tmp_path / "missing.safetensors")
    else:
        liver = tmp_path / "nothing.nii.gz"
    said = refuse(["segment", str(scan), "--liver", str(liver), "--out", str(out), "--model", model], capsys, out)
    assert "Traceback" not in said
    assert str(tmp_path) not in said


@pytest.mark.parametrize(
    "words", [["segment"], ["segment", "x", "--liver", "y", "--out", "z", "--threshold", "high"], ["nothing"], []]
)
def test_wrong_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2


def test_out_of_range_is_wrong_usage(tmp_path, capsys):
    """It is told before any work: the scan need not even be there."""
    with pytest.raises(SystemExit) as stop:
        main(["segment", "none.nii.gz", "--out", str(tmp_path / "o"), "--threshold", "7"])
    assert stop.value.code == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("liver-anomaly segment: argument --threshold: '7' cannot be used. Give a number from 0 to 1.")
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "o").exists()


def test_synthesise_changes_only_the_liver(sample, tmp_path):
    words = ["synthesise", f"{sample}/phantom_ct.nii.gz", "--liver", f"{sample}/phantom_liver.nii.gz", "--seed", "7"]
    for recipe in ("nodules", "noise-stretch"):
        out = tmp_path / recipe
        assert main([*words, "--recipe", recipe, "--out", str(out)]) == 0
        before, after, mask = (
            np.asanyarray(nibabel.load(path).dataobj).astype(int)
            for path in (sample / "phantom_ct.nii.gz", out / "anomalous.nii.gz", out / "anomalies.nii.gz")
        )
        liver = np.asanyarray(nibabel.load(sample / "phantom_liver.nii.gz").dataobj) > 0
        assert mask.any()
        assert np.array_equal(before[~liver], after[~liver])
        assert (before != after)[mask > 0].mean() > 0.9


def test_prepare_train_and_use_a_model_of_ones_own(sample, tmp_path):
    """A few updates only: that training goes, keeps its card, and gives a model that runs."""
    packed, model = tmp_path / "healthy.npz", tmp_path / "mine.safetensors"
    assert main(["prepare", str(sample), "--out", str(packed), "--keep-names"]) == 0
    words = ["train", "--healthy", str(packed), "--restorer-steps", "2", "--segmenter-steps", "2", "--segmenter-epochs", "0"]
    assert main([*words, "--batch", "2", "--seed", "3", "--about-data", "phantom", "--out", str(model)]) == 0
    assert [path.name for path in tmp_path.iterdir() if "unfinished" in path.name] == []
    from napari_liver_anomaly.checkpoint import read_card

    card = read_card(model)
    assert card["seed"] == 3
    assert card["data"]["about"] == "phantom"
    assert card["data"]["scans"][0]["name"] == "phantom"
    assert "not a medical device" in card["use"]
    assert (card["training"]["stage_1"]["steps"], card["training"]["stage_2"]["steps"]) == (2, 2)
    evaluation = tmp_path / "evaluation.json"
    words = ["evaluate", "--data", str(sample), "--model", str(model), "--out", str(evaluation)]
    assert main(words) == 4, "it was trained on that very scan"
    assert not evaluation.exists()
    assert main([*words, "--seen", "mark"]) == 0
    found = json.loads(evaluation.read_text())
    assert found["cases"][0]["seen_in_training"] is True


def test_a_system_of_the_list_is_trained_installed_and_used_by_name(sample, tmp_path, capsys):
    """A few updates only; what an unfinished training left is gone, of whichever stage."""
    packed, model, out = tmp_path / "healthy.npz", tmp_path / "draem.safetensors", tmp_path / "out"
    assert main(["prepare", str(sample), "--out", str(packed)]) == 0
    (tmp_path / "draem.unfinished.stage3.safetensors").write_bytes(b"")
    words = ["train", "--healthy", str(packed), "--config", "draem", "--device", "cpu", "--out", str(model)]
    assert main([*words, "--budget", "4", "--batch", "2"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {packed.name, model.name}
    from napari_liver_anomaly.checkpoint import read_card

    card = read_card(model)
    assert (card["key"], card["method"]) == ("draem", "draem")
    assert card["training"]["stage_1"]["steps"] == 4 and card["settings"]["schedule"]["batch"] == 2
    assert "--config draem --seed 0 --budget 4" in card["command"]
    assert card["validation"]["held_out_family"] and card["validation"]["restoration"]
    assert main(["install", str(model), "--as", "mine"]) == 0
    scan = [f"{sample}/phantom_ct.nii.gz", "--liver", f"{sample}/phantom_liver.nii.gz", "--device", "cpu"]
    assert main(["segment", *scan, "--model", "mine", "--out", str(out)]) == 0
    assert check_outputs(out, sample / "phantom_ct.nii.gz")["model"] == "mine"


def test_a_budget_is_for_systems_and_not_for_presets(sample, tmp_path, capsys):
    words = ["train", "--healthy", str(sample), "--budget", "4", "--out", str(tmp_path / "x.safetensors")]
    assert "--budget" in refuse([*words, "--config", "compact"], capsys, tmp_path / "x.safetensors")
    for odd in (["--config", "dark-rule"], ["--config", "draem", "--budget", "1"]):
        with pytest.raises(SystemExit):
            main([*words, *odd])


def test_info_and_quiet_without_a_terminal(capfd):
    done = subprocess.run(
        [sys.executable, "-m", "napari_liver_anomaly", "info"], capture_output=True, text=True, timeout=120, check=True
    )
    assert "standard" in done.stdout
    assert "blobs" in done.stdout
    assert "research use only" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_segment_a_real_scan(data_dir, tmp_path):
    scan, liver = data_dir / "lits_016_ct.nii.gz", data_dir / "lits_016_liver.nii.gz"
    assert main(["segment", str(scan), "--liver", str(liver), "--out", str(tmp_path), "--device", "cpu"]) == 0
    report = check_outputs(tmp_path, scan)
    assert report["liver_ml"] == pytest.approx(1400, rel=0.15)
    assert report["number_of_lesions"] > 0
    everything = "".join(path.read_text() for path in tmp_path.iterdir() if path.suffix in (".csv", ".json"))
    assert "lits" not in everything
