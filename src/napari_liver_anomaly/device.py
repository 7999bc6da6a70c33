"""Which device the networks run on, and whether it supports bfloat16 in hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]
CHOICES: tuple[str, ...] = get_args(Device)


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
