"""Which device the networks run on, and whether it supports bfloat16 in hardware."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]
CHOICES: tuple[str, ...] = get_args(Device)
DRIVERS, AMD = ("libcuda.so.1", "nvcuda.dll"), Path("/dev/kfd")  # what is there on every machine whose card torch can use


def choose(device: str = "auto") -> torch.device:
    """Turn a user's wish into a torch device."""
    import torch

    if device not in CHOICES:
        raise make_refusal("device-unknown", device=device, choices=", ".join(CHOICES))
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise make_refusal("device-no-cuda")
    return torch.device("cuda" if there and device != "cpu" else "cpu")


def has_bf16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 in hardware, so that it is quicker than float32 there."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def launched() -> int:
    """Say how many processes torchrun started, of which this is one; 1 for a process that was started alone."""
    return (
        int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    )  # schedulers set the size for other ends, too


def is_first() -> bool:
    """Whether this process is alone, or the first of those that torchrun started to train together: it alone writes and speaks."""
    return launched() < 2 or os.environ.get("RANK") == "0"


def card_name() -> str:
    """Name the graphics card that torch would use, empty when there is none; torch, slow to load, is asked only where there is a driver."""
    if not (AMD.exists() or any(map(_loads, DRIVERS))):
        return ""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
