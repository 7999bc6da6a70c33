"""How the chosen scan and its result are seen: window, planes, space, marks of the patient's sides, overlays and comparing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_liver_anomaly.gui.before_after import BeforeAfter
from napari_liver_anomaly.gui.colour_bars import ColourBars
from napari_liver_anomaly.gui.event_listener import EventListener
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.overlays import Overlays
from napari_liver_anomaly.gui.patient_marks import PatientMarks
from napari_liver_anomaly.gui.planes import Planes
from napari_liver_anomaly.gui.residual_look import ResidualLook
from napari_liver_anomaly.gui.shown_scan import ShownScan
from napari_liver_anomaly.gui.space_view import NO_LIVER, SpaceView
from napari_liver_anomaly.gui.style import form
from napari_liver_anomaly.gui.view_buttons import ViewButtons
from napari_liver_anomaly.gui.window_drag import WindowDrag
from napari_liver_anomaly.gui.window_numbers import WindowNumbers
from napari_liver_anomaly.gui.window_presets import WindowPresets, limits_hu

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.gui.inputs import Inputs
    from napari_liver_anomaly.gui.message_area import MessageArea
    from napari_liver_anomaly.gui.result_layers import ResultLayers

NO_SCAN = "Choose a scan first: drop one above, or load it."


class Look(QObject):
    """Everything that changes what is seen, and nothing of what was found."""

    def __init__(
        self, parent: QWidget, viewer: Any, inputs: Inputs, messages: MessageArea, shown: Callable[[], ResultLayers | None],
        held: Callable[[], bool],
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._viewer, self._inputs, self._messages, self._shown = viewer, inputs, messages, shown
        self.planes, self.views = Planes(self, viewer), ViewButtons()
        self.marks, self.space = PatientMarks(self, viewer), SpaceView(self, viewer)
        self.residual, self.bars, self.compare = (
            ResidualLook(self),
            ColourBars(self, held, self.marks.tell_colours),
            BeforeAfter(self, viewer),
        )
        self.windows, self.numbers = WindowPresets(), WindowNumbers(beside=[self.views])
        self.overlays = Overlays(held=held)
        self.drag = WindowDrag(self, self.window_now)
        self.rows = QWidget()
        self.rows.setLayout(form({"Window": self.windows, "W / L": self.numbers}))
        self._sights, self._window_events = ShownScan(viewer), EventListener()
        self._wire()

    def _wire(self) -> None:
        self.windows.picked.connect(lambda name: self.window(*limits_hu(name)))
        self.numbers.typed.connect(self.window)
        self.drag.moved.connect(self.window)
        self.drag.listen(self._viewer)
        self.views.planes_wanted.connect(self.planes.show_or_hide)
        self.planes.changed.connect(self.views.planes.setChecked)
        self.planes.opened.connect(self.drag.listen)
        self.views.space_wanted.connect(self._turn_space)
        self.space.turned.connect(self.planes.hold)
        self.space.turned.connect(lambda on: self.compare.stop() if on else None)
        self.space.turned.connect(self.views.space.setChecked)
        menu = self.overlays.menu
        menu.compared.connect(self.compare.start)
        menu.blanked.connect(self.residual.blank)
        menu.barred.connect(self.bars.show)
        self.compare.changed.connect(menu.mark)
        for changed in (self._inputs.scan.chosen, self._inputs.liver.chosen, self.space.turned, self.planes.changed):
            changed.connect(lambda *_: self.offer())
        self.offer()

    def offer(self) -> None:
        """Let views be switched on that there is something for."""
        self.views.offer(scan=self._inputs.scan.layer is not None, liver=self._inputs.liver.layer is not None)

    def leave(self) -> None:
        """Leave the viewer as it was before."""
        self.compare.stop()
        self.space.leave()
        self.planes.close()
        self.marks.remove()

    def turn_to_scan(self) -> None:
        """Show the chosen scan, and nothing of another."""
        layer = self._inputs.scan.layer
        self._window_events.stop()
        self.marks.follow(layer)
        self.planes.follow(layer)
        if layer is not None:
            self._sights.turn_to(layer)
            self._window_events.hear(layer.events.contrast_limits, self.mark_window)
        self.mark_window()

    def follow(self, shown: ResultLayers | None, *, restores: bool) -> None:
        """Offer the overlays that there are; before a run, those that the chosen model will give."""
        layers = shown.layers if shown is not None else {}
        self.residual.follow(layers.get(Role.RESIDUAL))
        self.bars.follow(layers)
        self.compare.follow(layers.get(Role.RESTORED))
        self.overlays.setVisible(shown is not None)
        self.overlays.follow(layers, restores=restores if shown is None else shown.result.restored is not None)

    def window(self, low_hu: float, high_hu: float) -> None:
        """Show the scan and its restored twin in a window."""
        scan, shown = self._inputs.scan.layer, self._shown()
        if scan is None:
            self._messages.note(NO_SCAN)
        for layer in (scan, shown.layers.get(Role.RESTORED) if shown is not None else None):
            if layer is not None:
                layer.contrast_limits = (low_hu, high_hu)
        self.mark_window()

    def window_now(self) -> tuple[float, float] | None:
        """Give the window in which the chosen scan is seen."""
        scan = self._inputs.scan.layer
        return None if scan is None else tuple(scan.contrast_limits)

    def mark_window(self, _event: object = None) -> None:
        """Say which window that is."""
        self.windows.mark(self.window_now())
        self.numbers.show_window(self.window_now())

    def _turn_space(self, wanted: bool) -> None:
        """Show liver and tumours in space, or go back."""
        liver, shown = self._inputs.liver.layer, self._shown()
        if not wanted:
            self.space.leave()
        elif liver is None:
            self._messages.note(NO_LIVER)
        else:
            self.space.show(liver, shown.tumours if shown is not None else None)
        self.views.space.setChecked(self.space.on)
