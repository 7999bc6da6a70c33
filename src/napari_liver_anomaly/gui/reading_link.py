"""A link to the panel "Liver tumours", where a scan is opened and its liver found; there while one of them is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QToolButton

if TYPE_CHECKING:
    from napari_liver_anomaly.gui.inputs import Inputs

OPEN_SCAN, FIND_LIVER = "Open a scan in the panel 'Liver tumours'", "Find or load its liver in the panel 'Liver tumours'"


class ReadingLink(QToolButton):
    """Brings the panel "Liver tumours" to the front, with the scan that is chosen here."""

    def __init__(self, viewer: Any, inputs: Inputs) -> None:
        super().__init__()
        self._viewer, self._inputs = viewer, inputs
        self.setProperty("kind", "link")
        self.setToolTip("What is opened or found there can be chosen here at once")
        self.clicked.connect(self._open)
        for chooser in (inputs.scan, inputs.liver):
            chooser.chosen.connect(self._follow)
        self._follow()

    def _open(self) -> None:
        from napari_liver_anomaly.gui.hooks import panel_of

        panel = panel_of(self._viewer)
        if (scan := self._inputs.scan.layer) is not None:
            panel.inputs.scan.choose(scan)

    def _follow(self) -> None:
        has_scan = self._inputs.scan.layer is not None
        self.setText(FIND_LIVER if has_scan else OPEN_SCAN)
        self.setVisible(not has_scan or self._inputs.liver.layer is None)
