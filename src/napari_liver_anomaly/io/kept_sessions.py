"""Sessions that the program keeps by itself after each run: where they lie, how many there are at most, and how they are forgotten."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io.session import ENDING, read_about, write_session
from napari_liver_anomaly.preferences import preferred
from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.io.session import Session

VARIABLE, OFF = "LIVER_ANOMALY_SESSIONS", "off"
OURS = re.compile(rf"[0-9a-f]{{16}}{re.escape(ENDING)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeepSettings(Settings):
    """What is kept after a run, to be reopened."""

    keep_sessions: bool = setting(True, help="Keep a session after each run; it names the scan's file, which may name a patient.")
    folder: str = setting("", help="Folder of these sessions; empty for one among the user's data.")
    most: int = setting(20, unit="sessions", low=1, high=1000, help="Number of sessions that are kept; the oldest go first.")
    most_mb: int = setting(2000, unit="MB", low=10, high=1000000, help="Room that they may take together; the oldest go first.")


@dataclass(frozen=True, eq=False)
class KeptSession:
    """A session that was kept, and what it says of itself."""

    path: Path
    about: dict[str, Any]

    @property
    def title(self) -> str:
        """Name of the scan's file or folder."""
        path = str(self.about["scan"]["path"])
        return Path(path).name or "Scan without a file"


def local_time(saved: str) -> str:
    """Say date and time of a session, which has them in UTC, by the clock of this place; as it stands where it is none."""
    try:
        return f"{datetime.fromisoformat(saved).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return saved[:16]


def keep_settings() -> KeepSettings:
    """How sessions are kept, as the user set it; not at all where the environment variable says "off"."""
    named, kept = os.environ.get(VARIABLE, ""), preferred(KeepSettings)
    if named == OFF:
        return KeepSettings(keep_sessions=False)
    return KeepSettings(keep_sessions=True, folder=named, most=kept.most, most_mb=kept.most_mb) if named else kept


def folder_of(settings: KeepSettings) -> Path:
    """Say where kept sessions lie."""
    if settings.folder:
        return Path(settings.folder)
    from platformdirs import user_data_path

    return user_data_path("napari-liver-anomaly", appauthor=False) / "sessions"


def keep(session: Session, settings: KeepSettings) -> Path | None:
    """Keep a session in the place of an earlier one of the same scan, and let the oldest go; None when none is kept."""
    if not settings.keep_sessions:
        return None
    folder = folder_of(settings)
    with suppress(OSError):  # the file that is to be written there will say why
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = place_of(session.scan, settings)
    write_session(session, path)
    _thin_out(folder, settings, path)
    return path


def place_of(scan: str, settings: KeepSettings) -> Path:
    """Say where the session of a scan is kept: the name of the file says nothing about the patient."""
    return folder_of(settings) / f"{scan}{ENDING}"


def kept_sessions(settings: KeepSettings) -> tuple[KeptSession, ...]:
    """List the sessions that are kept, the latest first; what cannot be read is left out."""
    found = []
    for path in _ours(folder_of(settings)):
        try:
            found.append(KeptSession(path, read_about(path)))
        except Refusal:
            continue
    return tuple(found)


def forget_all(settings: KeepSettings) -> int:
    """Delete every session that the program kept, and only those; give how many there were."""
    paths = _ours(folder_of(settings))
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _ours(folder: Path) -> list[Path]:
    """List the files that have a name as we give it, the latest first."""
    try:
        found = [Path(one.path) for one in os.scandir(folder) if OURS.fullmatch(one.name) and one.is_file(follow_symlinks=False)]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    except OSError:  # there is none, or it cannot be read
        return []


def _thin_out(folder: Path, settings: KeepSettings, newest: Path) -> None:
    """Delete the oldest sessions until number and room are kept to; the newest stays in any case."""
    room = settings.most_mb * 10**6
    for number, path in enumerate(_ours(folder)):
        room -= path.stat().st_size
        if path != newest and (number >= settings.most or room < 0):
            path.unlink(missing_ok=True)
