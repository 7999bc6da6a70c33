"""Limits of memory are found out, and said."""

from __future__ import annotations

import pytest
import torch

from napari_liver_anomaly import storage
from napari_liver_anomaly.errors import OutOfMemory
from napari_liver_anomaly.memory import Ladder, ran_out, require_memory, too_little


def test_what_is_free_is_the_least_of_all_limits(tmp_path, monkeypatch):
    most, used = tmp_path / "memory.max", tmp_path / "memory.current"
    monkeypatch.setattr(storage, "GROUPS", (("", str(tmp_path), "memory.max", "memory.current", "inactive_file"),))
    monkeypatch.setattr(storage, "_free_here", lambda: 8 * 10**9)
    assert storage.free_memory() <= 8 * 10**9
    most.write_text("3000000\n")
    used.write_text("2500000\n")
    assert storage.free_memory() == 500_000
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 700000\nfile 1\n")
    assert storage.free_memory() == 1_200_000, "files kept for later make room"
    most.write_text("max\n")
    assert storage.free_memory() > 1_200_000


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_want_of_memory_is_told_from_other_errors(error, expected):
    assert ran_out(error) is expected


def test_both_numbers_are_said(monkeypatch):
    monkeypatch.setattr(storage, "_free_memory", lambda: 4 * 10**9)
    require_memory(4 * 10**9)
    with pytest.raises(OutOfMemory, match=r"needs 6.0 GB, 4.0 GB are free"):
        require_memory(6 * 10**9)
    assert "needs about 1.0 GB, which the system did not give" in str(too_little(10**9))


def test_the_last_step_is_a_refusal():
    ladder = Ladder(torch.device("cpu"), 2)
    ladder.step_down(torch.nn.Identity())
    assert (ladder.batch, ladder.sentence) == (1, "Ran on CPU with 1 slices at a time, because memory ran out.")
    with pytest.raises(OutOfMemory):
        ladder.step_down(torch.nn.Identity())
