"""What a panel begins with, as the user set it once and for all."""

from __future__ import annotations

from dataclasses import dataclass

from napari_liver_anomaly.device import CHOICES
from napari_liver_anomaly.gui.window_settings import Window
from napari_liver_anomaly.preferences import preferred
from napari_liver_anomaly.settings import Settings, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class PanelDefaults(Settings):
    """What a panel begins with. Whether a patient is named is asked anew each time, and never kept."""

    processor: str = setting("auto", choices=CHOICES, help="Processor of a run; automatic takes a usable graphics card.")
    width_hu: int = setting(150, unit="HU", low=1, high=4095, help="Width of the window that a scan opens in.")
    level_hu: int = setting(90, unit="HU", low=-1024, high=3071, help="Level of the window that a scan opens in.")
    min_lesion_mm3: float = setting(50.0, unit="mm3", low=0, high=100000, help="Smaller lesions are dropped.")
    report: bool = setting(False, help="Write a report with pictures for people at every export.")
    dicom_seg: bool = setting(
        False, help="Write a DICOM segmentation at every export where one can be made; it names the patient as the slices do."
    )

    @property
    def window_hu(self) -> tuple[float, float]:
        """Darkest and brightest value of the window, in HU."""
        return Window(width_hu=self.width_hu, level_hu=self.level_hu).limits_hu


def opening_window() -> tuple[float, float]:
    """Give the window that a scan opens in."""
    return preferred(PanelDefaults).window_hu
