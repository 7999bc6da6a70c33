"""What this machine can do at best: convolutions and products of matrices in single precision and bfloat16, and copies in memory."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_liver_anomaly.bench.rounds import in_turn
from napari_liver_anomaly.device import has_bf16
from napari_liver_anomaly.errors import version
from napari_liver_anomaly.storage import free_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.job import Job

CHANNELS, SIDE_PX, BATCH, MATRIX = 64, 128, 8, 2048
COPIED_BYTES = 256 * 10**6


def describe_machine() -> dict[str, Any]:
    """Say what was measured on, without a name."""
    return {
        "system": platform.system(), "processor": _processor(), "threads": torch.get_num_threads(),
        "bfloat16": has_bf16(torch.device("cpu")), "cuda": torch.cuda.is_available(), "free_memory_gb": round(free_memory() / 1e9, 1),
        "python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__, "napari-liver-anomaly": version(),
    }  # fmt: skip


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def measure_floor(job: Job) -> dict[str, Any]:
    """Measure the best rates: operations (a product and a sum count as two) and bytes (read and written) in a second."""
    kinds = {"float32": torch.float32} | ({"bfloat16": torch.bfloat16} if has_bf16(torch.device("cpu")) else {})
    works: dict[str, Callable[[], object]] = {}
    for name, kind in kinds.items():
        network = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).to(kind).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        image = torch.rand(BATCH, CHANNELS, SIDE_PX, SIDE_PX, dtype=kind).to(memory_format=torch.channels_last)
        matrix = torch.rand(MATRIX, MATRIX, dtype=kind)
        works[f"convolution, {name}"] = _without_gradients(network, image)
        works[f"matrices, {name}"] = _without_gradients(torch.matmul, matrix, matrix)
    whence, whither = np.ones(COPIED_BYTES, np.uint8), np.empty(COPIED_BYTES, np.uint8)
    works["copy"] = lambda: np.copyto(whither, whence)
    taken = in_turn(works, job)
    done = {"convolution": 2 * 9 * CHANNELS**2 * SIDE_PX**2 * BATCH, "matrices": 2 * MATRIX**3, "copy": 2 * COPIED_BYTES}
    return {
        name: one
        | {"giga_per_s": done[name.partition(",")[0]] / one["least_s"] / 1e9, "unit": "GB" if name == "copy" else "GFLOP"}
        for name, one in taken.items()
    }


def _without_gradients(work: Callable[..., object], *given: object) -> Callable[[], object]:
    def run() -> object:
        with torch.inference_mode():
            return work(*given)

    return run
