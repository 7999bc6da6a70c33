"""Rows made from a settings class: name, unit, range and help stand in one place, beside the code that uses them."""

from __future__ import annotations

from dataclasses import replace
from math import pi
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox, SpinBox
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_liver_anomaly.gui.fold import Fold
from napari_liver_anomaly.gui.style import form
from napari_liver_anomaly.settings import Option, Settings, options

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qtpy.QtWidgets import QFormLayout

    from napari_liver_anomaly.errors import Finding

S = TypeVar("S", bound=Settings)
MOST = 1e9


class SettingsForm(QWidget, Generic[S]):
    """A form for one settings class, without the fields that have a place elsewhere in the panel.

    ``words`` name fields as a reader would; ``first`` stand above the others, which are folded away; ``diameters`` are volumes in mm³
    that are shown as the diameter of a ball of that volume, in mm.
    """

    changed = Signal()

    def __init__(
        self,
        settings: type[S] | S,
        leave_out: Iterable[str] = (),
        *,
        words: Mapping[str, str] | None = None,
        first: Sequence[str] = (),
        diameters: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._made_from: type[S] = settings if isinstance(settings, type) else type(settings)
        left_out = set(leave_out)
        rows = [option for option in options(settings) if option.name not in left_out]
        across = set(diameters)
        self.fields = {option.name: Diameter(option) if option.name in across else field_of(option) for option in rows}
        for field in self.fields.values():
            field.changed.connect(lambda _: self.changed.emit())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        own = {name: f"{option.words} (mm)" for option in rows if (name := option.name) in across} | dict(words or {})
        said = {option.name: own.get(option.name, _sign(option.label)) for option in rows}
        self._words = {option.label: said[option.name] for option in rows}
        above = [name for name in first if name in said] or list(said)
        layout.addLayout(self._rows(above, said))
        self.more: Fold | None = None
        if below := [name for name in said if name not in above]:
            rest = QWidget()
            rest.setLayout(self._rows(below, said))
            self.more = Fold(f"{len(below)} more numbers", [rest], is_open=False, minor=True)
            layout.addWidget(self.more)

    def name_rows(self, finding: Finding) -> Finding:
        """Name the rows in a finding as they are named here, and unfold those that it speaks of."""
        what = finding.what
        for label, words in self._words.items():
            what = what.replace(label, words)
        if self.more is not None:
            self.more.open()
        return replace(finding, what=what)

    def _rows(self, names: Iterable[str], said: Mapping[str, str]) -> QFormLayout:
        return form({said[name]: self.fields[name].native for name in names})

    def show_settings(self, settings: S) -> None:
        """Show these settings, which somebody else set: nobody is told."""
        was = self.blockSignals(True)
        for name, field in self.fields.items():
            field.value = getattr(settings, name)
        self.blockSignals(was)

    def value(self, **others: Any) -> S:
        """Make the settings from what the rows show, and from values of the fields that were left out."""
        return self._made_from(**{name: field.value for name, field in self.fields.items()}, **others)


class Diameter:
    """A volume in mm³ behind a row that shows, and takes, the diameter of a ball of that volume in mm."""

    def __init__(self, option: Option) -> None:
        low, high = (_across(option.low or 0.0), _across(option.high if option.high is not None else MOST))
        tip = f"{option.help} In mm across, as a ball.\nFrom {low:.1f} to {high:.0f} mm"
        self._mm3 = float(option.default)
        self._field = FloatSpinBox(value=round(_across(self._mm3), 1), min=low, max=high, step=0.5, name=option.name, tooltip=tip)
        self.native, self.changed, self.tooltip = self._field.native, self._field.changed, tip
        self.native.setDecimals(1)
        self.native.setKeyboardTracking(False)

    @property
    def value(self) -> float:
        """The volume in mm³: what was set, until the row shows something else."""
        shown = float(self._field.value)
        return self._mm3 if shown == round(_across(self._mm3), 1) else pi * shown**3 / 6

    @value.setter
    def value(self, mm3: float) -> None:
        self._mm3 = float(mm3)
        self._field.value = round(_across(self._mm3), 1)


def _across(mm3: float) -> float:
    """Diameter in mm of a ball of a volume in mm³."""
    return float((6 * mm3 / pi) ** (1 / 3))


def field_of(option: Option) -> Any:
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
