"""The threshold: a slider with a number box, a tick that lets the scan choose, and what it leaves: how many lesions, how much."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from napari_liver_anomaly.gui.style import small
from napari_liver_anomaly.segmentation import AUTO_SETTINGS

STEPS = 100
SETTLE_MS = 250
BOX_PX = 72
AUTO = AUTO_SETTINGS.auto_threshold  # whether a new panel lets each scan choose its threshold


class ThresholdSlider(QWidget):
    """Slider and number box for a score of 0.01 to 1, and "Auto", which a move by hand switches off."""

    moved = Signal(float)  # at every tick
    settled = Signal(float)  # a moment after the last tick, when the slider is let go
    switched = Signal(bool)  # Auto was switched, with a click or by moving the slider

    def __init__(self, value: float) -> None:
        super().__init__()
        tip = "Threshold: a voxel counts as tumour when its anomaly score is at least this much (0 to 1, no unit)"
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(1, STEPS)
        self.slider.setToolTip(tip)
        self.box = QDoubleSpinBox(decimals=2, singleStep=0.01, keyboardTracking=False)
        self.box.setRange(1 / STEPS, 1.0)
        self.box.setToolTip(tip)
        self.box.setMaximumWidth(BOX_PX)
        self.auto = QCheckBox("Auto", checked=AUTO)
        self.auto.setToolTip(
            "Chooses for each scan the threshold at which the overlap (Dice) expected from its own scores is largest; no label is used"
        )
        self.count = QLabel()
        self.count.setProperty("kind", "number")
        self.count.setWordWrap(True)
        self.remark = small()
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self._settled)
        row = QHBoxLayout()
        row.addWidget(QLabel("Threshold"))
        row.addWidget(self.slider, stretch=1)
        row.addWidget(self.box)
        row.addWidget(self.auto)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(row)
        layout.addWidget(self.count)
        layout.addWidget(self.remark)
        self.set_value(value)
        self.slider.valueChanged.connect(lambda step: self._tick(step / STEPS))
        self.box.valueChanged.connect(self._tick)
        self.slider.sliderReleased.connect(self._settle.start)
        self.auto.toggled.connect(self.switched)
        self.tell("")

    @property
    def value(self) -> float:
        """The threshold, 0.01 to 1."""
        return self.slider.value() / STEPS

    def set_value(self, value: float) -> None:
        """Show a threshold without telling anybody."""
        for widget, shown in ((self.slider, round(value * STEPS)), (self.box, value)):
            widget.blockSignals(True)
            widget.setValue(shown)
            widget.blockSignals(False)
        self._settle.stop()

    def set_auto(self, on: bool) -> None:
        """Show whether the scan chooses, without telling anybody."""
        self.auto.blockSignals(True)
        self.auto.setChecked(on)
        self.auto.blockSignals(False)

    def allow(self, on: bool) -> None:
        """Let the threshold be moved or not. Auto can be chosen before there is anything to move."""
        self.slider.setEnabled(on)
        self.box.setEnabled(on)

    def tell(self, count: str, remark: str = "") -> None:
        """Say what the threshold leaves."""
        for label, text in ((self.count, count), (self.remark, remark)):
            label.setText(text)
            label.setVisible(bool(text))

    def _tick(self, value: float) -> None:
        self.auto.setChecked(False)
        self.set_value(value)
        self.moved.emit(self.value)
        self._settle.start()

    def _settled(self) -> None:
        if not self.slider.isSliderDown():
            self.settled.emit(self.value)
