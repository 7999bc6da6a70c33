"""The threshold: a slider before the histogram of the scores, the check box Auto, and the number and volume of the lesions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QLocale, Qt, QTimer, Signal
from qtpy.QtGui import QDoubleValidator
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider
from superqt.utils import signals_blocked

from napari_liver_anomaly.gui.help_link import HelpLink
from napari_liver_anomaly.gui.score_histogram import ScoreHistogram
from napari_liver_anomaly.gui.settings_form import Diameter
from napari_liver_anomaly.gui.style import keep_room, one_line, say, selectable, wheel_needs_focus
from napari_liver_anomaly.segmentation import AUTO_SETTINGS, SegmentSettings
from napari_liver_anomaly.settings import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

STEP = 0.01
SETTLE_MS = 250
SMALLEST_PX = 76
AUTO = AUTO_SETTINGS.auto_threshold  # whether a new panel lets each scan choose its threshold
TIP = "Threshold: a voxel counts as tumour when its anomaly score is at least this much (0 to 1)"
BARS_TIP = (
    "Behind it: how many voxels of the liver have each score (logarithmic); those that count are orange. "
    "Dashed line: {default:.2f}, the default. Triangle: {auto:.2f}, what Auto chooses."
)
HEALTHY_TIP = "Rings: scores that little of the healthy livers reached that the model was trained on: {shares}."
AUTO_TIP = (
    "Chooses for each scan the threshold at which the overlap (Dice) expected from its own scores is largest; no label is used"
)


class ThresholdSlider(QWidget):
    """A score of 0.01 to 1, and "Auto", which a move by hand switches off."""

    moved = Signal()  # at every tick
    settled = Signal()  # a moment after the last tick, when the slider is let go
    switched = Signal(bool)  # Auto was switched with a click
    discarded = Signal()  # corrections by hand are to be taken back

    def __init__(self, value: float) -> None:
        super().__init__()
        self._first = value
        self.slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(STEP, 1.0)
        self.slider.setSingleStep(STEP)  # type: ignore[arg-type]  # superqt types the steps of its plain slider
        self.slider.setDecimals(2)
        self.slider.setToolTip(TIP)
        number = self.slider.findChild(QLineEdit)  # a field to type in, as any other, with a point in every country
        number.setValidator(validator := QDoubleValidator(number))
        validator.setLocale(QLocale.c())
        number.setStyleSheet("")
        wheel_needs_focus(self.slider)
        for part in (self.slider, *self.slider.findChildren(QWidget)):
            part.setAccessibleName("Threshold")
        self.histogram = ScoreHistogram(self.slider, value)
        self.auto = QCheckBox("Auto")
        self.auto.setChecked(AUTO)
        self.auto.setToolTip(AUTO_TIP)
        self.count = QLabel()
        self.count.setTextFormat(Qt.TextFormat.PlainText)
        self.count.setProperty("kind", "number")
        self.count.setWordWrap(True)
        self.count.setToolTip("Lesions and their volume; in brackets their share of the liver")
        keep_room(selectable(self.count))
        self.smallest = Diameter(next(one for one in options(SegmentSettings) if one.name == "min_lesion_mm3"))
        self.smallest.native.setPrefix("≥ ")
        self.smallest.native.setSuffix(" mm")
        self.smallest.native.setButtonSymbols(
            QAbstractSpinBox.ButtonSymbols.NoButtons
        )  # the line has little room: typed, or by arrow keys
        self.smallest.native.setFixedWidth(SMALLEST_PX)
        self.smallest.native.setAccessibleName("Smallest lesion")
        self.smallest.native.setToolTip(self.smallest.tooltip)
        wheel_needs_focus(self.smallest.native)
        self.remark = keep_room(one_line())
        self.discard = QToolButton()
        self.discard.setText("Discard corrections")
        self.discard.setProperty("kind", "link")
        self.discard.setToolTip("Show again what model and threshold give; what was corrected by hand is lost")
        self.discard.clicked.connect(self.discarded)
        self.back = QToolButton()
        self.back.setText("Reset")
        self.back.setProperty("kind", "link")
        self.back.setAccessibleName("Reset threshold")
        self.back.setToolTip("Set the threshold to what it is after a first run; corrections by hand stay")
        self.back.clicked.connect(self._set_back)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._lay_out()
        self.show_threshold(value, auto=AUTO)
        self.slider.valueChanged.connect(self._tick)
        self.slider.sliderReleased.connect(self._tell_settled)  # at once: a hand that lets go has decided
        self.auto.toggled.connect(self.switched)
        self.auto.toggled.connect(self._offer_back)
        self._settle.timeout.connect(self._tell_settled)
        self.tell("", "")
        self.allow(on=True)

    def _lay_out(self) -> None:
        bars = QGridLayout()
        bars.addWidget(self.histogram, 0, 0)
        bars.addWidget(self.slider, 0, 0, Qt.AlignmentFlag.AlignBottom)  # in the same place, in front
        row = QHBoxLayout()
        row.addWidget(QLabel("Threshold"))
        row.addLayout(bars, stretch=1)
        row.addWidget(self.auto)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(row)
        told = QHBoxLayout()
        told.addWidget(self.count, stretch=1)
        told.addWidget(HelpLink("Review and correct lesions"))
        layout.addLayout(told)
        below = QHBoxLayout()  # a line that is always there, so that nothing moves when it says something
        below.addWidget(self.smallest.native)
        below.addWidget(self.remark, stretch=1)
        below.addWidget(self.back)
        below.addWidget(self.discard)
        self.remark.setMinimumHeight(self.discard.sizeHint().height())
        self.smallest.native.setFixedHeight(self.discard.sizeHint().height())  # the line is as high as ever
        layout.addLayout(below)

    @property
    def value(self) -> float:
        """The threshold, 0.01 to 1, in hundredths."""
        return round(float(self.slider.value()), 2)

    def show_threshold(self, value: float, *, auto: bool) -> None:
        """Show a threshold and whether the scan chose it, without telling anybody."""
        with signals_blocked(self.slider), signals_blocked(self.auto):
            self.slider.setValue(value)
            self.auto.setChecked(auto)
        self.histogram.follow(value)
        self._settle.stop()
        self._offer_back()

    def reset(self) -> None:
        """Begin anew, for another scan."""
        self.show_threshold(self._first, auto=AUTO)

    def _set_back(self) -> None:
        """Cut again as a first run does."""
        self.reset()
        self.switched.emit(AUTO)

    def _offer_back(self, _on: bool = False) -> None:
        """Offer to set the threshold back, where it is not what a first run gives."""
        first = self.auto.isChecked() if AUTO else not self.auto.isChecked() and self.value == self._first
        self.back.setVisible(self.slider.isEnabled() and not first)

    def allow(self, on: bool, *, discard: bool = False) -> None:
        """Let the threshold be moved or not, and corrections be discarded. Auto can be chosen before there is anything to move."""
        self.slider.setEnabled(on)
        self.smallest.native.setEnabled(on)
        self._offer_back()
        self.discard.setVisible(discard)

    def show_scores(self, counts: NDArray[np.int64] | None, auto: float | None, healthy: Mapping[float, float]) -> None:
        """Show how many voxels of the liver have each score, what Auto chooses, and which scores small shares of healthy liver reach.

        Nothing is shown before that is known.
        """
        self.histogram.show_counts(counts, auto, healthy.values())
        told = [] if auto is None else [BARS_TIP.format(default=self._first, auto=auto)]
        if told and healthy:
            told.append(
                HEALTHY_TIP.format(shares=", ".join(f"{100 * share:g} % at {score:.2f}" for share, score in healthy.items()))
            )
        self.slider.setToolTip("\n".join([TIP, *told]))

    def tell(self, count: str | None = None, remark: str | None = None) -> None:
        """Say what the threshold leaves; what is not given is said as before."""
        for label, text in ((self.count, count), (self.remark, remark)):
            if text is not None:
                say(label, text)

    def _tell_settled(self) -> None:
        if not self.slider.isSliderDown():
            self._settle.stop()
            self.settled.emit()

    def _tick(self) -> None:
        self._settle.start()
        self.histogram.follow(self.value)
        with signals_blocked(self.auto):
            self.auto.setChecked(False)
        self._offer_back()
        self.moved.emit()
