"""Weights carry no program, and damage is seen."""

from __future__ import annotations

import hashlib
import json
import struct
import sys
from pathlib import Path

import pytest
import torch

from napari_liver_anomaly import checkpoint
from napari_liver_anomaly.errors import UnfitModel
from napari_liver_anomaly.liver import packaged_weights
from napari_liver_anomaly.liver.finder import Finder
from napari_liver_anomaly.models import load, path_of


@pytest.fixture
def good(tmp_path) -> Path:
    path = tmp_path / "good.safetensors"
    checkpoint.save(path, {"a": torch.arange(6.0).reshape(2, 3)}, {"key": "test", "words": "ünïcode"})
    return path


def test_there_and_back(good):
    assert torch.equal(checkpoint.open_weights(good).tensors["a"], torch.arange(6.0).reshape(2, 3))
    assert checkpoint.read_card(good) == {"format": 1, "key": "test", "words": "ünïcode"}


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model.json", "model.ckpt"])
def test_programs_are_refused_under_any_name(tmp_path, name):
    import pickle

    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (marker,))

    path = tmp_path / name
    path.write_bytes(pickle.dumps(Bomb()))
    for read in (checkpoint.read_card, checkpoint.open_weights):
        with pytest.raises(UnfitModel, match="run programs"):
            read(path)
    assert not marker.exists()


def test_a_pickle_name_is_refused_even_around_good_weights(good):
    renamed = good.with_suffix(".pth")
    good.rename(renamed)
    with pytest.raises(UnfitModel, match="run programs"):
        checkpoint.open_weights(renamed)


def spoil(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "cut":
        path.write_bytes(data[:-5])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "huge header":
        path.write_bytes(struct.pack("<Q", 2**63) + data[8:])
    elif how == "trailing":
        path.write_bytes(data + b"more")
    elif how == "other format":
        checkpoint.save(path, {"a": torch.zeros(1)}, {"format": 99})
    elif how == "no card":
        from safetensors.torch import save_file

        save_file({"a": torch.zeros(1)}, path)
    elif how == "overlap":
        header = json.dumps(
            {
                "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
            }
        ).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(12))
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["cut", "empty", "huge header", "trailing", "other format", "no card", "overlap", "missing"])
def test_damage_is_refused(good, how):
    spoil(good, how)
    with pytest.raises(UnfitModel):
        checkpoint.open_weights(good)
        checkpoint.read_card(good)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    path = tmp_path / "nan.safetensors"
    checkpoint.save(path, {"a": torch.tensor([1.0, float("nan")])}, {})
    with pytest.raises(UnfitModel, match="damaged"):
        checkpoint.open_weights(path)


OPENED: list[str] | None = None


def _count(event: str, arguments: tuple[object, ...]) -> None:
    if OPENED is not None and event == "open" and str(arguments[0]).endswith(".safetensors"):
        OPENED.append(str(arguments[0]))


sys.addaudithook(_count)


@pytest.mark.parametrize("name", ["dae", "phantom-only", "liver/liver"])
def test_a_file_is_opened_hashed_and_checked_once(name, monkeypatch):
    """Whatever kind of model it holds; the hash of a large file and its checksum take seconds."""
    path = path_of(name) if "/" not in name else packaged_weights()
    done = {"header": 0, "seal": 0, "hash": 0}
    for what, function in {"header": "_header", "seal": "_checksum"}.items():
        was = getattr(checkpoint, function)

        def counted(*words, what=what, was=was):
            done[what] += 1
            return was(*words)

        monkeypatch.setattr(checkpoint, function, counted)
    sha = hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda *words: done.update(hash=done["hash"] + 1) or sha(*words))
    monkeypatch.setattr(hashlib, "file_digest", lambda *words: done.update(hash=done["hash"] + 1) or sha())
    monkeypatch.setattr(sys.modules[__name__], "OPENED", [])
    if "/" in name:
        Finder.load(path)
    else:
        load(path)
    assert (len(OPENED), done) == (1, {"header": 1, "seal": 1, "hash": 1})
