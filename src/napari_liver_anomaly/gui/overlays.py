"""Visibility and opacity of the four layers of a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QGridLayout, QSlider, QWidget

from napari_liver_anomaly.gui.availability import allow
from napari_liver_anomaly.gui.event_listener import EventListener
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.overlay_menu import OverlayMenu
from napari_liver_anomaly.gui.style import wheel_needs_focus

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

SWITCHES = {
    Role.TUMOURS: ("Tumours", "Outlines of the lesions found"),
    Role.SCORE: ("Anomaly score", "Heat map of the score, 0 to 1"),
    Role.RESIDUAL: (
        "Residual",
        "Scan minus restored scan in HU: blue is darker than healthy liver, orange to red brighter. Small differences are not shown, see ⋯",
    ),
    Role.RESTORED: ("Restored", "The scan as the model thinks it would be without tumours, in HU"),
}


DELETED = "This layer was deleted. Segment again to have it back."
PER_LINE = 2  # so that the table has the height


class Overlays(QWidget):
    """One row per layer of a result, in step with the layer whoever changes it."""

    def __init__(self, held: Callable[[], bool] = lambda: False) -> None:
        super().__init__()
        self._held = held
        self.rows: dict[Role, tuple[QCheckBox, QSlider]] = {}
        self._layers: dict[Role, Layer] = {}
        self._events = EventListener()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(1)
        grid.setHorizontalSpacing(4)
        for column in range(0, 2 * PER_LINE, 2):
            grid.setColumnStretch(column + 1, 1)
        for n, (role, (words, tip)) in enumerate(SWITCHES.items()):
            tick, strength = QCheckBox(words), QSlider(Qt.Orientation.Horizontal)
            strength.setRange(0, 100)
            wheel_needs_focus(strength)
            tick.setToolTip(tip)
            strength.setAccessibleName(f"{words}: opacity")
            strength.setToolTip(f"{words}: how opaque, 0 to 100 %")
            tick.toggled.connect(lambda on, role=role: self._switch(role, on))
            strength.valueChanged.connect(lambda percent, role=role: self._fade(role, percent))
            line, column = divmod(n, PER_LINE)
            grid.addWidget(tick, line, 2 * column)
            beside_menu = line == 1 or column + 1 < PER_LINE
            grid.addWidget(strength, line, 2 * column + 1, 1, 1 if beside_menu else 2)
            self.rows[role] = (tick, strength)
        self.menu = OverlayMenu()
        grid.addWidget(self.menu, 1, 2 * PER_LINE)
        self.follow({})

    def follow(self, layers: dict[Role, Layer], *, restores: bool = True) -> None:
        """Switch these layers from now on."""
        for role in (Role.RESIDUAL, Role.RESTORED):
            for widget in self.rows[role]:
                widget.setVisible(restores)
        self.menu.offer(restores=restores)
        self._events.stop()
        self._layers = dict(layers)
        for layer in self._layers.values():
            self._events.hear(layer.events.visible, self._show)
            self._events.hear(layer.events.opacity, self._show)
        self._show()

    def _show(self, _event: object = None) -> None:
        if self._held():
            return
        for role, (tick, strength) in self.rows.items():
            layer = self._layers.get(role)
            for widget in (tick, strength):
                allow(widget, "" if layer is not None else DELETED)
                widget.blockSignals(True)
            tick.setChecked(layer is not None and layer.visible)
            strength.setValue(round(layer.opacity * 100) if layer is not None else 0)
            for widget in (tick, strength):
                widget.blockSignals(False)

    def _switch(self, role: Role, on: bool) -> None:
        if role in self._layers:
            self._layers[role].visible = on

    def _fade(self, role: Role, percent: int) -> None:
        if role in self._layers:
            self._layers[role].opacity = percent / 100
