"""The window in which Hounsfield units are shown as grey: its width and its level."""

from __future__ import annotations

from dataclasses import dataclass

from napari_liver_anomaly.settings import Option, Settings, options, setting


@dataclass(frozen=True, kw_only=True, slots=True)
class Window(Settings):
    """Which Hounsfield units are black, and which are white.

    Values at or below ``level_hu - width_hu / 2`` are black, those at or above ``level_hu + width_hu / 2`` white.
    """

    width_hu: int = setting(150, unit="HU", low=1, high=4095, help="Width of the window: brightest minus darkest value.")
    level_hu: int = setting(90, unit="HU", low=-1024, high=3071, help="Level of the window: the value shown as middle grey.")

    @property
    def limits_hu(self) -> tuple[float, float]:
        """Darkest and brightest value, in HU."""
        return (self.level_hu - self.width_hu / 2, self.level_hu + self.width_hu / 2)

    @classmethod
    def near(cls, width_hu: float, level_hu: float) -> Window:
        """Give the window in whole HU that comes nearest to what is wanted and is allowed.

        Parameters
        ----------
        width_hu, level_hu : float
            Wanted width and level, any number.

        Returns
        -------
        Window
            Width 1 to 4095 HU, level -1024 to 3071 HU.
        """
        width, level = options(cls)
        return cls(width_hu=_within(width_hu, width), level_hu=_within(level_hu, level))


def _within(value: float, option: Option) -> int:
    return int(min(max(round(value), option.low or 0), option.high or 0))
