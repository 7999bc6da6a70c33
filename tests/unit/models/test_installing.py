"""Models of one's own: checked before they are copied, found by name, never half there, never in place of another."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from liver_anomaly_study.cli import main as study
from napari_liver_anomaly import models
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.errors import NotWritten, Refusal, UnfitModel
from napari_liver_anomaly.models import installing
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.installing import install, remove
from napari_liver_anomaly.models.locations import folder, installed
from napari_liver_anomaly.models.registry import build, config_of


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny system, not trained, as a file."""
    plan = config_of("draem", 8)
    path = tmp_path_factory.mktemp("weights") / "Mine.safetensors"
    build(replace(plan, options=replace(plan.options, width=4))).save(path, ModelCard(parameters=7))
    return path


def test_an_installed_model_is_found_by_name(weights):
    assert install(weights) == "Mine"
    assert models.names() == (*models.packaged(), "Mine")
    assert models.path_of("Mine").read_bytes() == weights.read_bytes()
    model = models.load("Mine")
    assert (model.name, model.key) == ("Mine", "draem")
    install(weights, "another")
    assert installed() == ("another", "Mine")
    remove("Mine")
    assert installed() == ("another",)


def test_another_model_is_replaced_only_on_request(weights, tmp_path):
    install(weights)
    other = tmp_path / "mine.safetensors"  # the same file, where capitals do not count
    build(config_of("draem", 8), seed=1).save(other)
    with pytest.raises(Refusal, match="'Mine' is installed already"):
        install(other)
    assert models.path_of("Mine").read_bytes() == weights.read_bytes()
    assert install(other, replace=True) == "Mine"
    assert models.path_of("Mine").read_bytes() == other.read_bytes()
    assert [path.name for path in folder().iterdir()] == ["Mine.safetensors"]


@pytest.mark.parametrize("name", ["standard", "Standard"])
def test_the_name_of_a_packaged_model_cannot_be_taken(weights, name):
    with pytest.raises(Refusal, match="came with the program"):
        install(weights, name, replace=True)
    with pytest.raises(Refusal):
        remove(name)
    folder().mkdir(parents=True)
    (folder() / "standard.safetensors").write_bytes(weights.read_bytes())  # put there by hand
    assert installed() == () and models.path_of("standard").parent.name == "weights"


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "", "two words", "x" * 65])
def test_a_name_that_is_no_file_name_is_refused(weights, tmp_path, name):
    source = tmp_path / " .safetensors"
    source.write_bytes(weights.read_bytes())
    with pytest.raises(NotWritten):
        install(source, name)
    assert not folder().exists()


def test_a_file_that_cannot_be_used_is_not_installed(weights, tmp_path):
    whole = weights.read_bytes()
    for number, content in enumerate((b"", whole[:-5], whole[:-1] + bytes([whole[-1] ^ 1]), b"\x80\x04pickle")):
        path = tmp_path / f"odd{number}.safetensors"
        path.write_bytes(content)
        with pytest.raises(UnfitModel):
            install(path)
    with pytest.raises(UnfitModel, match="No weights were found"):
        install(tmp_path / "nothing.safetensors")
    assert not folder().exists()


def test_a_file_that_changes_meanwhile_is_not_installed(weights, monkeypatch):
    monkeypatch.setattr(installing.shutil, "copyfile", lambda source, to: to.write_bytes(b"half"))
    with pytest.raises(UnfitModel, match="changed while it was copied"):
        install(weights)
    assert list(folder().iterdir()) == []


def test_the_verbs_say_what_is_there(weights, capsys):
    assert main(["install", str(weights), "--as", "mine"]) == 0
    assert main(["install", str(weights), "--as", "mine"]) == 3
    (folder() / "broken.safetensors").write_bytes(b"no weights")
    capsys.readouterr()
    assert main(["models"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("standard (default): ")
    assert [line for line in said if line.startswith("mine (installed): DRAEM: autoencoder")]
    assert [line for line in said if line.startswith("broken (installed): cannot be used. ")]
    assert study(["systems", "--json"]) == 0
    listed = {one["key"]: one for one in json.loads(capsys.readouterr().out)}
    assert (listed["draem"]["installed"], listed["draem"]["models"], listed["asc-net"]["installed"]) == (
        True,
        ["draem", "mine"],
        False,
    )
    assert main(["install", "--remove", "mine"]) == 0
    assert main(["install", "--remove", "mine"]) == 3
    assert installed() == ("broken",)
    for words in (["install"], ["install", "x.safetensors", "--remove", "mine"]):
        with pytest.raises(SystemExit):
            main(words)
