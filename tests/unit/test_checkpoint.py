"""Weights carry no program, and damage is seen."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch

from napari_liver_anomaly import checkpoint
from napari_liver_anomaly.errors import UnfitModel


@pytest.fixture
def good(tmp_path) -> Path:
    path = tmp_path / "good.safetensors"
    checkpoint.save(path, {"a": torch.arange(6.0).reshape(2, 3)}, {"key": "test", "words": "ünïcode"})
    return path


def test_there_and_back(good):
    assert torch.equal(checkpoint.read_tensors(good)["a"], torch.arange(6.0).reshape(2, 3))
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
    for read in (checkpoint.read_card, checkpoint.read_tensors):
        with pytest.raises(UnfitModel, match="run programs"):
            read(path)
    assert not marker.exists()


def test_a_pickle_name_is_refused_even_around_good_weights(good):
    renamed = good.with_suffix(".pth")
    good.rename(renamed)
    with pytest.raises(UnfitModel, match="run programs"):
        checkpoint.read_tensors(renamed)


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
        checkpoint.read_tensors(good)
        checkpoint.read_card(good)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    path = tmp_path / "nan.safetensors"
    checkpoint.save(path, {"a": torch.tensor([1.0, float("nan")])}, {})
    with pytest.raises(UnfitModel, match="damaged"):
        checkpoint.read_tensors(path)
