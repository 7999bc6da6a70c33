"""Width and level of the window as numbers to read and to type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QAbstractSpinBox, QHBoxLayout, QLabel, QWidget

from napari_liver_anomaly.gui.availability import NO_SCAN_YET, allow
from napari_liver_anomaly.gui.settings_form import field_of
from napari_liver_anomaly.gui.style import wheel_needs_focus
from napari_liver_anomaly.gui.window_settings import Window
from napari_liver_anomaly.settings import options

if TYPE_CHECKING:
    from collections.abc import Iterable

DRAG_TIP = "Or drag in the view with the right mouse button: to the right widens the window, down raises its level"


class WindowNumbers(QWidget):
    """Width and level in HU, and what else belongs on their line."""

    typed = Signal(float, float)  # darkest and brightest value

    def __init__(self, beside: Iterable[QWidget] = ()) -> None:
        super().__init__()
        self.width_hu, self.level_hu = self._fields = [_short(field_of(option)) for option in options(Window)]
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for part in (self.width_hu.native, self.level_hu.native, QLabel("HU")):
            row.addWidget(part)
        row.addStretch(1)
        for widget in beside:
            row.addWidget(widget)
        for field in self._fields:
            field.changed.connect(lambda _: self._tell())
        self.show_window(None)

    def show_window(self, limits: tuple[float, float] | None) -> None:
        """Show the window that a scan is seen in; without a scan there is none."""
        for field in self._fields:
            allow(field.native, "" if limits is not None else NO_SCAN_YET)
        if limits is not None:
            seen = Window.near(limits[1] - limits[0], sum(limits) / 2)
            for field, value in zip(self._fields, (seen.width_hu, seen.level_hu), strict=True):
                with field.changed.blocked():
                    field.value = value

    def _tell(self) -> None:
        self.typed.emit(*Window(width_hu=self.width_hu.value, level_hu=self.level_hu.value).limits_hu)


def _short(field: Any) -> Any:
    """Make a row's field short, without arrows."""
    number = field.native
    number.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
    number.setProperty("kind", "short")
    number.setAccessibleName(f"Window {field.name.removesuffix('_hu')} in HU")
    number.setToolTip(f"{field.tooltip}\n{DRAG_TIP}")
    wheel_needs_focus(number)
    return field
