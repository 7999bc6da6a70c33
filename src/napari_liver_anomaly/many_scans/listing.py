"""Which scans there are: those of a folder, or those that a text file lists."""

from __future__ import annotations

from pathlib import Path

from napari_liver_anomaly.many_scans.study import MOST_STUDIES, studies_in
from napari_liver_anomaly.messages import make_refusal

LIST = ".txt"
USUAL_LINE = 400  # characters, more than most names of files have


def studies_of(source: str | Path) -> tuple[Path, ...]:
    """List the studies of a folder, or of a text file that names one in each line, from where the file lies; lines that begin with # do not count."""
    source = Path(source)
    if source.suffix.lower() != LIST or not source.is_file():
        return studies_in(source)
    try:
        with open(source, encoding="utf-8") as file:
            text = file.read(MOST_STUDIES * USUAL_LINE)
    except (OSError, UnicodeDecodeError) as error:
        raise make_refusal("file-unreadable", reason=getattr(error, "strerror", None) or "it is no text") from None
    lines = [line.strip() for line in text.splitlines()]
    paths = tuple(source.parent / line for line in lines if line and not line.startswith("#"))
    if not paths:
        raise make_refusal("no-studies")
    return paths
