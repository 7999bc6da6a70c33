"""The scans that were opened lately, by their place. They are listed as long as sessions are kept, for both name files, which may name a patient."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io.kept_sessions import keep_settings
from napari_liver_anomaly.preferences import prefer, preferred
from napari_liver_anomaly.settings import Settings, setting

MOST = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class RecentScans(Settings):
    """What was opened."""

    paths: str = setting("", help="Files and folders, one a line, the latest first.")


def recent_scans() -> tuple[Path, ...]:
    """List the scans that were opened lately, the latest first; whether they are still there is seen when one is opened."""
    return tuple(Path(line) for line in preferred(RecentScans).paths.splitlines())[:MOST]


def remember_scan(path: str | Path) -> None:
    """Put a scan that was opened first in the list, unless the user wants nothing kept; where that cannot be written, nothing is lost."""
    place = str(Path(path).absolute())
    if keep_settings().keep_sessions and place.isprintable():  # one line
        others = [str(one) for one in recent_scans() if str(one) != place]
        with suppress(Refusal):
            prefer(RecentScans(paths="\n".join([place, *others][:MOST])))


def forget_scans() -> None:
    """Forget which scans were opened."""
    if recent_scans():
        prefer(RecentScans())
