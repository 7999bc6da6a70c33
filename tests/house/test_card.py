"""The top of the repository, what the wheel carries, and what may never be kept here."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from house.source import PRODUCT, REPOSITORY
from napari_liver_anomaly.synthesis import RECIPES

if TYPE_CHECKING:
    from pathlib import Path

CARD = {"src", "tests", "docs", "pyproject.toml", "README.md", "napari.yaml", "LICENSE"}
SCANS = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".npz", ".npy", ".pt", ".pth", ".ckpt", ".pkl", ".zip")
# Of a synthetic abdomen only: tests/gui/test_anomaly_panel.py draws each of these again, pixel for pixel.
DRAWN = "src/napari_liver_anomaly/gui/recipe_pictures/"
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff")


def tracked(root: Path) -> list[str]:
    """Files of the repository; where there is no git, all files there are."""
    if (root / ".git").exists():
        command = ["git", "-c", f"safe.directory={root}", "-C", str(root), "ls-files"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() or path.is_symlink()]


def card_breaches(names: list[str]) -> list[str]:
    top = {name.split("/")[0] for name in names}
    found = [f"{name} stands at the top" for name in sorted(top - CARD) if not name.startswith(".")]
    return found + [f"{name} is missing at the top" for name in sorted(CARD - top)]


def kept_breaches(names: list[str]) -> list[str]:
    """Files that could show or hold a patient, or that run code when they are read."""
    found = [f"{name} could be a scan or a pickle" for name in names if name.lower().endswith(SCANS)]
    return found + [
        f"{name}: pictures live in docs/"
        for name in names
        if name.lower().endswith(PICTURES) and not name.startswith(("docs/", DRAWN))
    ]


def test_the_top_is_the_users_card() -> None:
    assert not card_breaches(tracked(REPOSITORY))


def test_no_scan_and_no_stray_picture_is_kept() -> None:
    assert not kept_breaches(tracked(REPOSITORY))


def test_what_does_not_belong_is_named(tmp_path: Path) -> None:
    for name in (*sorted(CARD), "notes.txt", ".hidden"):
        (tmp_path / name).touch()
    assert card_breaches(tracked(tmp_path)) == ["notes.txt stands at the top"]
    assert card_breaches(sorted(CARD - {"LICENSE"})) == ["LICENSE is missing at the top"]
    assert (
        len(
            kept_breaches(["tests/a.nii.gz", "src/x/weights/a.pt", "src/x/b.png", "docs/images/panel.png", "src/x/a.safetensors"])
        )
        == 3
    )


def test_the_licence_of_the_weights_names_every_model() -> None:
    weights = PRODUCT / "weights"
    said = (weights / "LICENSE.md").read_text(encoding="utf-8")
    names = {path.relative_to(weights).with_suffix("").as_posix() for path in weights.rglob("*.safetensors")}
    assert len(names) > 5
    assert not (lost := sorted(name for name in names if f"`{name}`" not in said)), lost


def test_both_manifests_are_one() -> None:
    """The one at the top is a link; a checkout without links must not carry another text."""
    top, packaged = REPOSITORY / "napari.yaml", PRODUCT / "napari.yaml"
    assert packaged.is_file()
    assert not packaged.is_symlink()
    assert top.read_bytes() == packaged.read_bytes()


def test_the_manifest_is_valid_and_ours() -> None:
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_file(PRODUCT / "napari.yaml")
    assert manifest.name == "napari-liver-anomaly"
    assert manifest.contributions.readers
    assert manifest.contributions.widgets
    for command in manifest.contributions.commands:
        assert command.id.startswith("napari-liver-anomaly."), command.id
        module, _, name = str(command.python_name).partition(":")
        file = REPOSITORY / "src" / (module.replace(".", "/") + ".py")
        assert file.is_file() or file.with_suffix("").is_dir(), module
        assert re.search(rf"^(def|class) {name}\b|^from .*\b{name}\b|^ +{name},?$", _text_of(file), re.MULTILINE), (
            f"{module} has no {name}"
        )


def _text_of(file: Path) -> str:
    return (file if file.is_file() else file.with_suffix("") / "__init__.py").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_wheel_carries_the_package_and_nothing_else(tmp_path: Path) -> None:
    if not all(importlib.util.find_spec(name) for name in ("hatchling", "hatch_vcs")):
        pytest.skip("the build tools are not installed")
    for name in sorted(CARD):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "images"))
        elif source.exists():
            shutil.copy(source, tmp_path / name)
    environment = {**os.environ, "SETUPTOOLS_SCM_PRETEND_VERSION": "0.0.1"}
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    done = subprocess.run(build, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"napari_liver_anomaly", "liver_anomaly_study"}
    assert "napari_liver_anomaly/napari.yaml" in names
    assert [name for name in names if name.endswith("entry_points.txt")]
    licences = sorted(name.partition("licenses/")[2] for name in names if "/licenses/" in name)
    assert licences == ["LICENSE", "src/napari_liver_anomaly/weights/LICENSE.md"]
    (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    said = zipfile.ZipFile(wheel).read(metadata).decode("utf-8")
    assert "License-Expression: BSD-3-Clause AND LicenseRef-liver-anomaly-weights" in said
    assert {line.split(",")[0].removeprefix("Project-URL: ") for line in said.splitlines() if line.startswith("Project-URL: ")} == {
        "Homepage", "Documentation", "Source", "Issues", "Changelog",
    }  # fmt: skip
    wanted = {
        f"napari_liver_anomaly/{path.relative_to(PRODUCT).as_posix()}"
        for path in PRODUCT.rglob("*")
        if path.suffix in {".py", ".safetensors"}
    }
    assert wanted <= set(names)
    drawn = {f"{DRAWN.removeprefix('src/')}{recipe}.png" for recipe in RECIPES}
    assert {name for name in names if name.endswith(PICTURES)} == drawn
    assert not [name for name in names if "test" in name or name.endswith(SCANS)]
