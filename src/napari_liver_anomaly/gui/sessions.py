"""Sessions of a panel: saved on demand and after each run, and opened again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_liver_anomaly.errors import Level, Refusal
from napari_liver_anomaly.gui.background import Task
from napari_liver_anomaly.gui.closing_guard import LastAct
from napari_liver_anomaly.gui.file_dialog import ask_file, ask_folder
from napari_liver_anomaly.gui.found_liver import FoundLiver
from napari_liver_anomaly.gui.layer_snapshot import snapshot_of
from napari_liver_anomaly.gui.layers import Role, add, checksum, liver_layer, tag_of
from napari_liver_anomaly.gui.note_history import forget_steps
from napari_liver_anomaly.gui.open_box import FILES
from napari_liver_anomaly.gui.saved_session import Reopened, reopen, seen_now, session_of, show_view
from napari_liver_anomaly.gui.session_buttons import SaveButton, SessionButtons
from napari_liver_anomaly.gui.worker import RunResult
from napari_liver_anomaly.io.kept_sessions import (
    KeepSettings,
    folder_of,
    forget_all,
    keep,
    keep_settings,
    kept_sessions,
    local_time,
)
from napari_liver_anomaly.io.recent_scans import forget_scans, recent_scans
from napari_liver_anomaly.io.session import write_session
from napari_liver_anomaly.preferences import prefer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from napari.layers import Layer

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.gui.lesion_state import LesionState
    from napari_liver_anomaly.gui.result_layers import ResultLayers
    from napari_liver_anomaly.gui.saved_session import Seen
    from napari_liver_anomaly.gui.tumour_panel import TumourPanel
    from napari_liver_anomaly.io.kept_sessions import KeptSession
    from napari_liver_anomaly.job import Job

KEEP_AFTER_MS = 3000  # after the last correction
LONGEST_S = 10.0  # that closing the window waits for a session that is being kept
FILE, FOLDER = "Choose file…", "Choose folder…"


class Sessions(QObject):
    """Saves what its panel shows, and shows what was saved."""

    reopened = Signal()  # what was saved is on screen
    saved = Signal(object)  # Path, or None when none is kept

    def __init__(
        self,
        panel: TumourPanel,
        show: Callable[[RunResult, LesionState | None], Iterator[None]],
        follow: Callable[[ResultLayers], None],
    ) -> None:
        super().__init__(panel)
        self._panel, self._show_result, self._follow = panel, show, follow
        self.buttons, self.save_button = SessionButtons(_kept, recent_scans), SaveButton()
        self.opening, self.saving, self.keeping = Task(self), Task(self), Task(self)
        self._path: Path | None = None  # of the session that is being opened
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(KEEP_AFTER_MS)
        self._soon.timeout.connect(self._keep_again)
        self._last = LastAct(panel, self.keep_now)
        self._told = False  # whether it was said where sessions are kept
        self.buttons.opened.connect(self.open)
        self.buttons.scan_opened.connect(lambda path: panel.open([path]))
        self.buttons.switched.connect(self._switch)
        self.buttons.moved.connect(self._move)
        self.buttons.forgotten.connect(self._forget)
        self.save_button.wanted.connect(self.save)
        self.opening.returned.connect(self._begin)
        self.opening.refused.connect(self._ask)
        self.saving.returned.connect(self._tell_saved)
        self.keeping.returned.connect(self._tell_kept)
        for work in (self.saving, self.keeping):
            work.refused.connect(lambda finding: panel.messages.add_findings(finding))
        for work in (self.opening, self.saving, self.keeping):
            work.failed.connect(panel.messages.fail)

    def open(self, path: Path, moved_to: Path | None = None) -> None:
        """Open a session in a worker; a scan that is elsewhere by now is asked for."""
        panel = self._panel
        if panel.busy or not self.opening.start(partial(reopen, path, moved_to)):
            return panel.messages.note("A run or a scan is in progress. Open the session when it ends.")
        self._path = path
        return panel.messages.note("Opening the session…")

    def save(self, path: Path) -> None:
        """Save what is on screen, in a worker."""
        if (seen := self.seen()) is not None and self.saving.start(partial(_save, seen, path)):
            self._panel.messages.note("Saving the session…")

    def keep(self) -> None:
        """Keep a session of what is on screen, unless the user wants none; in a worker."""
        if (settings := keep_settings()).keep_sessions and (seen := self.seen()) is not None:
            self.keeping.ask(partial(_keep, seen, settings))

    def follow(self) -> None:
        """Keep the session again a moment after something was corrected or noted, or cut in another way; at the latest when the window closes."""
        shown = self._panel.controller.shown
        if shown is None:
            self._last.release()
            return self._soon.stop()
        shown.kept = shown.kept or shown.by_user  # what was there from the beginning is kept
        self._last.watch()
        return self._soon.start() if shown.kept != shown.by_user else self._soon.stop()

    def keep_now(self) -> Finding | None:
        """Keep what is not kept yet before this returns, for the window closes; why it could not be kept."""
        self.keeping.wait(LONGEST_S)
        controller, settings = self._panel.controller, keep_settings()
        if not settings.keep_sessions or not (self._soon.isActive() or controller.outdated):
            return None
        controller.finish(LONGEST_S)
        self._soon.stop()
        try:
            if (seen := self.seen()) is not None:
                keep(session_of(seen), settings)
        except Refusal as refusal:
            self._soon.start()  # who stays has it tried again, and at the next closing at the latest
            return refusal.finding
        return None

    def _keep_again(self) -> None:
        """Keep what is corrected, once nothing is in progress."""
        if self._panel.busy or self._panel.controller.outdated:
            self._soon.start()
        elif (shown := self._panel.controller.shown) is not None:
            shown.kept = shown.by_user
            self.keep()

    def seen(self) -> Seen | None:
        """Take what is on screen, for work on another thread; None without a result."""
        shown, scan = self._panel.controller.shown, self._panel.inputs.scan.layer
        if shown is None:
            return None
        tag = tag_of(scan)
        if tag is None or tag.scan != shown.scan:
            scan = None
        liver = self._panel.inputs.liver.layer if scan is not None else None
        return seen_now(shown, scan, tag if scan is not None else None, liver)

    def _ask(self, finding: Finding) -> None:
        """Ask where a scan is now; else say what is wrong."""
        panel, path = self._panel, self._path
        if finding.code not in ("session-scan-missing", "session-scan-changed") or path is None:
            return panel.messages.show_findings(finding)

        def choose(place: Path | None) -> None:
            if place is not None:
                self.open(path, place)

        return panel.messages.ask(
            str(finding),
            {
                FILE: lambda: choose(ask_file(panel, "Where is the scan now?", FILES)),
                FOLDER: lambda: choose(ask_folder(panel, "Where is the scan now?")),
            },
        )

    def _begin(self, opened: Reopened) -> None:
        self._panel.show_steps(self._show(opened))

    def _show(self, opened: Reopened) -> Iterator[None]:
        """Show what was saved, layer by layer."""
        panel, session = self._panel, opened.session
        layer = self._layer(opened.volume.identity) or add(panel.viewer, opened.made)
        panel.inputs.scan.choose(layer)
        yield
        notes = tuple(finding for finding in opened.volume.findings if finding.level is not Level.ASK)
        scan = snapshot_of(layer)
        mask = opened.result.liver
        if (drawn := session.corrected_liver) is not None:
            mask = replace(mask, voxels=drawn)
        made = liver_layer(mask, opened.volume, scan.place, f"{scan.name} liver")
        automatic = checksum(made[0]) if session.liver.found and drawn is None else -1  # no array has this checksum
        panel.model.choose(opened.result.model)
        found = RunResult(opened.result, scan, notes, FoundLiver(scan, mask, made, automatic, ()))
        yield from self._show_result(found, opened.state)
        shown = panel.shown[opened.volume.identity]
        shown.left_out, shown.notes = opened.rejected, opened.notes
        shown.other = dict(session.other)
        if shown.tumours is not None:
            forget_steps(shown.tumours)
        show_view(session.view, shown, layer)
        self._follow(shown)
        panel.messages.note(f"Opened the session saved {local_time(session.saved)}.", *map(str, notes))
        self.reopened.emit()

    def _layer(self, identity: str) -> Layer | None:
        """Find the layer of a scan that is open already."""
        tags = [(layer, tag_of(layer)) for layer in self._panel.viewer.layers]
        return next((layer for layer, tag in tags if tag is not None and tag.role is Role.SCAN and tag.scan == identity), None)

    def _tell_saved(self, path: Path) -> None:
        self._panel.messages.note(f"Saved: {path.name}. It says where the scan lies, not the scan itself.")
        self.saved.emit(path)

    def _tell_kept(self, path: Path | None) -> None:
        if path is not None and not self._told:
            self._told = True
            self._panel.messages.add_note(
                f"This reading is kept under Recent. That can be switched off there; the folder is {path.parent}"
            )
        self.saved.emit(path)

    def _switch(self, on: bool) -> None:
        prefer(replace(keep_settings(), keep_sessions=on))
        self._panel.messages.note("Sessions are kept after each run." if on else "No session is kept from now on.")

    def _move(self, folder: Path) -> None:
        prefer(replace(keep_settings(), folder=str(folder)))
        self._panel.messages.note("Sessions are kept there from now on; those kept before stay where they are.")

    def _forget(self) -> None:
        count = forget_all(keep_settings())
        forget_scans()
        self._panel.messages.note(
            f"Forgotten: {count} session{'s' * (count != 1)}, and which scans were opened. Sessions that you saved yourself stay."
        )


def _kept() -> tuple[KeepSettings, Path, Sequence[KeptSession]]:
    settings = keep_settings()
    return settings, folder_of(settings), kept_sessions(settings)


def _save(seen: Seen, path: Path, job: Job) -> Path:
    job.at("Saving the session", 0, 1)
    write_session(session_of(seen), path)
    return path


def _keep(seen: Seen, settings: KeepSettings, job: Job) -> Path | None:
    job.at("Keeping the session", 0, 1)
    return keep(session_of(seen), settings)
