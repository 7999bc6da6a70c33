"""A link that opens the sample without tumours, made in a worker; there while no scan is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QToolButton

from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_liver_anomaly.gui.inputs import LayerChooser
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.phantom import Sample

WORDS = "Try the healthy sample"


class HealthySampleLink(QToolButton):
    """Makes the phantom without tumours and shows it with its liver."""

    made = Signal(object)  # steps that show it, for a Stepwise

    def __init__(self, viewer: Any, scan: LayerChooser) -> None:
        super().__init__()
        self._viewer, self._scan = viewer, scan
        self.setText(WORDS)
        self.setProperty("kind", "link")
        self.setToolTip("Open a made-up abdomen without tumours, free of any patient")
        self.making = Task(self)
        self.clicked.connect(self._make)
        self.making.returned.connect(lambda sample: self.made.emit(self._show(sample)))
        self.making.ended.connect(lambda: self.setText(WORDS))
        scan.chosen.connect(self._follow)
        self._follow()

    def _make(self) -> None:
        if self.making.start(_make_healthy):
            self.setText("Making it…")

    def _show(self, sample: Sample) -> Iterator[None]:
        add(self._viewer, scan_layer(sample.volume))
        yield
        add(self._viewer, liver_layer(sample.liver, sample.volume))

    def _follow(self) -> None:
        self.setVisible(self._scan.layer is None)


def _make_healthy(job: Job) -> Sample:
    from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

    job.at("Making the sample", 0, 1)
    return make_phantom(PhantomSettings(tumours=False))
