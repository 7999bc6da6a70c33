"""Rows made from a settings class: name, unit, range and help stand in one place, beside the code that uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, SpinBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_liver_anomaly.gui.style import form
from napari_liver_anomaly.settings import Option, Settings, options

if TYPE_CHECKING:
    from collections.abc import Iterable

S = TypeVar("S", bound=Settings)
MOST = 1e9


class SettingsForm(QWidget, Generic[S]):
    """A form for one settings class, without the fields that have a place elsewhere in the panel."""

    changed = Signal()

    def __init__(self, settings: type[S] | S, leave_out: Iterable[str] = ()) -> None:
        super().__init__()
        self._made_from: type[S] = settings if isinstance(settings, type) else type(settings)
        left_out = set(leave_out)
        rows = [option for option in options(settings) if option.name not in left_out]
        self.fields = {option.name: _field(option) for option in rows}
        for field in self.fields.values():
            field.changed.connect(lambda _: self.changed.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form({_sign(option.label): self.fields[option.name].native for option in rows}))

    def value(self, **others: Any) -> S:
        """Make the settings from what the rows show, and from values of the fields that were left out."""
        return self._made_from(**{name: field.value for name, field in self.fields.items()}, **others)


def _field(option: Option) -> Any:
    """Make the widget of one option, a magicgui ``ValueWidget``."""
    if option.choices:
        return ComboBox(value=option.default, choices=option.choices, name=option.name, tooltip=_tip(option))
    if option.kind is bool:
        return CheckBox(value=option.default, name=option.name, text="", tooltip=_tip(option))
    low, high = (-MOST if option.low is None else option.low), (MOST if option.high is None else option.high)
    said: dict[str, Any] = {"value": option.default, "name": option.name, "tooltip": _tip(option)}
    if option.kind is int:
        field: Any = SpinBox(min=int(low), max=int(high), **said)
    else:
        field = FloatSpinBox(min=low, max=high, step=0.05 if high <= 1 else 1.0, **said)
    field.native.setKeyboardTracking(False)
    return field


def _tip(option: Option) -> str:
    """Help, unit and range of an option."""
    if option.low is None or option.high is None:
        return option.help
    return f"{option.help}\nFrom {option.low:g} to {option.high:g} {_sign(option.unit)}".rstrip()


def _sign(unit: str) -> str:
    return unit.replace("mm3", "mm³").replace("mm2", "mm²")
