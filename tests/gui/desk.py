"""What a user can do to a result, by name, and the check that table, layer, state and export say the same after each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pytestqt.exceptions import TimeoutError as NeverCame
from qtpy.QtCore import QItemSelectionModel, Qt

from napari_liver_anomaly import lesions
from napari_liver_anomaly.gui.colour_bars import BARS
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.lesion_model import COMMENT, KEEP, TARGET, cells
from napari_liver_anomaly.gui.lesion_rows import LesionRow
from napari_liver_anomaly.gui.lesion_state import how
from napari_liver_anomaly.gui.window_presets import limits_hu
from napari_liver_anomaly.segmentation import cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

LONG_MS = 600_000  # a machine with other work may be slow; only what never ends is a fault


class Session:
    """A panel with two scans, and the hands of a user on it."""

    def __init__(self, panel: Any, layers: list[Any], written: list[Any], wait: Callable[..., None], rng: Generator) -> None:
        self.panel, self.viewer, self.scans, self.written = panel, panel.viewer, layers, written
        self._wait, self.rng = wait, rng
        self.actions = {name[3:]: getattr(self, name) for name in dir(self) if name.startswith("do_")}

    def settle(self) -> None:
        """Wait until nothing is in progress."""
        panel = self.panel
        work = {"segmenting": panel.segmenting, "carrying": panel._carrying, "showing": panel._showing, "controller": panel.controller,
                "writing": panel.exports.writing}  # fmt: skip

        def busy() -> list[str]:
            return [name for name, one in work.items() if one.busy] + ["slider"] * panel.threshold._settle.isActive()

        try:
            self._wait(lambda: not busy(), timeout=LONG_MS)
        except NeverCame as error:
            raise AssertionError(f"never ends: {', '.join(busy())}") from error

    @property
    def shown(self) -> Any:
        return self.panel.controller.shown

    @property
    def tumours(self) -> Any:
        return self.shown.tumours if self.shown is not None else None

    def _voxels(self) -> tuple[np.ndarray, ...]:
        """A small square somewhere."""
        shape = self.scans[0].data.shape
        z, y, x = (int(self.rng.integers(0, n - 3)) for n in shape)
        grid = np.meshgrid([z], range(y, y + 3), range(x, x + 3), indexing="ij")
        return tuple(axis.ravel() for axis in grid)

    def do_paint(self) -> None:
        if self.tumours is not None:
            self.tumours.data_setitem(self._voxels(), int(self.rng.integers(1, 4)))

    def do_erase(self) -> None:
        if self.tumours is not None and (where := np.argwhere(self.tumours.data)).size:
            self.tumours.data_setitem(tuple(axis[None] for axis in where[self.rng.integers(len(where))]), 0)

    def do_erase_lesion(self) -> None:
        if self.tumours is not None and self.shown.lesions:
            number = self.shown.lesions[int(self.rng.integers(len(self.shown.lesions)))].number
            self.tumours.data_setitem(np.nonzero(self.tumours.data == number), 0)

    def do_fill(self) -> None:
        if self.tumours is not None:
            self.tumours.fill(tuple(int(axis[0]) for axis in self._voxels()), int(self.rng.integers(0, 3)))

    def do_replace(self) -> None:
        if self.tumours is not None:
            data = self.tumours.data.copy()
            data[self._voxels()] = 9
            self.tumours.data = data

    def do_undo(self) -> None:
        if self.tumours is not None:
            self.tumours.undo()

    def do_redo(self) -> None:
        if self.tumours is not None:
            self.tumours.redo()

    def do_threshold(self) -> None:
        if self.shown is not None:
            self.panel.threshold.slider.setValue(int(self.rng.integers(5, 96)) / 100)

    def do_drag(self) -> None:
        if self.shown is not None:
            self.panel.threshold.slider.setSliderDown(True)
            for step in self.rng.integers(5, 96, 3):
                self.panel.threshold.slider.setValue(int(step) / 100)
            self.panel.threshold.slider.setSliderDown(False)
            self.panel.threshold._settle.start()

    def do_auto(self) -> None:
        self.panel.threshold.auto.click()

    def do_least_size(self) -> None:
        self.panel.model.rows.fields["min_lesion_mm3"].value = int(self.rng.choice([0, 50, 300]))

    def do_discard(self) -> None:
        self.panel.controller.discard()

    def do_delete_tumours(self) -> None:
        if self.tumours is not None:
            self.viewer.layers.remove(self.tumours)

    def do_delete_score(self) -> None:
        for layer in [layer for layer in self.viewer.layers if layer.name.endswith("anomaly score")][:1]:
            self.viewer.layers.remove(layer)

    def do_run(self) -> None:
        self.panel.segment()

    def do_other_scan(self) -> None:
        now = self.panel.inputs.scan.layer
        self.panel.inputs.scan.choose(next(layer for layer in self.scans if layer is not now))

    def do_scroll(self) -> None:
        self.viewer.dims.set_point(0, float(self.rng.integers(0, 20)))

    def do_row(self) -> None:
        if self.shown is not None and self.shown.lesions:
            self.panel.table.picked.emit(self.shown.lesions[-1])

    def do_untick(self) -> None:
        """Leave a lesion out, or take one in again, by the tick in a row."""
        rows = self.panel.table.model()
        if rows.rowCount():
            at = rows.index(int(self.rng.integers(rows.rowCount())), KEEP)
            kept = rows.data(at, Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
            rows.setData(at, Qt.CheckState.Unchecked if kept else Qt.CheckState.Checked, Qt.ItemDataRole.CheckStateRole)

    def do_aim(self) -> None:
        """Make a lesion a target, or no longer, by the tick in a row."""
        rows = self.panel.table.model()
        if rows.rowCount():
            at = rows.index(int(self.rng.integers(rows.rowCount())), TARGET)
            on = rows.data(at, Qt.ItemDataRole.CheckStateRole) == Qt.CheckState.Checked
            rows.setData(at, Qt.CheckState.Unchecked if on else Qt.CheckState.Checked, Qt.ItemDataRole.CheckStateRole)

    def do_comment(self) -> None:
        """Write to a lesion, or wipe it out."""
        rows = self.panel.table.model()
        if rows.rowCount():
            text = str(self.rng.choice(["", "cyst?", "seen in May"]))
            rows.setData(rows.index(int(self.rng.integers(rows.rowCount())), COMMENT), text)

    def do_merge(self) -> None:
        self._choose(2)
        self.panel.lesions.merge()

    def do_add_by_click(self) -> None:
        """Grow a lesion where the score is high, and take it or not."""
        section = self.panel.lesions
        section.add()
        if section.adding.on:
            place = self.rng.choice(np.argwhere(self.shown.result.score > 30))
            section.adding.grow_at(self.tumours.data_to_world(place))
            section.adding.resize_by(int(self.rng.choice([-1, 0, 1])))
            if self.rng.random() < 0.8:
                self._wait(lambda: not section.adding.busy, timeout=LONG_MS)
            if self.rng.random() < 0.7:
                section.adding.accept()
            elif self.rng.random() < 0.5:
                section.adding.end()

    def do_split(self) -> None:
        self._choose(1)
        self.panel.lesions.split()

    def _choose(self, number: int) -> None:
        """Select some rows."""
        table = self.panel.table
        table.clearSelection()
        for row in self.rng.permutation(table.model().rowCount())[:number]:
            index, flags = table.model().index(int(row), 0), QItemSelectionModel.SelectionFlag
            table.selectionModel().select(index, flags.Select | flags.Rows)

    def do_sort(self) -> None:
        self.panel.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)  # the check reads the table in this order

    def do_next(self) -> None:
        self.panel.table.step(int(self.rng.choice([-1, 1])))

    def do_hide(self) -> None:
        if self.tumours is not None:
            self.tumours.visible = not self.tumours.visible

    def do_planes(self) -> None:
        """Switch the small views on or off; there are some only in a window."""
        self.panel.look.views.planes.click()

    def do_swap_planes(self) -> None:
        """Double-click one of the small views."""
        if (side := self.panel.look.planes.side) is not None:
            side.views[int(self.rng.integers(2))].wanted.emit(side.views[int(self.rng.integers(2))].axis)

    def do_point(self) -> None:
        """Click somewhere in a small view."""
        if (side := self.panel.look.planes.side) is not None:
            side.views[int(self.rng.integers(2))].pointed.emit(tuple(float(at) for at in self.rng.uniform(0, 30, 3)))

    def do_drag_window(self) -> None:
        """Drag width and level with the mouse."""
        low = float(self.rng.integers(-200, 100))
        self.panel.look.drag.moved.emit(low, low + float(self.rng.integers(1, 400)))

    def do_preset(self) -> None:
        list(self.panel.look.windows.buttons.values())[int(self.rng.integers(4))].click()

    def do_blink(self) -> None:
        self.panel.look.overlays.menu.compare["blink"].trigger()

    def do_wipe(self) -> None:
        """Wipe, and move the mouse to and fro."""
        self.panel.look.overlays.menu.compare["wipe"].trigger()
        if self.panel.look.compare.how == "wipe":
            self.panel.look.compare._cut(float(self.rng.uniform(0, 50)))

    def do_space(self) -> None:
        self.panel.look.views.space.click()

    def do_napari_space(self) -> None:
        """Turn by napari's own button."""
        self.viewer.dims.ndisplay = 5 - self.viewer.dims.ndisplay

    def do_bars(self) -> None:
        self.panel.look.overlays.menu.bar.trigger()

    def do_overlay(self) -> None:
        rows = list(self.panel.look.overlays.rows.values())
        rows[int(self.rng.integers(len(rows)))][0].click()

    def check_look(self) -> None:
        """Buttons say what is on, and what went on before is over when something else began."""
        panel = self.panel
        assert panel.look.views.space.isChecked() == panel.look.space.on and panel.look.views.planes.isChecked() == (
            panel.look.planes.side is not None
        )
        assert not panel.look.space.on or (self.viewer.dims.ndisplay == 3 and not panel.look.compare.how)
        marked = [how for how, action in panel.look.overlays.menu.compare.items() if action.isChecked()]
        assert marked == [panel.look.compare.how] * bool(panel.look.compare.how) and (panel.look.compare._clip is not None) == (
            panel.look.compare.how == "wipe"
        )
        assert panel.look.compare._timer.isActive() == (panel.look.compare.how == "blink")
        scan = panel.inputs.scan.layer
        if scan is not None:
            seen = [name for name, button in panel.look.windows.buttons.items() if button.isChecked()]
            assert seen == [name for name in panel.look.windows.buttons if limits_hu(name) == tuple(scan.contrast_limits)]
        if (
            self.shown is not None
            and (restored := self.shown.layers.get(Role.RESTORED)) is not None
            and not panel.look.compare.how
        ):
            assert restored in self.viewer.layers
        for role, layer in (self.shown.layers if self.shown is not None else {}).items():
            if role in BARS:
                held = layer is panel.controller.preview.layer
                assert layer.colorbar.visible == (panel.look.bars.shown and not held), "bars are as they were chosen"

    def check(self, folder: Any, *, export: bool = True) -> None:
        """Table, layer, state and export are of one mind."""
        self.settle()
        panel, shown = self.panel, self.shown
        assert not panel.messages.details, panel.messages.details
        self.check_look()
        rows = panel.table.model()
        if shown is None:
            assert rows.rowCount() == 0 and not panel.exports.choice.button.isEnabled()
            return
        state, result = shown.state, shown.now()
        if shown.tumours is not None and shown.tumours.visible:
            assert np.array_equal(shown.tumours.data, result.labels), "layer and state differ"
        assert result.lesions == shown.lesions == lesions.measure(result.labels, result.volume, result.liver)
        table = [tuple(rows.data(rows.index(n, k)) for k in range(rows.columnCount())) for n in range(rows.rowCount())]
        slices = [int(np.argmax((result.labels == lesion.number).sum(axis=(1, 2)))) for lesion in result.lesions]
        highest = [int(result.score[result.labels == lesion.number].max()) / 255 for lesion in result.lesions]
        each = zip(result.lesions, slices, highest, strict=True)
        kept = [cells(LesionRow(lesion, at, True, score, result.origin(lesion)))[:-1] for lesion, at, score in each]
        assert [row[:-1] for row in table[: len(kept)]] == kept, "table and state differ"
        if shown.tumours is not None:
            mirrored = shown.tumours.features["index"].tolist()
            assert mirrored == [0, *(lesion.number for lesion in result.lesions)], "features and state differ"
        assert sum(row.target and row.kept for row in panel.table.lesions) <= 2
        assert all(cell[0] == "–" for cell in table[len(kept) :]), "only lesions that were left out have no number"
        assert panel.threshold.value == round(state.settings.threshold, 2) and panel.threshold.remark.text() != "Updating…"
        if not state.corrected:
            settings = result.settings
            wanted, _ = cut(shown.result.score, shown.result.liver.probability, shown.result.volume.geometry, how(settings))
            assert np.array_equal(result.labels > 0, wanted > 0), "without corrections it is what the settings give"
        if export:
            assert panel.exports.choice.button.isEnabled()
            self.written.clear()
            panel.exports.write(folder)
            self.settle()
            (told,) = self.written
            assert told.volume.identity == panel.inputs.scan.layer.metadata["napari-liver-anomaly"].scan, "of the chosen scan"
            assert np.array_equal(told.labels, self.shown.now().labels) and told.lesions == self.shown.lesions
            assert told.settings == self.shown.now().settings and told.origins == self.shown.state.origins
            listed = [row for row in panel.table.rows.lesions if not row.kept]
            assert list(told.rejected) == [row.lesion for row in listed], "rejected in table and export differ"
            assert all(not told.labels.flat[self.shown.left_out[row.lesion]].any() for row in listed)
            assert ("corrected-by-hand" in {finding.code for finding in told.findings}) == self.shown.state.corrected
