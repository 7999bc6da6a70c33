"""The lesions in the panel: the table, what can be done with the lesion that is chosen, and the sum of the target lesions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from napari_liver_anomaly.gui import lesion_edits
from napari_liver_anomaly.gui.availability import allow
from napari_liver_anomaly.gui.click_to_grow import ClickToGrow, Ground
from napari_liver_anomaly.gui.help_link import HelpLink
from napari_liver_anomaly.gui.lesion_rows import MOST_TARGETS, target_words
from napari_liver_anomaly.gui.lesion_table import LesionTable
from napari_liver_anomaly.gui.note_history import steps_of
from napari_liver_anomaly.gui.style import LinkMenu, keep_room, link, one_line, say

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.message_area import MessageArea
    from napari_liver_anomaly.gui.result_layers import ResultLayers
    from napari_liver_anomaly.gui.threshold_controller import ThresholdController
    from napari_liver_anomaly.lesions import Lesion

NEXT, BEFORE, UNDO, REDO = "Alt+Right", "Alt+Left", "Ctrl+Z", "Ctrl+Shift+Z"
CLICK = "Click into the lesion in the picture."
NOTHING = "The anomaly score is almost 0 there: nothing can be grown. Draw the lesion with the brush."
ALREADY = "This place belongs to a lesion already. Click beside the outlines, or correct that lesion with the brush."
FARTHEST_MM = 60.0  # that a lesion grows from a click
MERGE, SPLIT = "Merge selected", "Split selected"
NOTHING_DONE, NOTHING_UNDONE = "Nothing was corrected or noted that could be taken back.", "Nothing was undone."
MARK_MS = 100  # more than a slice takes to be drawn without a graphics card
SELECT_MORE = "Select the lesions to merge first: click one row, then others with Ctrl held."
SELECT_ONE = "Select the lesion to split first: click its row."
NOT_NARROW = "This lesion is narrow nowhere. To split it, erase a line across it with the brush."
ENOUGH_TARGETS = f"{MOST_TARGETS} target lesions are ticked already, as many as count in one organ. Untick one first."


class LesionSection(QWidget):
    """The table of lesions with what belongs to it."""

    changed = Signal()  # a lesion was left out or taken in, or something was noted of one

    def __init__(self, viewer: Any, controller: ThresholdController, messages: MessageArea) -> None:
        super().__init__()
        self._viewer, self._controller, self._messages = viewer, controller, messages
        self.table = LesionTable()
        self.table.setToolTip(f"{NEXT} and {BEFORE} go to the next lesion and to the one before")
        self.total = keep_room(one_line())
        self._later = QTimer(self)  # the view is turned first: colours of labels take napari as long as that
        self._later.setSingleShot(True)
        self._later.setInterval(MARK_MS)
        self._later.timeout.connect(self._mark)
        self.adding = ClickToGrow(viewer, messages)
        self.edit = LinkMenu("Edit lesions", "Add, merge or split lesions; brush and eraser are napari's own, in the tumours layer", (
            ("Add by click", "Grow a lesion on the anomaly score where you click; you see it before it is taken", self.add),
            (MERGE, "Make one lesion of the rows that are selected (Ctrl+click selects several)", self.merge),
            (SPLIT, "Make two lesions of the selected one, where it is narrowest", self.split),
        ))  # fmt: skip
        if (menu := self.edit.menu()) is not None:
            menu.aboutToShow.connect(self._offer_edits)
        self.links = QWidget()
        below = QHBoxLayout(self.links)
        below.setContentsMargins(0, 0, 0, 0)
        below.addWidget(self.total, stretch=1)
        below.addWidget(self.edit)
        self._undo = link("Undo", f"Take the last correction, comment or target back ({UNDO})", self.undo)
        self._redo = link("Redo", f"Make it again ({REDO})", self.redo)
        for widget in (self._undo, self._redo, HelpLink("Correct")):
            below.addWidget(widget)
        self.below = QStackedWidget()
        self.below.addWidget(self.links)
        self.below.addWidget(self.adding)
        self.below.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.adding.ended.connect(lambda: self.below.setCurrentWidget(self.links))
        self.adding.accepted.connect(self._add_grown)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.table, stretch=1)
        layout.addWidget(self.below)
        self.table.picked.connect(self.turn_to)
        self.table.ticked.connect(self.keep)
        self.table.aimed.connect(self.aim)
        self.table.commented.connect(self.comment)
        self._bind(UNDO, self.undo)
        self._bind(REDO, self.redo)
        self._bind(NEXT, lambda: self.table.step(1))
        self._bind(BEFORE, lambda: self.table.step(-1))
        self.follow()

    def _bind(self, keys: str, act: Callable[[], object]) -> None:
        """Let keys do something, whether the panel or the picture has the focus."""
        shortcut = QShortcut(QKeySequence(keys), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(act)
        me = self  # the viewer may outlive the panel

        def from_picture(_viewer: object) -> None:
            if isalive(me) and me.table.isEnabled():
                act()

        self._viewer.bind_key(keys.replace("Ctrl", "Control").replace("+", "-"), from_picture, overwrite=True)

    def follow(self) -> None:
        """List the lesions that there are now; without a result there is nothing to see."""
        shown = self._controller.shown
        self.adding.follow(shown)
        rows = shown.rows() if shown is not None else None
        self.table.show_lesions(rows)
        self.table.setEnabled(not self._controller.outdated)
        back, again = steps_of(shown.tumours) if shown is not None else (0, 0)
        allow(self._undo, "" if back else NOTHING_DONE)
        allow(self._redo, "" if again else NOTHING_UNDONE)
        say(self.total, target_words(rows) if rows else "")
        self.setVisible(shown is not None)
        if shown is not None and shown.marked:  # its number may be another by now
            self._mark()

    def _mark(self) -> None:
        """Mark the lesion that is chosen."""
        if (shown := self._controller.shown) is not None:
            shown.mark(next((row.lesion for row in self.table.chosen[:1] if row.kept), None))

    def turn_to(self, lesion: Lesion) -> None:
        """Go to a lesion in all views, and mark it."""
        if (shown := self._controller.shown) is not None:
            shown.turn_to(lesion)
            self.table.choose(lesion)
            self._later.start()

    def keep(self, lesion: Lesion, kept: bool) -> None:
        """Leave a lesion out, or take it in again."""
        if (shown := self._settled()) is not None:
            lesion_edits.keep(shown, lesion, kept=kept)
            self.changed.emit()

    def aim(self, lesion: Lesion, on: bool) -> None:
        """Make a lesion a target lesion, or no longer."""
        if (shown := self._settled()) is None:
            return
        if on and sum(row.target and row.kept for row in self.table.lesions) >= MOST_TARGETS:
            self._messages.note(ENOUGH_TARGETS)
        else:
            shown.aim(lesion, on=on)
        self.changed.emit()

    def add(self) -> None:
        """Wait for a click at which a lesion is to be grown."""
        if (shown := self._settled()) is not None and shown.tumours is not None:
            volume, score = shown.result.volume, shown.result.score
            ground = Ground(
                shown, shown.tumours, volume.geometry, score, lambda labels: labels == 0, CLICK, ALREADY, NOTHING, FARTHEST_MM
            )
            self.adding.begin(ground)
            self.below.setCurrentWidget(self.adding)

    def _add_grown(self, where: NDArray[np.int64]) -> None:
        if (shown := self._controller.shown) is not None:
            lesion_edits.add_grown(shown, where)
            self.changed.emit()

    def _offer_edits(self) -> None:
        """Let be merged or split what is selected; what cannot says why."""
        chosen = sum(row.kept for row in self.table.chosen)
        allow(self.edit.entries[MERGE], "" if chosen > 1 else SELECT_MORE)
        allow(self.edit.entries[SPLIT], "" if chosen == 1 else SELECT_ONE)

    def merge(self) -> None:
        """Make one lesion of those that are selected."""
        if (shown := self._settled()) is not None:
            if lesion_edits.merge(shown, [row.lesion for row in self.table.chosen if row.kept]):
                self.changed.emit()
            else:
                self._messages.note(SELECT_MORE)

    def split(self) -> None:
        """Make two lesions of the one that is selected."""
        if (shown := self._settled()) is None:
            return
        chosen = [row.lesion for row in self.table.chosen if row.kept]
        if len(chosen) != 1:
            self._messages.note(SELECT_ONE)
        elif lesion_edits.split(shown, chosen[0]):
            self.changed.emit()
        else:
            self._messages.note(NOT_NARROW)

    def undo(self) -> None:
        """Take the last correction back."""
        if (shown := self._controller.shown) is not None:
            shown.undo()

    def redo(self) -> None:
        """Make it again."""
        if (shown := self._controller.shown) is not None:
            shown.undo(again=True)

    def comment(self, lesion: Lesion, text: str) -> None:
        """Note something of a lesion."""
        if (shown := self._settled()) is not None:
            shown.comment(lesion, text)
            self.changed.emit()

    def _settled(self) -> ResultLayers | None:
        """Give the result whose lesions are listed, while they are those of now."""
        return None if self._controller.outdated else self._controller.shown
