"""What the user set once and for all: one JSON file in their configuration folder, one section for each settings class."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.placing import replacing
from napari_liver_anomaly.settings import Settings
from napari_liver_anomaly.storage import opened

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 2**16
S = TypeVar("S", bound=Settings)


def path() -> Path:
    """Say where the file lies."""
    from platformdirs import user_config_path

    return user_config_path("napari-liver-anomaly", appauthor=False) / "preferences.json"


def preferred(kind: type[S]) -> S:
    """Give the settings of a class as the user set them; what is missing, unknown or out of range is as it begins."""
    base, kept = kind().to_dict(), _sections().get(kind.__name__)
    for name, value in kept.items() if isinstance(kept, dict) else ():
        if name in base:
            try:
                base = kind.from_dict(base | {name: value}).to_dict()
            except (Refusal, TypeError):
                continue
    return kind.from_dict(base)


def prefer(settings: Settings) -> None:
    """Keep settings; sections of other classes stay as they are."""
    sections = _sections() | {type(settings).__name__: settings.to_dict()}
    with replacing(path()) as beside:
        beside.write_text(json.dumps(sections, indent=1) + "\n", encoding="utf-8")


def _sections() -> dict[str, Any]:
    """Read the file; one that is missing or damaged says nothing."""
    try:
        with opened(path()) as stream:
            sections = json.loads(stream.read(LARGEST))
    except (Refusal, ValueError, RecursionError):
        return {}
    return sections if isinstance(sections, dict) else {}
