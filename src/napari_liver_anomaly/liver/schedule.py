"""How long the liver finder learns; known without torch, for the doors."""

from __future__ import annotations

from dataclasses import dataclass

from napari_liver_anomaly.settings import Settings, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class LiverSchedule(Settings):
    """How long the liver finder learns."""

    coarse_updates: int = setting(900, unit="updates", low=1, high=100000, help="Steps of the coarse network.")
    fine_updates: int = setting(3600, unit="updates", low=1, high=100000, help="Steps of the fine network.")
    coarse_batch: int = setting(2, unit="blocks", low=1, high=64, help="Blocks in each step of the coarse network.")
    fine_batch: int = setting(8, unit="slices", low=1, high=256, help="Slices in each step of the fine network.")
    rate: float = setting(
        3e-3, low=1e-6, high=1, help="Largest learning rate; it rises for a twentieth of the time and then falls."
    )
