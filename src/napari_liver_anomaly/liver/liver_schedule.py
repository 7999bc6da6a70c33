"""How long the liver finder trains; known without torch, for the command line."""

from __future__ import annotations

from dataclasses import dataclass

from napari_liver_anomaly.settings import Settings, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class LiverSchedule(Settings):
    """How long the liver finder trains."""

    coarse_steps: int = setting(900, unit="steps", low=1, high=100000, help="Steps of the coarse network.", was="coarse_updates")
    fine_steps: int = setting(3600, unit="steps", low=1, high=100000, help="Steps of the fine network.", was="fine_updates")
    coarse_batch: int = setting(2, unit="blocks", low=1, high=64, help="Blocks in each step of the coarse network.")
    fine_batch: int = setting(8, unit="slices", low=1, high=256, help="Slices in each step of the fine network.")
    learning_rate: float = setting(
        3e-3, low=1e-6, high=1, help="Largest learning rate; it rises for a twentieth of the time and then falls.", was="rate"
    )
    p_bulging: float = setting(
        0.0,
        low=0,
        high=1,
        added=True,
        help="Fraction of samples with a lesion that reaches out of the liver and counts as liver.",
    )
