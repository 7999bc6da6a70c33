"""Rows made from a settings class: name, unit, range and help stand in one place, beside the code that uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QSpinBox, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.style import form
from napari_liver_anomaly.settings import Option, Settings, options

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 1e9


class SettingsForm(QWidget):
    """A form for one settings class."""

    changed = Signal()

    def __init__(self, settings: type[Settings] | Settings, leave_out: Iterable[str] = ()) -> None:
        super().__init__()
        self._made_from = settings if isinstance(settings, type) else type(settings)
        self.fields: dict[str, QWidget] = {}
        left_out, rows = set(leave_out), {}
        for option in options(settings):
            if option.name not in left_out:
                self.fields[option.name] = field = _field(option)
                field.setToolTip(_tip(option))
                rows[option.label.removesuffix(f" ({option.unit})")] = field
                _changes(field).connect(lambda *_: self.changed.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form(rows))

    def value(self, **others: Any) -> Settings:
        """Make the settings from what the rows show."""
        return self._made_from(**{name: _read(field) for name, field in self.fields.items()}, **others)


def _field(option: Option) -> QWidget:
    """Make the widget of one option."""
    if option.choices:
        box = QComboBox()
        box.addItems(option.choices)
        box.setCurrentText(option.default)
        return box
    if option.kind is bool:
        tick = QCheckBox()
        tick.setChecked(option.default)
        return tick
    low = option.low if option.low is not None else -MOST
    high = option.high if option.high is not None else MOST
    if option.kind is int:
        number = QSpinBox()
        number.setRange(int(low), int(high))
    else:
        number = QDoubleSpinBox()
        number.setDecimals(2)
        number.setRange(low, high)
        number.setSingleStep(0.05 if high <= 1 else 1.0)
    number.setValue(option.default)
    number.setKeyboardTracking(False)
    if option.unit:
        number.setSuffix(f" {_sign(option.unit)}")
    return number


def _read(field: QWidget) -> Any:
    if isinstance(field, QComboBox):
        return field.currentText()
    return field.isChecked() if isinstance(field, QCheckBox) else field.value()


def _changes(field: QWidget) -> Any:
    if isinstance(field, QComboBox):
        return field.currentTextChanged
    return field.toggled if isinstance(field, QCheckBox) else field.valueChanged


def _tip(option: Option) -> str:
    """Help, unit and range of an option."""
    if option.low is None or option.high is None:
        return option.help
    return f"{option.help}\nFrom {option.low:g} to {option.high:g} {_sign(option.unit)}".rstrip()


def _sign(unit: str) -> str:
    return unit.replace("mm3", "mm³").replace("mm2", "mm²")
