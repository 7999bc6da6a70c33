"""Processes that train together end where one does that sees the whole batch, and go on after one of them was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import training_stand_in
from napari_liver_anomaly import checkpoint, processes
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.device import is_first, launched
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.training.training_file import pack_case, write_training_set

CLOSE = 1e-4  # of a loss: sums of two parts are rounded in another order than that of the whole


def torchrun(*words):
    """Run two processes that train together on this machine."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": ""}
    started = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run([*started, *map(str, words)], capture_output=True, text=True, env=env, timeout=300, check=False)


def kept(state):
    weights = checkpoint.open_weights(state)
    return weights.card["state"], {name: value for name, value in weights.tensors.items() if "network." in name}


@pytest.mark.slow
def test_the_losses_are_those_of_one_process_also_after_one_was_killed(tmp_path):
    training_stand_in.train(tmp_path / "alone.safetensors")
    for name in ("whole", "kill", "kill"):
        done = torchrun(training_stand_in.__file__, tmp_path / f"{name}.safetensors", name)
        was_killed = name == "kill" and "exitcode: -9" in done.stderr
        assert done.returncode == was_killed, done.stderr
    (alone, _), (whole, weights), (killed, same) = (kept(tmp_path / f"{name}.safetensors") for name in ("alone", "whole", "kill"))
    assert len(whole["losses"]) == training_stand_in.STEPS and (tmp_path / "kill.killed").exists() and not was_killed
    assert whole["losses"] == pytest.approx(alone["losses"], rel=CLOSE)
    assert killed["losses"] == whole["losses"] and all(torch.equal(value, same[name]) for name, value in weights.items())
    assert np.ptp(whole["losses"]) > 100 * CLOSE * max(whole["losses"]), "they are no constant"


def test_a_number_of_processes_that_a_scheduler_names_is_not_one_of_torchrun(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert launched() == 1 and is_first()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    assert launched() == 2 and not is_first()


@pytest.mark.slow
def test_the_command_trains_by_two_processes_of_which_one_writes(tmp_path, capsys):
    sample = make_phantom(PhantomSettings(tumours=False, size_px=96, slices=24))
    volume = sample.volume
    case = pack_case(volume.voxels, sample.liver.voxels, None, volume.geometry.spacing_mm, scan=volume.identity)
    write_training_set([case], tmp_path / "healthy.npz")
    words = ["train", "--healthy", str(tmp_path / "healthy.npz"), "--config", "direct", "--segmenter-steps", "3", "--batch", "4"]
    done = torchrun("-m", "napari_liver_anomaly", *words, "--out", tmp_path / "two.safetensors")
    assert done.returncode == 0 and done.stdout.count("Wrote two.safetensors") == 1, done.stderr
    assert main([*words, "--out", str(tmp_path / "one.safetensors")]) == 0
    two, one = (ModelCard.read(tmp_path / f"{name}.safetensors").training["stage_2"] for name in ("two", "one"))
    assert two["last_loss"] == pytest.approx(one["last_loss"], rel=0.02), "Adam makes rounding larger"
    assert {path.name for path in tmp_path.iterdir()} == {"healthy.npz", "one.safetensors", "two.safetensors"}


@dataclass
class _Batch:
    images: torch.Tensor


def as_second_of(monkeypatch, count):
    monkeypatch.setattr(processes, "distributed", SimpleNamespace(
        is_initialized=lambda: True, get_world_size=lambda: count, get_rank=lambda: 1,
        all_reduce=lambda values, how=None: values.copy_(torch.maximum(values, torch.tensor([7, -5]))), ReduceOp=SimpleNamespace(MAX=0),
    ))  # fmt: skip


def test_each_process_takes_its_part(monkeypatch):
    batch = _Batch(torch.arange(6))
    assert processes.part_of(batch) is batch and processes.own_key(1, 2) == (1, 2)
    as_second_of(monkeypatch, 3)
    assert processes.part_of(batch).images.tolist() == [1, 4] and processes.own_key(1, 2) == (1, 2, 1)
    as_second_of(monkeypatch, 4)
    with pytest.raises(Refusal) as caught:
        processes.part_of(batch)
    assert caught.value.finding.code == "batch-uneven"


def test_processes_that_see_other_files_are_refused(monkeypatch):
    processes.require_same(5, training_stand_in.CPU)
    as_second_of(monkeypatch, 2)  # the other is at step 7
    with pytest.raises(Refusal) as caught:
        processes.require_same(5, training_stand_in.CPU)
    assert caught.value.finding.code == "processes-apart"


def test_batch_norms_are_as_they_were_afterwards():
    norm = torch.nn.BatchNorm2d(3)
    with processes.shared_norms([norm]):
        assert "forward" not in vars(norm), "one process needs no other norm"
    assert "forward" not in vars(norm)
