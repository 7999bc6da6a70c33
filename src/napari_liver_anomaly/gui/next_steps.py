"""What to do, in a few lines: which steps are done, and which comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_liver_anomaly.gui.style import restyle, small

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.gui.inputs import LayerChooser

DONE, NEXT = "✓", "→"


class NextSteps(QWidget):
    """A line for each step, and only for the next once the first is done.

    A step is done while its list has a layer chosen; then comes the run, which says what hinders it, and what is left to the user.
    """

    def __init__(self, steps: Sequence[str], choosers: Sequence[LayerChooser]) -> None:
        super().__init__()
        self._steps, self._choosers, self._hindered, self._ran = steps, choosers, "", False
        self.lines = [small() for _ in steps]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for line in self.lines:
            layout.addWidget(line)
        for chooser in choosers:
            chooser.chosen.connect(self.follow)
        self.follow()

    def hinder(self, why: str) -> None:
        """Say in the place of the run what is still missing for it; nothing where it can begin."""
        self._hindered = why
        self.follow()

    def tick_run(self, ran: bool) -> None:
        """Tick the run of the chosen scan, or no longer."""
        if ran is not self._ran:
            self._ran = ran
            self.follow()

    def follow(self) -> None:
        """Mark what is done and what comes next."""
        done = [chooser.layer is not None for chooser in self._choosers] + [self._ran]
        next_one, run = done.index(False) if False in done else len(done), len(self._choosers)
        for n, (line, step) in enumerate(zip(self.lines, self._steps, strict=True)):
            mark = DONE if n < len(done) and done[n] else NEXT if n == next_one else f"{n + 1}."
            line.setText(f"{mark} {self._hindered if n == run and self._hindered and not self._ran else step}")
            restyle(line, kind="number" if n == next_one else "small")
            line.setVisible(n == next_one or not done[0] or (n == run and self._ran))
